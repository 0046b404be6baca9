"""The networks on Keras, with any weights file."""

import os

import numpy as np

from stegano_tf import presets, savedmodels
from stegano_tf.errors import BackendError
from stegano_tf.runtime.exported import network_id


class KerasBackend:
    """The networks as Keras runs them.

    Attributes:
      networks: the Keras models, a `networks.family.Networks`.
    """

    overhead = 6.0  # with TensorFlow, whose allocator keeps more than is alive

    def __init__(self, preset: presets.Preset, weights: str | os.PathLike | None = None):
        """Loads `weights`, by default the installed ones.

        Raises:
          BackendError: Keras or what it computes with is not installed.
          PresetError: there are no such weights, or they do not fit.
        """
        try:
            from stegano_tf.networks import build, pictures  # noqa: PLC0415  (Keras takes seconds to import)
        except ImportError as error:
            raise BackendError(f"the runtime 'keras' needs the packages keras and tensorflow: {error}") from error
        self._pictures = pictures
        self.networks = build.load(preset.name, weights)
        self._multiples = preset.networks.multiples
        self.network = network_id(weights or savedmodels.weights_file(preset.name))

    def hide(self, cover: np.ndarray, secret: np.ndarray) -> np.ndarray:
        return np.asarray(self._pictures.hide(self.networks, self._multiples, cover, secret))

    def reveal(self, stego: np.ndarray) -> np.ndarray:
        return np.asarray(self._pictures.reveal(self.networks, self._multiples, stego))

    def release(self) -> bool:
        return False  # Keras has no way to do it
