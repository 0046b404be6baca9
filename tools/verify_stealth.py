"""A second reader of the way `stealth` and of stealth in sound, written from docs/FORMAT.md: nothing of the package.

python tools/verify_stealth.py STEGO KEY_IN_HEX writes the message to the standard output.
"""

import hashlib
import sys

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

GROUPS = [(row, column, channel) for row, column in ((0, 0), (1, 1), (0, 1), (1, 0)) for channel in (1, 0, 2)]
GROUP = 2**20  # samples of a group of a sound
MIDDLE = np.frombuffer(hashlib.shake_256(b"stegano_tf stc 10").digest(16384), np.uint8)


def syndrome(bits, rows):
    """Row r of the matrix times the bits, for all rows: columns of ten bits that begin in the row of their block."""
    found = np.zeros(rows + 9, np.uint8)
    for block in range(rows):
        first, after = block * len(bits) // rows, (block + 1) * len(bits) // rows
        own = MIDDLE[first:after][bits[first:after] == 1]
        column = np.bitwise_xor.reduce(own) if len(own) else 0
        ends = len(own) % 2
        found[block : block + 10] ^= np.array([ends, *(column >> bit & 1 for bit in range(8)), ends], np.uint8)
    return found[:rows]


def order(count, key):
    stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(4 * count))
    return np.argsort(np.frombuffer(stream, "<u4"), kind="stable")


def salt_cells(height, width):
    cells = np.arange((height // 2) * (width // 2), dtype=np.uint64)
    return cells * 2654435769 % 2**32 < 2**32 // max(16, len(cells) // 512)


def samples(picture, group, cells):
    row, column, channel = group
    wide = picture.shape[1] // 2
    return picture[2 * (cells // wide) + row, 2 * (cells % wide) + column, channel]


def salt(picture):
    cells = np.flatnonzero(salt_cells(*picture.shape[:2]))
    found = np.concatenate([samples(picture, group, cells) for group in GROUPS])
    places = order(len(found), hashlib.sha256(b"stegano_tf stealth salt").digest())
    return np.packbits(syndrome(found[places] & 1, 256)).tobytes()


def group_bits(levels, bits, split):
    count = -(-len(levels) // 16384)
    high = -(-bits * split // (256 * count))
    low = max(0, -(-(bits - high * count) // count))
    words = levels[: len(levels) // count * count].reshape(-1, count)
    layers = [(words >> 1 & 1, high), (words & 1, low)]
    found = [np.stack([syndrome(word, rows) for word in layer.T], axis=1).reshape(-1) for layer, rows in layers]
    return np.concatenate(found)[:bits]


def read(picture, key):
    """The message under a key, None if there is none."""
    height, width = picture.shape[:2]
    if (height // 2) * (width // 2) < 1024:
        return None
    tries = [(lanes, lane) for lanes in (1, 2, 4, 8) for lane in range(lanes)]
    return next((found for found in (read_lane(picture, key, *names) for names in tries) if found is not None), None)


def read_lane(picture, key, lanes, lane):
    def drawn(use, size):
        return HKDFExpand(SHA256(), size, b"stegano_tf stealth 1 " + bytes([lanes, lane]) + use).derive(key)

    height, width = picture.shape[:2]
    rows, columns = np.divmod(np.arange((height // 2) * (width // 2)), width // 2)
    cells = np.flatnonzero(~salt_cells(height, width) & ((rows + columns) % lanes == lane))
    head = min(len(cells) // 2, 16384)
    if head < 400:
        return None
    cells_of_first = cells[order(len(cells), drawn(b"order header", 32))]
    header = np.packbits(syndrome(samples(picture, GROUPS[0], cells_of_first[:head]) & 1, 200)).tobytes()
    try:
        fields = AESSIV(drawn(b"header", 64)).decrypt(header, None)
    except InvalidTag:
        return None
    length, (red, green, blue, split, attempt) = int.from_bytes(fields[:4], "little"), fields[4:]
    bits, weight, body = 8 * (length + 16), 0, []
    total = 4 * (red + green + blue)
    for number, group in enumerate(GROUPS):
        own = cells if number else cells_of_first[head:]
        own = own[order(len(own), drawn(b"order body" + bytes([attempt, number]), 32))]
        before, weight = weight, weight + (red, green, blue)[group[2]]
        body.append(group_bits(samples(picture, group, own), bits * weight // total - bits * before // total, split))
    return AESSIV(drawn(b"body", 64)).decrypt(np.packbits(np.concatenate(body)).tobytes(), None)


def read_in_sound(samples, key):
    """The message in the samples behind the salt, None if there is none. Section 11."""

    def drawn(use, size):
        return HKDFExpand(SHA256(), size, b"stegano_tf stealth in sound 1 " + use).derive(key)

    def ordered(places, use):
        words = hashlib.shake_256(drawn(b"order " + use, 32)).digest(4 * len(places))
        return places[np.argsort(np.frombuffer(words, "<u4"), kind="stable")]

    groups = -(-len(samples) // GROUP)
    if len(samples) < 2816:
        return None
    dealt = np.arange(len(samples)) // 64 % groups
    first = ordered(np.flatnonzero(dealt == 0), b"header")
    head = min(len(first) // 8, 16384)
    header = np.packbits(syndrome(samples[first[:head]] & 1, 176)).tobytes()
    try:
        fields = AESSIV(drawn(b"header", 64)).decrypt(header, None)
    except InvalidTag:
        return None
    length, split, attempt = int.from_bytes(fields[:4], "little"), fields[4], fields[5]
    bits, body = 8 * (length + 16), []
    for group in range(groups):
        own = np.flatnonzero(dealt == group) if group else first[head:]
        own = ordered(own, b"body" + bytes([attempt]) + group.to_bytes(4, "little"))
        body.append(group_bits(samples[own], bits * (group + 1) // groups - bits * group // groups, split))
    return AESSIV(drawn(b"body", 64)).decrypt(np.packbits(np.concatenate(body)).tobytes(), None)


if __name__ == "__main__":
    from PIL import Image

    message = read(np.array(Image.open(sys.argv[1]).convert("RGB")), bytes.fromhex(sys.argv[2]))
    if message is None:
        sys.exit("no message under this key")
    sys.stdout.buffer.write(message)
