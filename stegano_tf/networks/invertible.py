"""The default pair of networks: what it hides is taken out again exactly, bit by bit.

The secret's 8x8 blocks are transformed and coded in a fixed number of bits by a trained codebook; the bits go into the
same block of the cover by a lattice, which reads them back without error. So the only error in what is revealed is that
of coding, and none is due to the channel.

A stack of affine couplings between Haar subbands of both pictures, the usual invertible network (Jing et al., HiNet,
ICCV 2021), reached 39 and 40 dB with three times the weights: it leaves the rounding to 8 bits as noise to the network,
where this makes it the code.

Limits: sides must be multiples of 8.
"""

import keras
from keras import layers, ops

from stegano_tf import presets
from stegano_tf.networks.codebook import Codebook
from stegano_tf.networks.layers import Cosine

BLOCK = presets.Codebook.BLOCK


def build(config: presets.Codebook) -> tuple[keras.Model, keras.Model, keras.Model]:
    """Returns (hide, reveal, pair), functional models that share all their weights.

    hide: [cover, secret] -> stego; reveal: stego -> secret; pair: [cover, secret] -> [stego, secret], as one after the
    other but with gradients. All pictures are float32[B, H, W, 3] in [0, 1], stego in multiples of 1/255. The revealed
    secret may lie slightly outside of [0, 1].
    """
    codebook = Codebook(config.classes, config.deep_classes, config.depth, config.candidates, name="codebook")
    analysis, synthesis = Cosine(BLOCK, name="analysis"), Cosine(BLOCK, inverse=True, name="synthesis")
    centre, uncentre = (
        layers.Rescaling(1.0, offset=-0.5, dtype="float32"),
        layers.Rescaling(1.0, offset=0.5, dtype="float32"),
    )

    cover = keras.Input((None, None, 3), name="cover")
    secret = keras.Input((None, None, 3), name="secret")
    samples = ops.space_to_depth(ops.round(255.0 * ops.clip(cover, 0.0, 1.0)), BLOCK)
    stego_samples, coefficients = codebook((analysis(centre(secret)), samples))
    stego = ops.depth_to_space(stego_samples, BLOCK) / 255.0
    hide = keras.Model([cover, secret], stego, name="hide")
    pair = keras.Model([cover, secret], [stego, uncentre(synthesis(coefficients))], name="pair")

    stego = keras.Input((None, None, 3), name="stego")
    samples = ops.space_to_depth(ops.round(255.0 * stego), BLOCK)
    reveal = keras.Model(stego, uncentre(synthesis(codebook(samples, inverse=True))), name="reveal")
    return hide, reveal, pair
