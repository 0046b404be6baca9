"""The salt and the messages of a picture as bits in its blocks, and back."""

import struct

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from stegano_tf.message.ways.jpeg import blocks as jpeg
from stegano_tf.message.ways.jpeg import codewords, places, plan, reading
from stegano_tf.message.ways.way import SALT, DamagedError

_VERSION = 1
_HEADER = struct.Struct("<BBI")  # version, lanes, length
_HEAD, _MAP, _DATA = range(3)  # what is sealed
_SALT_CODE = codewords.Short(SALT, places.SALT_BLOCKS * places.COARSE)
_HEADER_CODE = codewords.Short(_HEADER.size + places.TAG, places.HEADER_BLOCKS * places.COARSE)


class Keys:
    """What follows from a message's key, 32 bytes: where it lies, its mask, and its seal."""

    def __init__(self, key: bytes) -> None:
        self.order, seal = (
            HKDFExpand(hashes.SHA256(), 32, b"stegano_tf jpeg " + use).derive(key) for use in (b"order", b"seal")
        )
        self._seal = ChaCha20Poly1305(seal)

    def seal(self, part: int, data: bytes) -> bytes:
        """Seals a part of the message; no part of a key is sealed twice."""
        return self._seal.encrypt(part.to_bytes(12, "little"), data, None)

    def open(self, part: int, text: bytes) -> bytes | None:
        """Returns what was sealed, None if the bytes are not right."""
        try:
            return self._seal.decrypt(part.to_bytes(12, "little"), text, None)
        except InvalidTag:
            return None


class Draft:
    """What is to be written into the blocks of a picture.

    Attributes:
      bits: uint8[N, 15].
      counts: how many of them are written, int[N].
    """

    def __init__(self, grid: places.Grid) -> None:
        self.grid = grid
        self.bits = np.zeros((grid.blocks, len(jpeg.SLOTS)), np.uint8)
        self.counts = np.zeros(grid.blocks, np.int64)

    def put_salt(self, salt: bytes) -> None:
        """Adds the salt."""
        self._put(self.grid.salt, places.COARSE, _SALT_CODE.encode(salt), places.PUBLIC)

    def put(self, keys: Keys, data: bytes, lanes: range, levels: np.ndarray) -> None:
        """Adds a message, given the level of each tile, uint8[tiles]."""
        head, map_blocks, mine = self.grid.message(keys.order, lanes)
        header = keys.seal(_HEAD, _HEADER.pack(_VERSION, len(lanes), len(data)))
        self._put(head, places.COARSE, _HEADER_CODE.encode(header), keys.order)
        self._put(
            map_blocks, places.COARSE, _map_code(self.grid).encode(keys.seal(_MAP, plan.pack(levels))), keys.order
        )
        counts = plan.LEVELS[levels[self.grid.tiles[mine]]]
        code = code_for(len(data))
        text = keys.seal(_DATA, data.ljust(code.size - places.TAG, b"\0"))
        self._put(mine, counts, code.encode(text, int(counts.sum())), keys.order)

    def _put(self, blocks: np.ndarray, counts: np.ndarray | int, sent: np.ndarray, key: bytes) -> None:
        self.counts[blocks] = counts
        chosen = np.arange(self.bits.shape[1]) < self.counts[blocks, None]
        bits = places.mask(key, np.count_nonzero(chosen))
        bits[: len(sent)] ^= sent
        rows = np.zeros(chosen.shape, np.uint8)
        rows[chosen] = bits
        self.bits[blocks] = rows


def salt(blocks: np.ndarray, grid: places.Grid, qualities: tuple[int, ...]) -> tuple[int, bytes] | None:
    """Returns the design quality, one of `qualities`, and the salt of the blocks of a picture; None if there is none."""
    count = np.full(places.SALT_BLOCKS, places.COARSE)
    rows = [_likely(blocks, grid.salt, count, quality, places.PUBLIC) for quality in qualities]
    found = _SALT_CODE.decode(np.stack(rows))
    return found and (qualities[found[0]], found[1])


def get(
    blocks: np.ndarray, grid: places.Grid, keys: Keys, quality: int, lanes: range, spare: float = 0
) -> bytes | None:
    """Returns a message that starts in one of these lanes, None if there is none; raises DamagedError.

    With `spare`, it is read without this part of its bits: what can be read then has something to spare.
    """
    count = np.full(places.HEADER_BLOCKS, places.COARSE)
    heads = [_likely(blocks, grid.header(keys.order, lane), count, quality, keys.order) for lane in lanes]
    found = _HEADER_CODE.decode(np.stack(heads))
    header = found and keys.open(_HEAD, found[1])
    if not header:
        return None
    version, count, length = _HEADER.unpack(header)
    lanes = range(lanes[found[0]], lanes[found[0]] + count)
    if version != _VERSION or not 0 < count <= grid.lanes - lanes[0]:
        raise DamagedError(f"a message of version {version}, expected {_VERSION}: made by a newer version?")
    _, map_blocks, mine = grid.message(keys.order, lanes)
    count = np.full(len(map_blocks), places.COARSE)
    found = _map_code(grid).decode(_likely(blocks, map_blocks, count, quality, keys.order)[None])
    levels = found and keys.open(_MAP, found[1])
    if not levels:
        raise _damaged(quality, 0)
    counts = plan.unpack(levels, grid.tile_count)[grid.tiles[mine]]
    code = code_for(length)
    if not code.fits(int(counts.sum())):
        raise DamagedError(f"a message of {length} bytes, which the picture is too small for")
    likely = _likely(blocks, mine, counts, quality, keys.order)
    if spare:
        likely[np.random.default_rng(0).random(len(likely)) < spare] = 0
    text, right = code.decode(likely)
    data = keys.open(_DATA, text)
    if data is None:
        raise _damaged(quality, right)
    return data[:length]


def code_for(length: int) -> codewords.Long:
    """Returns the code of a message of so many bytes."""
    return codewords.long(length + places.TAG)


def _map_code(grid: places.Grid) -> codewords.Short:
    return codewords.Short(grid.map_size + places.TAG, grid.map_blocks * places.COARSE)


def _likely(blocks: np.ndarray, which: np.ndarray, counts: np.ndarray, quality: int, key: bytes) -> np.ndarray:
    """Returns how likely the first `counts` bits in some blocks are 0, without their mask, float32[sum of counts]."""
    values = reading.likelihoods(blocks, which, quality)
    values = values[np.arange(values.shape[1]) < counts[:, None]]
    return np.where(places.mask(key, len(values)), -values, values)


def _damaged(quality: int, share: float) -> DamagedError:
    return DamagedError(
        f"a message of which {share:.0%} can be read: damaged by recompression below quality {quality}, or otherwise"
    )
