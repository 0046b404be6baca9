"""What a family of networks is: a package of `stegano_tf.networks` that holds all of itself.

To add one, write the package and add its name to `_FAMILIES` in `stegano_tf/presets.py`. It has

* a subclass of `Config`: a frozen dataclass of plain numbers, from which `build` makes the networks;
* `PRESETS`: one `Preset` for each configuration that has a name.

Importing it must not import Keras, because `--help` and exported networks do without; methods may. The package `unet`
is the shortest example.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import keras
    import numpy as np


class Networks(NamedTuple):
    """hide: [cover, secret] -> stego; reveal: stego -> secret; pair: [cover, secret] -> [stego, secret].

    float32[B, H, W, 3] in [0, 1]; only stego is in multiples of 1/255, and only secret may lie slightly outside.
    `pair` is what is trained, saved and counted: gradients pass through it, and it holds shared weights once.
    """

    hide: keras.Model
    reveal: keras.Model
    pair: keras.Model


def composed(hide: keras.Model, reveal: keras.Model) -> Networks:
    """Returns networks whose gradients pass through the stego image."""
    import keras  # noqa: PLC0415

    cover, secret = (keras.Input((None, None, 3), name=name) for name in ("cover", "secret"))
    stego = hide([cover, secret])
    return Networks(hide, reveal, keras.Model([cover, secret], [stego, reveal(stego)], name="pair"))


class Refiner(Protocol):
    """Improves stego images tile by tile; `stegano_tf.runtime.tiles` chooses the tiles."""

    halo: int  # how many pixels around a tile it looks at
    multiple: int  # of which the sides of a tile are multiples
    tile_pixels: tuple[int, int]  # at least, even where memory is short, and at most: larger tiles are no faster
    bytes_per_pixel: int  # of a tile's memory
    max_steps: float  # more change nothing

    def refine_tile(
        self,
        cover: np.ndarray,
        secret: np.ndarray,
        stego: np.ndarray,
        *,
        inner: tuple[slice, slice],
        steps: int,
        weight: float,
        report: Callable[[str], None],
    ) -> np.ndarray:
        """Returns the inner part of a stego image, improved or as it is: uint8[h, w, 3].

        Args:
          cover, secret, stego: uint8[H, W, 3], the tile and up to `halo` pixels around it.
          inner: rows and columns of the tile in them.
          steps: how many gradients or trials to take.
          weight: of the secret's squared error; the cover's is 1.
          report: is called after each step, with a text for the progress bar.
        """


class Config(abc.ABC):
    """The numbers that define a family's networks; a pair is one of the hide and one of the reveal network."""

    multiples: tuple[int, int]  # of which the sides of pictures must be multiples
    halos: tuple[int, int]  # how many pixels the network looks beyond a block of `multiples`; multiples of the same
    activations: tuple[int, int]  # how many floating-point numbers a pixel the network holds at once, roughly

    @abc.abstractmethod
    def build(self) -> Networks:
        """Returns networks with fresh weights."""

    def freeze(self, networks: Networks) -> None:  # noqa: B027  (most families have nothing of that kind)
        """Works out what does not change any more, in networks that are to be exported."""

    def refiner(self, networks: Networks) -> Refiner:
        """Returns what improves stego images, by default by gradients; BackendError if Keras' back end can't."""
        from stegano_tf.networks.refine import GradientRefiner  # noqa: PLC0415

        return GradientRefiner(networks.reveal, self.multiples[1])

    def fit(  # noqa: B027  (most families learn everything by gradients)
        self, networks: Networks, pictures: Callable[[int], Iterable[np.ndarray]], count: int, seed: int
    ) -> None:
        """Sets those fresh weights that gradients cannot find, before training starts.

        Args:
          pictures: takes a number n and gives the n of the training pictures, evenly spread: uint8[H, W, 3] each.
          count: how many training pictures there are; n is at most this.
        """


@dataclasses.dataclass(frozen=True)
class Training:
    """What a preset is trained with unless flags say otherwise."""

    learning_rate: float
    adam_beta_1: float
    batch_size: int  # pairs a step
    crop: int  # side of the square training pictures, in pixels
    clip: float | None  # gradients are clipped to this times the running geometric mean of their norm
    schedule: str  # "cosine" (with warm-up) or "plateau"


CROPS = Training(learning_rate=5e-4, adam_beta_1=0.9, batch_size=5, crop=64, clip=1.5, schedule="cosine")
"""Small crops, for networks that look at their neighbourhood only."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named pair of networks."""

    name: str
    networks: Config
    parameters: int  # of the pair, trainable or not; a test compares, so that no change goes unnoticed
    training: Training
    description: str  # one line for `stegano-tf presets`
