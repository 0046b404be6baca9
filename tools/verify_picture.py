"""An independent reader of bytes in pictures, written from docs/FORMAT.md, section 8; no code is the package's.

    python tools/verify_picture.py tests/vectors            checks every picture of tests/vectors/pictures.json
    python tools/verify_picture.py PICTURE [--identity=FILE --passphrase_file=FILE]        says what one holds

It is written to be compared with the document, not to be fast.
"""

import hashlib
import hmac
import io
import json
import struct
import sys
import unicodedata
from pathlib import Path

import imagecodecs
import numpy as np
import pyrage
from absl import app, flags
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from PIL import Image

LABEL = b"stegano_tf picture 1 "
WORDS = [
    (a, b, c, e, (b + c + e) % 2, (a + c + e) % 2, (a + b + e) % 2, (a + b + c) % 2)
    for a in (0, 1)
    for b in (0, 1)
    for c in (0, 1)
    for e in (0, 1)
]


class RefusedError(Exception):
    """A picture that is not to be read; the argument is the class of failure that the vectors name."""


def hkdf(key, label):
    """Section 8.4; RFC 5869 with one block of output."""
    extracted = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(extracted, LABEL + label + b"\1", "sha256")


def order(words):
    return sorted(range(len(words)), key=lambda place: words[place])


def words_of(seed, count):
    return np.frombuffer(hashlib.shake_256(seed).digest(4 * count), "<u4")


def bech32(text):
    """The 32 bytes of an identity or a recipient."""
    values = ["qpzry9x8gf2tvdw0s3jn54khce6mua7l".index(letter) for letter in text.lower().rpartition("1")[2][:-6]]
    bits = "".join(f"{value:05b}" for value in values)[:256]
    return int(bits, 2).to_bytes(32)


def roots(salt, identity, passphrase):
    """Yields the roots to try and whether an age file is inside."""
    if passphrase is not None:
        text = unicodedata.normalize("NFC", passphrase.strip()).encode()
        yield hashlib.scrypt(text, salt=LABEL + salt, n=2**18, r=8, p=1, maxmem=2**29, dklen=32), passphrase
    if identity is not None:
        private = X25519PrivateKey.from_private_bytes(bech32(identity))
        public = private.public_key().public_bytes_raw()
        shared = private.exchange(X25519PublicKey.from_public_bytes(salt))
        yield hkdf(shared + salt + public, b"recipient"), identity
    yield bytes(32), None


def read_group(samples, depth):
    """Returns the bits that 8 samples carry."""
    start = tuple(int(sample) >> depth & 1 for sample in samples[:4])
    word = next(word for word in WORDS if word[:4] == start)
    numbers = [(int(x) - 2**depth * w) % 2 ** (depth + 1) for x, w in zip(samples, word, strict=True)]
    return "".join(
        f"{n:0{size}b}" if size else "" for n, size in zip(numbers, [depth] * 4 + [depth + 1] * 4, strict=True)
    )


def read_bits(groups, places, depth, count):
    """Returns `count` bytes that groups carry at a depth."""
    bits = "".join(read_group(groups[place], depth) for place in places)[: 8 * count]
    return int(bits or "0", 2).to_bytes(count)


def read_message(picture, root):
    """Returns the message under a root; raises RefusedError."""
    key = hkdf(root, b"capacity")
    samples = picture.reshape(-1)
    count = len(samples) // 8
    groups = samples[: 8 * count].reshape(-1, 8)
    salted = {(2 * i + 1) * count // 64 for i in range(32)}
    free = [group for group in range(count) if group not in salted]
    lanes = max(1, min(16, len(free) // 64))
    public = order(words_of(LABEL + b"lanes", len(free)))
    words = words_of(hkdf(key, b"order"), count)
    for lane in range(lanes):
        own = sorted(free[place] for place in public[lane::lanes])
        head = sorted(own, key=lambda group: words[group])[:7]
        header = mask(key, read_bits(groups, head, 2, 16))
        size, share = struct.unpack("<IB", header[:5])
        if tag(key, header[:5])[:11] == header[5:]:
            used = sorted(free[place] for j in range(lane, lane + share) for place in public[j::lanes])
            places = sorted((group for group in used if group not in head), key=lambda group: words[group])
            data = mask(key, bytes(16) + read_body(groups, places, size + 16))[16:]
            if tag(key, data[:size]) != data[size:]:
                raise RefusedError("damaged")
            return data[:size]
    raise RefusedError("no message")


def read_body(groups, places, size):
    """Section 8.6."""
    depth = next(depth for depth in range(4) if (8 * depth + 4) * len(places) >= 8 * size)
    high, low = 8 * depth + 4, 8 * depth - 4 if depth else 0
    deep = -(-max(0, 8 * size - low * len(places)) // (high - low))
    deep = min(len(places), -(-deep // 8) * 8)
    first = min(size, deep * high // 8)
    rest = size - first
    shallow = places[deep : deep + -(-8 * rest // low)] if rest else []
    return read_bits(groups, places[:deep], depth, first) + (
        read_bits(groups, shallow, depth - 1, rest) if rest else b""
    )


def mask(key, data):
    return Cipher(algorithms.AES(hkdf(key, b"mask")), modes.CTR(bytes(16))).encryptor().update(data)


def tag(key, data):
    return hmac.digest(hkdf(key, b"tag"), data, "sha256")[:16]


def verify(path, identity=None, passphrase=None):
    """Returns kind, name and data of what a picture holds; raises RefusedError."""
    picture = np.asarray(Image.open(path).convert("RGB"))
    count = picture.size // 8
    if count < 64:
        raise RefusedError("no message")
    groups = picture.reshape(-1)[: 8 * count].reshape(-1, 8)
    salt = bytes(int("".join(str(x & 1) for x in groups[(2 * i + 1) * count // 64]), 2) for i in range(32))
    for root, opens in roots(salt, identity, passphrase):
        try:
            message = read_message(picture, root)
        except RefusedError as error:
            if error.args[0] != "no message":
                raise
            continue
        if opens == passphrase and opens is not None:
            message = pyrage.passphrase.decrypt(message, passphrase)
        elif opens is not None:
            message = pyrage.decrypt(message, [pyrage.x25519.Identity.from_str(identity)])
        return read_frame(message)
    raise RefusedError("no message")


def read_frame(frame):
    """Section 8.1."""
    version, kind, name_size, size, digest = struct.unpack("<BBHQ32s", frame[:44])
    if version != 1 or kind > 1:
        raise RefusedError("version")
    body = frame[44 : 44 + name_size + size]
    if len(body) < name_size + size or hashlib.sha256(body).digest() != digest:
        raise RefusedError("checksum")
    return kind, body[:name_size].decode(), body[name_size:]


def read_picture(data):
    """Section 8.2: returns the pixels."""
    height, width, step = struct.unpack("<IIH", data[:10])
    if data[10:12] == b"\xff\x0a":
        pixels = imagecodecs.jpegxl_decode(data[10:])
    else:
        pixels = np.asarray(Image.open(io.BytesIO(data[10:])).convert("RGB"))
    pixels = np.minimum(255, np.rint(pixels * (step / 256))).astype(np.uint8)
    if pixels.shape[:2] != (height, width):
        pixels = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
    return pixels


def check_vectors(folder):
    """Says of each vector whether it was read as it should be; returns the names of those that were not."""
    listing = json.loads((Path(folder) / "pictures.json").read_text(encoding="utf-8"))
    wrong = []
    for vector in listing["vectors"]:
        identity = listing["identity"] if vector.get("identity") else None
        passphrase = listing["passphrase"] if vector.get("passphrase") else None
        try:
            kind, name, data = verify(Path(folder) / vector["file"], identity, passphrase)
            found = {"outcome": "file" if kind == 0 else "picture", "name": name}
            content = data if kind == 0 else read_picture(data).tobytes()
            found["sha256"] = hashlib.sha256(content).hexdigest()
        except RefusedError as error:
            found = {"outcome": error.args[0]}
        right = all(vector[field] == value for field, value in found.items())
        print(f"{vector['file']}: {found['outcome']}, {'right' if right else 'WRONG'}")
        wrong += [] if right else [vector["file"]]
    return wrong


def main(argv):
    path = Path(argv[1])
    if path.is_dir():
        sys.exit(bool(check_vectors(path)))
    lines = Path(flags.FLAGS.identity).read_text(encoding="ascii").split() if flags.FLAGS.identity else []
    identity = next((line for line in lines if line.startswith("AGE-SECRET-KEY-1")), None)
    file = flags.FLAGS.passphrase_file
    passphrase = Path(file).read_text(encoding="utf-8").splitlines()[0] if file else None
    kind, name, data = verify(path, identity, passphrase)
    print(f"{('a file', 'a picture')[kind]}, {name}, {len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    # Not at import: tests import verify_sound.py, too, which has flags of these names.
    flags.DEFINE_string("identity", None, "File with an age identity.")
    flags.DEFINE_string("passphrase_file", None, "File whose first line is the passphrase.")
    app.run(main)
