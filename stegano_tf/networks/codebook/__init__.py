"""Trained coding and a lattice, without a neural network: the default on a perfect channel.

A trained codebook codes each 8x8 block of the secret in a fixed number of bits. A lattice puts these bits into the same
block of the cover, and they are read back without error. So the secret has the error of its coding and no other.
"""

import dataclasses

from stegano_tf.networks.family import CROPS, Config, Preset, Training

BLOCK = 8
"""Side of the blocks, in pixels."""


@dataclasses.dataclass(frozen=True)
class CodebookConfig(Config):
    """A codebook for blocks of the secret, and a lattice that puts them into the cover."""

    classes: int  # of blocks
    deep_classes: int  # how many of them may change the cover more
    depth: int  # base-2 logarithm of the lattice's scale: 1 changes the cover by 50 dB, 2 by 44, 3 by 38
    candidates: int  # classes that are tried out on each block

    multiples = BLOCK, BLOCK
    halos = 0, 0
    activations = 100, 60

    def build(self):
        from stegano_tf.networks.codebook import build  # noqa: PLC0415

        return build.build(self)

    def freeze(self, networks):
        networks.pair.get_layer("codebook").freeze()

    def refiner(self, networks):
        from stegano_tf.networks.codebook.refine import TrialRefiner  # noqa: PLC0415

        return TrialRefiner(networks)

    def fit(self, networks, pictures, count, seed):
        from stegano_tf.networks.codebook import fit  # noqa: PLC0415

        codebook, used = networks.pair.get_layer("codebook"), min(count, fit.PICTURES)
        fit.fit(codebook, fit.sample(pictures(used), used, codebook.classes, seed), seed)


PRESETS = (
    Preset(
        name="codebook",
        networks=CodebookConfig(classes=512, deep_classes=32, depth=2, candidates=8),
        parameters=294_912,
        training=Training(learning_rate=1e-3, adam_beta_1=0.9, batch_size=4, crop=248, clip=1.5, schedule="cosine"),
        description="coded by a trained codebook, put into the cover by a lattice, no neural network: the default",
    ),
    Preset(
        name="tiny",
        networks=CodebookConfig(classes=8, deep_classes=2, depth=2, candidates=2),
        parameters=4_608,
        training=CROPS,
        description="a codebook of eight classes, for tests: runs everywhere, hides badly",
    ),
)
