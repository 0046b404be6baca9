"""Which pictures make a pair in which epoch, and where they are cut. Needs numpy alone."""

import dataclasses
from typing import NamedTuple

import numpy as np

from stegano_tf.errors import DataError


class Epoch(NamedTuple):
    """The random decisions of one epoch, for `steps` batches of `B` pairs.

    Attributes:
      covers: int64[steps, B], indexes of the pictures that are used, each once.
      draws: float32[2, steps, B, 3] in [0, 1): top, left and flip of each picture of `covers` in its use as cover (0)
        and as secret (1).
    """

    covers: np.ndarray
    draws: np.ndarray


@dataclasses.dataclass(frozen=True)
class PairPlan:
    """Which picture is paired with which, and where each is cut: a function of these fields and of the epoch alone.

    In each epoch a random order of the pictures is cut into batches of covers. The secrets of a batch are the covers of
    the next one, around the end; a single batch is rotated by one place instead. So no picture meets itself, each is as
    often a secret as a cover, and each is decoded once for both uses. The pictures that do not fill a batch are left
    out, in each epoch others.

    Attributes:
      batch_size: pairs in one batch of one worker.
      seed: any non-negative integer.
      shard: (index, count) of this worker: the pairs of each global batch are dealt out to `count` workers in turns.

    Raises:
      ValueError: batch_size or shard make no sense.
      DataError: the pictures do not fill a batch on each worker, or there is just one for each.

    Example:
      >>> PairPlan(pictures=1800, batch_size=8, shard=(0, 2)).steps
      112
    """

    pictures: int
    batch_size: int
    seed: int = 0
    shard: tuple[int, int] = (0, 1)

    def __post_init__(self):
        index, count = self.shard
        if self.batch_size < 1 or not 0 <= index < count:
            raise ValueError(f"batch_size={self.batch_size}, shard={self.shard}: expected >= 1 and 0 <= index < count")
        if self.steps * self.batch_size < 2:
            raise DataError(
                f"{self.pictures} pictures cannot make a batch of {self.batch_size} pairs on {count} workers, expected "
                f"at least {max(2, self.batch_size) * count}"
            )

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.pictures // (self.batch_size * self.shard[1])

    def epoch(self, epoch: int) -> Epoch:
        """Returns this worker's share of epoch `epoch`, counted from 0."""
        index, count = self.shard
        random = np.random.default_rng([self.seed, epoch])
        used = self.steps * self.batch_size * count
        covers = random.permutation(self.pictures)[:used].reshape(self.steps, -1)[:, index::count]
        draws = random.random((2, used, 3), dtype=np.float32).reshape(2, self.steps, -1, 3)[:, :, index::count]
        return Epoch(covers, draws)
