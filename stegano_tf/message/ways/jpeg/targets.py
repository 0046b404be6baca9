"""Writing bits: each coefficient moves as little as possible to where all later JPEG compressions leave its bit right.

A bit is the parity of a coefficient in steps of the design quality, rounded. A JPEG file of a better quality rounds to
multiples of another step. Where that ends is known beforehand, so the table of targets holds all values whose bit comes
through libjpeg's tables of the design quality and all better ones. The nearest of them is seldom a multiple of the
step itself, which saves 1 to 2 dB. Reading needs none of this.
"""

import functools

import numpy as np

from stegano_tf.message.ways.jpeg import blocks as jpeg
from stegano_tf.message.ways.jpeg.drafts import Draft

_FINE = 4  # values per unit in the table
_LIMIT = 1024  # the largest coefficient
_ROUNDING = 0.5  # what rounding to whole pixels moves a coefficient by, nearly always
# What a fast encoder's transform moves a coefficient by, from these coefficients on: as libjpeg's, JDCT_IFAST, does.
_TRANSFORM = ((0, 0.75), (128, 1.5), (256, 2.25), (512, 3.0))
_READING = 0.7  # what conversion to RGB moves it by after JPEG, nearly always
_ROUNDS = 5
_AWAY = 3  # from black and white, so that JPEG has room to err, too


def write(blocks: np.ndarray, draft: Draft, quality: int) -> np.ndarray:
    """Returns blocks that carry bits.

    A pixel changes by the same whole number in red, green and blue, so that nothing but the luma changes. In blocks
    that matter, colours that leave no room for that are first moved away from 0 and 255. A coefficient that cannot get
    where it should stays wrong.

    Args:
      blocks: uint8[3, N, 64].
      draft: their bits.
      quality: the design quality.
    """
    table = targets(quality)
    result = blocks.copy()
    chosen = np.flatnonzero(draft.counts)

    def work(part: slice) -> None:
        which = chosen[part]
        used = np.arange(len(jpeg.SLOTS)) < draft.counts[which, None]
        result[:, which] = _write(blocks[:, which], draft.bits[which], used, draft.matters[which], table)

    jpeg.in_parts(work, len(chosen))
    return result


def _write(
    blocks: np.ndarray, bits: np.ndarray, used: np.ndarray, matters: np.ndarray, table: np.ndarray
) -> np.ndarray:
    slots = np.arange(len(jpeg.SLOTS))
    result, base = blocks.copy(), blocks.astype(np.int16)
    change = np.zeros(blocks.shape[1:], np.float32)
    left = np.arange(blocks.shape[1])
    for attempt in range(_ROUNDS):
        # libjpeg rounds the luma, too. As all three colours change alike, it is known exactly.
        found = np.rint(jpeg.luma(result[:, left])) @ jpeg.BASIS
        places = np.clip(np.rint(found * _FINE).astype(np.int32) + _LIMIT * _FINE, 0, table.shape[2] - 1)
        move = np.where(used[left], table[slots, bits[left], places] - found, 0)
        if attempt:
            move[np.abs(move) <= _ROUNDING] = 0
            moved = move.any(axis=1)
            left, move = left[moved], move[moved]
        if not len(left):
            break
        change[left] += move @ jpeg.BASIS.T
        whole = np.rint(change[left]).astype(np.int16)
        if attempt:
            tight = matters[left]
            low, high = whole[tight].min(axis=1, initial=0), whole[tight].max(axis=1, initial=0)
            least, most = _AWAY - low[:, None], 255 - _AWAY - high[:, None]
            base[:, left[tight]] = np.clip(base[:, left[tight]], least, np.maximum(least, most))
        result[:, left] = np.clip(base[:, left] + whole, 0, 255)
    return result


@functools.lru_cache
def targets(quality: int) -> np.ndarray:
    """Returns the value to write for each slot, bit and coefficient c: float32[15, 2, 8193], c at 4 (c + 1024)."""
    grid = np.arange(-_LIMIT * _FINE, _LIMIT * _FINE + 1) / _FINE
    result = np.empty((len(jpeg.SLOTS), 2, len(grid)), np.float32)
    tables = np.stack([jpeg.steps(better) for better in range(quality, 97)])
    for slot, step in enumerate(jpeg.steps(quality)):
        cell = np.rint(grid / step)
        # How many of the tables keep each value, and all near it, in its cell; the last one is no JPEG at all.
        kept = np.zeros(len(grid), int)
        for other in [*np.unique(tables[:, slot]), 0]:
            arrived = np.rint(grid / other) * other if other else grid
            good = np.abs(arrived - cell * step) <= 0.5 * step - min(_READING, 0.4 * step)
            kept += _all_near(good)
        number = (cell - cell[0]).astype(int)
        best = np.zeros(number[-1] + 1, int)
        np.maximum.at(best, number, kept)
        inside = (kept == best[number]) & (np.abs(cell) < cell[-1])
        for bit in (0, 1):
            values = grid[inside & (cell % 2 == bit)]
            after = np.clip(np.searchsorted(values, grid), 1, len(values) - 1)
            low, high = values[after - 1], values[after]
            result[slot, bit] = np.where(grid - low <= high - grid, low, high)
    return result


def _all_near(good: np.ndarray) -> np.ndarray:
    """Returns from where no encoder's transform leads to what is not good, bool[8193] as `good`."""
    places = np.arange(len(good))
    reach = np.zeros(len(good), int)
    for least, distance in _TRANSFORM:
        reach[np.abs(places - _LIMIT * _FINE) >= least * _FINE] = round(distance * _FINE)
    bad = np.append(0, np.cumsum(~good))
    return bad[np.minimum(places + reach + 1, len(good))] == bad[np.maximum(places - reach, 0)]
