"""The same batches as `batches`, cut by the device that trains: all pictures lie in its memory, as 8-bit squares."""

import functools

import keras
import numpy as np
from keras import ops

from stegano_tf.errors import DataError
from stegano_tf.training.data.plan import PairPlan


class StoredPairs:
    """(cover, secret) batches by number, of squares in the device's memory.

    The host draws the random numbers of `PairPlan` and sends four integers a picture; no pixel passes through it.

    Args:
      pictures: uint8[N, S, S, 3]; N S^2 is below 2^31.
      batch_size, crop, seed, flips: as for `batches.PairBatches`, which gives the same batches of the same pictures.

    Raises:
      DataError, ValueError: as `PairPlan`, or the crops are larger than the pictures.

    Example:
      cover, secret = StoredPairs(squares, batch_size=8, crop=64).batch(0)  # uint8[8, 64, 64, 3] each
    """

    def __init__(self, pictures: np.ndarray, *, batch_size: int, crop: int, seed: int = 0, flips: bool = True):
        count, self.side, _, _ = pictures.shape
        if crop > self.side:
            raise DataError(f"crops of {crop}x{crop} out of pictures of {self.side}x{self.side}, expected smaller ones")
        self.plan = PairPlan(count, batch_size, seed)
        self.crop = crop
        self.flips = flips
        self.pixels = ops.convert_to_tensor(pictures.reshape(-1, 3))  # uint8[N S^2, 3]
        self._epoch = functools.lru_cache(maxsize=2)(self.plan.epoch)

    def choices(self, number: int) -> np.ndarray:
        """Returns int32[2, B, 4] of batch `number`: picture, top, left, flip (0 to 3) of each cover and each secret."""
        epoch, step = divmod(int(number), self.plan.steps)
        next_step = (step + 1) % self.plan.steps
        covers, draws = self._epoch(epoch)
        parts = []
        for use, place in enumerate((step, next_step)):
            ranges = [self.side - self.crop + 1] * 2 + [4 if self.flips else 0]
            cut = (draws[use, place].astype(np.float64) * ranges).astype(np.int32)
            parts.append(np.column_stack([covers[place], cut]))
        if step == next_step:
            parts[1] = np.roll(parts[1], -1, axis=0)
        return np.stack(parts).astype(np.int32)

    def cut(self, pixels, choices):
        """Returns covers and secrets, uint8[B, crop, crop, 3] each, of `pixels` and `choices`; can be compiled."""
        picture, top, left, flip = (choices[..., i, None] for i in range(4))
        place = ops.arange(self.crop, dtype="int32")
        rows = top + ops.where(flip % 2 == 1, self.crop - 1 - place, place)
        columns = left + ops.where(flip >= 2, self.crop - 1 - place, place)
        index = ((picture * self.side + rows) * self.side)[..., None] + columns[..., None, :]
        cover, secret = ops.take(pixels, index, axis=0)
        return cover, secret

    def batch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns what `batches.PairBatches.batch` does."""
        return tuple(map(keras.ops.convert_to_numpy, self.cut(self.pixels, self.choices(number))))
