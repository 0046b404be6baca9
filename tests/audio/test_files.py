import struct
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest
import soundfile

from stegano_tf.audio import files, pcm
from stegano_tf.errors import AudioError, OutputError

SAMPLES = pcm.encode(bytes(range(256)))


def read(path):
    with files.Reader(path) as reader:
        return np.concatenate([block.copy() for block in reader.blocks(reader.frames)])


def write(path, samples=SAMPLES, **options):
    files.write(path, [samples], len(samples), **options)


# --- Reading ---------------------------------------------------------------------------------------------------------


def test_wav_written_by_hand(make_wav):
    path = make_wav([1, -2, 3, -4, 32767, -32768], channels=2, rate=8000)
    with files.Reader(path) as reader:
        assert (reader.container, reader.subtype, reader.sample_rate) == ("WAV", "PCM_16", 8000)
        assert (reader.channels, reader.frames) == (2, 3)
        assert np.concatenate(list(reader.blocks(3))).tolist() == [[1, -2], [3, -4], [32767, -32768]]


@pytest.mark.parametrize(
    ("bits", "tag", "data", "expected"),
    [
        # libsndfile puts an n-bit sample into the upper n bits, or keeps the upper 16 bits of a longer one.
        (8, 1, bytes([0, 1, 128, 255]), [-32768, -32512, 0, 32512]),
        (24, 1, bytes([255, 0, 128, 0, 1, 0, 0, 255, 127]), [-32768, 1, 32767]),
        (32, 1, struct.pack("<3i", -(2**31), 1 << 16, 2**31 - 1), [-32768, 1, 32767]),
        # Floats are multiplied by 32768, rounded to the nearest and saturated; NaN is 0.
        (32, 3, struct.pack("<5f", -1.0, 1 / 32768, 0.6 / 32768, 0.4 / 32768, 1.5), [-32768, 1, 1, 0, 32767]),
        (32, 3, struct.pack("<4f", np.nan, np.inf, -np.inf, -2), [0, 32767, -32768, -32768]),
        (64, 3, struct.pack("<4d", 0.5, -0.25, 1e300, np.nan), [16384, -8192, 32767, 0]),
    ],
)
def test_sample_formats_written_by_hand(make_wav, bits, tag, data, expected):
    assert read(make_wav(data, bits=bits, tag=tag))[:, 0].tolist() == expected


@pytest.mark.parametrize("block", [1, 2, 100, 1000])
def test_blocks_follow_each_other(make_wav, monkeypatch, block):
    monkeypatch.setattr(pcm, "BLOCK", block)
    assert read(make_wav(range(300), channels=3)).reshape(-1).tolist() == list(range(300))


def test_seek_goes_to_a_frame(make_wav):
    with files.Reader(make_wav(range(20), channels=2)) as reader:
        reader.seek(7)
        assert next(reader.blocks(1)).tolist() == [[14, 15]]
        with pytest.raises(AudioError, match="no sample 11"):
            reader.seek(11)


def test_claim_of_4_gb_in_a_small_file_allocates_nothing(make_wav):
    path = make_wav(bytes(1000), data_size=0xFFFFFFF0, riff_size=0xFFFFFFFF)
    tracemalloc.start()
    with files.Reader(path) as reader:
        assert reader.frames == 500
        with pytest.raises(AudioError, match=r"made\.wav: is cut short: 1,999,999,500 samples are missing"):
            list(reader.blocks(2_000_000_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6


def test_flac_with_an_impossible_length_is_refused(tmp_path):
    write(tmp_path / "a.flac")
    data = bytearray((tmp_path / "a.flac").read_bytes())
    # STREAMINFO ends in a 36-bit number of samples, before a 128-bit MD5; it starts at 8 and is 34 bytes long.
    length = int.from_bytes(data[18:26], "big")
    assert length & (2**36 - 1) == 256
    data[18:26] = (length | 2**36 - 1).to_bytes(8, "big")
    (tmp_path / "a.flac").write_bytes(data)
    with pytest.raises(AudioError, match=rf"a\.flac: states no length that its {len(data):,} bytes could hold"):
        files.Reader(tmp_path / "a.flac")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.wav", b"", "is empty"),
        ("text.wav", b"not a sound at all " * 99, "is not a sound file"),
        ("photo.m4a", b"\0\0\0\x20ftypM4A " * 99, "is MP4, which is not supported; ask for the WAV or FLAC"),
        ("noise.raw", b"not a sound at all " * 99, "is raw sound"),
        ("phone.vox", b"not a sound at all " * 99, "VOX_ADPCM in RAW, which loses samples"),
        ("head.wav", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0", "is not a sound file"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioError, match=message) as caught:
        files.Reader(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(AudioError, match=r"no\.wav: cannot be read: No such file"):
        files.Reader(tmp_path / "no.wav")
    with pytest.raises(AudioError, match="is not a regular file"):
        files.Reader(tmp_path)
    with pytest.raises(AudioError, match="is not a regular file"):
        files.Reader("/dev/null")


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        *[("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("WAV", "ULAW"), ("AIFF", "ALAW")],
        *[("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM"), ("WAV", "GSM610")],
    ],
)
def test_lossy_files_are_refused_by_name(tmp_path, container, subtype):
    path = tmp_path / "lossy"
    soundfile.write(path, SAMPLES.repeat(40), 48000, subtype, format=container)
    with pytest.raises(
        AudioError, match=f"lossy: is {subtype} in {container}, which loses samples, expected PCM; ask for"
    ):
        files.Reader(path)


def test_damaged_flac_is_reported(tmp_path):
    path = tmp_path / "a.flac"
    write(path, np.tile(SAMPLES, 100))
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(AudioError, match=r"a\.flac: is (damaged|cut short): "):
        read(path)


@pytest.mark.parametrize("name", ["-", "-.wav", "a\udcff.wav", "ein Bild mit Ümläuten.wav", "new\nline.wav"])
def test_names_of_all_kinds(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "source.wav").write_bytes(b"")
    write("source.wav", force=True)
    (tmp_path / "source.wav").rename(tmp_path / name)
    assert read(name)[:, 0].tolist() == SAMPLES.tolist()
    if name.endswith(".wav"):
        write(name, SAMPLES[:9], force=True)
        assert read(name)[:, 0].tolist() == SAMPLES[:9].tolist()


# --- Writing ---------------------------------------------------------------------------------------------------------


def test_wav_field_by_field(tmp_path, make_wav):
    write(tmp_path / "a.wav", sample_rate=8000)
    assert (tmp_path / "a.wav").read_bytes() == make_wav(SAMPLES, rate=8000).read_bytes()


@pytest.mark.parametrize("suffix", [*files.CONTAINERS, ".WAV", ".Flac"])
def test_every_container_holds_the_samples(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write(path)
    assert read(path)[:, 0].tolist() == SAMPLES.tolist()
    assert soundfile.info(path).format == files.CONTAINERS[suffix.lower()]
    assert soundfile.info(path).subtype == "PCM_16"


@pytest.mark.parametrize("suffix", files.CONTAINERS)
@pytest.mark.parametrize("rate", [1, 44100, None])
def test_every_sample_rate_that_a_container_states(tmp_path, suffix, rate):
    highest = {".flac": 655_350, ".aiff": 800_000_000, ".aif": 800_000_000}.get(suffix, 2**31 - 1)
    path = tmp_path / f"a{suffix}"
    write(path, sample_rate=rate or highest)
    assert soundfile.info(path).samplerate == (rate or highest)
    with pytest.raises(AudioError, match=f"a sample rate of {highest + 1} Hz, expected 1 to {highest}"):
        write(path, sample_rate=highest + 1, force=True)


@pytest.mark.parametrize("rate", [0, -44100])
def test_impossible_sample_rates_are_refused(tmp_path, rate):
    with pytest.raises(AudioError, match="expected 1 to 2147483647 in a WAV file"):
        write(tmp_path / "a.wav", sample_rate=rate)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.mp3", "lossy"), ("a.OPUS", "lossy"), ("a.m4a", "lossy"), ("a", "suffix ''"), ("a.png", "suffix '.png'")],
)
def test_other_suffixes_are_refused(tmp_path, name, message):
    with pytest.raises(AudioError, match=rf"{message}.*expected \.wav \.rf64 \.flac"):
        write(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_containers_beyond_4_gib():
    limit = (2**32 - 2**16) // 2
    assert files.container_for("a.wav", limit) == "WAV"
    assert files.container_for("a.wav", limit + 1) == "RF64"
    assert files.container_for("a.flac", limit + 1) == "FLAC"
    with pytest.raises(AudioError, match=r"exceed the 4 GiB of an AIFF file, expected \.wav"):
        files.container_for("a.aif", limit + 1)


def test_existing_output_is_kept(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        write(path)
    assert path.read_bytes() == b"precious"


def test_error_between_blocks_leaves_nothing(tmp_path):
    def blocks():
        yield SAMPLES
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write(tmp_path / "a.wav", blocks(), 512)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".wav", ".rf64", ".flac", ".aiff", ".caf", ".w64"])
def test_full_disk_leaves_nothing(tmp_path, suffix):
    # A file size limit stands for a full disk. Near the file's true size just the last writes, those of closing, fail.
    script = """
        import resource, sys
        from pathlib import Path
        import numpy as np
        from stegano_tf.audio import files
        from stegano_tf.errors import OutputError

        folder, suffix = Path(sys.argv[1]), sys.argv[2]
        samples = (np.random.default_rng(0).integers(0, 256, 20_000) * 256 - 32640).astype(np.int16)
        whole = folder / f"whole{suffix}"
        files.write(whole, [samples], len(samples))
        size = whole.stat().st_size
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        for limit in [1, 50, size // 2, *range(size - 3000, size, 171), size - 1, size]:
            path = folder / f"part{suffix}"
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            try:
                files.write(path, [samples[:7000], samples[7000:]], len(samples))
            except OutputError as error:
                assert str(error).startswith(f"{path}: cannot be written: "), error
                assert limit < size, error
            else:
                assert path.read_bytes() == whole.read_bytes(), limit
                path.unlink()
            assert list(folder.iterdir()) == [whole], limit
        print("all tried")
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path, suffix], capture_output=True, text=True, check=False
    )
    assert run.stdout == "all tried\n", run.stderr


def test_imports_are_light():
    script = """
        import sys
        import stegano_tf.audio.codec
        print(*{"tensorflow", "keras", "librosa", "matplotlib", "soundfile", "PIL"} & set(sys.modules))
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert run.stdout == "\n"
