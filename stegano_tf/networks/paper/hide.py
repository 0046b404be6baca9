"""The publication's UNet, in the Keras functional API."""

import keras
from keras import layers

from stegano_tf.networks.layers import Round8Bit
from stegano_tf.networks.paper.config import PaperConfig

# DCGAN's choice (Radford et al., 2016), which the publication took over with its code.
_NORMAL = keras.initializers.RandomNormal(stddev=0.02)
_MAX_FILTERS = 512


def build(config: PaperConfig) -> keras.Model:
    """Returns [cover, secret] -> stego, each float32[B, H, W, 3] in [0, 1], stego in multiples of 1/255.

    H and W must be multiples of 2**downsamplings. Each level halves the side by a 4x4 convolution of stride 2 behind
    LeakyReLU(0.2) and doubles the filters up to 512; the way up mirrors it with transposed convolutions behind ReLU,
    and concatenates what came down. Batch normalisation follows every convolution but the outermost two and the
    innermost one; where it does, a bias would have no effect.
    """
    cover = keras.Input((None, None, 3), name="cover")
    secret = keras.Input((None, None, 3), name="secret")
    filters = [min(config.base_filters * 2**i, _MAX_FILTERS) for i in range(config.downsamplings)]

    x = layers.Concatenate(name="pair")([cover, secret])
    skips = []
    for level, count in enumerate(filters, start=1):
        if level > 1:
            x = layers.LeakyReLU(0.2, name=f"down_{level}_activation")(x)
        x = layers.Conv2D(
            count, 4, 2, padding="same", use_bias=False, kernel_initializer=_NORMAL, name=f"down_{level}"
        )(x)
        if 1 < level < config.downsamplings:
            x = _batch_normalization(f"down_{level}_norm")(x)
        skips.append(x)
    skips.pop()
    for level, count in reversed(list(enumerate([3, *filters[:-1]], start=1))):
        x = layers.ReLU(name=f"up_{level}_activation")(x)
        x = layers.Conv2DTranspose(
            count, 4, 2, padding="same", use_bias=level == 1, kernel_initializer=_NORMAL, name=f"up_{level}"
        )(x)
        if level > 1:
            x = _batch_normalization(f"up_{level}_norm")(x)
            x = layers.Concatenate(name=f"skip_{level - 1}")([skips.pop(), x])
    # float32 again: the sigmoid of a half-precision network has coarser steps than 8 bits.
    x = layers.Activation("sigmoid", dtype="float32", name="sigmoid")(x)
    return keras.Model([cover, secret], Round8Bit(name="stego")(x), name="hide")


def _batch_normalization(name: str) -> layers.BatchNormalization:
    # PyTorch's defaults, with which the publication was trained; Keras' own are 0.99 and 1e-3.
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)
