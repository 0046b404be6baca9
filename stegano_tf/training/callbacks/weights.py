"""Which weights are validated, and which are kept."""

import math
from pathlib import Path

import keras
import numpy as np

from stegano_tf.networks import build
from stegano_tf.training.callbacks import surviving


class RunningMean(keras.callbacks.Callback):
    """Puts the running means of the weights in the model from the start of validation until the end of the epoch.

    So it must stand behind those that look at the weights at an epoch's end, before those that go on from them. Keras'
    `SwapEMAWeights` swaps by adding and subtracting, which leaves weights that were rounded.
    """

    def on_test_begin(self, logs=None):
        variables = self.model.trainable_variables
        self._raw = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
        self.model.optimizer.finalize_variable_values(variables)
        for variable in variables:
            # On JAX it now shares its array with the mean, and whoever donates the one would lose the other.
            variable.assign(np.array(keras.ops.convert_to_numpy(variable)))

    def on_epoch_end(self, epoch, logs=None):
        for variable, value in zip(self.model.trainable_variables, self._raw, strict=True):
            variable.assign(value)


class BestWeights(keras.callbacks.Callback):
    """Writes the weights at the end of each epoch in which `monitor`, a loss, is smaller than ever before."""

    STATE = ("best",)

    def __init__(self, path: Path, *, monitor: str = "val_loss"):
        super().__init__()
        self.path = path
        self.monitor = monitor
        self.best = math.inf

    @surviving
    def on_epoch_end(self, epoch, logs=None):
        if logs[self.monitor] < self.best:
            # Keras asks for the suffix; a killed run must not leave half a file under the final name.
            partial = self.path.with_name(f".{self.path.name}")
            try:
                build.save_weights(self.model.networks, partial)
                partial.replace(self.path)
            finally:
                partial.unlink(missing_ok=True)
            self.best = logs[self.monitor]
