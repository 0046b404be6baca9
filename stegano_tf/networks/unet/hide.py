"""The compact UNet, in the Keras functional API."""

import keras
from keras import layers

from stegano_tf.networks.layers import Haar, Round8Bit
from stegano_tf.networks.unet.config import UNetConfig


def build(config: UNetConfig) -> keras.Model:
    """Returns [cover, secret] -> stego, each float32[B, H, W, 3] in [0, 1], stego in multiples of 1/255.

    H and W must be multiples of 2**len(hide_widths).
    """
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
