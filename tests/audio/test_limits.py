"""What a sound claims must not cost more than its file justifies; tools/benchmark_limits.py measures it."""

import hashlib
import os
import struct
import tempfile
import zlib

import numpy as np
import psutil
import pytest
from PIL import Image

from stegano_tf import outputs, scratch, sealing
from stegano_tf.audio import codec, files, framing, limits, pcm
from stegano_tf.audio.forms import bare
from stegano_tf.audio.forms.marked import reading, writing
from stegano_tf.audio.forms.marked.label import SYNC, Label
from stegano_tf.audio.payloads import bmp
from stegano_tf.errors import FormatError, ImageError
from stegano_tf.sealing import age


def sound(path, message):
    files.write(path, [pcm.encode(message)], len(message))
    return path


def frame(payload):
    return framing.Header(len(payload)).pack() + payload + hashlib.sha256(payload).digest()


def test_limits_by_hand():
    assert limits.streamed(1000) == 24 * 2**20 + 8000
    assert limits.held(1000) == 8 * 2**20 + 2000
    assert limits.searched(1000) == 4 * 2**20 + 2000


@pytest.mark.parametrize("raw", [False, True])
def test_constant_samples_stand_for_no_huge_message(tmp_path, monkeypatch, raw):
    monkeypatch.setattr(limits, "_STREAMED", 10_000)
    image = np.zeros((200, 300, 3), np.uint8)
    for name, fits in ("a.wav", True), ("a.flac", False):
        path = tmp_path / name
        header = bmp.file_bytes(200, 300)
        message = b"".join(map(bytes, bmp.encode(image)[1]))
        sound(path, message if raw else frame(message))
        assert (header > 10_000 + 8 * path.stat().st_size) != fits
        if fits:
            np.testing.assert_array_equal(codec.decode(path).image, image)
            continue
        for read in codec.decode, codec.inspect, codec.read_payload:
            with pytest.raises(
                FormatError, match=r"a\.flac: announces 180,\d+ bytes, expected at most [1-9]\d,\d+ in a"
            ):
                read(path)


def test_the_checksum_comes_before_the_decoder(tmp_path, monkeypatch):
    def decoder(*_, **__):
        raise AssertionError("was called")

    codec.encode(np.zeros((5, 7, 3), np.uint8), tmp_path / "a.wav", payload="png")
    with (tmp_path / "a.wav").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x00")
    monkeypatch.setattr(Image, "open", decoder)
    for read in codec.decode, codec.inspect:
        with pytest.raises(FormatError, match="SHA-256"):
            read(tmp_path / "a.wav")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(("side", "fits"), [(4729, False), (2000, True)])
def test_pixels_of_a_png_are_bounded_by_its_bytes(tmp_path, side, fits):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    data = zlib.compress(bytes((side + 7) // 8 + 1) * side)
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    sound(tmp_path / "a.wav", frame(png))
    if fits:
        assert codec.decode(tmp_path / "a.wav").image.shape == (side, side, 3)
        return
    with pytest.raises(FormatError, match=rf"{side} x {side} pixels in \d,\d+ bytes is larger than they justify"):
        codec.decode(tmp_path / "a.wav")


def test_what_would_not_be_read_is_not_written(tmp_path):
    with pytest.raises(ImageError, match=r"larger than they justify; send it as bmp"):
        codec.encode(np.zeros((3000, 3000, 3), np.uint8), tmp_path / "a.wav", payload="png")


def test_few_of_what_is_nearly_a_mark_is_corrected(monkeypatch):
    tried = []

    def parse(data):
        tried.append(bytes(data))
        return real(data)

    real = Label.parse
    monkeypatch.setattr(Label, "parse", parse)
    marks = writing.marks_of(Label(0, 90_000_000, 1, 12, 8))[:2_000]
    marks[:, 34:46] = -marks[:, 34:46]  # more wrong bytes than are corrected
    assert reading.search(marks.reshape(-1).astype(np.float32)) == {}
    assert len(tried) == 201
    tried.clear()
    marks = writing.marks_of(Label(0, 90_000_000, 1, 12, 8))[:2_000]
    found = reading.search(marks.reshape(-1).astype(np.float32))  # 2,000 in the samples of 40 segments
    assert 200 < len(found) < 300
    near = np.tile(SYNC * np.where(np.arange(32) == 28, -1, 1) * 30_000, 5_000)
    tried.clear()
    assert reading.search(near.astype(np.float32)) == {}
    assert len(tried) <= 201


def test_a_message_is_searched_in_few_channels(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(files.Reader, "floats", lambda _, channel: read.append(channel) or np.zeros(0, np.float32))
    files.write(tmp_path / "a.wav", [np.zeros((100, 1024), np.int32)], 100, channels=1024)
    with pytest.raises(FormatError, match="holds no message"):
        codec.decode(tmp_path / "a.wav")
    assert set(read) == set(range(8))


def test_a_claim_of_a_mark_is_bounded_by_the_file(tmp_path, monkeypatch):
    codec.encode(np.zeros((5, 7, 3), np.uint8), tmp_path / "a.wav", parity=0)
    assert codec.inspect(tmp_path / "a.wav").frames < 500
    monkeypatch.setattr(limits, "searched", lambda _: 0)
    codec.decode(tmp_path / "a.wav")
    monkeypatch.setattr(limits, "streamed", lambda _: 200)
    with pytest.raises(FormatError, match="holds no message"):
        codec.decode(tmp_path / "a.wav")


# --- age -------------------------------------------------------------------------------------------------------------

END = b"--- " + b"A" * 43 + b"\n" + bytes(16 + 16)
X25519 = b"-> X25519 " + b"A" * 43 + b"\n" + b"A" * 43 + b"\n"


def armored(data):
    import base64

    return (
        age.ARMOR_MAGIC
        + b"\r\n"
        + base64.encodebytes(data).replace(b"\n", b"\r\n")
        + b"-----END AGE ENCRYPTED FILE-----"
    )


@pytest.mark.parametrize("wrap", [bytes, armored])
@pytest.mark.parametrize(
    ("stanzas", "refused"),
    [(X25519 * 8_000, True), (b"-> g\n\n" * 1_001, True), (b"-> g \n" + b"A" * 70_000, True), (X25519 * 100, False)],
)
def test_a_long_header_is_refused_unparsed(tmp_path, wrap, stanzas, refused):
    sealing.keygen(tmp_path / "id")
    sealed = scratch.SecretFile()
    sealed.write(wrap(age.MAGIC + stanzas + END))
    sealed.seek(0)
    expected = (
        "its header is damaged, or longer than 65,536 bytes and 1,000 recipients" if refused else "wrong identity"
    )
    with pytest.raises(sealing.SealingError, match=f"cannot be opened: .*{expected}"):
        age.unseal(sealed, scratch.SecretFile(), sealing.Key(identities=[tmp_path / "id"]))


def test_recipients_that_could_not_be_opened_are_not_sealed_for(tmp_path):
    lock = sealing.Lock(recipients=[sealing.keygen(tmp_path / "id")] * 1_001)
    with pytest.raises(sealing.SealingError, match="1,000 recipients"):
        codec.encode(np.zeros((1, 1, 3), np.uint8), tmp_path / "a.wav", lock=lock)
    assert not (tmp_path / "a.wav").exists()


def scrypt(factor):
    return age.MAGIC + b"-> scrypt " + b"A" * 22 + b" %d\n" % factor + b"A" * 43 + b"\n" + END


@pytest.mark.parametrize("wrap", [bytes, armored])
@pytest.mark.parametrize(
    ("factor", "free", "message"),
    [
        (23, 1 << 40, r"its scrypt work factor is 2\^23, expected at most 2\^22"),
        (22, (1 << 32) - 1, r"its scrypt work factor of 2\^22 takes 4,295 MB of memory, and there is not so much"),
        (10, (1 << 20) - 1, r"its scrypt work factor of 2\^10 takes 1 MB of memory, and there is not so much"),
        (10, 1 << 20, "wrong passphrase, or damaged"),
    ],
)
def test_a_work_factor_is_refused_by_the_memory_there_is(monkeypatch, wrap, factor, free, message):
    class Memory:
        available = free

    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    sealed = scratch.SecretFile()
    sealed.write(wrap(scrypt(factor)))
    sealed.seek(0)
    with pytest.raises(sealing.SealingError, match=f"cannot be opened: .*{message}"):
        age.unseal(sealed, scratch.SecretFile(), sealing.Key(passphrase="x"))


@pytest.mark.parametrize(("byte", "factor"), [(0, 18), (9, 18), (10, 10), (32 + 20, 20), (21, 18), (255, 18)])
def test_noise_states_no_work_factor_that_takes_long(byte, factor):
    assert b" %d\n" % factor in bare.from_noise(bytes(16) + bytes([byte]) + bytes(200))


def test_a_work_factor_that_would_not_be_read_is_not_written():
    for factor in 9, 21:
        with pytest.raises(sealing.SealingError, match=f"work factor of {factor}, expected one from 10 to 20"):
            bare.to_noise(scrypt(factor))


# --- What is sealed, on the disk --------------------------------------------------------------------------------------


def test_a_sealed_plaintext_is_on_the_disk_as_ciphertext_only(on_disk, tmp_path, monkeypatch):
    written, real = [], tempfile.TemporaryFile

    def recorded(*args, **options):
        file = real(*args, **options)
        written.append(os.dup(file.fileno()))
        return file

    monkeypatch.setattr(tempfile, "TemporaryFile", recorded)
    image = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    lock, key = sealing.Lock(recipients=[sealing.keygen(tmp_path / "id")]), sealing.Key(identities=[tmp_path / "id"])
    codec.encode(image, tmp_path / "a.wav", lock=lock, parity=0.1)
    np.testing.assert_array_equal(codec.decode(tmp_path / "a.wav", key=key).image, image)
    contents = [os.pread(file, 1 << 20, 0) for file in written]
    for file in written:
        os.close(file)
    assert sum(map(len, contents)) > 4 * image.size
    rows = [row.tobytes() for row in (image, image[..., ::-1])]
    assert not any(row[start : start + 16] in content for row in rows for start in (0, 3000) for content in contents)


def test_a_key_is_its_owners_from_the_first_byte(tmp_path):
    mask = os.umask(0)
    try:
        with outputs.replacing(tmp_path / "id", mode=0o600) as partial:
            assert partial.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(mask)
