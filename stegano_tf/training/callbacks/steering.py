"""What steers training: its length, its learning rates, rescue after divergence, and means of the weights."""

import math
import time

import keras
import numpy as np
from absl import logging

from stegano_tf.training.model import assign


class Budget(keras.callbacks.Callback):
    """Ends training after `steps`, or after `minutes` if given, and knows how far training has come.

    Validation counts towards the time; the pauses of an interrupted run do not. An epoch may end early. With a `stride`
    it is called after so many steps each time.

    Attributes:
      step: steps done.
      seconds: time spent, as of the last step. The loop sets it, from the mean of all workers' `clock()`: what depends
        on the time must be the same on all of them.
    """

    STATE = ("step", "seconds")

    def __init__(self, *, steps: int, minutes: float | None = None, stride: int = 1):
        super().__init__()
        self.steps = steps
        self.stride = stride
        self.limit = 60.0 * minutes if minutes else math.inf
        self.step = 0
        self.seconds = 0.0
        self._start = time.monotonic()

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0 to 1."""
        return min(1.0, max(self.step / self.steps, self.seconds / self.limit))

    def clock(self) -> float:
        """Seconds of training until now."""
        return time.monotonic() - self._start

    def on_train_begin(self, logs=None):
        self._start = time.monotonic() - self.seconds

    def on_train_batch_end(self, batch, logs=None):
        self.step += self.stride
        if self.progress >= 1.0:
            self.model.stop_training = True


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras' own, on the validation loss; it goes on counting where a checkpoint left off."""

    STATE = ("wait", "best", "best_epoch")

    def __init__(self, patience: int):
        super().__init__(monitor="val_loss", mode="min", patience=patience)
        super().on_train_begin()

    def on_train_begin(self, logs=None):
        """Does nothing: Keras' own sets what a checkpoint has restored."""

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self.stopped_epoch:
            logging.info("val_loss has not fallen for %d epochs: training ends", self.patience)


class CosineSchedule(keras.callbacks.Callback):
    """Linear warm-up, then half a cosine from the peak to a hundredth of it as the budget is used up."""

    STATE = ("peak",)

    def __init__(self, budget: Budget, *, peak: float, warmup_steps: int = 300):
        super().__init__()
        self.budget = budget
        self.peak = peak
        self.warmup_steps = warmup_steps

    def on_train_batch_begin(self, batch, logs=None):
        warmup = min(1.0, (self.budget.step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        cosine = 0.5 * (1.0 + math.cos(math.pi * self.budget.progress))
        self.model.optimizer.learning_rate = self.peak * warmup * (0.01 + 0.99 * cosine)

    def halve(self):
        self.peak /= 2


class PlateauSchedule(keras.callbacks.Callback):
    """Multiplies a rate by 0.2 after more than `patience` epochs in which `monitor` has not fallen by 0.01 %.

    `rate` is the first value of `name`, a variable of the optimizer. The publication was trained with PyTorch's
    ReduceLROnPlateau, which counts in this way. Keras' own counts one epoch less and asks for an absolute fall of 1e-4,
    which losses of 1e-3 hardly ever have.
    """

    STATE = ("rate", "best", "bad_epochs")
    _THRESHOLD = 1e-4

    def __init__(self, rate: float, *, name: str = "learning_rate", monitor: str = "val_loss", patience: int = 5):
        super().__init__()
        self.rate = rate
        self.name = name
        self.monitor = monitor
        self.patience = patience
        self.best = math.inf
        self.bad_epochs = 0

    def on_train_batch_begin(self, batch, logs=None):
        # In each step, since the guard against divergence may have restored an older value.
        getattr(self.model.optimizer, self.name).assign(self.rate)

    def on_epoch_end(self, epoch, logs=None):
        loss = logs[self.monitor]
        if loss < self.best * (1.0 - self._THRESHOLD):
            self.best, self.bad_epochs = loss, 0
        else:
            self.bad_epochs += 1
        if self.bad_epochs > self.patience:
            self.rate *= 0.2
            self.bad_epochs = 0
            logging.info("%s has not fallen for %d epochs: %s is %g", self.monitor, self.patience, self.name, self.rate)

    def halve(self):
        self.rate /= 2


class DivergenceGuard(keras.callbacks.Callback):
    """Goes back to the last good weights with half the learning rate when the loss turns NaN or jumps.

    The logarithm of each step's loss is smoothed exponentially: a running geometric mean, which a few hard batches do
    not move much. As long as it is near the lowest so far, the weights and the optimizer's state are kept every
    `keep_every` steps. When it exceeds `jump` times the lowest, or a single loss is not finite, those are restored and
    the rates of the schedules are halved.

    Raises (ends the run, with the last good weights in place):
      FloatingPointError: the loss diverged `max_restores` times.
    """

    STATE = ("restores", "since_kept", "smoothed", "lowest")

    def __init__(
        self,
        schedules: list[CosineSchedule | PlateauSchedule],
        *,
        jump: float = 10.0,
        momentum: float = 0.98,
        keep_every: int = 100,
        max_restores: int = 10,
    ):
        super().__init__()
        self.schedules = schedules
        self.jump = jump
        self.momentum = momentum
        self.keep_every = keep_every
        self.max_restores = max_restores
        self.restores = 0
        self.since_kept = 0
        self.smoothed = self.lowest = None
        self.kept = None

    def on_train_begin(self, logs=None):
        if self.kept is None:
            self._keep()

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["step_loss"])
        if math.isfinite(loss):
            log = math.log(max(loss, 1e-12))
            previous = log if self.smoothed is None else self.smoothed
            self.smoothed = self.momentum * previous + (1.0 - self.momentum) * log
            self.lowest = min(self.smoothed, math.inf if self.lowest is None else self.lowest)
        if not math.isfinite(loss) or self.smoothed > self.lowest + math.log(self.jump):
            self._restore(loss)
            return
        self.since_kept += 1
        if self.since_kept >= self.keep_every and self.smoothed <= self.lowest + math.log(1.5):
            self._keep()

    def _variables(self) -> list[keras.Variable]:
        return self.model.variables + self.model.optimizer.variables

    def _keep(self):
        self.kept = _copies(self._variables())
        self.since_kept = 0

    def _restore(self, loss: float):
        assign(self._variables(), self.kept)
        for metric in self.model.metrics:
            metric.reset_state()  # the epoch's means go on without what led here
        self.restores += 1
        if self.restores > self.max_restores:
            raise FloatingPointError(
                f"the loss diverged {self.restores} times, last to {loss:.3g}: a lower learning rate is needed"
            )
        for schedule in self.schedules:
            schedule.halve()
        self.smoothed = self.lowest
        logging.warning(
            "The loss went to %.3g. Restored the weights of %d steps ago and halved the learning rate (time %d of %d).",
            *(loss, self.since_kept, self.restores, self.max_restores),
        )
        self.since_kept = 0


class RunningMean(keras.callbacks.Callback):
    """Puts the running means of the weights in the model from the start of validation until the end of the epoch.

    So it must stand behind those that look at the weights at an epoch's end, before those that go on from them. Keras'
    `SwapEMAWeights` swaps by adding and subtracting, which leaves weights that were rounded.
    """

    def on_test_begin(self, logs=None):
        variables = self.model.trainable_variables
        self._raw = _copies(variables)
        self.model.optimizer.finalize_variable_values(variables)
        # On JAX each now shares its array with the mean, and whoever donates the one would lose the other.
        assign(variables, _copies(variables))

    def on_epoch_end(self, epoch, logs=None):
        assign(self.model.trainable_variables, self._raw)


def _copies(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
