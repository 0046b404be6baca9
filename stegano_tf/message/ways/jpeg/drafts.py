"""What is to be written into a picture: the salt and messages as bits in its blocks."""

import numpy as np

from stegano_tf.message.ways.jpeg import blocks as jpeg
from stegano_tf.message.ways.jpeg import keys, parts, places, plan


class Draft:
    """Bits for the blocks of a picture.

    Attributes:
      bits: uint8[N, 15].
      counts: how many of them are to be written, int[N]. Its other slots stay as they are, about.
      matters: where nothing can be read without these bits, bool[N].
    """

    def __init__(self, grid: places.Grid) -> None:
        self._grid = grid
        self.bits = np.zeros((grid.blocks, len(jpeg.SLOTS)), np.uint8)
        self.counts = np.zeros(grid.blocks, np.int64)
        self.matters = np.zeros(grid.blocks, bool)

    def put_salt(self, salt: bytes) -> None:
        """Adds the salt."""
        self._put_short(self._grid.salt, parts.SALT_CODE.encode(salt), keys.PUBLIC)

    def put(self, key: keys.Keys, data: bytes, lanes: range, levels: np.ndarray) -> None:
        """Adds a message, given the level of each tile, uint8[tiles]."""
        grid = self._grid
        head, map_blocks, mine = grid.message(key.places, lanes)
        header = key.seal(parts.HEAD, parts.HEADER.pack(parts.VERSION, len(lanes), len(data)))
        self._put_short(head, parts.HEADER_CODE.encode(header), key.places)
        packed = key.seal(parts.MAP, plan.pack(levels))
        self._put_short(map_blocks, parts.map_code(grid).encode(packed), key.places)
        counts = plan.LEVELS[levels[grid.tiles[mine]]]
        code = parts.data_code(len(data))
        text = key.seal(parts.DATA, data.ljust(code.size - keys.TAG, b"\0"))
        self._put(mine, counts, code.encode(text, int(counts.sum())), key.places)

    def _put_short(self, blocks: np.ndarray, sent: np.ndarray, key: bytes) -> None:
        self._put(blocks, places.COARSE, sent, key)
        self.matters[blocks] = True

    def _put(self, blocks: np.ndarray, counts: np.ndarray | int, sent: np.ndarray, key: bytes) -> None:
        self.counts[blocks] = counts
        chosen = np.arange(self.bits.shape[1]) < self.counts[blocks, None]
        bits = keys.mask(key, np.count_nonzero(chosen))
        bits[: len(sent)] ^= sent
        rows = np.zeros(chosen.shape, np.uint8)
        rows[chosen] = bits
        self.bits[blocks] = rows
