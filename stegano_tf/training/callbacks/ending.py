"""What ends training: so many steps, so much time, or a validation loss that no longer falls."""

import math
import time

import keras
from absl import logging


class Budget(keras.callbacks.Callback):
    """Ends training after `steps`, or after `minutes` if given, and knows how far training has come.

    Validation counts towards the time; the pauses of an interrupted run do not. An epoch may end early.

    Attributes:
      step: steps done.
      seconds: time spent, as of the last step. The loop sets it, from the mean of all workers' `clock()`: what depends
        on the time must be the same on all of them.
    """

    STATE = ("step", "seconds")

    def __init__(self, *, steps: int, minutes: float | None = None):
        super().__init__()
        self.steps = steps
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
        self.step += 1
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
