"""(cover, secret) batches by number, cut by numpy in threads: the same on every back end.

Limits: the threads belong to the process that makes the batches. So batches cannot come from another process (a tf.data
service, the workers of a parameter server); each worker makes its own, by its `shard`.
"""

import collections
import concurrent.futures
import functools
import math
import threading
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np
import psutil

from stegano_tf import images
from stegano_tf.training.data import sources
from stegano_tf.training.data.plan import PairPlan


class PairBatches:
    """(cover, secret) batches by number, from any number of threads.

    Args:
      source: as in `sources`.
      batch_size: pairs in a batch of this worker.
      crop: side of the square that is cut out of each picture. A picture with a shorter side is enlarged to it.
      seed: any non-negative integer. The same seed and epoch give the same batches.
      flips: whether pictures are turned upside down and mirrored, each in half of the cases.
      cache: whether decoded pictures stay in memory. "auto": if they take at most half of what is free. If they stay,
        all are decoded here; their mirror images stay, too, if they take at most half of what is free then.
      skip_bad_images: leave out, log and count pictures that do not decode. All are decoded here then, too.
      shard: (index, count) of this worker, see `PairPlan`.

    Raises:
      DataError: no picture source, or too few pictures for one batch.
      ImageError: a picture does not decode; raised here if `cache`, by `batch` otherwise.

    Example:
      cover, secret = PairBatches("photographs", batch_size=8, crop=64).batch(0)  # uint8[8, 64, 64, 3] each
    """

    # Each picture is decoded once, and cut for two batches: as a cover and as a secret. Both may be under way together
    # with further batches. This many are kept: more than a tf.data.Dataset has under way, few enough for memory.
    _PARTS = 6

    def __init__(
        self,
        source: Any,
        *,
        batch_size: int,
        crop: int,
        seed: int = 0,
        flips: bool = True,
        cache: bool | str = "auto",
        skip_bad_images: bool = False,
        shard: tuple[int, int] = (0, 1),
    ):
        self._pool = concurrent.futures.ThreadPoolExecutor(sources.WORKERS, thread_name_prefix="pairs")
        self._pictures = sources.opened(source)
        self._cached = self._fits_in_memory() if cache == "auto" else bool(cache)
        if self._cached or skip_bad_images:
            good = sources.decode_all(self._pictures, skip_bad_images=skip_bad_images)
            self._pictures = [array if self._cached else self._pictures[index] for index, array in good]
        self._mirrored = self._mirror_all() if self._cached and flips else None
        self.plan = PairPlan(len(self._pictures), batch_size, seed, shard)
        self.crop = crop
        self.flips = flips
        self._epoch = functools.lru_cache(maxsize=2)(self.plan.epoch)
        self._memory = _Memory((batch_size, crop, crop, 3))
        self._parts = collections.OrderedDict()
        self._lock = threading.Lock()

    def batch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns covers and secrets, each uint8[B, crop, crop, 3], of batch `number`, counted through all epochs."""
        epoch, step = divmod(int(number), self.plan.steps)
        next_step = (step + 1) % self.plan.steps
        if self._cached:
            cover, secret = self._memory.array(), self._memory.array()
            everything = range(self.plan.batch_size)
            self._cut_all(epoch, step, everything, (cover, None))
            self._cut_all(epoch, next_step, everything, (None, secret))
        else:
            cover, _, parts = self._part(epoch, step)
            _, secret, next_parts = self._part(epoch, next_step)
            for part in parts + next_parts:
                part.result()
        return cover, np.roll(secret, -1, axis=0) if step == next_step else secret

    def _fits_in_memory(self) -> bool:
        """Whether all pictures, judged by up to 64 of them, take at most half of the memory that is free."""
        sample = range(0, len(self._pictures), len(self._pictures) // 64 + 1)
        found = self._pool.map(functools.partial(sources.try_decode, self._pictures), sample)
        sizes = [array.nbytes for array in found if isinstance(array, np.ndarray)]
        return sum(sizes) / max(1, len(sizes)) * len(self._pictures) <= psutil.virtual_memory().available / 2

    def _mirror_all(self) -> list[np.ndarray] | None:
        """The mirror images of the cached pictures if there is room: mirroring takes five times as long as copying."""
        if sum(picture.nbytes for picture in self._pictures) > psutil.virtual_memory().available / 2:
            return None
        mirrored = [np.empty(picture.shape, np.uint8) for picture in self._pictures]
        list(self._pool.map(_mirror, self._pictures, mirrored))
        return mirrored

    def _part(self, epoch: int, step: int) -> tuple[np.ndarray, np.ndarray, list[concurrent.futures.Future]]:
        """One batch's pictures as its covers and as the secrets of the batch before, complete when the futures are."""
        with self._lock:
            part = self._parts.get((epoch, step))
            if part is None:
                cover, secret = self._memory.array(), self._memory.array()
                shares = np.array_split(range(self.plan.batch_size), min(self.plan.batch_size, sources.WORKERS))
                tasks = [self._pool.submit(self._cut_all, epoch, step, share, (cover, secret)) for share in shares]
                part = self._parts[epoch, step] = cover, secret, tasks
                if len(self._parts) > self._PARTS:
                    self._parts.popitem(last=False)
            return part

    def _cut_all(self, epoch: int, step: int, places: Iterable[int], outputs: tuple[np.ndarray | None, ...]):
        """Decodes the pictures at `places` of a batch of covers and cuts them into `outputs`: cover, secret or both."""
        plan = self._epoch(epoch)
        for i in places:
            index = plan.covers[step, i]
            picture = sources.decode(self._pictures[index], index)
            mirrored = self._mirrored[index] if self._mirrored else None
            for use, out in enumerate(outputs):
                if out is not None:
                    self._cut(picture, mirrored, plan.draws[use, step, i], out[i])

    def _cut(self, picture: np.ndarray, mirrored: np.ndarray | None, draw: np.ndarray, out: np.ndarray):
        top, left, flip = draw.tolist()
        height, width = picture.shape[:2]
        side = min(self.crop, height, width)
        top, left = int(top * (height - side + 1)), int(left * (width - side + 1))
        flip = int(flip * 4) if self.flips else 0
        if flip & 2 and mirrored is not None and side == self.crop:  # a window that is enlarged is mirrored afterwards
            picture, left, flip = mirrored, width - side - left, flip & 1
        window = images.resize(picture[top : top + side, left : left + side], (self.crop, self.crop))
        if flip & 1:
            window = window[::-1]
        if flip & 2:
            _mirror(window, out)
        else:
            out[...] = window


def _mirror(picture: np.ndarray, out: np.ndarray):
    for channel in range(3):  # three times as fast as numpy's copy of mirrored 3-byte pixels
        out[..., channel] = picture[:, ::-1, channel]


class _Memory:
    """Gives uninitialised uint8 arrays of one shape, in memory of earlier ones that nobody holds any more.

    New memory costs as much as copying into it, since the system clears it page by page. Every view of an array keeps
    it alive, and so does a tensor that TensorFlow made of it without a copy.
    """

    def __init__(self, shape: tuple[int, ...]):
        self._shape = shape
        self._size = math.prod(shape)
        self._free = collections.deque()

    def array(self) -> np.ndarray:
        """The array starts at a multiple of 64: TensorFlow takes it without a copy."""
        try:
            memory = self._free.pop()
        except IndexError:
            memory = np.empty(self._size + 64, np.uint8)
        start = -memory.ctypes.data % 64
        # Views of `memory` would refer to it directly, not to each other: hence the memoryview between.
        array = np.frombuffer(memory.data[start : start + self._size], np.uint8)
        weakref.finalize(array, self._free.append, memory).atexit = False
        return array.reshape(self._shape)
