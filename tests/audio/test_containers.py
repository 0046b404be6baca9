"""Every kind of sound file: read whole, or refused by its name. What was written to a pipe is made field by field."""

import os
import struct
import threading

import numpy as np
import pytest
import soundfile

from stegano_tf.audio import codec, files, headers
from stegano_tf.errors import AudioError

LOSSY = ("ULAW", "ALAW", "IMA", "MS_", "GSM", "G72", "NMS", "VOX", "VORBIS", "OPUS", "MPEG", "DPCM_8", "DWVW_12")
UNSUPPORTED = {"ALAC_20", "ALAC_24", "ALAC_32", "DPCM_16", "DWVW_16", "DWVW_24"}
KINDS = [
    (container, subtype, endian)
    for container in soundfile.available_formats()
    for subtype in soundfile.available_subtypes(container)
    for endian in ("FILE", "LITTLE", "BIG")
    if container != "RAW" and soundfile.check_format(container, subtype, endian)
]
SAMPLES = (np.random.default_rng(0).integers(0, 256, 300) * 256 - 32640).astype(np.int16)
LITTLE, BIG = SAMPLES.astype("<i2").tobytes(), SAMPLES.astype(">i2").tobytes()
UNKNOWN = 2**32 - 1


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A picture, uint8[5, 7, 3], and the samples of its message, int16[N, 1]."""
    image = np.random.default_rng(7).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("plain") / "a.wav"
    codec.encode(image, path)
    return image, soundfile.read(path, dtype="int16", always_2d=True)[0]


def test_every_kind_that_libsndfile_writes(tmp_path, plain):
    image, samples = plain
    written = set()
    for number, (container, subtype, endian) in enumerate(KINDS):
        path = tmp_path / f"{number}.{container.lower()}"
        data = samples / 32768 if subtype in {"FLOAT", "DOUBLE"} else samples
        try:
            soundfile.write(path, data.repeat(1 + number % 2, axis=1), 48_000, subtype, endian, container)
        except soundfile.LibsndfileError:
            continue  # not at this rate, or not of so many channels
        written.add((container, subtype))
        if subtype in UNSUPPORTED or container == "SDS":
            with pytest.raises(AudioError, match=f"is {subtype} in {container}, which is not supported"):
                codec.decode(path)
        elif subtype.startswith(LOSSY):
            with pytest.raises(AudioError, match=rf"is {subtype} in {container}, which loses samples"):
                codec.decode(path)
        else:
            np.testing.assert_array_equal(codec.decode(path).image, image, err_msg=str(path))
    assert len(written) > 80


def riff(magic, size, order):
    head = struct.pack(f"{order}4sI4s", magic, UNKNOWN, b"WAVE")
    head += struct.pack(f"{order}4sIHHIIHH", b"fmt ", 16, 1, 1, 44100, 88200, 2, 16)
    return head + struct.pack(f"{order}4sI", b"data", size) + (LITTLE if order == "<" else BIG)


def rf64(magic, size):
    data = riff(magic, UNKNOWN, "<")
    return data[:12] + struct.pack("<4sIQQQI", b"ds64", 28, 0, size, 0, 0) + data[12:]


def aiff(frames, size):
    rate = b"\x40\x0e\xac\x44" + bytes(6)
    common = struct.pack(">4sIHIH", b"COMM", 18, 1, frames, 16) + rate
    return struct.pack(">4sI4s", b"FORM", size, b"AIFF") + common + struct.pack(">4sIII", b"SSND", size, 0, 0) + BIG


def caf(size):
    head = b"caff\0\1\0\0desc" + struct.pack(">qd4sIIIII", 32, 44100, b"lpcm", 0, 2, 1, 1, 16)
    return head + struct.pack(">4sqI", b"data", size, 0) + BIG


def au(magic, order, size):
    return magic + struct.pack(f"{order}IIIII", 24, size, 3, 44100, 1) + (LITTLE if order == "<" else BIG)


@pytest.mark.parametrize(
    "data",
    [
        *[riff(b"RIFF", size, "<") for size in (0, UNKNOWN, 0x7FFFF000)],
        *[riff(b"RIFX", size, ">") for size in (0, UNKNOWN)],
        *[rf64(magic, size) for magic in (b"RF64", b"BW64") for size in (0, 2**64 - 1, len(LITTLE))],
        *[aiff(frames, size) for frames in (0, len(SAMPLES), UNKNOWN) for size in (0, 8, UNKNOWN)],
        *[caf(size) for size in (-1, 0, 4, 4 + len(BIG))],
        *[au(b".snd", ">", UNKNOWN), au(b".snd", ">", 0), au(b"dns.", "<", 0)],
    ],
)
def test_what_was_written_to_a_pipe_is_read_whole(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    with files.Reader(tmp_path / "a") as reader:
        assert reader.frames == len(SAMPLES)
        assert reader.channel(0, reader.frames).tolist() == SAMPLES.tolist()


@pytest.mark.parametrize(("frames", "channels"), [(1, 1), (4096, 1), (4097, 2), (20_000, 1)])
def test_a_flac_without_a_length_is_read_whole(tmp_path, frames, channels):
    samples = np.random.default_rng(0).integers(-9000, 9000, (frames, channels), dtype=np.int16)
    soundfile.write(tmp_path / "a.flac", samples, 44100)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[18:26] = (int.from_bytes(data[18:26], "big") >> 36 << 36).to_bytes(8, "big")
    (tmp_path / "a.flac").write_bytes(data)
    with files.Reader(tmp_path / "a.flac") as reader:
        assert reader.frames == frames
        read = np.concatenate([block.copy() for block in reader.blocks(frames)])
    np.testing.assert_array_equal(read, samples)


@pytest.mark.parametrize("container", ["WAV", "FLAC", "AIFF", "CAF", "W64", "RF64"])
def test_a_pipe_is_read(tmp_path, plain, container):
    image, samples = plain
    soundfile.write(tmp_path / "a", samples, 44100, "PCM_16", format=container)
    data = (tmp_path / "a").read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    np.testing.assert_array_equal(codec.decode(tmp_path / "pipe").image, image)
    writer.join()
    with pytest.raises(AudioError, match="pipe: is a pipe, which can be read only once"):
        files.read_channel(tmp_path / "pipe", 0)


def test_other_kinds_are_refused_by_their_names(tmp_path):
    for offset, magic, name, _ in headers._OTHERS:
        (tmp_path / "a.wav").write_bytes(b"\1" * offset + magic + bytes(100))
        with pytest.raises(
            AudioError, match=f"a.wav: is {name}, which is not supported; expected a WAV, FLAC or other"
        ):
            files.Reader(tmp_path / "a.wav")
    for offset, magic, name in headers._PICTURES:
        (tmp_path / "a.wav").write_bytes(b"\1" * offset + magic + bytes(100))
        with pytest.raises(AudioError, match=rf"a.wav: is a picture \({name}\), which `reveal` reads; expected a WAV"):
            files.Reader(tmp_path / "a.wav")


def test_voc_files_of_several_blocks_are_refused(tmp_path):
    def block(kind, data):
        return bytes([kind, *len(data).to_bytes(3, "little")]) + data

    start = b"Creative Voice File\x1a\x1a\0\x14\x01\x1f\x11"
    sound = block(9, struct.pack("<IBBHI", 44100, 16, 1, 4, 0) + bytes(range(200)))
    for more, read in (b"", True), (block(5, b"a text\0"), True), (block(2, bytes(20)), False), (sound, False):
        for end in b"\0", b"":
            (tmp_path / "a.voc").write_bytes(start + sound + more + end)
            if read:
                files.Reader(tmp_path / "a.voc").close()
                continue
            with pytest.raises(AudioError, match=r"a\.voc: is PCM_16 in VOC of several blocks, which is not supported"):
                files.Reader(tmp_path / "a.voc")
    soundfile.write(tmp_path / "long.voc", np.full(9 << 20, 0x0901, np.int16), 8000, "PCM_16", format="VOC")
    with files.Reader(tmp_path / "long.voc") as reader:  # more than a block can state
        assert reader.frames == 9 << 20
