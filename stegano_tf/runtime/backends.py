"""What runs the networks: each backend takes and gives batches of 8-bit pictures, whatever engine is behind it."""

import os
from typing import Protocol

import numpy as np

from stegano_tf import presets, savedmodels
from stegano_tf.runtime.identity import network_id


class Backend(Protocol):
    """The two networks of a preset on one engine.

    Pictures are uint8[B, h, w, 3] with sides that are multiples of the reveal network's (`multiples[1]` of the
    preset's networks), and so are results; secret and cover are of the same shape.

    Attributes:
      network: 8 bytes that name the weights, as a frame records them.
    """

    network: bytes

    def hide(self, cover: np.ndarray, secret: np.ndarray) -> np.ndarray:
        """Returns the stego images."""

    def reveal(self, stego: np.ndarray) -> np.ndarray:
        """Returns the secrets."""


class KerasBackend:
    """The networks as Keras runs them, with any weights file."""

    def __init__(self, preset: presets.Preset, weights: str | os.PathLike | None = None):
        """Loads `weights`, by default the installed ones; raises PresetError if there are none or they do not fit."""
        from stegano_tf.networks import build  # noqa: PLC0415  (Keras takes seconds to import)

        self._networks = build.load(preset.name, weights)
        self._multiple, _ = preset.networks.multiples
        self.network = network_id(weights or savedmodels.weights_file(preset.name))

    def hide(self, cover: np.ndarray, secret: np.ndarray) -> np.ndarray:
        """As `Backend`."""
        return self._run(self._networks.hide, cover, secret)

    def reveal(self, stego: np.ndarray) -> np.ndarray:
        """As `Backend`."""
        return self._run(self._networks.reveal, stego)

    def _run(self, network, *pictures: np.ndarray) -> np.ndarray:
        _, height, width, _ = pictures[0].shape
        # A hide network may need more than whole blocks: its outermost levels see a mirrored border.
        border = ((0, 0), (0, -height % self._multiple), (0, -width % self._multiple), (0, 0))
        padded = [np.pad(picture, border, mode="symmetric").astype(np.float32) / 255 for picture in pictures]
        result = np.asarray(network(padded[0] if len(padded) == 1 else padded, training=False))[:, :height, :width]
        return np.rint(np.clip(result, 0.0, 1.0) * 255.0).astype(np.uint8)
