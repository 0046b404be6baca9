"""How learning rates fall."""

import math

import keras
from absl import logging

from stegano_tf.training.callbacks.ending import Budget


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
        """Halves all learning rates from now on."""
        self.peak /= 2


class PlateauSchedule(keras.callbacks.Callback):
    """Multiplies a rate by `factor` after more than `patience` epochs in which `monitor` has not fallen by 0.01 %.

    That is PyTorch's ReduceLROnPlateau with its defaults, with which the publication was trained. Keras' own counts one
    epoch less and asks for an absolute fall of 1e-4, which losses of 1e-3 hardly ever have.

    Args:
      rate: the first value of `name`, a variable of the optimizer.
    """

    STATE = ("rate", "best", "bad_epochs")
    _THRESHOLD = 1e-4

    def __init__(
        self,
        rate: float,
        *,
        name: str = "learning_rate",
        monitor: str = "val_loss",
        patience: int = 5,
        factor: float = 0.2,
    ):
        super().__init__()
        self.rate = rate
        self.name = name
        self.monitor = monitor
        self.patience = patience
        self.factor = factor
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
            self.rate *= self.factor
            self.bad_epochs = 0
            logging.info("%s has not fallen for %d epochs: %s is %g", self.monitor, self.patience, self.name, self.rate)

    def halve(self):
        """Halves the rate."""
        self.rate /= 2
