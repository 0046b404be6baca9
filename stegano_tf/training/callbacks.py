"""What happens around training steps: learning rate, time budget, rescue after divergence, log, weights, sheet."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from absl import logging

from stegano_tf import figures, images
from stegano_tf.networks import build


class Budget(keras.callbacks.Callback):
    """Ends training after `minutes`, if given, and knows how far it has come.

    Validation counts towards the time, and an epoch may end early.
    """

    def __init__(self, *, steps: int, minutes: float | None = None):
        super().__init__()
        self.steps = steps
        self.seconds = 60.0 * minutes if minutes else math.inf
        self.step = 0
        self.start = time.monotonic()

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0 to 1."""
        return min(1.0, max(self.step / self.steps, (time.monotonic() - self.start) / self.seconds))

    def on_train_begin(self, logs=None):
        self.start = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.progress >= 1.0:
            self.model.stop_training = True


class CosineSchedule(keras.callbacks.Callback):
    """Linear warm-up, then half a cosine from the peak to a hundredth of it as the budget is used up."""

    def __init__(self, budget: Budget, *, peak: float, warmup_steps: int = 300):
        super().__init__()
        self.budget = budget
        self.peak = peak
        self.warmup_steps = warmup_steps

    def on_train_batch_begin(self, batch, logs=None):
        warmup = min(1.0, (self.budget.step + 1) / self.warmup_steps)
        cosine = 0.5 * (1.0 + math.cos(math.pi * self.budget.progress))
        self.model.optimizer.learning_rate = self.peak * warmup * (0.01 + 0.99 * cosine)

    def halve(self):
        """From now on, half of the learning rate that was planned."""
        self.peak /= 2


class PlateauSchedule(keras.callbacks.ReduceLROnPlateau):
    """Keras' own, which `DivergenceGuard` can tell to halve the learning rate."""

    def halve(self):
        """Halves the learning rate at once."""
        self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2


class DivergenceGuard(keras.callbacks.Callback):
    """Goes back to the last good weights with half the learning rate when the loss turns NaN or jumps.

    The logarithm of each step's loss is smoothed exponentially: a running geometric mean, which a few hard batches do
    not move much. As long as it is near the lowest so far, the weights and the optimizer's state are kept every
    `keep_every` steps. When it exceeds `jump` times the lowest, or a single loss is not finite, those are restored and
    `on_halve` is called.

    Raises (ends the run, with the last good weights in place):
      FloatingPointError: the loss diverged `max_restores` times.
    """

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

    def on_train_begin(self, logs=None):
        self._smoothed = self._lowest = None
        self._since_kept = 0
        self._keep()

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["step_loss"])
        if math.isfinite(loss):
            log = math.log(max(loss, 1e-12))
            previous = log if self._smoothed is None else self._smoothed
            self._smoothed = self.momentum * previous + (1.0 - self.momentum) * log
            self._lowest = min(self._smoothed, math.inf if self._lowest is None else self._lowest)
        if not math.isfinite(loss) or self._smoothed > self._lowest + math.log(self.jump):
            self._restore(loss)
            return
        self._since_kept += 1
        if self._since_kept >= self.keep_every and self._smoothed <= self._lowest + math.log(1.5):
            self._keep()

    def _variables(self):
        return self.model.variables + self.model.optimizer.variables

    def _keep(self):
        self._kept = [np.array(variable) for variable in self._variables()]
        self._since_kept = 0

    def _restore(self, loss: float):
        for variable, value in zip(self._variables(), self._kept, strict=False):
            variable.assign(value)
        for metric in self.model.metrics:
            metric.reset_state()  # the epoch's means go on without what led here
        self.restores += 1
        if self.restores > self.max_restores:
            raise FloatingPointError(
                f"the loss diverged {self.restores} times, last to {loss:.3g}: a lower learning rate is needed"
            )
        self.on_halve()
        self._smoothed = self._lowest
        logging.warning(
            "The loss went to %.3g. Restored the weights of %d steps ago and halved the learning rate (time %d of %d).",
            loss,
            self._since_kept,
            self.restores,
            self.max_restores,
        )


class BestWeights(keras.callbacks.Callback):
    """Writes the weights at the end of each epoch in which `monitor`, a loss, is smaller than ever before."""

    def __init__(self, path: Path, *, monitor: str = "val_loss"):
        super().__init__()
        self.path = path
        self.monitor = monitor
        self.best = math.inf

    def on_epoch_end(self, epoch, logs=None):
        if logs[self.monitor] < self.best:
            self.best = logs[self.monitor]
            # Keras asks for the suffix; a killed run must not leave half a file under the final name.
            partial = self.path.with_name(f".{self.path.name}")
            build.save_weights(self.model.networks, partial)
            partial.replace(self.path)


class JsonLines(keras.callbacks.Callback):
    """Appends one JSON object an epoch: its number, steps and seconds so far, learning rate, and every metric."""

    def __init__(self, path: Path, budget: Budget):
        super().__init__()
        self.path = path
        self.budget = budget

    def on_epoch_end(self, epoch, logs=None):
        record = {
            "epoch": epoch + 1,
            "step": self.budget.step,
            "seconds": round(time.monotonic() - self.budget.start, 1),
            "learning_rate": float(self.model.optimizer.learning_rate),
        }
        record |= {name: float(value) for name, value in logs.items()}
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")


class ContactSheet(keras.callbacks.Callback):
    """Draws cover, stego image, secret and revealed secret of fixed pairs, at the end of each epoch.

    Args:
      path: the PNG file to write and replace.
      cover, secret: uint8[B, H, W, 3].
    """

    def __init__(self, path: Path, cover: np.ndarray, secret: np.ndarray):
        super().__init__()
        self.path = path
        self.pairs = cover, secret

    def on_epoch_end(self, epoch, logs=None):
        cover, secret = self.pairs
        stego, revealed = map(to_uint8, self.model.predict_on_batch(self.pairs))
        rows = zip(cover, stego, secret, revealed, strict=True)
        images.write(self.path, figures.contact_sheet(rows), force=True)


def to_uint8(picture) -> np.ndarray:
    """float32[...] in [0, 1] -> uint8[...], clipped and rounded."""
    return np.rint(np.clip(np.asarray(picture, dtype=np.float32), 0.0, 1.0) * 255.0).astype(np.uint8)
