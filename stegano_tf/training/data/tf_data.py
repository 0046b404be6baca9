"""Batches of pairs as a `tf.data.Dataset`. TensorFlow is imported when one is made."""

import atexit
import threading
import time
from collections.abc import Callable

from stegano_tf.training.data.batches import PairBatches


class _Calls:
    """Lets the interpreter exit only when no `tf.data` thread is inside Python.

    The exit destroys iterators, whose destructors wait for calls under way. A call that the interpreter has already cut
    off never returns: one exit in ten hung. Nobody takes batches any more at exit, so the threads fill their buffers
    and stop; this waits until they have.
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


def dataset(batches: PairBatches, first: int = 0, count: int | None = None):
    """Returns `count` batches (None: without end) from number `first` on, as a `tf.data.Dataset` of (cover, secret).

    A picture that does not decode ends it with a `tf.errors.UnknownError`, whose message holds that of the
    `ImageError`.

    Example:
      for cover, secret in dataset(PairBatches("photographs", batch_size=8, crop=64), count=100):
    """
    import tensorflow as tf  # noqa: PLC0415

    shape = (batches.plan.batch_size, batches.crop, batches.crop, 3)
    function = _calls.counted(batches.batch)

    def batch(number):
        cover, secret = tf.numpy_function(function, [number], (tf.uint8, tf.uint8), stateful=False)
        return tf.ensure_shape(cover, shape), tf.ensure_shape(secret, shape)

    numbers = tf.data.Dataset.range(first, tf.int64.max if count is None else first + count)
    # Two calls at a time: while one waits for its last picture, the threads work for the other.
    made = numbers.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)
    if count is None:
        made = made.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    options = tf.data.Options()
    # Each worker's batches hold its own pairs alone; tf.distribute must not deal them out once more.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return made.with_options(options)
