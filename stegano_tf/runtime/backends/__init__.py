"""What runs the networks: each backend takes and gives batches of 8-bit pictures, whatever engine is behind it."""

import importlib.util
import os
from typing import Protocol

import numpy as np

from stegano_tf import presets, savedmodels
from stegano_tf.errors import BackendError
from stegano_tf.runtime import exported
from stegano_tf.runtime.backends.keras import KerasBackend
from stegano_tf.runtime.backends.litert import LitertBackend
from stegano_tf.runtime.backends.saved_model import SavedModelBackend


class Backend(Protocol):
    """The two networks of a preset on one engine.

    Pictures are uint8[B, h, w, 3] with sides that are multiples of the reveal network's (`multiples[1]` of the
    preset's networks), and so are results; secret and cover are of the same shape.

    Attributes:
      network: 8 bytes that name the weights, as a frame records them.
      overhead: how many bytes the engine takes for each byte of activations: measured.
    """

    network: bytes
    overhead: float

    def hide(self, cover: np.ndarray, secret: np.ndarray) -> np.ndarray:
        """Returns the stego images."""

    def reveal(self, stego: np.ndarray) -> np.ndarray:
        """Returns the secrets."""

    def release(self) -> bool:
        """Frees the buffers of the runs so far; returns False if the engine keeps them for its next run."""


def make(preset: presets.Preset, weights: str | os.PathLike | None = None, name: str | None = None) -> Backend:
    """Returns the backend that is called `name`, one of `presets.RUNTIMES`.

    By default that is litert where the preset's exported networks and the package are installed, and keras elsewhere
    and for a weights file.

    Raises:
      BackendError: there is no backend of that name, or its package is missing, or it cannot run what was asked for.
      PresetError: there are no such weights or they do not fit; or the exported networks are incomplete or altered.
    """
    if name is None:
        light = weights is None and savedmodels.versions(preset.name) and importlib.util.find_spec("ai_edge_litert")
        name = "litert" if light else "keras"
    if name not in presets.RUNTIMES:
        raise BackendError(f"there is no runtime {name!r}, expected one of {', '.join(presets.RUNTIMES)}")
    if name == "keras":
        return KerasBackend(preset, weights)
    if weights is not None:
        raise BackendError(f"{weights}: a weights file is run by the runtime 'keras', not by {name!r}")
    found = exported.installed(preset.name)
    if found is None:
        raise BackendError(f"preset {preset.name!r} has no exported networks for {name!r}: python -m stegano_tf.export")
    return LitertBackend(found) if name == "litert" else SavedModelBackend(found)
