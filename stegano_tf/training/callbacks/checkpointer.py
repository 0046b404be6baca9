"""When checkpoints are written, and what is in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from stegano_tf.errors import CheckpointError
from stegano_tf.training import checkpoints
from stegano_tf.training.callbacks.divergence import DivergenceGuard
from stegano_tf.training.callbacks.ending import Budget


class Checkpointer(keras.callbacks.Callback):
    """Writes a checkpoint at the end of each epoch, and within it when the last one is `minutes` old.

    Must be the last callback, so that it sees what the others did. All workers gather; the one that may `write` writes.

    Args:
      folder: for the checkpoints.
      callbacks: the others, whose `STATE` belongs to it.
      minutes: of training.
      constants: further state, such as what a run that goes on must have in common with this one.
    """

    def __init__(
        self,
        folder: Path,
        budget: Budget,
        guard: DivergenceGuard,
        callbacks: list[keras.callbacks.Callback],
        *,
        minutes: float = 10.0,
        write: bool = True,
        constants: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.folder = folder
        self.budget = budget
        self.guard = guard
        self.stateful = [callback for callback in (budget, guard, *callbacks) if hasattr(callback, "STATE")]
        self.interval = 60.0 * minutes
        self.write = write
        self.constants = constants or {}
        self._last = 0.0

    def on_train_begin(self, logs=None):
        self._last = self.budget.seconds

    def on_train_batch_end(self, batch, logs=None):
        age = self.budget.seconds - self._last
        # Best where the guard has just kept the same variables: they need not be written twice. It does that every few
        # hundred steps, unless the loss is high.
        if age >= self.interval and (self.guard.since_kept == 0 or age >= 1.5 * self.interval):
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        self.save(complete=self.model.stop_training)

    def save(self, *, complete: bool = False) -> None:
        """Writes a checkpoint of the present state. `complete`: there is nothing left to train."""
        arrays = {name: np.asarray(keras.ops.convert_to_numpy(v)) for name, v in self._variables().items()}
        if self.guard.since_kept:
            arrays |= {f"kept/{i:04}": value for i, value in enumerate(self.guard.kept)}
        state = {self._name(i): {name: getattr(c, name) for name in c.STATE} for i, c in enumerate(self.stateful)}
        self._last = self.budget.seconds
        if self.write:
            state = {"complete": complete, "callbacks": state, **self.constants}
            checkpoints.save(self.folder, self.budget.step, arrays, state)

    def restore(self, checkpoint: checkpoints.Checkpoint) -> None:
        """Puts the state back that `save` saw.

        Raises:
          CheckpointError: the checkpoint has other variables than the model, or other callbacks.
        """
        variables = self._variables()
        found = {name: array.shape for name, array in checkpoint.arrays.items() if not name.startswith("kept/")}
        expected = {name: tuple(variable.shape) for name, variable in variables.items()}
        if found != expected:
            differing = sorted(found.items() ^ expected.items())[0][0]
            raise CheckpointError(
                f"{checkpoint.path}: {differing} has shape {found.get(differing)}, "
                f"this training has {expected.get(differing)}"
            )
        state = checkpoint.state["callbacks"]
        if set(state) != {self._name(i) for i in range(len(self.stateful))}:
            raise CheckpointError(f"{checkpoint.path}: belongs to a run with {', '.join(state)}")
        for name, variable in variables.items():
            variable.assign(checkpoint.arrays[name])
        for i, callback in enumerate(self.stateful):
            for name in callback.STATE:
                setattr(callback, name, state[self._name(i)][name])
        kept = [array for name, array in sorted(checkpoint.arrays.items()) if name.startswith("kept/")]
        self.guard.kept = kept or [checkpoint.arrays[n] for n in variables if not n.startswith("metrics/")]

    def _variables(self) -> dict[str, keras.Variable]:
        groups = {
            "model": self.model.variables,
            "optimizer": self.model.optimizer.variables,
            "metrics": self.model.metrics_variables,
        }
        # By number: Keras counts layers without a name through a process, so that names need not be the same again.
        return {f"{group}/{i:04}": v for group, variables in groups.items() for i, v in enumerate(variables)}

    def _name(self, i: int) -> str:
        return f"{i}/{type(self.stateful[i]).__name__}"
