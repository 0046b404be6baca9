"""Checkpoints of a run: everything that training needs to go on as if it had never stopped.

One checkpoint is one NumPy .npz file, uncompressed: named arrays, each with a CRC-32, and `state`, a JSON object. It
needs no TensorFlow, and one back end reads what another wrote. It is written beside its final name, forced to the disk
and renamed; the newest two that can be read are kept, so that a damaged one costs one interval.
"""

import io
import json
import time
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


class Paused(Exception):  # noqa: N818  (nothing went wrong)
    """Training was to end for now; it goes on from the checkpoint that was written last."""


class Checkpoint(NamedTuple):
    """arrays: by name, as they were saved; state: what JSON can hold; path: the file."""

    arrays: dict[str, np.ndarray]
    state: dict[str, Any]
    path: Path


def write(folder: Path, step: int, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> bool:
    """Writes the checkpoint of `step`, and removes those that are older than the newest two that can be read.

    Returns whether it is written. If the disk is full or the folder has gone, that is logged and training goes on: the
    next one may fit.
    """
    path = folder / f"step-{step:09}.npz"
    header = json.dumps({"version": _VERSION, "arrays": len(arrays), **state})
    try:
        folder.mkdir(exist_ok=True)
        with outputs.replacing(path, force=True, durable=True) as partial, partial.open("wb") as file:
            np.savez(file, state=np.array(header), **arrays)
        if isinstance(found := _read(path), Exception):
            raise OutputError(f"{path}: cannot be read back: {one_line(found)}")
        # A damaged one does not count: it would push out one that training can go on from.
        older = [file for file in _files(folder) if file < path]
        good = next((i for i, file in enumerate(older) if not isinstance(_read(file), Exception)), len(older))
        for file in older[good + 1 :]:
            file.unlink()
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
        found = _read(path)
        if isinstance(found, Exception):
            reasons.append(f"{path}: {one_line(found)}")
            logging.warning("A checkpoint is damaged, the one before it is tried: %s", reasons[-1])
            continue
        version = found.state.pop("version", None)
        if version != _VERSION:
            raise CheckpointError(f"{path}: is a checkpoint of version {version}, expected {_VERSION}")
        return found
    if files:
        raise CheckpointError(f"none of the {len(files)} checkpoints can be read: {'; '.join(reasons)}")
    return None


def _read(path: Path) -> Checkpoint | Exception:
    """Returns what a file holds, or why it cannot be read."""
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                # `np.load` would not read a member whose damaged header states a smaller array to its end, where the
                # CRC-32 is compared.
                content = io.BytesIO(archive.read(member))
                arrays[member.filename.removesuffix(".npy")] = np.lib.format.read_array(content, allow_pickle=False)
        state = json.loads(str(arrays.pop("state")))
        # A damaged list of members may be shorter. Checkpoints of 0.1.0 do not say how many there are.
        if len(arrays) != (expected := state.pop("arrays", len(arrays))):
            return ValueError(f"holds {len(arrays)} arrays, expected {expected}")
        return Checkpoint(arrays, state, path)
    except Exception as error:  # zipfile has no list of what it raises for damaged files: a dozen kinds were seen
        return error


def _files(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("step-*.npz"), reverse=True)


class Checkpointer(keras.callbacks.Callback):
    """Writes a checkpoint at the end of each epoch, and within it when the last one is `minutes` old.

    There is none between the last step of an epoch and the end of its validation, which a run that goes on from there
    would leave out.

    Must be the last callback, so that it sees what the others did. All workers gather; the one that may `write` writes.

    Args:
      callbacks: the others, whose `STATE` belongs to it.
      constants: further state, such as what a run that goes on must have in common with this one.
      pause_after: minutes after which it writes a checkpoint and raises `Paused`. If given, the end of an epoch is no
        reason to write one: where minutes are few and weights large, that would take long.
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
        pause_after: float | None = None,
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
        self._pause = None if pause_after is None else time.monotonic() + 60.0 * pause_after

    def on_train_begin(self, logs=None):
        self._last = self.budget.seconds

    def on_train_batch_end(self, batch, logs=None):
        if self.model.stop_training or batch + 1 == self.params["steps"]:
            return
        self._pause_if_due()
        age = self.budget.seconds - self._last
        # Best where the guard has just kept the same variables: they need not be written twice. It does that every few
        # hundred steps, unless the loss is high.
        if age >= self.interval and (self.guard.since_kept == 0 or age >= 1.5 * self.interval):
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        if self.model.stop_training or self._pause is None or self.budget.seconds - self._last >= self.interval:
            self.save(complete=self.model.stop_training)
        if not self.model.stop_training:
            self._pause_if_due()

    def _pause_if_due(self):
        if self._pause is not None and time.monotonic() >= self._pause:
            self.save()
            raise Paused

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
