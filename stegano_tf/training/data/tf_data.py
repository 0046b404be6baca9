"""Batches of pairs as a `tf.data.Dataset`. TensorFlow is imported when one is made."""

import atexit
import time
from collections.abc import Callable

from stegano_tf.training.data.batches import PairBatches

_under_way, _last_end = set(), [0.0]  # calls of Python by threads of tf.data


def _counted(function: Callable) -> Callable:
    def call(*args):
        this = object()
        _under_way.add(this)
        try:
            return function(*args)
        finally:
            _last_end[0] = time.monotonic()
            _under_way.discard(this)

    return call


@atexit.register
def _wait_for_silence(silence: float = 0.1, limit: float = 10.0):
    """Lets the interpreter exit only when no thread of tf.data is inside Python: one exit in ten hung without this.

    The exit destroys iterators, whose destructors wait for calls under way; a call that the interpreter has cut off
    never returns. Nobody takes batches at exit, so the threads fill their buffers and stop.
    """
    end = time.monotonic() + limit
    while (_under_way or time.monotonic() - _last_end[0] < silence) and time.monotonic() < end:
        time.sleep(silence / 10)


def dataset(batches: PairBatches, first: int = 0, count: int | None = None, *, parts: int = 1):
    """Returns `count` batches (None: without end) from number `first` on, as a `tf.data.Dataset` of (cover, secret).

    Each batch comes in so many `parts`, one after the other. A picture that does not decode ends the data set with a
    `tf.errors.UnknownError`, whose message holds that of the `ImageError`.
    """
    import tensorflow as tf  # noqa: PLC0415

    shape = (batches.plan.batch_size, batches.crop, batches.crop, 3)
    function = _counted(batches.batch)

    def batch(number):
        cover, secret = tf.numpy_function(function, [number], (tf.uint8, tf.uint8), stateful=False)
        return tf.ensure_shape(cover, shape), tf.ensure_shape(secret, shape)

    numbers = tf.data.Dataset.range(first, tf.int64.max if count is None else first + count)
    # Two calls at a time: while one waits for its last picture, the threads work for the other.
    made = numbers.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)
    if parts > 1:
        made = made.rebatch(shape[0] // parts)
    if count is None:
        # Without this, each step of several workers begins by asking them all whether they have a batch.
        made = made.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    options = tf.data.Options()
    # Each worker's batches hold its own pairs alone; tf.distribute must not deal them out once more.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return made.with_options(options)
