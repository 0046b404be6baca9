"""The hide and reveal models of a codebook."""

import keras
from keras import layers, ops

from stegano_tf.networks.codebook import BLOCK, CodebookConfig
from stegano_tf.networks.codebook.layer import Codebook
from stegano_tf.networks.family import Networks
from stegano_tf.networks.layers import Cosine


def build(config: CodebookConfig) -> Networks:
    """As `Config.build`: functional models that share all their weights. Sides must be multiples of 8."""
    codebook = Codebook(config.classes, config.deep_classes, config.depth, config.candidates, name="codebook")
    analysis, synthesis = Cosine(BLOCK, name="analysis"), Cosine(BLOCK, inverse=True, name="synthesis")
    centre, uncentre = (layers.Rescaling(1.0, offset=offset, dtype="float32") for offset in (-0.5, 0.5))

    cover, secret = (keras.Input((None, None, 3), name=name) for name in ("cover", "secret"))
    samples = ops.space_to_depth(ops.round(255.0 * ops.clip(cover, 0.0, 1.0)), BLOCK)
    stego_samples, coefficients = codebook((analysis(centre(secret)), samples))
    stego = ops.depth_to_space(stego_samples, BLOCK) / 255.0
    hide = keras.Model([cover, secret], stego, name="hide")
    pair = keras.Model([cover, secret], [stego, uncentre(synthesis(coefficients))], name="pair")

    stego = keras.Input((None, None, 3), name="stego")
    samples = ops.space_to_depth(ops.round(255.0 * stego), BLOCK)
    reveal = keras.Model(stego, uncentre(synthesis(codebook(samples, inverse=True))), name="reveal")
    return Networks(hide, reveal, pair)
