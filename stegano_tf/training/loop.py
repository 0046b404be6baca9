"""The training loop: one for every strategy and back end.

`fit` is the loop; it knows neither strategies nor back ends. One step is Keras' own `train_step` or `test_step`, with
the loss of `SteganoModel`; the two `...Steps` classes run it on their back end. `keras.Model.fit` cannot take their
place: under MultiWorkerMirroredStrategy it refuses its batches (keras issue 20585), it cannot start within an epoch,
and on JAX it ignores what a callback assigns before the epoch ends.

Between steps, the variables of model and optimizer are up to date on every back end, so callbacks may read and assign
them. All workers must run the same callbacks in the same order: to read a metric sums those of all workers, and waits
for them.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from stegano_tf.training.callbacks.steering import Budget
from stegano_tf.training.data.stored import StoredPairs
from stegano_tf.training.model import SteganoModel, assign

if TYPE_CHECKING:  # the pictures of `StoredPairs` need nothing of what decodes and cuts those of `PairBatches`
    from stegano_tf.training.data.batches import PairBatches

Batch = tuple[np.ndarray, np.ndarray]  # cover, secret: uint8[B, H, W, 3]


class TensorFlowSteps:
    """Steps under a `tf.distribute` strategy, in whose scope `model` was built; compiled by XLA if `xla`."""

    stride = 1  # steps that one call of `train` takes

    def __init__(self, model: SteganoModel, strategy, *, xla: bool = False):
        import tensorflow as tf  # noqa: PLC0415

        self._tf = tf
        self._strategy = strategy
        self.replicas = strategy.num_replicas_in_sync

        def train(batch, clock):
            return tf.stack([tf.math.log(model.train_step((batch,))["step_loss"]), clock])

        def test(batch, weights):
            model.test_step((batch, None, weights))

        if xla:
            train, test = (tf.function(function, jit_compile=True) for function in (train, test))

        def reduced_train(*arguments):
            shared = strategy.reduce("MEAN", strategy.run(train, args=arguments), axis=None)
            return tf.exp(shared[0]), shared[1]

        self._train = tf.function(reduced_train)
        self._test = tf.function(lambda *part: strategy.run(test, args=part))
        self.predict = tf.function(lambda batch: model(batch, training=False))

    def batches(self, pairs: PairBatches, first: int) -> Iterator:
        """Yields the batches of `pairs` from number `first` on, without end, in the form that `train` takes."""
        from stegano_tf.training.data import tf_data  # noqa: PLC0415

        def dataset(context):
            return tf_data.dataset(pairs, first, parts=self.replicas // context.num_input_pipelines)

        return iter(self._strategy.distribute_datasets_from_function(dataset))

    def train(self, batch, clock: float) -> tuple[float, float]:
        """Trains on a batch; returns the step's loss and the mean of all workers' `clock`, the same on all workers."""
        loss, clock = self._train(batch, self._tf.constant(clock, self._tf.float32))
        return float(loss), float(clock)

    def test(self, batch: Batch) -> None:
        """Updates the metrics by a batch of any length, divided among the replicas."""
        share = -(-len(batch[0]) // self.replicas)

        def part(context):
            part = _part(batch, context.replica_id_in_sync_group * share, share)
            return self._tf.nest.map_structure(self._tf.constant, part)

        self._test(*self._strategy.experimental_distribute_values_from_function(part))

    def gather(self, value: int) -> list[int]:
        """Returns the `value` of each worker."""
        tensor = self._tf.constant([value])
        return [int(found) for found in self._strategy.gather(self._strategy.run(lambda: tensor), axis=0)]


class JaxSteps:
    """Steps on one device with JAX, compiled by XLA. Its methods are those of `TensorFlowSteps`."""

    replicas = stride = 1

    def __init__(self, model: SteganoModel):
        import jax  # noqa: PLC0415

        self._model = model
        model.built = True  # its networks are built, and it has no variables besides
        self._train = jax.jit(self._stepped, donate_argnums=0)
        # Only the metrics change.
        self._test = jax.jit(lambda state, batch: model.test_step(state, batch)[1][-1])
        self.predict = model.predict_on_batch

    def batches(self, pairs: PairBatches, first: int) -> Iterator:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(pairs.batch, first)
            while True:
                first += 1
                batch, ahead = ahead.result(), pool.submit(pairs.batch, first)
                yield batch

    def train(self, batch, clock: float) -> tuple[float, float]:
        groups = self._model.state
        state, loss = self._train(_values(groups), batch)
        for group, values in zip(groups, state, strict=True):
            assign(group, values)
        return float(loss), clock

    def _stepped(self, state, batch):
        logs, state = self._model.train_step(state, (batch,))
        return state, logs["step_loss"]

    def test(self, batch: Batch) -> None:
        trained, others, _, metrics = self._model.state
        pictures, weights = _part(batch, 0, len(batch[0]))
        assign(metrics, self._test(_values((trained, others, metrics)), (pictures, None, weights)))

    def gather(self, value: int) -> list[int]:
        return [value]


class StoredJaxSteps(JaxSteps):
    """As `JaxSteps`, on pictures in the device's memory, and `stride` steps in one compiled call.

    On a GPU, a small network's step takes less time than it takes Python to start it.
    """

    def __init__(self, model: SteganoModel, stride: int):
        import jax  # noqa: PLC0415

        super().__init__(model)
        self.stride = stride
        self._scan = jax.lax.scan

    def batches(self, pairs: StoredPairs, first: int) -> Iterator:
        self._pairs = pairs
        while True:
            yield pairs.pixels, np.stack([pairs.choices(number) for number in range(first, first + self.stride)])
            first += self.stride

    def _stepped(self, state, batch):
        pixels, choices = batch
        state, losses = self._scan(
            lambda state, chosen: super(StoredJaxSteps, self)._stepped(state, self._pairs.cut(pixels, chosen)),
            state,
            choices,
        )
        return state, keras.ops.exp(keras.ops.mean(keras.ops.log(losses)))


def _values(groups: Iterable[list[keras.Variable]]) -> tuple[list, ...]:
    return tuple([variable.value for variable in group] for group in groups)


def _part(batch: Batch, start: int, length: int) -> tuple[Batch, np.ndarray]:
    """`length` pairs from `start` on, filled up with black pairs of weight 0; and the weights, float32[length]."""
    pictures = [picture[start : start + length] for picture in batch]
    found = len(pictures[0])
    padding = (0, length - found), (0, 0), (0, 0), (0, 0)
    return tuple(np.pad(picture, padding) for picture in pictures), np.float32(np.arange(length) < found)


def fit(
    model: SteganoModel,
    steps: TensorFlowSteps | JaxSteps,
    pairs: PairBatches,
    validation: Iterable[Batch],
    *,
    budget: Budget,
    steps_per_epoch: int,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Trains `model` from step `budget.step` on until a callback, such as `budget`, sets `model.stop_training`.

    Callbacks are called as by `keras.Model.fit`, but for `on_test_batch_...`. The logs of a training batch hold
    "step_loss", those of an epoch the metrics of training and, with "val_" before them, of validation.

    Where `steps` takes several at a time, callbacks are called once for each such call, `step_loss` is the geometric
    mean, and `steps_per_epoch` must be a multiple.
    """
    listed = keras.callbacks.CallbackList([budget, *callbacks], model=model, steps=steps_per_epoch)
    model.stop_training = False
    listed.on_train_begin()
    batches = steps.batches(pairs, budget.step)
    while not model.stop_training:
        epoch, first = divmod(budget.step, steps_per_epoch)
        if first == 0:
            model.reset_metrics()
        listed.on_epoch_begin(epoch)
        for step in range(first, steps_per_epoch, steps.stride):
            listed.on_train_batch_begin(step)
            loss, budget.seconds = steps.train(next(batches), budget.clock())
            listed.on_train_batch_end(step + steps.stride - 1, {"step_loss": loss})
            if model.stop_training:
                break
        logs = results(model)
        listed.on_test_begin()
        logs |= {f"val_{name}": value for name, value in evaluate(model, steps, validation).items()}
        listed.on_test_end(logs)
        listed.on_epoch_end(epoch, logs)
    listed.on_train_end()


def evaluate(model: SteganoModel, steps: TensorFlowSteps | JaxSteps, pairs: Iterable[Batch]) -> dict[str, float]:
    """Returns the metrics over all `pairs`, each counted once."""
    model.reset_metrics()
    for batch in pairs:
        steps.test(batch)
    return results(model)


def results(model: SteganoModel) -> dict[str, Any]:
    """Returns the metrics so far, over all replicas, without that of a single step."""
    logs = {name: float(np.asarray(value)) for name, value in model.get_metrics_result().items()}
    del logs["step_loss"]
    return logs
