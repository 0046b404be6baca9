"""The compact networks, in the Keras functional API."""

import keras
from keras import layers

from stegano_tf.networks.family import Networks, composed
from stegano_tf.networks.layers import Conv2DTranspose, Haar, ShapedRound8Bit
from stegano_tf.networks.unet import UNetConfig


def build(config: UNetConfig) -> Networks:
    """As `Config.build`; sides must be multiples of 2**len(hide_widths) for hiding, and even for revealing."""
    return composed(_hide(config), _reveal(config))


def _hide(config: UNetConfig) -> keras.Model:
    cover, secret = (keras.Input((None, None, 3), name=name) for name in ("cover", "secret"))
    centre = layers.Rescaling(1.0, offset=-0.5, dtype="float32", name="centre")
    analysis = Haar(1, name="analysis")
    synthesis, uncentre = Haar(1, inverse=True), layers.Rescaling(1.0, offset=0.5, dtype="float32", name="uncentre")

    cover_bands = analysis(centre(cover))
    x = layers.Concatenate(name="pair")([cover_bands, analysis(centre(secret))])
    skips = []
    for level, width in enumerate(config.hide_widths):
        x = layers.Conv2D(width, 3, 2 if level else 1, padding="same", name=f"down_{level}")(x)
        x = _residual(x, width, f"down_{level}_residual")
        skips.append(x)
    skips.pop()
    for level, width in reversed(list(enumerate(config.hide_widths[:-1]))):
        x = Conv2DTranspose(width, name=f"up_{level}")(x)
        x = layers.Concatenate(name=f"skip_{level}")([skips.pop(), x])
        x = layers.Conv2D(width, 3, padding="same", name=f"merge_{level}")(x)
        x = _residual(x, width, f"up_{level}_residual")
    # From zero: training starts at a stego image that is the cover.
    residual = layers.Conv2D(12, 3, padding="same", kernel_initializer="zeros", name="residual")(x)
    bands = layers.Add(dtype="float32", name="stego_bands")([cover_bands, residual])
    return keras.Model([cover, secret], ShapedRound8Bit(name="stego")(uncentre(synthesis(bands))), name="hide")


def _reveal(config: UNetConfig) -> keras.Model:
    stego = keras.Input((None, None, 3), name="stego")
    width = config.reveal_width
    x = layers.Rescaling(1.0, offset=-0.5, dtype="float32", name="centre")(stego)
    x = Haar(1, name="analysis")(x)
    x = layers.Conv2D(width, 3, padding="same", name="stem")(x)
    for block in range(config.reveal_blocks):
        y = x
        for i in (1, 2):
            y = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"block_{block}_conv_{i}")(y)
            y = layers.BatchNormalization(name=f"block_{block}_norm_{i}")(y)
            y = layers.ReLU(name=f"block_{block}_relu_{i}")(y)
        x = layers.Add(name=f"block_{block}")([x, y])
    # From zero: a new network says grey. Whatever else it said would be far outside of a picture, and drive the hide
    # network into black and white, where it has no gradient.
    x = layers.Conv2D(12, 3, padding="same", kernel_initializer="zeros", dtype="float32", name="bands")(x)
    x = Haar(1, inverse=True, name="synthesis")(x)
    return keras.Model(stego, layers.Rescaling(1.0, offset=0.5, dtype="float32", name="secret")(x), name="reveal")


def _residual(x, width: int, name: str):
    y = layers.LeakyReLU(0.2, name=f"{name}_activation_1")(x)
    y = layers.Conv2D(width, 3, padding="same", name=f"{name}_1")(y)
    y = layers.LeakyReLU(0.2, name=f"{name}_activation_2")(y)
    y = layers.Conv2D(width, 3, padding="same", name=f"{name}_2")(y)
    return layers.Add(name=name)([x, y])
