"""Layers for all families: rounding to 8 bits, and transforms of blocks.

All of them compute in float32 whatever the dtype policy is: pictures of 8 bits need it.
"""

import keras
import numpy as np
from keras import layers, ops

register = keras.saving.register_keras_serializable(package="stegano_tf")


@register
class Round8Bit(layers.Layer):
    """Clips to [0, 1] and rounds to the nearest multiple of 1/255; the gradient is that of clipping alone.

    float[...] -> float32[...]. Rounding passes gradients straight through (Bengio et al., 2013,
    https://arxiv.org/abs/1308.3432). If clipping did, training would drive pixels far below black and above white.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)

    def call(self, x):
        return straight_round(255.0 * ops.clip(x, 0.0, 1.0)) / 255.0


def straight_round(x):
    """Rounds to whole numbers, with the gradient of the identity."""
    return x + ops.stop_gradient(ops.round(x) - x)


@register
class ShapedRound8Bit(layers.Layer):
    """Rounds to 8 bits so that the errors of neighbours make up for each other.

    float32[B, H, W, 3] -> the same, clipped to [0, 1], multiples of 1/255; H and W must be even.

    The twelve samples of 2 x 2 pixels are rounded one after the other, in all blocks at once. From what is to be
    rounded, sample k first takes the sum of `kernel`[y, x, j, k] times the errors of the samples j < k in the 3 x 3
    blocks around. This is Babai's nearest plane (1986, https://doi.org/10.1007/BF02579403) for an error measure that is
    the same everywhere. With a kernel of zeros it is `Round8Bit`. Training finds the kernel: gradients pass straight
    through the rounding, so an error has the gradient of what was taken from it. A block depends on those that
    are `reach` pixels away.
    """

    reach = 22  # eleven samples after the first, one block each

    _SAMPLES = 12
    _GROUP = 4

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)

    def build(self, input_shape):
        shape = (3, 3, self._SAMPLES, self._SAMPLES)
        self.kernel = self.add_weight(shape=shape, initializer="zeros", name="kernel")

    def call(self, x):
        # What earlier groups of samples cost a group comes from one convolution. Groups are of four, two tensors are
        # joined at a time, and a convolution cuts the blocks: LiteRT has no fast operators for anything else.
        cut = ops.convert_to_tensor(np.eye(self._SAMPLES, dtype="float32").reshape(2, 2, 3, -1))
        groups = ops.split(ops.conv(x, cut, 2, "valid", "channels_last"), self._SAMPLES // self._GROUP, axis=-1)
        rounded = errors = None
        for first, group in zip(range(0, self._SAMPLES, self._GROUP), groups, strict=True):
            wanted = group - self._debt(errors, first, self._GROUP) if first else group
            group_rounded = group_errors = None
            pairs = zip(*(ops.split(samples, self._GROUP, axis=-1) for samples in (group, wanted)), strict=True)
            for place, (sample, wish) in enumerate(pairs):
                due = wish - self._debt(group_errors, first + place, 1) if place else wish
                one = straight_round(255.0 * ops.clip(due, 0.0, 1.0)) / 255.0
                group_rounded, group_errors = _joined(group_rounded, one), _joined(group_errors, one - sample)
            rounded, errors = _joined(rounded, group_rounded), _joined(errors, group_errors)
        return ops.depth_to_space(rounded, 2, data_format="channels_last")

    def _debt(self, errors, first: int, count: int):
        """Returns what the errors of the samples right before sample `first` take from it and those that follow it."""
        rows = slice(first - errors.shape[-1], first)
        return ops.conv(errors, self.kernel[:, :, rows, first : first + count], 1, "same", "channels_last")

    def compute_output_shape(self, input_shape):
        return input_shape


def _joined(before, after):
    return after if before is None else ops.concatenate([before, after], axis=-1)


@register
class Conv2DTranspose(layers.Conv2DTranspose):
    """Keras' transposed convolution for squares of 2 x 2 pixels: float[B, H, W, C] -> float[B, 2 H, 2 W, filters].

    Squares don't overlap. So it is computed as a convolution of single pixels, whose shapes LiteRT knows ahead. Weights
    files name a layer by its class, so the class keeps its name.
    """

    def __init__(self, filters: int, **kwargs):
        super().__init__(filters, 2, 2, **kwargs)

    def call(self, x):
        kernel = ops.transpose(self.kernel, (3, 0, 1, 2))  # [C, 2, 2, filters]
        blocks = ops.conv(x, ops.reshape(kernel, (1, 1, kernel.shape[0], -1)), 1, "valid", "channels_last")
        return ops.depth_to_space(blocks + ops.tile(self.bias, [4]), 2, data_format="channels_last")

    def get_config(self):
        kept = super().get_config()
        return {name: value for name, value in kept.items() if name not in ("kernel_size", "strides")}


# The axes (R+G+B)/sqrt 3, (R-B)/sqrt 2, (R-2G+B)/sqrt 6, after Ohta et al. (1980), made orthonormal.
_COLOURS = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


def haar_kernel(levels: int) -> np.ndarray:
    """Returns an orthonormal Haar packet on opponent colours: float32[n, n, 3, 3 * n * n], n = 2**levels.

    Its columns are a basis of n x n RGB blocks: the tensor product of the Haar matrix [[1, 1], [1, -1]] / sqrt 2 with
    itself `levels` times, in both directions, and of the colour axes. The squared error of subbands is that of pixels.
    """
    packet = np.ones((1, 1))
    for _ in range(levels):
        packet = np.kron(packet, np.array([[1, 1], [1, -1]]) / np.sqrt(2))
    kernel = np.einsum("ay,bx,oc->yxcabo", packet, packet, _COLOURS)
    return kernel.reshape(*kernel.shape[:3], -1).astype("float32")


def dct_kernel(n: int) -> np.ndarray:
    """Returns the orthonormal DCT-II on opponent colours: float32[n, n, 3, 3 * n * n], as `haar_kernel`.

    The last axis goes through colours, then vertical, then horizontal frequencies.
    """
    cosines = dct_matrix(n)
    kernel = np.einsum("ay,bx,oc->yxcoab", cosines, cosines, _COLOURS)
    return kernel.reshape(*kernel.shape[:3], -1).astype("float32")


def dct_matrix(n: int) -> np.ndarray:
    """Returns the orthonormal DCT-II: float64[n, n], a row for each frequency."""
    frequency, place = np.mgrid[:n, :n]
    cosines = np.cos(np.pi * (2 * place + 1) * frequency / (2 * n)) * np.sqrt(2 / n)
    cosines[0] /= np.sqrt(2)
    return cosines


def pick(rows, indices):
    """Returns the values at indices of each row: [N, L] and int32[N, M] -> [N, M]."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415

        # Keras broadcasts first, to shapes that LiteRT does not know ahead.
        return tf.gather(rows, indices, batch_dims=1)
    return ops.take_along_axis(rows, indices, axis=-1)


class _BlockTransform(layers.Layer):
    """An orthonormal transform of blocks of n x n pixels, and with `inverse` its way back.

    float32[B, H, W, 3] <-> float32[B, H/n, W/n, 3 n^2]; H and W must be multiples of n. A subclass has `kernel()`,
    which returns float32[n, n, 3, 3 n^2].
    """

    def __init__(self, inverse: bool = False, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.inverse = inverse

    def call(self, x):
        kernel = self.kernel()
        n, _, _, channels = kernel.shape
        if not self.inverse:
            return ops.conv(x, ops.convert_to_tensor(kernel), n, "valid", data_format="channels_last")
        # Not conv_transpose: its output shape is one of its inputs, and LiteRT uses slow kernels behind such operators.
        basis = ops.convert_to_tensor(kernel.reshape(1, 1, channels, channels).swapaxes(2, 3))
        blocks = ops.conv(x, basis, 1, "valid", data_format="channels_last")
        return ops.depth_to_space(blocks, n, data_format="channels_last")

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        n, _, _, channels = self.kernel().shape
        if self.inverse:
            return (batch, *(side and side * n for side in sides), 3)
        return (batch, *(side and side // n for side in sides), channels)

    def get_config(self):
        return super().get_config() | {"inverse": self.inverse}


@register
class Haar(_BlockTransform):
    """The transform of `haar_kernel`: n = 2**levels."""

    def __init__(self, levels: int, inverse: bool = False, **kwargs):
        super().__init__(inverse, **kwargs)
        self.levels = levels

    def kernel(self):
        return haar_kernel(self.levels)

    def get_config(self):
        return super().get_config() | {"levels": self.levels}


@register
class Cosine(_BlockTransform):
    """The transform of `dct_kernel`."""

    def __init__(self, n: int, inverse: bool = False, **kwargs):
        super().__init__(inverse, **kwargs)
        self.n = n

    def kernel(self):
        return dct_kernel(self.n)

    def get_config(self):
        return super().get_config() | {"n": self.n}
