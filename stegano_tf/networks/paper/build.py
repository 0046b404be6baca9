"""The publication's networks, in the Keras functional API."""

import keras
from keras import layers

from stegano_tf.networks.family import Networks, composed
from stegano_tf.networks.layers import Round8Bit
from stegano_tf.networks.paper import PaperConfig

_MAX_FILTERS = 512


def build(config: PaperConfig) -> Networks:
    """As `Config.build`; the sides of cover and secret must be multiples of 2**downsamplings."""
    return composed(_hide(config), _reveal(config))


def _hide(config: PaperConfig) -> keras.Model:
    """Each level halves the side by a 4x4 convolution of stride 2 behind LeakyReLU(0.2) and doubles the filters.

    The way up mirrors that with transposed convolutions behind ReLU, and concatenates what came down. Batch
    normalisation follows every convolution but the outermost two and the innermost one; where it does, a bias would
    have no effect.
    """
    cover, secret = (keras.Input((None, None, 3), name=name) for name in ("cover", "secret"))
    filters = [min(config.base_filters * 2**i, _MAX_FILTERS) for i in range(config.downsamplings)]

    x = layers.Concatenate(name="pair")([cover, secret])
    skips = []
    for level, count in enumerate(filters, start=1):
        if level > 1:
            x = layers.LeakyReLU(0.2, name=f"down_{level}_activation")(x)
        x = layers.Conv2D(
            count, 4, 2, padding="same", use_bias=False, kernel_initializer=_normal(), name=f"down_{level}"
        )(x)
        if 1 < level < config.downsamplings:
            x = _batch_normalization(f"down_{level}_norm")(x)
        skips.append(x)
    skips.pop()
    for level, count in reversed(list(enumerate([3, *filters[:-1]], start=1))):
        x = layers.ReLU(name=f"up_{level}_activation")(x)
        x = layers.Conv2DTranspose(
            count, 4, 2, padding="same", use_bias=level == 1, kernel_initializer=_normal(), name=f"up_{level}"
        )(x)
        if level > 1:
            x = _batch_normalization(f"up_{level}_norm")(x)
            x = layers.Concatenate(name=f"skip_{level - 1}")([skips.pop(), x])
    # float32 again: the sigmoid of a half-precision network has coarser steps than 8 bits.
    x = layers.Activation("sigmoid", dtype="float32", name="sigmoid")(x)
    return keras.Model([cover, secret], Round8Bit(name="stego")(x), name="hide")


def _reveal(config: PaperConfig) -> keras.Model:
    """3x3 convolutions with batch normalisation and ReLU behind each, and one to 3 channels with a sigmoid."""
    stego = keras.Input((None, None, 3), name="stego")
    x = stego
    for i, filters in enumerate(config.reveal_filters, start=1):
        x = layers.Conv2D(filters, 3, padding="same", kernel_initializer=_normal(), name=f"conv_{i}")(x)
        x = _batch_normalization(f"norm_{i}")(x)
        x = layers.ReLU(name=f"relu_{i}")(x)
    last = f"conv_{len(config.reveal_filters) + 1}"
    x = layers.Conv2D(3, 3, padding="same", kernel_initializer=_normal(), name=last)(x)
    return keras.Model(stego, layers.Activation("sigmoid", dtype="float32", name="secret")(x), name="reveal")


def _normal() -> keras.Initializer:
    # DCGAN's choice (Radford et al., 2016), which the publication took over with its code. A new one for each layer:
    # used again, it would draw the same numbers.
    return keras.initializers.RandomNormal(stddev=0.02)


def _batch_normalization(name: str) -> layers.BatchNormalization:
    # PyTorch's defaults, with which the publication was trained; Keras' own are 0.99 and 1e-3.
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)
