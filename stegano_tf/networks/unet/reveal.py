"""The compact reveal network: residual blocks of convolution, batch normalisation and ReLU."""

import keras
from keras import layers

from stegano_tf.networks.layers import Haar
from stegano_tf.networks.unet.config import UNetConfig


def build(config: UNetConfig) -> keras.Model:
    """Returns stego -> secret, float32[B, H, W, 3] each, H and W even; secret may lie slightly outside of [0, 1]."""
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
