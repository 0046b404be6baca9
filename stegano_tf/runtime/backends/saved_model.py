"""The networks on TensorFlow: exported SavedModels, without Keras in the process."""

import numpy as np

from stegano_tf.errors import BackendError
from stegano_tf.runtime.exported import Exported


class SavedModelBackend:
    """Exported networks as TensorFlow runs them."""

    overhead = 6.0  # its allocator keeps more than is alive

    def __init__(self, exported: Exported):
        """Loads the SavedModel.

        Raises:
          BackendError: TensorFlow is not installed.
          PresetError: a file of it is missing or was altered.
        """
        try:
            import tensorflow as tf  # noqa: PLC0415  (takes seconds)
        except ImportError as error:
            raise BackendError(f"the runtime 'savedmodel' needs the package tensorflow: {error}") from error
        for part in ("saved_model.pb", "fingerprint.pb", "variables/"):
            exported.check(part)
        self.network = exported.network
        self._model = tf.saved_model.load(exported.folder)  # owns the variables of its signatures
        self._signatures = self._model.signatures

    def hide(self, cover: np.ndarray, secret: np.ndarray) -> np.ndarray:
        return self._signatures["hide"](cover=cover, secret=secret)["stego"].numpy()

    def reveal(self, stego: np.ndarray) -> np.ndarray:
        return self._signatures["reveal"](stego=stego)["secret"].numpy()

    def release(self) -> bool:
        return False  # TensorFlow has no way to do it
