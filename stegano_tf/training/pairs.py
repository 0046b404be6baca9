"""Pictures to (cover, secret) batches: for `tf.data`, and the same pairs for Keras on any other back end.

Every random decision is made by numpy in `PairPlan`, and every pixel is decoded by `images` and moved by numpy in
`PairBatches`. `training_pairs` (a `tf.data.Dataset`) and `PairDataset` (a `keras.utils.PyDataset`) only pass its
batches on, so both give equal pixels in equal pairs. TensorFlow is imported by what returns a `tf.data.Dataset`,
nowhere else.

One epoch: a random order of the pictures is cut into batches of covers, and the secrets of a batch are the covers of
the next one (the last takes those of the first). So no picture meets itself, each is as often a secret as a cover, and
each is decoded once for both uses. Of `n` pictures, the `n % B` that fill no batch of `B` sit out, others each epoch.

Limits: the work is done by Python threads of the process that made the pipeline, so it cannot be sent to another one (a
tf.data service, the workers of a parameter server); each worker makes its own, with `shard`.
"""

import atexit
import collections
import concurrent.futures
import dataclasses
import functools
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
from absl import logging

from stegano_tf import images, pairing
from stegano_tf.errors import DataError, ImageError

PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


def list_pictures(folder: str | os.PathLike) -> list[Path]:
    """Returns the picture files below `folder`, sorted by their POSIX path relative to it; hidden files are not among.

    Raises:
      DataError: `folder` is not a folder, or holds fewer than two pictures.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder}: {found}, expected a folder of pictures")
    files = [file for file in folder.rglob("*") if file.is_file()]
    pictures = [file for file in files if file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".")]
    if len(pictures) < 2:
        raise DataError(
            f"{folder}: {len(pictures)} pictures among {len(files)} files, expected at least 2 "
            f"({', '.join(PICTURE_SUFFIXES)}) in it or in folders below it"
        )
    return sorted(pictures, key=lambda file: file.relative_to(folder).as_posix())


@dataclasses.dataclass(frozen=True)
class Epoch:
    """The random decisions of one epoch, for `steps` batches of `B` pairs.

    Attributes:
      covers: int64[steps, B], indexes of the pictures used, each once.
      secrets: int64[steps, B], the same pictures, each with another cover: `following(covers)`.
      draws: float32[2, steps, B, 4] in [0, 1): scale, top, left and flip of each picture of `covers` in its use as
        cover (0) and as secret (1).
    """

    covers: np.ndarray
    secrets: np.ndarray
    draws: np.ndarray


def following(batches: np.ndarray) -> np.ndarray:
    """Returns `[steps, B, ...]` one batch on, around the end; a single batch is rotated by one place instead."""
    return np.roll(batches, -1, axis=0 if len(batches) > 1 else 1)


@dataclasses.dataclass(frozen=True)
class PairPlan:
    """What is paired with what, and cut where: a function of the fields below and the epoch, of nothing else.

    Attributes:
      pictures: how many pictures there are.
      batch_size: pairs in one batch of one worker.
      seed: any non-negative integer.
      shard: (index, count) of this worker: each global batch is dealt out to `count` workers in turns.

    Raises:
      ValueError: batch_size or shard make no sense.
      DataError: the pictures do not fill a batch on each worker, or there is just one for each.
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
        draws = random.random((2, used, 4), dtype=np.float32).reshape(2, self.steps, -1, 4)[:, :, index::count]
        return Epoch(covers, following(covers), draws)


def steps_per_epoch(pictures: int, batch_size: int, workers: int = 1) -> int:
    """Returns the batches that `pictures` pictures give in one epoch, `batch_size` pairs for each of `workers`."""
    return PairPlan(pictures, batch_size, shard=(0, workers)).steps


class _Calls:
    """Keeps the interpreter from being torn down while a `tf.data` thread is inside Python.

    A call under way then would never return, and the iterator's destructor waits for it: one exit in ten hung. Nobody
    consumes any more at exit, so pipelines fill their buffers and fall silent.
    """

    def __init__(self):
        self._active = 0
        self._last = 0.0
        self._lock = threading.Lock()
        atexit.register(self._wait_for_silence)

    def counted(self, function: Callable) -> Callable:
        def call(*args):
            self._count(1)
            try:
                return function(*args)
            finally:
                self._count(-1)

        return call

    def _count(self, change: int):
        with self._lock:
            self._active += change
            self._last = time.monotonic()

    def _wait_for_silence(self, silence: float = 0.1, limit: float = 10.0):
        end = time.monotonic() + limit
        while (self._active or time.monotonic() - self._last < silence) and time.monotonic() < end:
            time.sleep(silence / 10)


_calls = _Calls()


class _Memory:
    """Gives arrays for batches, in memory that batches have had that nobody holds any more.

    New memory costs as much as the copying into it, since the system clears it page by page. Every view of an array
    keeps it alive, a tensor that TensorFlow made of it without a copy does too: it comes back when the last one goes.

    Args:
      shape: of the arrays, which are uninitialised uint8.
    """

    def __init__(self, shape: tuple[int, ...]):
        self._shape = shape
        self._size = math.prod(shape)
        self._free = collections.deque()

    def array(self) -> np.ndarray:
        try:
            memory = self._free.pop()
        except IndexError:
            memory = np.empty(self._size + 64, np.uint8)
        start = -memory.ctypes.data % 64  # TensorFlow takes an array that starts at a multiple of 64 without a copy
        # Views of `memory` would refer to it directly, not to each other: hence the memoryview between.
        array = np.frombuffer(memory.data[start : start + self._size], np.uint8)
        weakref.finalize(array, self._free.append, memory).atexit = False
        return array.reshape(self._shape)


class PairBatches:
    """(cover, secret) batches by number, from any number of threads: what is below both public forms.

    Args:
      source: a folder; a list of files or of uint8[H, W, 3] arrays; a `tfds.data_source`; or a finite `tf.data.Dataset`
        of pictures, which is read into memory. Elements of the last two are uint8[H, W, 3], encoded bytes (from TFDS
        with `decoders={"image": tfds.decode.SkipDecoding()}`), a dict with either as "image", or a tuple that starts
        with either.
      batch_size: pairs in a batch of this worker.
      crop: side of the square cut out of each picture. A picture with a shorter side is enlarged to it.
      seed: any non-negative integer. The same seed and epoch give the same batches.
      flips: whether pictures are turned upside down and mirrored, each in half of the cases.
      scale_jitter: the window that is cut out has side `crop * f`, with `log f` uniform within
        `±log(1 + scale_jitter)`, and is scaled to `crop`; 0 cuts without scaling.
      cache: whether decoded pictures stay in memory; "auto" if they take at most half of what is free. All are decoded
        here then. Their mirror images stay too, if they take at most half of what is free after that.
      skip_bad_images: leave out, log and count pictures that do not decode; all are decoded here then, too.
      shard: (index, count) of this worker, see `PairPlan`.

    Raises:
      DataError: no picture source, or too few pictures for one batch.
      ImageError: a picture does not decode; raised here if `cache`, by `batch` otherwise.
    """

    # Pictures are decoded and cut a batch at a time, in two uses by two batches, which may be under way together with
    # further ones. More are kept than `dataset` has under way, fewer than would take much memory.
    _PARTS = 6

    def __init__(
        self,
        source: Any,
        *,
        batch_size: int,
        crop: int,
        seed: int = 0,
        flips: bool = True,
        scale_jitter: float = 0.0,
        cache: bool | str = "auto",
        skip_bad_images: bool = False,
        shard: tuple[int, int] = (0, 1),
    ):
        self._workers = (os.cpu_count() or 1) + 4  # some always wait: for files, for each other, for the interpreter
        self._pool = concurrent.futures.ThreadPoolExecutor(self._workers, thread_name_prefix="pairs")
        self._pictures = _open(source)
        self._cached = self._fits_in_memory() if cache == "auto" else bool(cache)
        if self._cached or skip_bad_images:
            self._decode_all(skip_bad_images)
        self._mirrored = self._mirror_all() if self._cached and flips and not scale_jitter else None
        self.plan = PairPlan(len(self._pictures), batch_size, seed, shard)
        self.crop = crop
        self.flips = flips
        self.scale_jitter = scale_jitter
        self._epoch = functools.lru_cache(maxsize=2)(self.plan.epoch)
        self._memory = _Memory((batch_size, crop, crop, 3))
        self._parts = collections.OrderedDict()
        self._lock = threading.Lock()

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return self.plan.steps

    def batch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns covers and secrets, each uint8[B, crop, crop, 3], of batch `number`, counted through all epochs."""
        epoch, step = divmod(int(number), self.plan.steps)
        next_step = (step + 1) % self.plan.steps
        if self._cached:
            cover, secret = self._memory.array(), self._memory.array()
            everything = range(self.plan.batch_size)
            self._cut_all(epoch, step, everything, cover=cover)
            self._cut_all(epoch, next_step, everything, secret=secret)
        else:
            cover, _, parts = self._part(epoch, step)
            _, secret, next_parts = self._part(epoch, next_step)
            for part in parts + next_parts:
                part.result()
        return cover, following(secret[None])[0] if step == next_step else secret

    def dataset(self, *, epochs: int | None = None, start_epoch: int = 0):
        """Returns the batches of `epochs` epochs (None: without end) from `start_epoch` on as a `tf.data.Dataset`."""
        import tensorflow as tf  # noqa: PLC0415

        shape = (self.plan.batch_size, self.crop, self.crop, 3)
        first = start_epoch * self.plan.steps
        last = tf.int64.max if epochs is None else first + epochs * self.plan.steps
        function = _calls.counted(self.batch)

        def batch(number):
            cover, secret = tf.numpy_function(function, [number], (tf.uint8, tf.uint8), stateful=False)
            return tf.ensure_shape(cover, shape), tf.ensure_shape(secret, shape)

        # Two calls at a time: while one waits for its last picture, the threads work for the other.
        dataset = tf.data.Dataset.range(first, last).map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)
        if epochs is None:
            dataset = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        options = tf.data.Options()
        # `shard` has dealt out the pairs already; tf.distribute must not take every count-th batch of that once more.
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return dataset.with_options(options)

    def _fits_in_memory(self) -> bool:
        """Whether all pictures, judged by up to 64 of them, take at most half of the memory that is free."""
        sample = range(0, len(self._pictures), len(self._pictures) // 64 + 1)
        found = self._pool.map(functools.partial(_try_decode, self._pictures), sample)
        sizes = [array.nbytes for array in found if isinstance(array, np.ndarray)]
        return sum(sizes) / max(1, len(sizes)) * len(self._pictures) <= psutil.virtual_memory().available / 2

    def _decode_all(self, skip_bad_images: bool):
        """Replaces the pictures by their arrays if they are to be cached, and leaves out bad ones if they may be."""
        good = _decode_good(self._pictures, len(self._pictures), self._pool, skip_bad_images)
        self._pictures = [array if self._cached else self._pictures[index] for index, array in good]

    def _mirror_all(self) -> list[np.ndarray] | None:
        """The mirror images of the cached pictures if there is room: to mirror costs five times what copying does."""
        if sum(picture.nbytes for picture in self._pictures) > psutil.virtual_memory().available / 2:
            return None
        mirrored = [np.empty(picture.shape, np.uint8) for picture in self._pictures]
        list(self._pool.map(_mirror, self._pictures, mirrored))
        return mirrored

    def _part(self, epoch: int, step: int) -> tuple[np.ndarray, np.ndarray, list[concurrent.futures.Future]]:
        """The pictures of one batch, cut as its covers and as the secrets of the batch before, once all are done."""
        with self._lock:
            part = self._parts.get((epoch, step))
            if part is None:
                cover, secret = self._memory.array(), self._memory.array()
                shares = np.array_split(range(self.plan.batch_size), min(self.plan.batch_size, self._workers))
                tasks = [self._pool.submit(self._cut_all, epoch, step, share, cover, secret) for share in shares]
                part = self._parts[epoch, step] = cover, secret, tasks
                if len(self._parts) > self._PARTS:
                    self._parts.popitem(last=False)
            return part

    def _cut_all(
        self,
        epoch: int,
        step: int,
        places: Iterable[int],
        cover: np.ndarray | None = None,
        secret: np.ndarray | None = None,
    ):
        """Decodes the pictures at `places` of a batch of covers and cuts them into `cover`, `secret` or both."""
        plan = self._epoch(epoch)
        for i in places:
            index = plan.covers[step, i]
            picture = _decode(self._pictures[index], index)
            mirrored = self._mirrored[index] if self._mirrored else None
            for use, out in enumerate((cover, secret)):
                if out is not None:
                    self._cut(picture, mirrored, plan.draws[use, step, i], out[i])

    def _cut(self, picture: np.ndarray, mirrored: np.ndarray | None, draw: np.ndarray, out: np.ndarray):
        scale, top, left, flip = draw.tolist()
        height, width = picture.shape[:2]
        side = min(round(self.crop * (1 + self.scale_jitter) ** (2 * scale - 1)), height, width)
        top, left = int(top * (height - side + 1)), int(left * (width - side + 1))
        flip = int(flip * 4) if self.flips else 0
        if flip & 2 and mirrored is not None and side == self.crop:  # a scaled one is mirrored after scaling
            picture, left, flip = mirrored, width - side - left, flip & 1
        window = images.resize(picture[top : top + side, left : left + side], (self.crop, self.crop))
        if flip & 1:
            window = window[::-1]
        if flip & 2:
            _mirror(window, out)
        else:
            out[...] = window


class PairDataset(keras.utils.PyDataset):
    """The pairs of `training_pairs` without TensorFlow, for `keras.Model.fit` on any back end.

        twin = PairDataset(folder, batch_size=8, crop=64)
        model.fit(twin, steps_per_epoch=twin.batches.steps_per_epoch, epochs=100, shuffle=False)

    It has no end, and `twin[i]` is batch `i` counted through all epochs: Keras calls `on_epoch_end` more than once an
    epoch and prefetches across it, so that a count of epochs kept here would go wrong.

    Takes the arguments of `PairBatches`, and `start_epoch`.
    """

    def __init__(self, source: Any, *, start_epoch: int = 0, **options):
        super().__init__()
        self.batches = PairBatches(source, **options)
        self._first = start_epoch * self.batches.steps_per_epoch

    @property
    def num_batches(self) -> None:
        """None: there is no end."""

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.batches.batch(self._first + index)


def training_pairs(source: Any, *, epochs: int | None = None, start_epoch: int = 0, **options):
    """Returns a `tf.data.Dataset` of (cover, secret) batches, each uint8[batch_size, crop, crop, 3].

    Args:
      source: as `PairBatches`.
      epochs: how many epochs to give, from `start_epoch` on; None for no end.
      start_epoch: the first epoch, so that a resumed run goes on with the pairs that it would have got.
      **options: batch_size, crop and the rest of `PairBatches`.

    Raises:
      DataError, ImageError: as `PairBatches`. A picture that turns out bad while the data set runs ends it with a
        `tf.errors.UnknownError` instead, whose message holds that of the `ImageError`.
    """
    return PairBatches(source, **options).dataset(epochs=epochs, start_epoch=start_epoch)


def validation_pairs(
    source: Any, *, batch_size: int, size: int = 256, limit: int | None = None, skip_bad_images: bool = False
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the scoreboard's (cover, secret) batches, each uint8[B, size, size, 3].

    Pictures stay in their order, are cut to `size` in the middle, and pair up as `pairing.pairs`. The last batch may be
    smaller. All are decoded here and stay in memory.

    Args:
      source: as `PairBatches`.
      limit: use the first `limit` pictures only.
      skip_bad_images: leave out, log and count those of them that do not decode.

    Raises:
      DataError: fewer than two pictures, or one that is smaller than `size`.
      ImageError: a picture does not decode.
    """
    pictures = _open(source)
    count = len(pictures) if limit is None else min(limit, len(pictures))
    middles = []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for index, picture in _decode_good(pictures, count, pool, skip_bad_images):
            try:
                middles.append(images.centre_crop(picture, (size, size)))
            except ImageError as error:
                raise DataError(f"{_name(pictures[index], index)}: {error}") from error
    if len(middles) < 2:
        raise DataError(f"{len(middles)} pictures, expected at least 2 to make pairs")
    covers = np.stack(middles)
    secrets = covers[[secret for _, secret in pairing.pairs(len(covers))]]
    return [(covers[i : i + batch_size], secrets[i : i + batch_size]) for i in range(0, len(covers), batch_size)]


def some_pictures(source: Any, count: int, *, skip_bad_images: bool = False) -> Iterator[np.ndarray]:
    """Yields at most `count` pictures of a source, taken evenly: uint8[H, W, 3]; arguments as `PairBatches`."""
    pictures = _open(source)
    chosen = [pictures[i * len(pictures) // count] for i in range(count)] if count < len(pictures) else pictures
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for _, picture in _decode_good(chosen, len(chosen), pool, skip_bad_images):
            yield picture


def _open(source: Any) -> Sequence[Any]:
    """The pictures of a source in a form that gives them by index: what `_decode` takes."""
    if isinstance(source, str | os.PathLike):
        return list_pictures(source)
    if not hasattr(source, "as_numpy_iterator"):  # a tf.data.Dataset, recognised without importing TensorFlow
        return source
    pictures = []
    budget = psutil.virtual_memory().available / 2
    for element in source.as_numpy_iterator():
        pictures.append(element)
        picture = _picture(element)
        budget -= picture.nbytes if isinstance(picture, np.ndarray) else len(picture)
        if budget < 0:
            raise DataError(
                f"{source}: takes more than half of the free memory after {len(pictures)} pictures; expected a folder, "
                "a list of files or a tfds.data_source, which are read as they are needed"
            )
    return pictures


def _picture(element: Any) -> Any:
    """The picture in a TFDS example or an (image, label) tuple."""
    if isinstance(element, dict):
        return element["image"]
    return element[0] if isinstance(element, tuple) else element


def _name(element: Any, index: int) -> str:
    if isinstance(element, str | os.PathLike):
        return os.fspath(element)
    if isinstance(element, dict) and "filename" in element:
        return f"picture {index} ({element['filename'].decode()})"
    return f"picture {index}"


def _decode(element: Any, index: int) -> np.ndarray:
    """uint8[H, W, 3] of a path, an array, encoded bytes, or a TFDS example with one of them."""
    picture = _picture(element)
    if isinstance(picture, str | os.PathLike):
        return images.read(picture)
    if isinstance(picture, np.ndarray):
        images.check_rgb(picture)
        return picture
    return images.decode(picture, _name(element, index))


def _try_decode(pictures: Sequence[Any], index: int) -> np.ndarray | ImageError:
    try:
        return _decode(pictures[index], index)
    except ImageError as error:
        return error


def _decode_good(
    pictures: Sequence[Any], count: int, pool: concurrent.futures.Executor, skip_bad_images: bool
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields index and pixels of the first `count` pictures; a bad one raises, or is left out, logged and counted."""
    bad = 0
    for index, found in enumerate(pool.map(functools.partial(_try_decode, pictures), range(count))):
        if isinstance(found, np.ndarray):
            yield index, found
        elif skip_bad_images:
            logging.warning("Left out: %s", found)
            bad += 1
        else:
            raise found
    if bad:
        logging.warning("Left out %d of %d pictures", bad, count)


def _mirror(picture: np.ndarray, out: np.ndarray):
    for channel in range(3):  # three times as fast as numpy's copy of mirrored 3-byte pixels
        out[..., channel] = picture[:, ::-1, channel]
