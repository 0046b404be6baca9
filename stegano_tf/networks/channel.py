"""The steps of `stegano_tf.channels` as Keras layers: what happens to a stego image while networks are trained.

Each takes and returns float32[B, H, W, 3] in [0, 1] with static sides, multiples of 1/255. Roundings pass gradients
straight through, as in `Round8Bit`: the way forward is the real one, the way back is that of the transforms around.
"""

import keras
import numpy as np
from keras import layers, ops

from stegano_tf.channels import Step, smaller_size
from stegano_tf.networks.layers import Round8Bit, dct_matrix, straight_round

# ITU-T T.81 (1992), tables K.1 and K.2: what libjpeg scales by its quality.
_LUMA = """
    16 11 10 16 24 40 51 61  12 12 14 19 26 58 60 55  14 13 16 24 40 57 69 56  14 17 22 29 51 87 80 62
    18 22 37 56 68 109 103 77  24 35 55 64 81 104 113 92  49 64 78 87 103 121 120 101  72 92 95 98 112 100 103 99"""
_CHROMA = """
    17 18 24 47 99 99 99 99  18 21 26 66 99 99 99 99  24 26 56 99 99 99 99 99  47 66 99 99 99 99 99 99
    99 99 99 99 99 99 99 99  99 99 99 99 99 99 99 99  99 99 99 99 99 99 99 99  99 99 99 99 99 99 99 99"""
_TABLES = [np.array(table.split(), "float32").reshape(8, 8) for table in (_LUMA, _CHROMA)]

# JFIF 1.02 (1992): Y, Cb, Cr of R, G, B, less the offset of 128.
_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], "float32")


def through(steps: tuple[Step, ...], seed: int = 0) -> list[layers.Layer]:
    """Returns the layers of a channel, to be called one after the other.

    Example:
      for layer in through(channels.parse("jpeg:75-95")):
          stego = layer(stego)
    """
    made = {"noise": Noise, "resize": Resize, "jpeg": Jpeg, "jpeg444": Jpeg}
    return [made[step.kind](step, seed=seed + i, name=f"{step.kind}_{i}") for i, step in enumerate(steps)]


class _Step(layers.Layer):
    """Draws the number of each picture."""

    def __init__(self, step: Step, seed: int = 0, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.step = step
        self.random = keras.random.SeedGenerator(seed)
        self.round = Round8Bit()

    def numbers(self, x):
        """float32[B, 1, 1, 1]."""
        shape = (ops.shape(x)[0], 1, 1, 1)
        return keras.random.uniform(shape, self.step.low, self.step.high, seed=self.random)

    def compute_output_shape(self, input_shape):
        return input_shape


class Noise(_Step):
    """Adds Gaussian noise."""

    def call(self, x):
        noise = keras.random.normal(ops.shape(x), seed=self.random)
        return self.round(x + self.numbers(x) / 255.0 * noise)


class Resize(_Step):
    """Makes pictures smaller and as large again: bilinear, with antialiasing. One of eight numbers a batch."""

    _CHOICES = 8

    def call(self, x):
        _, *sides, _ = x.shape
        factors = np.linspace(self.step.low, self.step.high, self._CHOICES if self.step.high > self.step.low else 1)
        sizes = sorted({smaller_size(sides, factor) for factor in factors})
        chosen = keras.random.randint((), 0, len(sizes), seed=self.random)
        return ops.switch(chosen, [lambda x, size=size: self._resized(x, size) for size in sizes], x)

    def _resized(self, x, size):
        for wanted in (size, x.shape[1:3]):
            x = self.round(ops.image.resize(x, wanted, "bilinear", antialias=True, data_format="channels_last"))
        return x


class Jpeg(_Step):
    """What libjpeg makes of a picture at a quality; sides are multiples of 16, with 4:4:4 of 8."""

    def call(self, x):
        quality = ops.round(self.numbers(x))
        # libjpeg's jpeg_quality_scaling and jpeg_add_quant_table, with force_baseline.
        scale = ops.where(quality < 50.0, ops.floor(5000.0 / quality), 200.0 - 2.0 * quality)
        colours = ops.split(255.0 * x @ _TO_YCC.T, 3, axis=-1)
        coded = []
        for i, colour in enumerate(colours):
            table = ops.clip(ops.floor((scale * _TABLES[i > 0] + 50.0) / 100.0), 1.0, 255.0)
            shrunk = i > 0 and self.step.kind == "jpeg"
            plane = ops.average_pool(colour, 2, 2, "valid", "channels_last") if shrunk else colour
            plane = _quantised(straight_round(plane) - (0.0 if i else 128.0), table[:, None])
            plane = straight_round(ops.clip(plane, -128.0, 127.0))
            coded.append(_doubled(_doubled(plane, 1), 2) if shrunk else plane)
        rgb = (ops.concatenate(coded, axis=-1) + np.float32([128, 0, 0])) @ np.linalg.inv(_TO_YCC).T
        return self.round(rgb / 255.0)


def _quantised(plane, table):
    """Quantises the coefficients of 8 x 8 blocks: float32[B, H, W, 1] and float32[B, 1, 1, 8, 8] -> as the first."""
    _, height, width, _ = plane.shape
    basis = ops.convert_to_tensor(dct_matrix(8), "float32")
    blocks = ops.transpose(ops.reshape(plane, (-1, height // 8, 8, width // 8, 8)), (0, 1, 3, 2, 4))
    coefficients = straight_round(basis @ blocks @ ops.transpose(basis) / table) * table
    blocks = ops.transpose(basis) @ coefficients @ basis
    return ops.reshape(ops.transpose(blocks, (0, 1, 3, 2, 4)), (-1, height, width, 1))


def _doubled(plane, axis: int):
    """Twice as many samples along an axis, weights 3/4 and 1/4: libjpeg's "fancy" upsampling."""
    length = plane.shape[axis]
    index = np.arange(length)
    before, after = (ops.take(plane, np.clip(index + i, 0, length - 1), axis=axis) for i in (-1, 1))
    pairs = ops.stack([0.75 * plane + 0.25 * before, 0.75 * plane + 0.25 * after], axis=axis + 1)
    shape = [-1, *plane.shape[1:]]
    shape[axis] *= 2
    return ops.reshape(pairs, shape)
