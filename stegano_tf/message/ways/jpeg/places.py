"""Where things lie in a picture: the salt at places that everybody knows, messages in lanes of blocks.

Each block belongs to the salt or to one of the lanes. A message has one or several lanes that follow each other. Within
its lanes, the blocks are taken in an order that follows from its key: the header in the first lane, then the map, then
the message. The map says for each tile of the picture how many bits the message has in a block there.
"""

import dataclasses
import functools
import math

import numpy as np

from stegano_tf.message.ways.jpeg import blocks as jpeg
from stegano_tf.message.ways.jpeg.keys import PUBLIC, TAG, order

COARSE = 8  # bits in a block of the salt, of headers and of maps
SALT_BLOCKS = 272
HEADER_BLOCKS = 142
MAP_RATE = 4  # bits written for a bit of a map
SMALLEST = 912  # blocks
_LANES, _LANE_BLOCKS = 16, 1024  # at most; and at least, if there is more than one
_TILES, _TILE_SIDE = 512, 4  # at most; and in blocks, at least


@dataclasses.dataclass
class Grid:
    """The blocks of a picture of some size, at least `SMALLEST` of them."""

    rows: int
    columns: int

    @property
    def blocks(self) -> int:
        """How many there are."""
        return self.rows * self.columns

    @property
    def too_small(self) -> bool:
        """Whether there is no room for anything."""
        return self.blocks < SMALLEST

    @functools.cached_property
    def _order(self) -> np.ndarray:
        return order(PUBLIC, self.blocks)

    @property
    def salt(self) -> np.ndarray:
        """The blocks of the salt, int[SALT_BLOCKS]."""
        return self._order[:SALT_BLOCKS]

    @property
    def lanes(self) -> int:
        """How many lanes there are, 1 to 16."""
        return max(1, min(_LANES, (self.blocks - SALT_BLOCKS) // _LANE_BLOCKS))

    def lane(self, number: int) -> np.ndarray:
        """Returns the blocks of a lane, in the order of everybody."""
        return self._order[SALT_BLOCKS + number :: self.lanes]

    @functools.cached_property
    def tile_side(self) -> int:
        """Blocks along the side of a tile: as few as make at most 512 tiles."""
        side = _TILE_SIDE
        while math.ceil(self.rows / side) * math.ceil(self.columns / side) > _TILES:
            side += 1
        return side

    @functools.cached_property
    def tiles(self) -> np.ndarray:
        """The tile of each block, row by row, int[rows * columns]."""
        across = math.ceil(self.columns / self.tile_side)
        rows, columns = np.indices((self.rows, self.columns)) // self.tile_side
        return (rows * across + columns).ravel()

    @functools.cached_property
    def tile_count(self) -> int:
        """How many tiles there are."""
        return int(self.tiles[-1]) + 1

    @property
    def map_size(self) -> int:
        """Bytes of a map, without its tag: four tiles in each."""
        return -(-self.tile_count // 4)

    @property
    def map_blocks(self) -> int:
        """Blocks that hold a map."""
        return (self.map_size + TAG) * MAP_RATE

    def message(self, key: bytes, lanes: range) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the blocks of a message in these lanes: of its header, its map, and itself."""
        mine = np.concatenate([self.lane(number) for number in lanes])
        mine = mine[order(key, len(mine))]
        head = self.header(key, lanes[0])
        rest = mine[~np.isin(mine, head)]
        return head, rest[: self.map_blocks], rest[self.map_blocks :]

    def header(self, key: bytes, lane: int) -> np.ndarray:
        """Returns the blocks where the header lies of a message whose first lane this is, int[HEADER_BLOCKS]."""
        blocks = self.lane(lane)
        return blocks[order(key, len(blocks))[:HEADER_BLOCKS]]


def grid(picture: np.ndarray) -> Grid:
    """Returns the grid of a picture, uint8[H, W, 3], of any size."""
    return Grid(*jpeg.shape(picture))
