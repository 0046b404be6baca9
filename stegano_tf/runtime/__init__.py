"""Inference: a preset's networks, loaded once, applied to uint8 pictures of any size."""

import functools
import hashlib
import os
from pathlib import Path

import numpy as np

from stegano_tf import images, presets, savedmodels
from stegano_tf.errors import ImageError, PresetError

MIN_SIDE = 16
"""Pictures with a shorter side than this are refused: nothing worth seeing fits in them."""


class Runtime:
    """The two networks of a preset, run by Keras on whole pictures.

    Attributes:
      preset: what was loaded.
      network: 8 bytes that name the weights, as a frame records them.
    """

    def __init__(self, preset: str = presets.DEFAULT, weights: str | os.PathLike | None = None):
        """Loads a preset with `weights`, by default the installed ones.

        Raises:
          PresetError: there is no such preset, or no such weights, or they do not fit each other.
        """
        from stegano_tf.networks import build  # noqa: PLC0415  (Keras takes seconds to import)

        self.preset = presets.get(preset)
        self._networks = build.load(preset, weights)
        self.network = network_id(weights or savedmodels.weights_file(preset))

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
        stego[:height, :width] = self._run(self._networks.hide, cover[:height, :width], secret)
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
        secret = self._run(self._networks.reveal, stego[:height, :width])
        return images.resize(secret, size or stego.shape[:2])

    def _region(self, image: np.ndarray) -> tuple[int, int]:
        """The height and width of what holds the secret: whole blocks of the reveal network only.

        A block that is cut by the picture's edge loses what was hidden beyond it: padding gave up to three rows and
        columns of noise (17 dB) at the secret's edges. Scaling the secret by those few pixels costs nothing that can be
        seen (44 dB).
        """
        _, multiple = self.preset.networks.multiples
        return tuple(side - side % multiple for side in image.shape[:2])

    def _run(self, network, *pictures: np.ndarray) -> np.ndarray:
        height, width, _ = pictures[0].shape
        multiple, _ = self.preset.networks.multiples
        # A hide network may need more than whole blocks: its outermost levels see a mirrored border.
        border = ((0, -height % multiple), (0, -width % multiple), (0, 0))
        padded = [np.pad(picture, border, mode="symmetric")[None].astype(np.float32) / 255 for picture in pictures]
        result = np.asarray(network(padded[0] if len(padded) == 1 else padded, training=False))[0, :height, :width]
        return np.rint(np.clip(result, 0.0, 1.0) * 255.0).astype(np.uint8)


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


def network_id(weights: str | os.PathLike) -> bytes:
    """Returns the 8 bytes that name a weights file: the first of its SHA-256."""
    return hashlib.sha256(Path(weights).read_bytes()).digest()[:8]


def preset_of(network: bytes) -> str:
    """Returns the preset whose installed weights are called `network`.

    Raises:
      PresetError: none is; the message lists those that are installed.
    """
    installed = {name: network_id(savedmodels.weights_file(name)) for name in installed_presets()}
    for name, known in installed.items():
        if known == network:
            return name
    known = ", ".join(f"{name} {identity.hex()}" for name, identity in installed.items()) or "none"
    raise PresetError(f"the secret was hidden by network {network.hex()}, expected one that is installed ({known})")


def installed_presets() -> list[str]:
    """Returns the names of the presets that have installed weights."""
    return [name for name in presets.PRESETS if savedmodels.weights_file(name).is_file()]
