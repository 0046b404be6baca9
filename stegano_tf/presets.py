"""Network configurations by name: plain data, no TensorFlow.

Each preset states its parameter count, so that a change of an architecture cannot go unnoticed (a test compares).
"""

import dataclasses
import itertools
from typing import ClassVar

from stegano_tf.errors import PresetError


@dataclasses.dataclass(frozen=True)
class Codebook:
    """A codebook for blocks of the secret, and a lattice that puts them into the cover (`networks/invertible.py`)."""

    BLOCK: ClassVar[int] = 8  # side of the blocks, in pixels

    classes: int  # of blocks
    deep_classes: int  # how many of them may change the cover more
    depth: int  # base-2 logarithm of the lattice's scale: 1 changes the cover by 50 dB, 2 by 44, 3 by 38
    candidates: int  # classes that are tried out on each block

    @property
    def multiples(self) -> tuple[int, int]:
        """Sides of pictures must be multiples of these, for hiding and for revealing."""
        return self.BLOCK, self.BLOCK

    @property
    def halos(self) -> tuple[int, int]:
        """How many pixels beyond a block of `multiples` the hide and the reveal network look, multiples of the same."""
        return 0, 0

    @property
    def activations(self) -> tuple[int, int]:
        """How many floating-point numbers a pixel the hide and the reveal network hold at once, roughly."""
        return 100, 60


@dataclasses.dataclass(frozen=True)
class UNet:
    """A UNet that hides and a convolutional stack that reveals, both between Haar subbands."""

    hide_widths: tuple[int, ...]  # channels of each UNet level; one halving of the side between two levels
    reveal_width: int
    reveal_blocks: int  # residual blocks of two conv-BN-ReLU each

    @property
    def multiples(self) -> tuple[int, int]:
        """As `Codebook.multiples`."""
        return 2 ** len(self.hide_widths), 2

    @property
    def halos(self) -> tuple[int, int]:
        """As `Codebook.halos`."""
        *cells, last = (2 ** (level + 1) for level in range(len(self.hide_widths)))
        # From the last convolution back to the first: three at each level on the way up and on the way down, of which
        # one of the way down is that between two levels; two at the lowest level.
        ways = [(2, 1), *((cell, 3) for cell in cells), (last, 2), *((cell, 3) for cell in reversed(cells)), (2, 1)]
        halo = 0
        for cell, convolutions in ways:
            halo += -halo % cell + convolutions * cell
        return halo + -halo % self.multiples[0], 2 * (2 * self.reveal_blocks + 2)

    @property
    def activations(self) -> tuple[int, int]:
        """As `Codebook.activations`."""
        return self.hide_widths[0] + 6, self.reveal_width


@dataclasses.dataclass(frozen=True)
class Paper:
    """The publication's networks (`networks/hide_unet.py`, `networks/reveal_cnn.py`)."""

    downsamplings: int
    base_filters: int
    reveal_filters: tuple[int, ...]

    @property
    def multiples(self) -> tuple[int, int]:
        """As `Codebook.multiples`."""
        return 2**self.downsamplings, 1

    @property
    def halos(self) -> tuple[int, int]:
        """As `Codebook.halos`."""
        # The whole way up looks one cell of the lowest level further, each 4x4 convolution on the way down one cell of
        # its input: 128 + 64 + ... + 1.
        return 2 ** (self.downsamplings + 1), len(self.reveal_filters) + 1

    @property
    def activations(self) -> tuple[int, int]:
        """As `Codebook.activations`."""
        filters = (3, *self.reveal_filters, 3)
        return self.base_filters, max(sum(pair) for pair in itertools.pairwise(filters))


@dataclasses.dataclass(frozen=True)
class Training:
    """What a preset is trained with unless flags say otherwise."""

    learning_rate: float
    adam_beta_1: float
    batch_size: int  # pairs a step
    crop: int  # side of the square training pictures, in pixels
    clip: float | None  # gradients are clipped to this times the running geometric mean of their norm
    schedule: str  # "cosine" (with warm-up) or "plateau"


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named pair of networks.

    Attributes:
      networks: the architecture.
      parameters: trainable and non-trainable weights of the pair, shared ones counted once.
      training: how it is trained.
      description: one line for `stegano-tf presets`.
    """

    name: str
    networks: Codebook | UNet | Paper
    parameters: int
    training: Training
    description: str


DEFAULT = "codebook"

RUNTIMES = ("litert", "savedmodel", "keras")
"""What networks run on, by name, lightest first (`stegano_tf.runtime.backends`)."""

_CROPS = Training(learning_rate=5e-4, adam_beta_1=0.9, batch_size=5, crop=64, clip=1.5, schedule="cosine")

_PRESETS = (
    Preset(
        name="codebook",
        networks=Codebook(classes=512, deep_classes=32, depth=2, candidates=8),
        parameters=294_912,
        training=Training(learning_rate=1e-3, adam_beta_1=0.9, batch_size=4, crop=248, clip=1.5, schedule="cosine"),
        description="a codebook for blocks of the secret, put into the cover by a lattice: the default",
    ),
    Preset(
        name="unet",
        networks=UNet(hide_widths=(32, 64, 96), reveal_width=48, reveal_blocks=4),
        parameters=738_056,
        training=_CROPS,
        description="a residual UNet hides, residual conv-BN-ReLU blocks reveal, between Haar subbands",
    ),
    Preset(
        name="paper",
        networks=Paper(downsamplings=7, base_filters=64, reveal_filters=(64, 128, 256, 128, 64)),
        parameters=42_583_814,
        training=Training(
            learning_rate=1e-3,
            adam_beta_1=0.5,
            batch_size=2,
            crop=256,
            clip=None,
            schedule="plateau",
        ),
        description="the publication's UNet and conv-BN-ReLU networks, to the letter",
    ),
    Preset(
        name="tiny",
        networks=Codebook(classes=8, deep_classes=2, depth=2, candidates=2),
        parameters=4_608,
        training=_CROPS,
        description="a codebook of eight classes, for tests: runs everywhere, hides badly",
    ),
)

PRESETS = {preset.name: preset for preset in _PRESETS}


def get(name: str) -> Preset:
    """Returns the preset called `name`.

    Raises:
      PresetError: there is none of that name; the message lists those that exist.
    """
    if name not in PRESETS:
        raise PresetError(f"there is no preset {name!r}, expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
