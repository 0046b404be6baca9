"""Inference: a preset's networks, loaded once, applied to uint8 pictures of any size."""

import functools
import os

import numpy as np

from stegano_tf import images, presets
from stegano_tf.errors import ImageError
from stegano_tf.runtime.backends import Backend, KerasBackend
from stegano_tf.runtime.identity import installed_presets, network_id, preset_of

__all__ = ["MIN_SIDE", "Runtime", "check_side", "installed_presets", "load", "network_id", "preset_of"]

MIN_SIDE = 16
"""Pictures with a shorter side than this are refused: nothing worth seeing fits in them."""


class Runtime:
    """The two networks of a preset, run on whole pictures.

    Attributes:
      preset: what was loaded.
      network: 8 bytes that name the weights, as a frame records them.
    """

    def __init__(self, preset: str = presets.DEFAULT, weights: str | os.PathLike | None = None):
        """Loads a preset with `weights`, by default the installed ones.

        Raises:
          PresetError: there is no such preset, or no such weights, or they do not fit each other.
        """
        self.preset = presets.get(preset)
        self._backend: Backend = KerasBackend(self.preset, weights)
        self.network = self._backend.network

    def hide(self, cover: np.ndarray, secret: np.ndarray) -> np.ndarray:
        """Returns the stego image: the cover, with the secret inside.

        Args:
          cover: uint8[H, W, 3], H and W at least `MIN_SIDE`.
          secret: uint8[H', W', 3]; resized to the cover if of another size.

        Returns:
          uint8[H, W, 3].

        Raises:
          TypeError, ValueError: not such arrays.
          ImageError: a side of the cover is shorter than `MIN_SIDE`.
        """
        check_side(cover, "the cover")
        height, width = self._region(cover)
        secret = images.resize(secret, (height, width))
        stego = cover.copy()
        stego[:height, :width] = self._backend.hide(cover[None, :height, :width], secret[None])[0]
        return stego

    def reveal(self, stego: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """Returns the secret inside a stego image.

        Args:
          stego: uint8[H, W, 3], H and W at least `MIN_SIDE`.
          size: (height, width) that the secret had; by default that of the stego image.

        Returns:
          uint8[H, W, 3], or of `size`.

        Raises:
          TypeError, ValueError, ImageError: as `hide`.
        """
        check_side(stego, "the stego image")
        height, width = self._region(stego)
        secret = self._backend.reveal(stego[None, :height, :width])[0]
        return images.resize(secret, size or stego.shape[:2])

    def _region(self, image: np.ndarray) -> tuple[int, int]:
        """The height and width of what holds the secret: whole blocks of the reveal network only.

        A block that is cut by the picture's edge loses what was hidden beyond it: padding gave up to three rows and
        columns of noise (17 dB) at the secret's edges. Scaling the secret by those few pixels costs nothing that can be
        seen (44 dB).
        """
        _, multiple = self.preset.networks.multiples
        return tuple(side - side % multiple for side in image.shape[:2])


@functools.lru_cache(maxsize=4)
def load(preset: str = presets.DEFAULT) -> Runtime:
    """Returns the runtime of a preset with its installed weights, loaded once a process; raises as `Runtime`."""
    return Runtime(preset)


def check_side(image: np.ndarray, name: str) -> None:
    """Raises ImageError if `image` is too small for the networks, and TypeError or ValueError if it is no picture."""
    images.check_rgb(image)
    height, width, _ = image.shape
    if min(height, width) < MIN_SIDE:
        raise ImageError(f"{name} has {width}x{height} pixels, expected at least {MIN_SIDE}x{MIN_SIDE}")
