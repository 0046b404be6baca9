"""UNet hide networks, in the Keras functional API: the publication's and a compact one.

`build_paper` follows A. Chennupati et al., "AI-Driven Image-to-Audio Encryption with Data Hiding" (ICCCNT 2024), whose
UNet is that of pix2pix (Isola et al., 2017, https://arxiv.org/abs/1611.07004) with 7 downsamplings. `build` keeps the
idea and drops what is costly: it works between Haar subbands, adds its output to the cover's subbands, and needs no
batch normalisation.
"""

import keras
from keras import layers

from stegano_tf import presets
from stegano_tf.networks.layers import Haar, Round8Bit

# DCGAN's choice (Radford et al., 2016), which the publication took over with its code.
_NORMAL = keras.initializers.RandomNormal(stddev=0.02)
_MAX_FILTERS = 512


def build_paper(config: presets.Paper) -> keras.Model:
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


def build(config: presets.UNet) -> keras.Model:
    """Returns [cover, secret] -> stego, as `build_paper`; H and W must be multiples of 2**len(hide_widths)."""
    cover = keras.Input((None, None, 3), name="cover")
    secret = keras.Input((None, None, 3), name="secret")
    centre = layers.Rescaling(1.0, offset=-0.5, dtype="float32", name="centre")
    analysis = Haar(1, name="analysis")

    cover_bands = analysis(centre(cover))
    x = layers.Concatenate(name="pair")([cover_bands, analysis(centre(secret))])
    skips = []
    for level, width in enumerate(config.hide_widths):
        x = layers.Conv2D(width, 3, 2 if level else 1, padding="same", name=f"down_{level}")(x)
        x = _residual(x, width, f"down_{level}_residual")
        skips.append(x)
    skips.pop()
    for level, width in reversed(list(enumerate(config.hide_widths[:-1]))):
        x = layers.Conv2DTranspose(width, 2, 2, name=f"up_{level}")(x)
        x = layers.Concatenate(name=f"skip_{level}")([skips.pop(), x])
        x = layers.Conv2D(width, 3, padding="same", name=f"merge_{level}")(x)
        x = _residual(x, width, f"up_{level}_residual")
    # From zero: training starts at a stego image that is the cover.
    residual = layers.Conv2D(12, 3, padding="same", kernel_initializer="zeros", name="residual")(x)
    bands = layers.Add(dtype="float32", name="stego_bands")([cover_bands, residual])
    picture = layers.Rescaling(1.0, offset=0.5, dtype="float32", name="uncentre")(Haar(1, inverse=True)(bands))
    return keras.Model([cover, secret], Round8Bit(name="stego")(picture), name="hide")


def _residual(x, width: int, name: str):
    y = layers.LeakyReLU(0.2, name=f"{name}_activation_1")(x)
    y = layers.Conv2D(width, 3, padding="same", name=f"{name}_1")(y)
    y = layers.LeakyReLU(0.2, name=f"{name}_activation_2")(y)
    y = layers.Conv2D(width, 3, padding="same", name=f"{name}_2")(y)
    return layers.Add(name=name)([x, y])


def _batch_normalization(name: str) -> layers.BatchNormalization:
    # PyTorch's defaults, with which the publication was trained; Keras' own are 0.99 and 1e-3.
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)
