"""Which samples of a picture hold what. docs/FORMAT.md has it for other readers.

A picture consists of cells of 2 x 2 pixels. Some, which everybody knows, hold the salt. The others belong to lanes, one
for each message, that lie between each other like the squares of a chessboard. The 12 samples of a cell are in 12
groups. These are written one after the other, so that the changes of a group can follow those of the groups before.
"""

import hashlib

import numpy as np

from stegano_tf.message.ways.way import RoomError
from stegano_tf.sealing import stretching

GROUPS = tuple((row, column, channel) for row, column in ((0, 0), (1, 1), (0, 1), (1, 0)) for channel in (1, 0, 2))
LANES = (1, 2, 4, 8)
_SALT_CELLS = 512  # in pictures that are large enough
_LEAST = 32 * 32  # cells of a picture
_SALT_KEY = hashlib.sha256(b"stegano_tf stealth salt").digest()


def salt_cells(shape: tuple[int, ...]) -> np.ndarray:
    """Returns which cells hold the salt, bool[H // 2, W // 2], of a picture [H, W, 3]: about 512, at most 1 of 16.

    Raises RoomError if the picture is too small.
    """
    rows, columns = shape[0] // 2, shape[1] // 2
    count = rows * columns
    if count < _LEAST:
        raise RoomError(f"has {shape[0] * shape[1]:,} pixels, expected at least {4 * _LEAST:,}")
    step = max(16, count // _SALT_CELLS)
    number = np.arange(count, dtype=np.uint64) * 2654435769 % (1 << 32)  # 2^32 over the golden ratio: evenly anywhere
    return (number < (1 << 32) // step).reshape(rows, columns)


def salt_samples(shape: tuple[int, ...]) -> np.ndarray:
    """Returns the samples that hold the salt, in their order: indices of the picture as one row, int64[N]."""
    rows, columns = np.nonzero(salt_cells(shape))
    samples = np.concatenate([((2 * rows + r) * shape[1] + 2 * columns + c) * 3 + ch for r, c, ch in GROUPS])
    return samples[order(len(samples), _SALT_KEY)]


def cells(shape: tuple[int, ...], lanes: int, lane: int) -> np.ndarray:
    """Returns the cells of a lane, int64[N], ascending: indices of the cells as one row."""
    own = ~salt_cells(shape)
    rows, columns = np.ogrid[: own.shape[0], : own.shape[1]]
    own &= (rows + columns) % lanes == lane
    return np.flatnonzero(own)


def plane(values: np.ndarray, group: tuple[int, int, int]) -> np.ndarray:
    """Returns the samples of a group of [H, W, 3], one of every cell: a view [H // 2, W // 2]."""
    row, column, channel = group
    height, width = (side // 2 * 2 for side in values.shape[:2])
    return values[row:height:2, column:width:2, channel]


def order(count: int, key: bytes) -> np.ndarray:
    """Returns a secret order of the numbers below count, int64[count]: by little-endian 32-bit words of ChaCha20.

    Example:
      >>> order(4, bytes(32)).tolist()
      [3, 1, 0, 2]
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms  # noqa: PLC0415

    stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(4 * count))
    return stretching.order(np.frombuffer(stream, "<u4"))
