import dataclasses
import filecmp
import hashlib
import re
import struct
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stegano_tf.audio import codec, files, framing, pcm
from stegano_tf.audio.payloads import bmp
from stegano_tf.errors import AudioError, FormatError, OutputError, SteganoError

PIXEL = np.array([[[1, 2, 3]]], np.uint8)
PIXEL_BMP = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 58, 0, 54, 40, 1, 1, 1, 24, 0, 4, 2835, 2835, 0, 0) + b"\3\2\1\0"
PIXEL_FRAME = framing.Header(58, (9, 8)).pack() + PIXEL_BMP + hashlib.sha256(PIXEL_BMP).digest()

pictures = hnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3)))
secret_sizes = st.none() | st.tuples(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))


def decodes_to(path, image, secret_size=None):
    decoded = codec.decode(path)
    np.testing.assert_array_equal(decoded.image, image)
    assert decoded.secret_size == secret_size
    return decoded.info


# --- Round trips -----------------------------------------------------------------------------------------------------


def test_one_pixel_sample_by_sample(tmp_path, make_wav):
    codec.encode(PIXEL, tmp_path / "a.wav", secret_size=(9, 8))
    assert (tmp_path / "a.wav").read_bytes() == make_wav([256 * b + 128 - 32768 for b in PIXEL_FRAME]).read_bytes()


def test_bare_form_is_the_bmp_and_nothing_else(tmp_path, make_wav):
    codec.encode(PIXEL, tmp_path / "a.wav", raw_bmp=True)
    assert (tmp_path / "a.wav").read_bytes() == make_wav([256 * b + 128 - 32768 for b in PIXEL_BMP]).read_bytes()
    assert decodes_to(tmp_path / "a.wav", PIXEL).form == "raw bmp"


def test_published_sample_values_are_read(make_wav):
    # The publication puts the byte at the lower edge of its level: 256*b - 32768.
    decodes_to(make_wav([256 * b - 32768 for b in PIXEL_BMP]), PIXEL)


@given(pictures, secret_sizes)
def test_any_picture_comes_back(tmp_path_factory, image, secret_size):
    path = tmp_path_factory.mktemp("any") / "a.wav"
    written = codec.encode(image, path, secret_size=secret_size)
    assert decodes_to(path, image, secret_size) == written
    codec.encode(image, path, raw_bmp=True, force=True)
    decodes_to(path, image)


def test_every_small_size_comes_back(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (17, 17, 3), dtype=np.uint8)
    for height in range(1, 18):
        for width in range(1, 18):
            codec.encode(noise[:height, :width], tmp_path / "a.wav", force=True)
            decodes_to(tmp_path / "a.wav", noise[:height, :width])


@pytest.mark.parametrize("size", [(1, 400_000), (400_000, 1), (701, 997)])
def test_pictures_of_several_blocks_come_back(tmp_path, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert image.size > 2 * pcm.BLOCK
    codec.encode(image, tmp_path / "a.wav")
    decodes_to(tmp_path / "a.wav", image)


@pytest.mark.parametrize("suffix", files.CONTAINERS)
@pytest.mark.parametrize("raw_bmp", [False, True])
def test_every_container(tmp_path, image, suffix, raw_bmp):
    path = tmp_path / f"a{suffix}"
    info = codec.encode(image, path, raw_bmp=raw_bmp, sample_rate=8000)
    assert decodes_to(path, image) == info
    assert info.container == files.CONTAINERS[suffix]


LOSSLESS = [
    *[("WAV", f"PCM_{bits}") for bits in ("U8", "16", "24", "32")],
    *[("FLAC", f"PCM_{bits}") for bits in ("S8", "16", "24")],
    *[("AIFF", f"PCM_{bits}") for bits in ("S8", "U8", "16", "24", "32")],
    *[(container, subtype) for container in ("WAV", "AIFF", "CAF", "RF64", "W64") for subtype in ("FLOAT", "DOUBLE")],
    *[
        ("CAF", "ALAC_16"),
        ("AU", "PCM_16"),
        ("WAVEX", "PCM_24"),
        ("NIST", "PCM_16"),
        ("VOC", "PCM_16"),
        ("PAF", "PCM_24"),
    ],
]


@pytest.mark.parametrize(("container", "subtype"), LOSSLESS)
@pytest.mark.parametrize("side", [None, 0, 1])
def test_every_lossless_conversion(tmp_path, image, container, subtype, side):
    codec.encode(image, tmp_path / "a.wav", secret_size=(11, 12))
    # Floats are converted from floats, integers from integers: from float to an 8-bit FLAC, libsndfile would round. A
    # second channel holds music.
    scale, dtype = (1, "float64") if subtype in {"FLOAT", "DOUBLE"} else (32768, "int16")
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype=dtype)
    if side is not None:
        music = (0.3 * scale * np.sin(np.arange(len(samples)) / 20)).astype(dtype)
        samples = np.stack([music, samples] if side else [samples, music], axis=1)
    soundfile.write(tmp_path / "b", samples, 22050, subtype, format=container)
    info = decodes_to(tmp_path / "b", image, (11, 12))
    assert (info.container, info.subtype, info.sample_rate) == (container, subtype, 22050)
    assert (info.channels, info.channel) == ((1, 0) if side is None else (2, side))


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 17, 127]))
def test_noise_of_up_to_127_is_harmless(tmp_path_factory, seed, most):
    path = tmp_path_factory.mktemp("noise") / "a.wav"
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*rng.integers(1, 12, 2), 3), dtype=np.uint8)
    codec.encode(image, path)
    samples, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, samples + rng.integers(-most, most + 1, len(samples)).astype(np.int16), rate)
    decodes_to(path, image)


def test_noise_of_129_is_too_much(tmp_path):
    # The bound is real: one more step beyond the level's edge changes the byte, and that is noticed.
    codec.encode(PIXEL, tmp_path / "a.wav")
    samples, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    samples[48] += 129
    soundfile.write(tmp_path / "a.wav", samples, rate)
    with pytest.raises(FormatError, match="SHA-256"):
        codec.decode(tmp_path / "a.wav")


def test_a_frame_goes_before_a_bmp_in_another_channel(make_wav):
    frames = np.zeros((len(PIXEL_FRAME), 2), np.int16)
    frames[: len(PIXEL_BMP), 0] = pcm.encode(PIXEL_BMP)
    frames[:, 1] = pcm.encode(PIXEL_FRAME)
    info = decodes_to(make_wav(frames, channels=2), PIXEL, (9, 8))
    assert (info.channel, info.form) == (1, "frame v1")


def test_decoded_picture_is_the_callers_own(tmp_path, image):
    codec.encode(image, tmp_path / "a.wav")
    decoded = codec.decode(tmp_path / "a.wav").image
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable
    assert decoded.dtype == np.uint8


# --- What inspect says -----------------------------------------------------------------------------------------------


def test_inspect_says_what_there_is(tmp_path, image):
    path = tmp_path / "a.wav"
    info = codec.encode(image, path, secret_size=(30, 20), network=b"network!", sample_rate=1000)
    bmp_bytes = 54 + 5 * 24  # rows of 7 * 3 = 21 bytes, padded to 24
    assert info == codec.AudioInfo(
        path=path,
        container="WAV",
        subtype="PCM_16",
        sample_rate=1000,
        channels=1,
        channel=0,
        frames=40 + bmp_bytes + 32,
        form="frame v1",
        payload_bytes=bmp_bytes,
        payload="bmp",
        image_size=(5, 7),
        secret_size=(30, 20),
        network=b"network!",
        samples_after=0,
    )
    assert info.duration == 0.246
    assert codec.inspect(path, verify=True) == codec.inspect(path) == info


@pytest.mark.parametrize("raw_bmp", [False, True])
def test_samples_after_the_message_are_counted(tmp_path, image, raw_bmp):
    before = codec.encode(image, tmp_path / "a.wav", raw_bmp=raw_bmp)
    samples, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    soundfile.write(tmp_path / "a.wav", np.append(samples, np.zeros(1234, np.int16)), rate)
    info = decodes_to(tmp_path / "a.wav", image)
    assert info == dataclasses.replace(before, frames=before.frames + 1234, samples_after=1234)


def test_inspect_finds_damage_only_when_it_verifies(tmp_path, image):
    path = tmp_path / "a.wav"
    codec.encode(image, path)
    data = bytearray(path.read_bytes())
    data[-101] ^= 0x80
    path.write_bytes(data)
    codec.inspect(path)
    with pytest.raises(FormatError, match=re.escape(f"{path}: is damaged: the payload's SHA-256 is ")):
        codec.inspect(path, verify=True)


# --- Bad input -------------------------------------------------------------------------------------------------------


def test_every_flipped_bit_of_a_frame_is_noticed(make_wav):
    samples = pcm.encode(PIXEL_FRAME)
    decodes_to(make_wav(samples), PIXEL, (9, 8))
    for index in range(len(PIXEL_FRAME)):
        for bit in range(8):
            damaged = bytearray(PIXEL_FRAME)
            damaged[index] ^= 1 << bit
            path = make_wav(pcm.encode(damaged))
            with pytest.raises(FormatError):
                codec.decode(path)


def test_no_flipped_bit_of_a_wav_header_yields_another_picture(tmp_path, make_wav):
    whole = make_wav(pcm.encode(PIXEL_FRAME)).read_bytes()
    path = tmp_path / "a.wav"
    for index in range(44):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[index] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                decoded = codec.decode(path)
            except SteganoError as error:
                assert str(path) in str(error)
            else:
                np.testing.assert_array_equal(decoded.image, PIXEL)


@pytest.mark.parametrize("suffix", [".wav", ".rf64", ".flac", ".aiff", ".caf", ".w64"])
@pytest.mark.parametrize("raw_bmp", [False, True])
def test_truncation_at_every_length_is_noticed(tmp_path, suffix, raw_bmp):
    path = tmp_path / f"a{suffix}"
    codec.encode(PIXEL, path, raw_bmp=raw_bmp)
    whole = path.read_bytes()
    start = 4000 if suffix == ".caf" else 0  # libsndfile fills a CAF's first 4 kB with a free chunk
    for length in range(start, len(whole)):
        path.write_bytes(whole[:length])
        try:
            decoded = codec.decode(path)
        except (AudioError, FormatError) as error:
            message = str(error)
            assert message.startswith(f"{path}: "), message
            assert "\n" not in message
        else:
            # A container may end in bytes that are not samples.
            assert len(whole) - length <= 8, f"{length} of {len(whole)} bytes decoded"
            np.testing.assert_array_equal(decoded.image, PIXEL)


def test_truncation_says_how_many_samples_are_missing(make_wav):
    with pytest.raises(
        FormatError, match=r"made\.wav: is cut short: 30 samples are missing; its header announces 130, 100"
    ):
        codec.decode(make_wav(pcm.encode(PIXEL_FRAME[:100])))
    with pytest.raises(FormatError, match="is cut short: 3 samples are missing; its header announces 58, 55 are there"):
        codec.decode(make_wav(pcm.encode(PIXEL_BMP[:55])))
    with pytest.raises(FormatError, match="frame header is cut short: 20 bytes, expected 40"):
        codec.decode(make_wav(pcm.encode(PIXEL_FRAME[:20])))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "a BMP of 0 bytes, expected at least 54"),
        (b"GIF89a" * 20, "payload starts with b'GI', expected a BMP"),
        (
            PIXEL_BMP[:18] + struct.pack("<i", 10**6) + PIXEL_BMP[22:],
            "a BMP of 1000000 x 1 pixels needs 3,000,054 bytes",
        ),
        (PIXEL_BMP[:-1], "its header says 58, and 57 are there"),
    ],
)
def test_frames_around_other_payloads_are_refused(make_wav, payload, message):
    data = framing.Header(len(payload)).pack() + payload + hashlib.sha256(payload).digest()
    path = make_wav(pcm.encode(data))
    with pytest.raises(FormatError, match=f"{re.escape(str(path))}: .*{message}"):
        codec.decode(path)


@pytest.mark.parametrize(
    "claim",
    [
        framing.Header(2**64 - 1).pack(),
        framing.Header(4 * 10**9).pack() + PIXEL_BMP,
        struct.pack("<2sI", b"BM", 2**32 - 1) + PIXEL_BMP[6:],
        # As many bytes as the file holds, but a picture of 12 GB in them.
        struct.pack("<2sI", b"BM", 500) + PIXEL_BMP[6:18] + struct.pack("<ii", 10**5, 4 * 10**4) + PIXEL_BMP[26:],
    ],
)
def test_claims_of_gigabytes_allocate_nothing(make_wav, claim):
    path = make_wav(pcm.encode(claim.ljust(500, b"\0")), data_size=0xFFFFFFF0, riff_size=0xFFFFFFFF)
    tracemalloc.start()
    with pytest.raises(FormatError, match=r"samples are missing|pixels needs 12,000,000,054 bytes"):
        codec.decode(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6


def test_foreign_sound_is_refused(make_wav):
    with pytest.raises(
        FormatError, match=r"made\.wav: holds no message: begins with 80 80 80 80 80 80 80 80, expected 89"
    ):
        codec.decode(make_wav([0] * 2000, channels=2))
    with pytest.raises(FormatError, match="holds no message: begins with nothing"):
        codec.decode(make_wav([]))
    with pytest.raises(FormatError, match="holds no message: begins with 42, expected"):
        codec.decode(make_wav(pcm.encode(b"B")))


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=300)
def test_any_bytes_give_a_typed_error(tmp_path_factory, data, as_samples):
    path = tmp_path_factory.mktemp("fuzz") / "a.wav"
    if as_samples:
        soundfile.write(path, pcm.encode(PIXEL_FRAME[:30] + data), 44100)
    else:
        path.write_bytes(b"RIFF" + data)
    with pytest.raises((AudioError, FormatError), match=re.escape(str(path))):
        codec.decode(path)


def test_encode_refuses_what_it_cannot_keep(tmp_path):
    path = tmp_path / "a.wav"
    with pytest.raises(ValueError, match="no place for secret_size"):
        codec.encode(PIXEL, path, secret_size=(1, 1), raw_bmp=True)
    with pytest.raises(ValueError, match="no place for secret_size and network"):
        codec.encode(PIXEL, path, network=b"network!", raw_bmp=True)
    with pytest.raises(ValueError, match=r"expected \(height, width\)"):
        codec.encode(PIXEL, path, secret_size=(0, 1))
    with pytest.raises(AudioError, match="lossy"):
        codec.encode(PIXEL, path.with_suffix(".wma"))
    with pytest.raises(OutputError, match="does not exist"):
        codec.encode(PIXEL, tmp_path / "none" / "a.wav")
    assert not list(tmp_path.iterdir())
    codec.encode(PIXEL, path)
    with pytest.raises(OutputError, match="exists already"):
        codec.encode(PIXEL, path)


def test_encode_replaces_only_when_forced_and_whole(tmp_path, image):
    path = tmp_path / "a.wav"
    codec.encode(PIXEL, path)
    codec.encode(image, path, force=True)
    decodes_to(path, image)
    assert list(tmp_path.iterdir()) == [path]


def test_rounding_to_8_bits_is_told_from_other_damage(tmp_path, image):
    codec.encode(image, tmp_path / "a.wav")
    samples, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    rounded = ((samples.astype(np.int32) + 128) >> 8).clip(-128, 127)  # as SoX does without dither
    soundfile.write(tmp_path / "b.wav", (rounded << 8).astype(np.int16), rate, "PCM_U8")
    with pytest.raises(FormatError, match=r"b\.wav: was rounded to 8 bits, .* expected 16 bits"):
        codec.decode(tmp_path / "b.wav")


# --- Memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_memory_stays_near_the_picture(tmp_path):
    script = """
        import sys
        from pathlib import Path
        import numpy as np
        from stegano_tf.audio import codec

        def peak():
            return 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

        path = sys.argv[1]
        codec.encode(np.zeros((1000, 1000, 3), np.uint8), path)
        codec.decode(path)
        image = np.full((3000, 3000, 3), 77, np.uint8)
        before = peak()
        codec.encode(image, path, force=True)
        encoded = peak()
        codec.decode(path)
        print((encoded - before) / image.size, (peak() - encoded) / image.size)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path / "a.wav"], capture_output=True, text=True, check=True
    )
    encode, decode = map(float, run.stdout.split())
    assert encode < 0.5  # only blocks beside the picture
    assert decode < 1.5  # the picture and blocks


@pytest.mark.soak  # writes 9 GB
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "container"), [("a.wav", "RF64"), ("a.w64", "W64")])
def test_beyond_4_gib_of_sound(tmp_path, name, container):
    side = 26_800  # 2.15 GB as BMP; as sound, 100 MB more than 32 bits can count
    header = b"".join(map(bytes, bmp.encode(np.zeros((1, side, 3), np.uint8))[1]))[: bmp.HEADER_BYTES]
    size = bmp.HEADER_BYTES + 3 * side * side
    with (tmp_path / "a.bmp").open("wb") as file:  # most of it is a hole
        file.write(header[:2] + struct.pack("<I", size) + header[6:22] + struct.pack("<i", side) + header[26:34])
        file.write(struct.pack("<I", size - bmp.HEADER_BYTES) + header[38:])
        for place in range(1000, size, 10_000_019):
            file.seek(place)
            file.write(bytes([place % 256]) * 500)
        file.truncate(size)
    info = codec.encode(bmp.File(tmp_path / "a.bmp"), tmp_path / name)
    assert (info.container, info.image_size) == (container, (side, side))
    assert (tmp_path / name).stat().st_size > 2**32
    codec.decode_file(tmp_path / name, tmp_path / "b.bmp")
    assert filecmp.cmp(tmp_path / "a.bmp", tmp_path / "b.bmp", shallow=False)
