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

import numpy as np
from absl import logging

from stegano_tf import outputs
from stegano_tf.errors import CheckpointError, OutputError

_VERSION = 1
_KEPT = 2


class Checkpoint(NamedTuple):
    """arrays: by name, as they were saved; state: what JSON can hold; path: the file."""

    arrays: dict[str, np.ndarray]
    state: dict[str, Any]
    path: Path


def save(folder: Path, step: int, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> bool:
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
        for old in _files(folder)[_KEPT:]:
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
            reasons.append(f"{path}: {' '.join(str(error).split())[:200]}")
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
