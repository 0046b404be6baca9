"""Rescue after divergence."""

import math
from collections.abc import Callable

import keras
import numpy as np
from absl import logging


class DivergenceGuard(keras.callbacks.Callback):
    """Goes back to the last good weights with half the learning rate when the loss turns NaN or jumps.

    The logarithm of each step's loss is smoothed exponentially: a running geometric mean, which a few hard batches do
    not move much. As long as it is near the lowest so far, the weights and the optimizer's state are kept every
    `keep_every` steps. When it exceeds `jump` times the lowest, or a single loss is not finite, those are restored and
    `on_halve` is called.

    Raises (ends the run, with the last good weights in place):
      FloatingPointError: the loss diverged `max_restores` times.
    """

    STATE = ("restores", "since_kept", "smoothed", "lowest")

    def __init__(
        self,
        on_halve: Callable[[], None],
        *,
        jump: float = 10.0,
        momentum: float = 0.98,
        keep_every: int = 100,
        max_restores: int = 10,
    ):
        super().__init__()
        self.on_halve = on_halve
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
        self.kept = [np.array(keras.ops.convert_to_numpy(variable)) for variable in self._variables()]
        self.since_kept = 0

    def _restore(self, loss: float):
        for variable, value in zip(self._variables(), self.kept, strict=False):
            variable.assign(value)
        for metric in self.model.metrics:
            metric.reset_state()  # the epoch's means go on without what led here
        self.restores += 1
        if self.restores > self.max_restores:
            raise FloatingPointError(
                f"the loss diverged {self.restores} times, last to {loss:.3g}: a lower learning rate is needed"
            )
        self.on_halve()
        self.smoothed = self.lowest
        logging.warning(
            "The loss went to %.3g. Restored the weights of %d steps ago and halved the learning rate (time %d of %d).",
            loss,
            self.since_kept,
            self.restores,
            self.max_restores,
        )
        self.since_kept = 0
