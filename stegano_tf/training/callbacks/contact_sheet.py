"""What the networks do, as a picture."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from stegano_tf import figures, images
from stegano_tf.training.callbacks import surviving


class ContactSheet(keras.callbacks.Callback):
    """Draws cover, stego image, secret and revealed secret of fixed pairs, at the end of each epoch.

    Args:
      path: the PNG file to write and replace.
      cover, secret: uint8[B, H, W, 3].
      predict: (cover, secret) -> stego and revealed secret, float32[B, H, W, 3] in [0, 1].
    """

    def __init__(self, path: Path, cover: np.ndarray, secret: np.ndarray, predict: Callable):
        super().__init__()
        self.path = path
        self.pairs = cover, secret
        self.predict = predict
        self.sheet = None  # uint8[H, W, 3], the latest

    @surviving
    def on_epoch_end(self, epoch, logs=None):
        cover, secret = self.pairs
        stego, revealed = map(to_uint8, self.predict(self.pairs))
        self.sheet = figures.contact_sheet(zip(cover, stego, secret, revealed, strict=True))
        images.write(self.path, self.sheet, force=True)


def to_uint8(picture) -> np.ndarray:
    """float32[...] in [0, 1] -> uint8[...], clipped and rounded."""
    return np.rint(np.clip(np.asarray(picture, dtype=np.float32), 0.0, 1.0) * 255.0).astype(np.uint8)
