"""Pictures to (cover, secret) batches: for `tf.data`, and the same pairs for Keras on any other back end.

Every random decision is made by numpy in `PairPlan`, and every pixel is decoded by Pillow and moved by numpy in
`PairBatches`. `training_pairs` (a `tf.data.Dataset`) and `PairDataset` (a `keras.utils.PyDataset`) only carry its batches
over, so both give equal pixels in equal pairs. TensorFlow is imported by the functions that return a `tf.data.Dataset`,
nowhere else.

One epoch: a random order of the pictures is cut into batches of covers, and the secrets of a batch are the covers of the
next one (the last takes those of the first). So no picture meets itself, each is as often a secret as a cover, and each
is decoded once for both uses. With `n` pictures and `B` a step, the `n % B` that fill no batch sit out, others each epoch.

Limits: the work is done by Python threads of the process that made the pipeline, so it cannot be sent to a tf.data
service. EXIF orientation is ignored in training, where the same pixels are as good upright as lying.
"""

import atexit
import collections
import concurrent.futures
import dataclasses
import functools
import io
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL.Image
import psutil
from absl import logging

from stegano_tf.errors import DataError

PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


def list_pictures(folder: str | os.PathLike) -> list[Path]:
    """Returns the picture files below `folder`, sorted by their POSIX path relative to it.

    Raises:
      DataError: `folder` is not a folder, or holds fewer than two pictures.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: {'is a file' if folder.exists() else 'does not exist'}, expected a folder of pictures")
    files = [file for file in folder.rglob("*") if file.is_file()]
    pictures = [file for file in files if file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".")]
    if len(pictures) < 2:
        raise DataError(
            f"{folder}: {len(pictures)} pictures among {len(files)} files, expected at least 2 "
            f"({', '.join(PICTURE_SUFFIXES)}) in it or in folders below it"
        )
    return sorted(pictures, key=lambda file: file.relative_to(folder).as_posix())


def scoreboard_pairs(count: int) -> list[tuple[int, int]]:
    """Returns the (cover, secret) indexes of the scoreboard protocol for `count` sorted pictures: i and i + count // 2."""
    return [(i, (i + count // 2) % count) for i in range(count)]


@dataclasses.dataclass(frozen=True)
class Epoch:
    """The random decisions of one epoch, for `steps` batches of `B` pairs.

    Attributes:
      order: int64[steps, B], the pictures used, each once: the covers.
      secrets: int64[steps, B], the same pictures, each meeting another cover.
      draws: float32[2, steps, B, 4] in [0, 1): for each picture of `order`, as cover and as secret: scale, top, left, flip.
    """

    order: np.ndarray
    secrets: np.ndarray
    draws: np.ndarray


@dataclasses.dataclass(frozen=True)
class PairPlan:
    """What is paired with what, and cut where: a function of the seed, the epoch and the number of pictures only.

    Attributes:
      pictures: how many pictures there are.
      batch_size: pairs in one batch of one worker.
      seed: any non-negative integer.
      shard: (index, count): this worker's place. All workers see the same order; each batch takes every count-th pair.
    """

    pictures: int
    batch_size: int
    seed: int = 0
    shard: tuple[int, int] = (0, 1)

    def __post_init__(self):
        index, count = self.shard
        if self.batch_size < 1 or not 0 <= index < count:
            raise ValueError(f"batch_size={self.batch_size}, shard={self.shard}: expected >= 1 and 0 <= index < count")
        if self.steps < 1 or self.steps * self.batch_size < 2:
            raise DataError(
                f"{self.pictures} pictures do not fill a batch of {self.batch_size} pairs on each of {count} workers: "
                "at least as many pictures as pairs are needed, and at least 2 for each worker"
            )

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.pictures // (self.batch_size * self.shard[1])

    def epoch(self, epoch: int) -> Epoch:
        """Returns this worker's part of epoch `epoch`, counted from 0."""
        index, count = self.shard
        random = np.random.default_rng([self.seed, epoch])
        used = self.steps * self.batch_size * count
        order = random.permutation(self.pictures)[:used].reshape(self.steps, -1)[:, index::count]
        draws = random.random((2, used, 4), dtype=np.float32).reshape(2, self.steps, -1, 4)[:, :, index::count]
        return Epoch(order, _next(order), draws)


def _next(order: np.ndarray) -> np.ndarray:
    """The same array one batch on, around the end; a single batch is rotated by one place instead."""
    return np.roll(order, -1, axis=0 if len(order) > 1 else 1)


def steps_per_epoch(pictures: int, batch_size: int, workers: int = 1) -> int:
    """Returns the full batches that `pictures` pictures give in one epoch, `batch_size` pairs for each of `workers`."""
    return PairPlan(pictures, batch_size, shard=(0, workers)).steps


class _Pictures:
    """Random access to the pictures of a source: decoded and kept if `cache` says so, else decoded each time."""

    def __init__(self, source: Any, *, cache: bool | str, skip_bad_images: bool, pool: concurrent.futures.Executor):
        self._pictures = _open(source)
        if cache == "auto":
            cache = self._fits_in_memory(pool)
        if cache or skip_bad_images:
            decoded = list(pool.map(lambda i: self._try(i, keep=bool(cache)), range(len(self))))
            bad = [result for result in decoded if isinstance(result, DataError)]
            if bad and not skip_bad_images:
                raise bad[0]
            for error in bad:
                logging.warning("Left out: %s", error)
            if bad:
                logging.warning("%d of %d pictures left out", len(bad), len(self))
            good = zip(self._pictures, decoded, strict=True)
            self._pictures = [array if cache else it for it, array in good if not isinstance(array, DataError)]

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> np.ndarray:
        picture = self._pictures[index]
        return picture if isinstance(picture, np.ndarray) else _decode(picture, index)

    def _try(self, index: int, *, keep: bool) -> np.ndarray | DataError | None:
        try:
            array = self[index]
        except DataError as error:
            return error
        return array if keep else None

    def _fits_in_memory(self, pool: concurrent.futures.Executor) -> bool:
        """Whether all pictures, judged by 64 of them, take at most half of the memory that is free."""
        sample = range(0, len(self), -(-len(self) // 64))
        sizes = [getattr(it, "nbytes", 0) for it in pool.map(lambda i: self._try(i, keep=True), sample)]
        return sum(sizes) / len(sizes) * len(self) <= psutil.virtual_memory().available / 2


def _open(source: Any) -> Sequence[Any]:
    """Anything that pairs are made of, as a sequence of paths, arrays, encoded pictures or TFDS examples."""
    if isinstance(source, str | os.PathLike):
        return list_pictures(source)
    if hasattr(source, "as_numpy_iterator"):  # a tf.data.Dataset, recognised without importing TensorFlow
        budget = psutil.virtual_memory().available / 2
        pictures = []
        for element in source.as_numpy_iterator():
            pictures.append(element)
            picture = _picture_of(element)
            budget -= picture.nbytes if isinstance(picture, np.ndarray) else len(picture)
            if budget < 0:
                raise DataError(
                    f"{source}: more than half of the free memory after {len(pictures)} pictures; expected a folder, "
                    "a list of files or a tfds.data_source, which are read as they are needed"
                )
        return pictures
    return source


def _picture_of(element: Any) -> Any:
    """The picture in a TFDS example or an (image, label) tuple."""
    if isinstance(element, dict):
        return element["image"]
    return element[0] if isinstance(element, tuple) else element


def _decode(element: Any, index: int) -> np.ndarray:
    """uint8[H, W, 3] of a path, an array, encoded bytes, or a TFDS example with one of them."""
    picture = _picture_of(element)
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise DataError(f"picture {index}: {picture.dtype}{list(picture.shape)}, expected uint8[H, W, 3]")
        return picture
    try:
        with PIL.Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        name = picture
        if isinstance(picture, bytes):
            name = f"picture {index}"
            if isinstance(element, dict) and "filename" in element:
                name += f" ({element['filename'].decode()})"
        raise DataError(f"{name}: cannot be decoded as a picture: {error}") from error


def _empty(*shape: int) -> np.ndarray:
    """An uninitialised uint8 array that starts at a multiple of 64 bytes, so that TensorFlow takes it without a copy."""
    size = math.prod(shape)
    buffer = np.empty(size + 63, np.uint8)
    start = -buffer.ctypes.data % 64
    return buffer[start : start + size].reshape(shape)


class _Calls:
    """Keeps the interpreter from being torn down while a `tf.data` thread is inside Python.

    A call under way then would never return, and the iterator's destructor waits for it: one exit in ten hung. Nobody
    consumes at exit, so the pipelines fill their buffers and fall silent.
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


class PairBatches:
    """(cover, secret) batches by number, from any number of threads: the engine below both public forms.

    Args:
      source: a folder; a list of files or of uint8[H, W, 3] arrays; a `tfds.data_source`; or a finite `tf.data.Dataset` of
        pictures, which is read into memory. Its elements, and those of a data source, are uint8[H, W, 3], encoded bytes
        (TFDS: `decoders={"image": tfds.decode.SkipDecoding()}`), a dict with either as "image", or a tuple with it first.
      batch_size: pairs in a batch of this worker.
      crop: side of the square cut out of each picture. A picture with a shorter side is enlarged to it.
      seed: any non-negative integer. The same seed and epoch give the same batches.
      flips: whether pictures are mirrored left to right and top to bottom, each in half of the cases.
      scale_jitter: the window that is cut has side `crop * f`, with `log f` uniform up to `±log(1 + scale_jitter)`, and is
        scaled to `crop`; 0 cuts without scaling.
      cache: whether decoded pictures stay in memory; "auto" if they take at most half of what is free. Then all are
        decoded here, at once.
      skip_bad_images: leave out, log and count pictures that don't decode instead of raising. Decodes each of them here.
      shard: (index, count) of this worker. Each worker makes every count-th pair of each global batch.

    Raises:
      DataError: too few pictures for one batch; or a picture that does not decode, here if `cache`, else by `batch`.
    """

    # Parts of this many batches stay, so that those under way at the same time share them.
    _KEPT = 6

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
        self._workers = os.cpu_count() or 1
        self._pool = concurrent.futures.ThreadPoolExecutor(self._workers, thread_name_prefix="pairs")
        self._pictures = _Pictures(source, cache=cache, skip_bad_images=skip_bad_images, pool=self._pool)
        self.plan = PairPlan(len(self._pictures), batch_size, seed, shard)
        self.crop = crop
        self.flips = flips
        self.scale_jitter = scale_jitter
        self._epoch = functools.lru_cache(maxsize=2)(self.plan.epoch)
        self._parts = collections.OrderedDict()
        self._lock = threading.Lock()

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return self.plan.steps

    def batch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns covers and secrets, each uint8[B, crop, crop, 3], of batch `number`, counted through all epochs."""
        epoch, step = divmod(int(number), self.plan.steps)
        cover, _, ready = self._part(epoch, step)
        _, secret, ready_too = self._part(epoch, (step + 1) % self.plan.steps)
        for future in ready + ready_too:
            future.result()
        return cover, _next(secret[None])[0] if self.plan.steps == 1 else secret

    def dataset(self, *, epochs: int | None = None, start_epoch: int = 0):
        """Returns the batches of `epochs` epochs (None: without end) from `start_epoch` on as a `tf.data.Dataset`."""
        import tensorflow as tf  # noqa: PLC0415

        shape = (self.plan.batch_size, self.crop, self.crop, 3)
        first = start_epoch * self.plan.steps
        last = tf.int64.max if epochs is None else first + epochs * self.plan.steps

        def batch(number):
            cover, secret = tf.numpy_function(_calls.counted(self.batch), [number], (tf.uint8, tf.uint8), stateful=False)
            return tf.ensure_shape(cover, shape), tf.ensure_shape(secret, shape)

        # Two at a time: while one batch waits for its last picture, the other threads work on the next.
        dataset = tf.data.Dataset.range(first, last).map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)
        if epochs is None:
            dataset = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        options = tf.data.Options()
        # `shard` has done it already; tf.distribute must not take every count-th batch of that once more.
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return dataset.with_options(options)

    def _part(self, epoch: int, step: int) -> tuple[np.ndarray, np.ndarray, list[concurrent.futures.Future]]:
        """The pictures of one batch of `Epoch.order`, cut as covers and as secrets, once the futures are done."""
        with self._lock:
            part = self._parts.get((epoch, step))
            if part is None:
                plan, size = self._epoch(epoch), self.plan.batch_size
                covers, secrets = (_empty(size, self.crop, self.crop, 3) for _ in range(2))

                def cut(places: np.ndarray):
                    for i in places:
                        picture = self._pictures[plan.order[step, i]]
                        self._cut(picture, plan.draws[0, step, i], covers[i])
                        self._cut(picture, plan.draws[1, step, i], secrets[i])

                shares = np.array_split(np.arange(size), min(size, self._workers))
                part = covers, secrets, [self._pool.submit(cut, places) for places in shares]
                self._parts[epoch, step] = part
                if len(self._parts) > self._KEPT:
                    self._parts.popitem(last=False)
            return part

    def _cut(self, picture: np.ndarray, draw: np.ndarray, out: np.ndarray):
        scale, top, left, flip = draw.tolist()
        height, width = picture.shape[:2]
        side = min(round(self.crop * (1 + self.scale_jitter) ** (2 * scale - 1)), height, width)
        top, left = int(top * (height - side + 1)), int(left * (width - side + 1))
        window = picture[top : top + side, left : left + side]
        if side != self.crop:
            window = np.asarray(PIL.Image.fromarray(window).resize((self.crop, self.crop), PIL.Image.Resampling.BICUBIC))
        flip = int(flip * 4) if self.flips else 0
        if flip & 1:
            window = window[::-1]
        if flip & 2:
            for channel in range(3):  # three times as fast as numpy's copy of mirrored 3-byte pixels
                out[..., channel] = window[:, ::-1, channel]
        else:
            out[...] = window


class PairDataset(keras.utils.PyDataset):
    """The pairs of `training_pairs` without TensorFlow, for `keras.Model.fit` on any back end.

    Takes the arguments of `PairBatches`, `start_epoch`, and those of `keras.utils.PyDataset` as a dict. Give `fit` the
    argument `shuffle=False`: the pairs are in random order already, and each picture is decoded just once that way.
    """

    def __init__(self, source: Any, *, start_epoch: int = 0, py_dataset: dict[str, Any] | None = None, **options):
        super().__init__(**py_dataset or {})
        self.batches = PairBatches(source, **options)
        self.epoch = start_epoch

    def __len__(self) -> int:
        return self.batches.steps_per_epoch

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.batches.batch(self.epoch * len(self) + index)

    def on_epoch_end(self):
        self.epoch += 1


def training_pairs(source: Any, *, epochs: int | None = None, start_epoch: int = 0, **options):
    """Returns a `tf.data.Dataset` of (cover, secret) batches, each uint8[batch_size, crop, crop, 3].

    Args:
      source: as `PairBatches`.
      epochs: how many epochs to give, from `start_epoch` on; None for no end.
      start_epoch: the first epoch, so that a resumed run goes on with the pairs that it would have got.
      **options: batch_size, crop and the rest of `PairBatches`.

    Raises:
      DataError: as `PairBatches`. A picture that turns out bad while the data set runs ends it with a
        `tf.errors.UnknownError` instead, whose message holds that of the `DataError`.
    """
    return PairBatches(source, **options).dataset(epochs=epochs, start_epoch=start_epoch)


def validation_pairs(source: Any, *, batch_size: int, size: int = 256, limit: int | None = None):
    """Returns a `tf.data.Dataset` of the scoreboard's (cover, secret) batches, each uint8[B, size, size, 3].

    Pictures stay in their order (`list_pictures`), are cut to `size` in the middle, and pair up as `scoreboard_pairs`. The
    last batch may be smaller.

    Args:
      source: as `PairBatches`.
      limit: use the first `limit` pictures only.

    Raises:
      DataError: fewer than two pictures, one that does not decode, or one that is smaller than `size`.
    """
    pictures = list(_open(source))[:limit]
    if len(pictures) < 2:
        raise DataError(f"{len(pictures)} pictures, expected at least 2 to make pairs")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        middles = np.stack(list(pool.map(lambda i: _middle(pictures[i], i, size), range(len(pictures)))))

    import tensorflow as tf  # noqa: PLC0415

    cover, secret = np.array(scoreboard_pairs(len(pictures))).T
    middles = tf.constant(middles)
    indexes = tf.data.Dataset.from_tensor_slices((cover, secret)).batch(batch_size)
    return indexes.map(lambda i, j: (tf.gather(middles, i), tf.gather(middles, j))).prefetch(1)


def _middle(element: Any, index: int, size: int) -> np.ndarray:
    picture = _decode(element, index)
    height, width = picture.shape[:2]
    if min(height, width) < size:
        name = element if isinstance(element, str | os.PathLike) else f"picture {index}"
        raise DataError(f"{name}: {height}x{width} pixels, expected at least {size}x{size}")
    top, left = (height - size) // 2, (width - size) // 2
    return picture[top : top + size, left : left + size]
