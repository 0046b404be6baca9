"""Reveal networks of convolution, batch normalisation and ReLU: the publication's and a compact residual one."""

import keras
from keras import layers

from stegano_tf import presets
from stegano_tf.networks.layers import Haar


def build_paper(config: presets.Paper) -> keras.Model:
    """Returns stego -> secret, each float32[B, H, W, 3] in [0, 1], for any H and W.

    3x3 convolutions with batch normalisation and ReLU behind each, and one to 3 channels with a sigmoid, as in
    A. Chennupati et al. (ICCCNT 2024).
    """
    stego = keras.Input((None, None, 3), name="stego")
    normal = keras.initializers.RandomNormal(stddev=0.02)
    x = stego
    for i, filters in enumerate(config.reveal_filters, start=1):
        x = layers.Conv2D(filters, 3, padding="same", kernel_initializer=normal, name=f"conv_{i}")(x)
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm_{i}")(x)
        x = layers.ReLU(name=f"relu_{i}")(x)
    x = layers.Conv2D(3, 3, padding="same", kernel_initializer=normal, name=f"conv_{len(config.reveal_filters) + 1}")(x)
    return keras.Model(stego, layers.Activation("sigmoid", dtype="float32", name="secret")(x), name="reveal")


def build(config: presets.UNet) -> keras.Model:
    """Returns stego -> secret, as `build_paper` but not limited to [0, 1]; H and W must be even."""
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
