"""The networks of the publication, to the letter: a UNet hides, convolutions with batch normalisation and ReLU reveal.

A. Chennupati et al., "AI-Driven Image-to-Audio Encryption with Data Hiding" (ICCCNT 2024). The UNet is that of pix2pix
(Isola et al., 2017, https://arxiv.org/abs/1611.07004) with 7 downsamplings.
"""

import dataclasses
import itertools

from stegano_tf.networks.family import Config, Preset, Training


@dataclasses.dataclass(frozen=True)
class PaperConfig(Config):
    """The publication's networks, of any size."""

    downsamplings: int
    base_filters: int
    reveal_filters: tuple[int, ...]

    @property
    def multiples(self):
        return 2**self.downsamplings, 1

    @property
    def halos(self):
        # The whole way up looks one cell of the lowest level further, each 4x4 convolution on the way down one cell of
        # its input: 128 + 64 + ... + 1.
        return 2 ** (self.downsamplings + 1), len(self.reveal_filters) + 1

    @property
    def activations(self):
        filters = (3, *self.reveal_filters, 3)
        return self.base_filters, max(sum(pair) for pair in itertools.pairwise(filters))

    def build(self):
        from stegano_tf.networks.paper import build  # noqa: PLC0415

        return build.build(self)


PRESETS = (
    Preset(
        name="paper",
        networks=PaperConfig(downsamplings=7, base_filters=64, reveal_filters=(64, 128, 256, 128, 64)),
        parameters=42_583_814,
        training=Training(learning_rate=1e-3, adam_beta_1=0.5, batch_size=2, crop=256, clip=None, schedule="plateau"),
        description="the publication's UNet and conv-BN-ReLU networks, to the letter",
    ),
)
