"""An independent reader of stegano_tf's sounds, written from docs/FORMAT.md; it shares no code with the package.

    python tools/verify_sound.py tests/vectors            checks every vector against tests/vectors/vectors.json
    python tools/verify_sound.py SOUND [--identity=FILE --passphrase_file=FILE --bare]     says what one WAV holds

It reads WAV files of 16 and 24 bits with Python's own wave module and is written to be compared with the document, not
to be fast: Reed-Solomon is reedsolo's, pure Python. What it leaves out: gains other than those of which the marks'
median is exact, samples lost inside a segment, and of the modem all noise and other rates, and so all lossy files.
"""

import base64
import binascii
import contextlib
import hashlib
import io
import json
import math
import struct
import sys
import unicodedata
import wave
import zlib
from pathlib import Path

import numpy as np
import pyrage
import reedsolo
from absl import app, flags
from PIL import Image
from verify_modem import read_modem
from verify_stealth import read_in_sound

_IDENTITY = flags.DEFINE_string("identity", None, "File with an age identity.")
_PASSPHRASE_FILE = flags.DEFINE_string("passphrase_file", None, "File whose first line is the passphrase.")
_BARE = flags.DEFINE_bool("bare", False, "Take the sound for a bare age file.")

MAGIC = bytes.fromhex("895354475446 0D0A")
SIGNS = np.array([1 if bit == "1" else -1 for bit in f"{0x9AB7B058:032b}"])


class RefusedError(Exception):
    """A sound that is not to be read; the argument is the class of failure that the vectors name."""


def read_wav(path):
    """Returns the samples of a WAV file as integers, [frames, channels], and their depth."""
    try:
        with wave.open(str(path)) as file:
            data, width, channels = file.readframes(file.getnframes()), file.getsampwidth(), file.getnchannels()
    except (wave.Error, EOFError) as error:
        raise RefusedError("no sound") from error
    if width == 2:
        samples = np.frombuffer(data, "<i2").astype(int)
    elif width == 3:
        parts = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(int)
        samples = (parts @ [1, 256, 65536] + 2**23) % 2**24 - 2**23
    else:
        raise RefusedError("no sound")
    return samples.reshape(-1, channels), 8 * width


def verify(path, identity=None, passphrase=None, bare=False):
    """Returns the picture, uint8[H, W, 3], (height, width) of the secret, and the network, in a sound file."""
    samples, depth = read_wav(path)
    channels = (samples >> (depth - 16)).T
    data = [((channel + 32768) >> 8).astype(np.uint8).tobytes() for channel in channels]
    keys = identity, passphrase
    if bare:
        return open_age(from_bare(data[0]), keys)
    for channel in data:
        if channel.startswith(MAGIC):
            return read_frame(channel, keys)
    for channel in channels:
        marks = find_marks(channel)
        if marks:
            return read_frame(read_marks(channel, marks), keys)
    for channel in data:
        if channel.startswith(b"BM"):
            return read_picture(channel), None, None
    message = next(filter(None, map(read_modem, channels)), None) or read_recording(samples, passphrase)
    if message is None:
        raise RefusedError("no message")
    return read_frame(message, keys)


# Section 2


def read_frame(data, keys):
    if len(data) < 40:
        raise RefusedError("cut short")
    magic, version, flag_bits, header_bytes, size, height, width, network, crc = struct.unpack_from(
        "<8sBBHQII8sI", data
    )
    for wrong, failure in (
        (magic != MAGIC, "no message"),
        (version != 1, "version"),
        (flag_bits > 1, "flags"),
        (crc != zlib.crc32(data[:36]), "header checksum"),
        (header_bytes != 40, "header length"),
        ((height == 0) != (width == 0), "secret size"),
        (len(data) < 40 + size + 32, "cut short"),
    ):
        if wrong:
            raise RefusedError(failure)
    payload = data[40 : 40 + size]
    if hashlib.sha256(payload).digest() != data[40 + size : 72 + size]:
        raise RefusedError("payload checksum")
    if flag_bits:
        return open_age(payload, keys)
    return read_picture(payload), (height, width) if height else None, network if any(network) else None


def unlock(sealed, passphrase):
    text = passphrase.removeprefix("\ufeff").strip()
    *others, last = dict.fromkeys([unicodedata.normalize("NFC", text), passphrase, unicodedata.normalize("NFD", text)])
    for spelling in others:
        with contextlib.suppress(pyrage.DecryptError):
            return pyrage.passphrase.decrypt(sealed, spelling)
    return pyrage.passphrase.decrypt(sealed, last)


def open_age(sealed, keys):
    identity, passphrase = keys
    if sealed.startswith(b"-----BEGIN AGE ENCRYPTED FILE-----"):
        try:
            sealed = base64.b64decode(b"".join(sealed.split()[4:-4]), validate=True)
        except binascii.Error as error:
            raise RefusedError("seal") from error
    stanza = sealed.split(b"\n")[1].split() if sealed.count(b"\n") else []
    if stanza[:2] == [b"->", b"scrypt"] and int(stanza[3]) > 22:
        raise RefusedError("work factor")
    try:
        if stanza[:2] == [b"->", b"scrypt"]:
            inside = unlock(sealed, passphrase or "")
        elif identity is None:
            raise RefusedError("seal")
        else:
            inside = pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(identity)])
    except pyrage.DecryptError as error:
        raise RefusedError("seal") from error
    if not inside.startswith(MAGIC):
        return read_picture(inside), None, None
    if inside[9] & 1:
        raise RefusedError("sealed twice")
    return read_frame(inside, keys)


def read_file(data):
    """Returns the name and the data of a file."""
    if len(data) < 44:
        raise RefusedError("payload")
    name_bytes, size, digest = struct.unpack_from("<2xHQ32s", data)
    body = data[44 : 44 + name_bytes + size]
    if len(body) < name_bytes + size or hashlib.sha256(body).digest() != digest:
        raise RefusedError("payload")
    return body[:name_bytes].decode(), body[name_bytes:]


def read_picture(data):
    if data[:2] == b"\1\0":
        name, _ = read_file(data)
        raise RefusedError(f"file {name}")
    if data[:2] != b"BM":
        if not data.startswith(b"\x89PNG\r\n\x1a\n") and not (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
            raise RefusedError("payload")
        try:
            return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        except Exception as error:
            raise RefusedError("payload") from error
    if len(data) < 54:
        raise RefusedError("payload")
    size, offset, header, width, height, planes, bits, compression = struct.unpack_from("<2xI4xIIiiHHI", data)
    if header < 40 or planes != 1 or bits not in (24, 32) or compression or width < 1 or not height:
        raise RefusedError("payload")
    stride = (width * bits // 8 + 3) // 4 * 4
    if size > len(data) or offset + stride * abs(height) > size:
        raise RefusedError("payload")
    rows = np.frombuffer(data, np.uint8, stride * abs(height), offset).reshape(abs(height), stride)
    picture = rows[:, : width * bits // 8].reshape(abs(height), width, bits // 8)[:, :, 2::-1]
    return picture if height < 0 else picture[::-1]


# Section 4


def codec(checks):
    return reedsolo.RSCodec(checks, nsize=255, fcr=0, prim=0x11D, generator=2)


def correct(word, kept, checks, limit):
    """Returns a codeword of `kept` message symbols near `word`, or None."""
    whole = np.zeros(255, np.uint8)
    whole[:kept], whole[255 - checks :] = word[:kept], word[kept:]
    try:
        _, fixed, places = codec(checks).decode(whole[::-1].tobytes())
    except reedsolo.ReedSolomonError:
        return None
    fixed = np.frombuffer(fixed, np.uint8)[::-1]
    if len(places) > limit or fixed[kept : 255 - checks].any():
        return None
    return np.concatenate([fixed[:kept], fixed[255 - checks :]])


def read_label(data):
    """Returns (segment, L, CRC-32, c, depth) or None."""
    fixed = correct(np.asarray(data, np.uint8), 16, 8, 4) if len(data) == 24 else None
    if fixed is None or fixed[14:16].any() or fixed[13] not in (4, 8) or fixed[12] > 64:
        return None
    label = struct.unpack_from("<IIIBB", fixed.tobytes())
    return label if label[1] else None


def nibbles_to_bytes(nibbles):
    return (nibbles[0::2] * 16 + nibbles[1::2]).astype(np.uint8)


def find_marks(samples):
    """Returns the marks in a channel: [(place, half the difference of the two levels, their mean, label)]."""
    marks = []
    if len(samples) < 80:
        return marks
    windows = np.lib.stride_tricks.sliding_window_view(samples, 32)[: len(samples) - 79]
    centred = windows - windows.mean(axis=1, keepdims=True)
    correlation = centred @ SIGNS / np.sqrt(32 * (centred**2).sum(axis=1).clip(1e-9))
    for place in np.flatnonzero(np.abs(correlation) > 0.8):
        high, low = np.median(samples[place : place + 32][SIGNS > 0]), np.median(samples[place : place + 32][SIGNS < 0])
        height, offset = (high - low) / 2, (high + low) / 2
        if height:
            levels = np.rint(((samples[place + 32 : place + 80] - offset) / height * 15 + 15) / 2).clip(0, 15)
            label = read_label(nibbles_to_bytes(levels.astype(int)))
            if label:
                marks.append((place, height, offset, label))
    return marks


def sizes(length, checks):
    k = 255 - checks
    blocks = -(-length // k**2)
    rows = -(-length // (k * blocks))
    return k, blocks, rows


def read_marks(samples, marks):
    _, length, _, checks, depth = marks[0][3]
    _, blocks, rows = sizes(length, checks)
    total = (rows + checks) * 255 * blocks * 8 // depth
    segments = -(-total // 4016)
    starts = {label[0]: place for place, _, _, label in marks}
    gain = np.median([height for _, height, _, _ in marks]) / (32640 if depth == 8 else 15360)
    offset = np.median([offset for _, _, offset, _ in marks])
    symbols = np.zeros(total, int)
    for segment in range(segments):
        known = min(starts, key=lambda other: (abs(other - segment), other > segment))
        length_here = min(4016, total - segment * 4016)
        closing = known == segments
        start = starts[known] - length_here - 80 if closing else starts[known] + 4096 * (segment - known)
        part = (samples[max(0, start + 80) : start + 80 + length_here] - offset) / gain
        level = (part + 32640) / 256 if depth == 8 else (part / 1024 + 15) / 2
        symbols[segment * 4016 :][: len(part)] = np.rint(level).clip(0, 255 if depth == 8 else 15)
    return read_parity(symbols.astype(np.uint8) if depth == 8 else nibbles_to_bytes(symbols), marks[0][3])


def read_parity(symbols, label):
    """Returns the message in its symbols, corrected."""
    _, length, crc, checks, _ = label
    k, blocks, rows = sizes(length, checks)
    count = (rows + checks) * 255
    words = np.frombuffer(hashlib.shake_128(b"stegano_tf parity 1").digest(4 * count), "<u4")
    cube = np.zeros((count, blocks), np.uint8)
    cube[np.argsort(words, kind="stable")] = symbols.reshape(count, blocks)
    cube = cube.reshape(rows + checks, 255, blocks)
    for turn in range(20):
        message = cube[:rows, :k].reshape(-1)[:length].tobytes()
        if zlib.crc32(message) == crc:
            return message
        limit = checks // 2 - (turn == 0)
        before = cube.copy()
        for block in range(blocks):
            for row in cube[:, :, block]:
                fixed = correct(row, k, checks, limit)
                row[:] = row if fixed is None else fixed
            for column in cube[:, :, block].T:
                fixed = correct(column, rows, checks, limit)
                column[:] = column if fixed is None else fixed
        if turn and np.array_equal(before, cube):
            break
    raise RefusedError("beyond repair")


# Section 5


def read_recording(samples, passphrase):
    """Reads the low bits of [frames, channels] samples, in which those that are 0 everywhere do not count."""
    used = int(np.bitwise_or.reduce(samples, axis=None)) if samples.size else 0
    if not used:
        return None
    samples = samples >> ((used & -used).bit_length() - 1)
    everything = samples.reshape(-1)
    loud = samples[~np.stack([silence(channel) for channel in samples.T], axis=1)]
    found = in_low_bits(loud) or in_low_bits(everything)
    if found is not None or passphrase is None:
        return found
    text = unicodedata.normalize("NFC", passphrase.removeprefix("\ufeff").strip()).encode()
    if len(loud) > 128:
        salt = b"stegano_tf carrier 2" + np.packbits((loud[:128] & 1).astype(np.uint8)).tobytes()
        key = hashlib.scrypt(text, salt=salt, n=2**18, r=8, p=1, maxmem=2**29, dklen=32)
        found = in_low_bits(loud[128:], key, 8) or read_in_sound(loud[128:], key)  # section 11
    if found is None:
        old = hashlib.scrypt(text, salt=b"stegano_tf carrier 1", n=32768, r=8, p=1, maxmem=2**26, dklen=32)
        found = in_low_bits(everything, old)
    return found


def in_low_bits(samples, key=None, group=None):
    """Returns the message in the low bits of samples, at any number of them; None if there is none."""
    for bits in range(1, 9):
        message = read_low_bits(samples, bits, key, group or 8 // math.gcd(bits, 8))
        if message is not None:
            return message
    return None


def silence(channel):
    """Returns which samples of a channel lie in digital silence."""
    silent, start = np.zeros(len(channel), bool), 0
    while start < len(channel):
        stop = start
        while stop < len(channel) and channel[stop] == 0:
            stop += 1
        silent[start:stop] = stop - start >= 32 or start == 0 or stop == len(channel)
        start = stop + 1
    return silent


def read_low_bits(samples, bits, key, size):
    if key:
        count = len(samples) // size
        words = np.frombuffer(hashlib.shake_256(key).digest(4 * count), "<u4")
        samples = samples[: count * size].reshape(count, size)[np.argsort(words, kind="stable")].reshape(-1)
    groups = (samples[:, None] >> np.arange(bits - 1, -1, -1)) & 1
    data = np.packbits(groups.reshape(-1).astype(np.uint8))
    if data[:8].tobytes() == MAGIC:
        return data.tobytes()
    for segment in range(math.ceil(min(len(data), 20_000) / 4040)):
        label = read_label(data[segment * 4040 :][:24])
        if label and label[0] == segment:
            return read_parity(segment_bodies(data, label), label)
    return None


def segment_bodies(data, label):
    _, blocks, rows = sizes(label[1], label[3])
    total = (rows + label[3]) * 255 * blocks
    bodies = [data[start + 24 : start + 4040] for start in range(0, len(data), 4040)]
    return np.concatenate(bodies)[:total]


# Section 6


def from_bare(data):
    if len(data) < 113:
        raise RefusedError("cut short")
    text = [base64.b64encode(part).rstrip(b"=") for part in (data[:16], data[17:49], data[49:81])]
    factor = str(data[16] & 31).encode()
    return b"age-encryption.org/v1\n-> scrypt %s %s\n%s\n--- %s\n" % (text[0], factor, text[1], text[2]) + data[81:]


def check_vectors(folder):
    """Returns the names of the vectors that come out otherwise than their list says."""
    folder = Path(folder)
    vectors = json.loads((folder / "vectors.json").read_text(encoding="utf-8"))
    wrong = []
    for vector in vectors["vectors"]:
        if Path(vector["file"]).suffix != ".wav":
            continue
        try:
            picture, secret, network = verify(
                folder / vector["file"],
                vectors["identity"],
                vector.get("passphrase", vectors["passphrase"]),
                vector.get("bare", False),
            )
        except RefusedError as refused:
            found = {"outcome": str(refused)}
        else:
            found = {
                "outcome": "picture",
                "size": list(picture.shape[:2]),
                "rgb_sha256": hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest(),
                "secret_size": list(secret) if secret else None,
                "network": network.hex() if network else None,
            }
        expected = {name: vector[name] for name in found}
        print(f"{'right' if found == expected else 'WRONG'}  {vector['file']:32} {found['outcome']}")
        if found != expected:
            print(f"       expected {expected}\n       found    {found}")
            wrong.append(vector["file"])
    return wrong


def main(argv):
    if len(argv) != 2:
        raise app.UsageError("expected one folder of vectors or one WAV file")
    if Path(argv[1]).is_dir():
        sys.exit(1 if check_vectors(argv[1]) else 0)
    identity = passphrase = None
    if _IDENTITY.value:
        lines = Path(_IDENTITY.value).read_text(encoding="ascii").split()
        identity = next(line for line in lines if line.startswith("AGE-SECRET-KEY-"))
    if _PASSPHRASE_FILE.value:
        passphrase = Path(_PASSPHRASE_FILE.value).read_text(encoding="utf-8").splitlines()[0]
    try:
        picture, secret, network = verify(argv[1], identity, passphrase, _BARE.value)
    except RefusedError as refused:
        sys.exit(f"{argv[1]}: refused: {refused}")
    height, width, _ = picture.shape
    digest = hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()
    print(f"picture {width}x{height}, SHA-256 of its RGB bytes {digest}; secret {secret}; network {network}")


if __name__ == "__main__":
    app.run(main)
