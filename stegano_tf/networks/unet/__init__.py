"""A compact UNet that hides and a residual convolutional stack that reveals, both between Haar subbands.

It keeps the idea of the publication (the family `paper`) and drops what is costly. It adds its output to the cover's
subbands, and the UNet needs no batch normalisation.
"""

import dataclasses

from stegano_tf.networks.family import CROPS, Config, Preset


@dataclasses.dataclass(frozen=True)
class UNetConfig(Config):
    """A UNet that hides and a convolutional stack that reveals, both between Haar subbands."""

    hide_widths: tuple[int, ...]  # channels of each UNet level; one halving of the side between two levels
    reveal_width: int
    reveal_blocks: int  # residual blocks of two conv-BN-ReLU each

    @property
    def multiples(self):
        return 2 ** len(self.hide_widths), 2

    @property
    def halos(self):
        *cells, last = (2 ** (level + 1) for level in range(len(self.hide_widths)))
        # (pixels of a cell, convolutions on such cells), from the last convolution back to the first. Rounding has
        # eleven. Each level has three on the way up and three on the way down, of which one leads from level to level.
        # The lowest has two.
        ways = [
            (2, 11),
            (2, 1),
            *((cell, 3) for cell in cells),
            (last, 2),
            *((cell, 3) for cell in reversed(cells)),
            (2, 1),
        ]
        halo = 0
        for cell, convolutions in ways:
            halo += -halo % cell + convolutions * cell
        return halo + -halo % self.multiples[0], 2 * (2 * self.reveal_blocks + 2)

    @property
    def activations(self):
        return self.hide_widths[0] + 6, self.reveal_width

    def build(self):
        from stegano_tf.networks.unet import build  # noqa: PLC0415

        return build.build(self)


PRESETS = (
    Preset(
        name="unet",
        networks=UNetConfig(hide_widths=(32, 64, 96), reveal_width=48, reveal_blocks=4),
        parameters=739_352,
        training=CROPS,
        description="a residual UNet hides, residual conv-BN-ReLU blocks reveal, between Haar subbands",
    ),
)
