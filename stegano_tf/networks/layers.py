"""Layers that the networks share: 8-bit rounding, the Haar transform, the affine coupling.

All of them compute in float32 whatever the dtype policy is, because rounding to 8 bits and exact inversion need it;
only the convolutions inside a coupling follow the policy (bfloat16 under `mixed_bfloat16`).
"""

import keras
import numpy as np
from keras import layers, ops

_register = keras.saving.register_keras_serializable(package="stegano_tf")


@_register
class Round8Bit(layers.Layer):
    """Clips to [0, 1] and rounds to the nearest multiple of 1/255; the gradient is that of clipping alone.

    float[...] -> float32[...]. This is the one place where a stego image becomes an 8-bit picture. Rounding passes
    gradients straight through (Bengio et al., 2013, https://arxiv.org/abs/1308.3432). Clipping must not: told that a
    pixel beyond black would help the reveal network if only it were darker still, training drives pixels ever further
    out and loses what it had reached.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)

    def call(self, x):
        clipped = ops.clip(x, 0.0, 1.0)
        return clipped + ops.stop_gradient(ops.round(clipped * 255.0) / 255.0 - clipped)


def haar_kernel(levels: int) -> np.ndarray:
    """Returns an orthonormal Haar packet on opponent colours: float32[n, n, 3, 3 * n * n], n = 2**levels.

    Column by column an orthonormal basis of n x n RGB blocks: the tensor product of the Haar matrix [[1, 1], [1, -1]] /
    sqrt 2 with itself `levels` times, in both directions, and of the colour axes (R+G+B)/sqrt 3, (R-B)/sqrt 2,
    (R-2G+B)/sqrt 6 (after Ohta et al., 1980, made orthonormal). So squared errors of subbands are squared errors of
    pixels.
    """
    packet = np.ones((1, 1))
    for _ in range(levels):
        packet = np.kron(packet, np.array([[1, 1], [1, -1]]) / np.sqrt(2))
    n = len(packet)
    colours = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
    kernel = np.einsum("ay,bx,oc->yxcabo", packet, packet, colours)
    return kernel.reshape(n, n, 3, 3 * n * n).astype("float32")


@_register
class Haar(layers.Layer):
    """The transform of `haar_kernel` between pictures and subbands, and with `inverse` its way back.

    float32[B, H, W, 3] <-> float32[B, H/n, W/n, 3 n^2], n = 2**levels; H and W must be multiples of n. The basis is
    orthonormal, so the transposed matrix is the inverse.
    """

    def __init__(self, levels: int, inverse: bool = False, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.levels = levels
        self.inverse = inverse

    def call(self, x):
        n, kernel = 2**self.levels, haar_kernel(self.levels)
        if not self.inverse:
            return ops.conv(x, ops.convert_to_tensor(kernel), n, "valid", data_format="channels_last")
        # Not conv_transpose, whose output shape is an input of it: LiteRT then leaves what follows to slow kernels.
        basis = ops.convert_to_tensor(kernel.reshape(1, 1, 3 * n * n, 3 * n * n).swapaxes(2, 3))
        blocks = ops.conv(x, basis, 1, "valid", data_format="channels_last")
        return ops.depth_to_space(blocks, n, data_format="channels_last")

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        n = 2**self.levels
        if self.inverse:
            return (batch, *(side and side * n for side in sides), 3)
        return (batch, *(side and side // n for side in sides), 3 * n * n)

    def get_config(self):
        return super().get_config() | {"levels": self.levels, "inverse": self.inverse}


@_register
class AffineCoupling(layers.Layer):
    """An invertible step that mixes two stacks of subbands (Dinh et al., 2017, https://arxiv.org/abs/1605.08803).

    Forward, with small convolutional networks f and (s, t):

        a' = a + f(b)
        b' = b * exp(tanh s(a')) + t(a')

    Backward (`inverse=True`) solves for b, then for a, with the same weights. `tanh` bounds the scale to exp(±1):
    unbounded, deep stacks overflow. The last convolutions start at zero, so a new coupling is the identity.

    (float32[B, h, w, C], float32[B, h, w, C]) -> the same two shapes.
    """

    def __init__(self, width: int, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.width = width

    def build(self, input_shape):
        channels = input_shape[0][-1]
        self.shift = _subnet(self.width, channels, "shift")
        self.affine = _subnet(self.width, 2 * channels, "affine")
        for subnet in (self.shift, self.affine):
            subnet.build(input_shape[0])

    def call(self, inputs, inverse: bool = False):
        a, b = inputs
        if not inverse:
            a = a + self._shift(b)
        log_scale, offset = self._affine(a)
        if not inverse:
            return a, b * ops.exp(log_scale) + offset
        b = (b - offset) * ops.exp(-log_scale)
        return a - self._shift(b), b

    def _shift(self, x):
        return ops.cast(self.shift(x), "float32")

    def _affine(self, x):
        log_scale, offset = ops.split(ops.cast(self.affine(x), "float32"), 2, axis=-1)
        return ops.tanh(log_scale), offset

    def compute_output_shape(self, input_shape):
        return tuple(map(tuple, input_shape))

    def get_config(self):
        return super().get_config() | {"width": self.width}


def _subnet(width: int, channels: int, name: str) -> keras.Sequential:
    policy = keras.config.dtype_policy()  # not the coupling's own, which is always float32
    return keras.Sequential(
        [
            layers.Conv2D(width, 3, padding="same", dtype=policy),
            layers.LeakyReLU(0.2, dtype=policy),
            layers.Conv2D(channels, 3, padding="same", kernel_initializer="zeros", dtype=policy),
        ],
        name=name,
    )
