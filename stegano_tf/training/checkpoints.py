"""Checkpoints of a run: everything that training needs to go on as if it had never stopped.

One checkpoint is one NumPy .npz file, uncompressed: named arrays, each with a CRC-32, and `state`, a JSON object. It
needs no TensorFlow, and one back end reads what another wrote. It is written beside its final name, forced to the disk
and renamed; the newest two are kept, so that a torn one costs one interval.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from absl import logging

from stegano_tf import outputs
from stegano_tf.errors import CheckpointError, OutputError, one_line
from stegano_tf.training.callbacks.steering import Budget, DivergenceGuard

_VERSION = 1


class Checkpoint(NamedTuple):
    """arrays: by name, as they were saved; state: what JSON can hold; path: the file."""

    arrays: dict[str, np.ndarray]
    state: dict[str, Any]
    path: Path


def write(folder: Path, step: int, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> bool:
    """Writes the checkpoint of `step` and removes all but the newest two.

    Returns whether it is written. If the disk is full or the folder has gone, that is logged and training goes on: the
    next one may fit.
    """
    path = folder / f"step-{step:09}.npz"
    header = json.dumps({"version": _VERSION, **state})
    try:
        folder.mkdir(exist_ok=True)
        for partial in folder.glob(".*.partial*"):  # of a run that was killed
            partial.unlink()
        with outputs.replacing(path, force=True, durable=True) as partial, partial.open("wb") as file:
            np.savez(file, state=np.array(header), **arrays)
        for old in _files(folder)[2:]:
            old.unlink()
    except (OSError, OutputError) as error:
        logging.warning("No checkpoint of step %d: %s. Training goes on.", step, error)
        return False
    return True


def latest(folder: Path) -> Checkpoint | None:
    """Returns the newest checkpoint that can be read, or None if there is no file of one.

    Raises:
      CheckpointError: there are files, but none can be read; or one is of another version.
    """
    files = _files(folder)
    reasons = []
    for path in files:
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            state = json.loads(str(arrays.pop("state")))
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            reasons.append(f"{path}: {one_line(error)}")
            logging.warning("A checkpoint is damaged, the one before it is tried: %s", reasons[-1])
            continue
        version = state.pop("version", None)
        if version != _VERSION:
            raise CheckpointError(f"{path}: is a checkpoint of version {version}, expected {_VERSION}")
        return Checkpoint(arrays, state, path)
    if files:
        raise CheckpointError(f"none of the {len(files)} checkpoints can be read: {'; '.join(reasons)}")
    return None


def _files(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("step-*.npz"), reverse=True)


class Checkpointer(keras.callbacks.Callback):
    """Writes a checkpoint at the end of each epoch, and within it when the last one is `minutes` old.

    Must be the last callback, so that it sees what the others did. All workers gather; the one that may `write` writes.

    Args:
      callbacks: the others, whose `STATE` belongs to it.
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
        stateful = [callback for callback in (budget, guard, *callbacks) if hasattr(callback, "STATE")]
        self.stateful = {f"{i}/{type(callback).__name__}": callback for i, callback in enumerate(stateful)}
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
        state = {key: {name: getattr(c, name) for name in c.STATE} for key, c in self.stateful.items()}
        self._last = self.budget.seconds
        if self.write:
            state = {"complete": complete, "callbacks": state, **self.constants}
            write(self.folder, self.budget.step, arrays, state)

    def restore(self, checkpoint: Checkpoint) -> None:
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
        if set(state) != set(self.stateful):
            raise CheckpointError(f"{checkpoint.path}: belongs to a run with {', '.join(state)}")
        for name, variable in variables.items():
            variable.assign(checkpoint.arrays[name])
        for key, callback in self.stateful.items():
            for name in callback.STATE:
                setattr(callback, name, state[key][name])
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
