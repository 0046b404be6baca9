"""The publication's reveal network: convolution, batch normalisation and ReLU."""

import keras
from keras import layers

from stegano_tf.networks.paper.config import PaperConfig


def build(config: PaperConfig) -> keras.Model:
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
