"""A picture as JPEG sees it: blocks of 8x8 pixels, their luma, and those of their coefficients that carry bits.

Source: ITU-T T.81 (https://www.w3.org/Graphics/JPEG/itu-t81.pdf), A.3.3 and table K.1; JFIF 1.02 for the luma. The
scaling of the table by a quality from 1 to 100 is that of libjpeg, `jpeg_set_quality`.
"""

import concurrent.futures
import os
from collections.abc import Callable

import numpy as np

SIDE = 8
_PART = 4096
# The 15 coefficients, (row, column), that are rounded most finely, the finest first. The mean of a block is not one of
# them: changes of it show as squares.
SLOTS = (
    *((0, 2), (0, 1), (1, 0), (1, 1), (2, 1), (1, 2), (2, 0), (3, 0)),
    *((0, 3), (2, 2), (3, 1), (4, 0), (1, 3), (3, 2), (4, 1)),
)
_TABLE = (10, 11, 12, 12, 13, 14, 14, 14, 16, 16, 17, 18, 19, 22, 22)  # K.1 at `SLOTS`


def steps(quality: int) -> np.ndarray:
    """Returns what libjpeg rounds the `SLOTS` to multiples of at a quality, 1 to 100: int[15].

    Example:
      >>> steps(75)[:4].tolist()
      [5, 6, 6, 6]
    """
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((np.array(_TABLE) * scale + 50) // 100, 1, 255)


def split(picture: np.ndarray) -> np.ndarray:
    """Returns the blocks of a picture, uint8[H, W, 3], row by row: uint8[3, N, 64]. Incomplete ones are left out."""
    rows, columns = shape(picture)
    whole = picture[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE, 3)
    return whole.transpose(4, 0, 2, 1, 3).reshape(3, rows * columns, SIDE * SIDE)


def join(blocks: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Returns a picture with other blocks, as `split` gives them."""
    rows, columns = shape(picture)
    result = picture.copy()
    whole = blocks.reshape(3, rows, columns, SIDE, SIDE).transpose(1, 3, 2, 4, 0)
    result[: rows * SIDE, : columns * SIDE] = whole.reshape(rows * SIDE, columns * SIDE, 3)
    return result


def shape(picture: np.ndarray) -> tuple[int, int]:
    """Returns how many rows and columns of whole blocks a picture has."""
    return picture.shape[0] // SIDE, picture.shape[1] // SIDE


def luma(blocks: np.ndarray) -> np.ndarray:
    """Returns 0.299 R + 0.587 G + 0.114 B of blocks, uint8[3, N, 64]: float32[N, 64]."""
    red, green, blue = blocks
    return np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue


def extreme(blocks: np.ndarray, low: int = 0, high: int = 255) -> np.ndarray:
    """Returns how many pixels of each block, uint8[3, N, 64], have a colour up to `low` or from `high`: int[N]."""
    # A difference below 0 comes round to one above.
    red, green, blue = blocks - np.uint8(low + 1) >= high - low - 1
    return np.count_nonzero(red | green | blue, axis=1)


def in_parts(work: Callable[[slice], np.ndarray], count: int) -> list[np.ndarray]:
    """Returns what `work` gives for `count` blocks, some thousand at a time, on all cores."""
    slices = [slice(start, min(start + _PART, count)) for start in range(0, count, _PART)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, slices))


def _basis() -> np.ndarray:
    """Returns the pixels of each slot's coefficient when it is 1, float32[64, 15]: the orthonormal DCT-II."""
    wave = np.sqrt(2 / SIDE) * np.cos(np.outer(np.arange(SIDE), 2 * np.arange(SIDE) + 1) * np.pi / (2 * SIDE))
    wave[0] /= np.sqrt(2)
    return np.stack([np.outer(wave[row], wave[column]).ravel() for row, column in SLOTS], axis=1).astype(np.float32)


BASIS = _basis()
