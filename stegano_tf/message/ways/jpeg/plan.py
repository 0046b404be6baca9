"""How many bits a message has in a block of each tile: where texture hides them, and where JPEG leaves them."""

import dataclasses
import itertools

import numpy as np

from stegano_tf import channels
from stegano_tf.message.ways.jpeg import blocks as jpeg
from stegano_tf.message.ways.jpeg.places import Grid

LEVELS = np.array([0, 5, 10, 15])  # bits in a block of a tile, by its two bits in the map
_QUIET = 4  # to what deviation of the luma a change is as visible as in a flat area
# What arrives of a bit, by the mean squared error in steps that JPEG leaves in the first coefficients of
# a block: none but where it moves colours out of the range of 8 bits. Measured on photographs.
_CLEAN, _NOISY, _SEEN = 0.97, 9, 10


@dataclasses.dataclass(frozen=True)
class Tiles:
    """What the tiles of a cover are like, float[tiles] each."""

    cost: np.ndarray  # how visible a change is
    worth: np.ndarray  # what part of a bit arrives, 0 to 1


def look(picture: np.ndarray, blocks: np.ndarray, grid: Grid, quality: int) -> Tiles:
    """Returns what the tiles of a cover, uint8[H, W, 3], are like, given its blocks, uint8[3, N, 64], too."""
    changed = jpeg.split(channels.jpeg(picture, quality))
    step = jpeg.steps(quality).astype(np.float32)[:_SEEN]

    def work(part: slice) -> np.ndarray:
        luma = jpeg.luma(blocks[:, part])
        # An edge through a block hides nothing on its quiet side: the quietest quarter decides.
        quarters = luma.reshape(-1, 2, 4, 2, 4).std(axis=(2, 4)).min(axis=(1, 2))
        written = np.rint(np.rint(luma) @ jpeg.BASIS[:, :_SEEN] / step)
        error = jpeg.luma(changed[:, part]) @ jpeg.BASIS[:, :_SEEN] / step - written
        return np.stack([(quarters + _QUIET) ** -2.0, _CLEAN * np.exp(-_NOISY * (error**2).mean(axis=1))])

    values = np.concatenate(jpeg.in_parts(work, grid.blocks), axis=1)
    return Tiles(*(np.bincount(grid.tiles, row) / np.bincount(grid.tiles) for row in values))


def levels(tiles: Tiles, sizes: np.ndarray, quality: int, need: float) -> np.ndarray:
    """Returns the level of each tile, uint8[tiles], so that the least is seen.

    Args:
      tiles: what `look` found.
      sizes: how many blocks of each tile the message has.
      quality: the design quality.
      need: how many bits are to arrive, at most `room`.
    """
    squares = jpeg.steps(quality) ** 2
    # The price of a bit that arrives, for each tile and each rise of its level. Prices rise with the level.
    rises = list(itertools.pairwise(LEVELS))
    prices = np.stack([squares[low:high].mean() * tiles.cost / tiles.worth for low, high in rises])
    gains = np.stack([(high - low) * sizes * tiles.worth for low, high in rises])
    cheapest = np.argsort(prices, axis=None)
    total = np.cumsum(gains.ravel()[cheapest])
    taken = np.zeros(prices.size, np.uint8)
    taken[cheapest[: np.searchsorted(total, need) + 1]] = 1
    return taken.reshape(prices.shape).sum(axis=0, dtype=np.uint8)


def room(tiles: Tiles, sizes: np.ndarray) -> float:
    """Returns how many bits arrive at most."""
    return float(LEVELS[-1] * sizes @ tiles.worth)


def pack(levels: np.ndarray) -> bytes:
    """Returns levels, uint8[tiles], as a map: two bits for each, the first in the highest bits of the first byte."""
    return np.packbits(np.stack([levels >> 1, levels & 1], axis=1)).tobytes()


def unpack(data: bytes, count: int) -> np.ndarray:
    """Returns how many bits there are in a block of each of `count` tiles, as `pack` put it down: int[count]."""
    high, low = np.unpackbits(np.frombuffer(data, np.uint8), count=2 * count).reshape(-1, 2).T
    return LEVELS[2 * high + low]
