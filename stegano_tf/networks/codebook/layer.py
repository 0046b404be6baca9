"""A trained codebook: the coefficients of a block into the bits that a block of a stego image holds, and back."""

import numpy as np
from keras import layers, ops

from stegano_tf.networks.codebook import allocation, lattice
from stegano_tf.networks.layers import register

# Parts of the largest overload threshold at which an overload is computed; in between it is interpolated.
_THRESHOLDS = np.concatenate([[0.0], 2.0 ** np.arange(-6.0, 1.0)]).astype("float32")

COVER_WEIGHT = 8.0
"""A deep class is taken if it lowers a block's error in the secret by this times what it adds to that in the cover."""


@register
class Codebook(layers.Layer):
    """Classes of blocks; each gives every coefficient its own bits and its own quantiser.

    A block is coded as the number of a class and a level for each coefficient: adaptive transform coding at a fixed
    rate (Chen and Smith, 1977, https://doi.org/10.1109/TCOM.1977.1093763). A quantiser of n levels compresses y to
    v = asinh(y / scale) / steepness, cuts v off at +-1 and takes the middle of one of n equal cells. asinh suits the
    tails of photographs.

    The bits go into the block of the cover in groups of 8 samples (`lattice`), the number of the class in the first.
    The last classes, the deep ones, are for blocks that would come out badly, noise mostly. All their groups but the
    first take a lattice of twice the scale: one bit more a sample, for four times the cover's squared error.

    Training changes scale and steepness, `fit` the rest. Arguments as `CodebookConfig`'s; `depth` is 1 to 4.
    """

    def __init__(self, classes: int, deep_classes: int, depth: int, candidates: int, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.classes = classes
        self.deep_classes = deep_classes
        self.depth = depth
        self.candidates = candidates
        self.class_bits = (classes - 1).bit_length()

    def build(self, input_shape):
        (*_, channels), _ = input_shape
        self.groups = channels // lattice.GROUP
        shape = (self.classes, channels)
        tables = allocation.without_data(self.classes, self.level_bits())
        self.bits, self.log_scale, self.log_steepness = (
            self.add_weight(shape=shape, initializer=_constant(table), trainable=name != "bits", name=name)
            for name, table in zip(("bits", "log_scale", "log_steepness"), tables, strict=True)
        )

    def level_bits(self) -> np.ndarray:
        """Returns how many bits the levels of a block take in each class: int64[classes]."""
        deep = np.arange(self.classes) >= self.classes - self.deep_classes
        rest = np.where(deep, lattice.capacity(self.depth + 1), lattice.capacity(self.depth))
        return lattice.capacity(self.depth) + (self.groups - 1) * rest - self.class_bits

    def call(self, inputs, inverse: bool = False):
        """(coefficients, cover) -> (stego, coefficients as they will be read), with `inverse` stego -> coefficients.

        float32[B, h, w, C] each; cover and stego are samples, whole numbers from 0 to 255. What will be read has the
        gradients of coefficients that are not quantised. The way there comes first: it builds the codebook.
        """
        if inverse:
            return self.decode(*self.extract(inputs))
        y, cover = inputs
        level, chosen = map(ops.stop_gradient, self.encode(ops.stop_gradient(y)))
        return self.embed(cover, level, chosen), self._straight_through(y, level, chosen)

    def encode(self, y):
        """float32[B, h, w, C] -> levels, of that shape, and classes, int32[B, h, w]: the best of the candidates."""
        _, shortlist = ops.top_k(-self.estimate(y), self.candidates)
        best, least = shortlist[..., 0], np.inf
        for i in range(self.candidates):
            chosen = shortlist[..., i]
            of_secret = ops.sum(ops.square(y - self.decode(self.quantise(y, chosen), chosen)), axis=-1)
            error = of_secret + self._extra_cost(chosen, COVER_WEIGHT)
            best, least = ops.where(error < least, chosen, best), ops.minimum(error, least)
        return self.quantise(y, best), best

    def estimate(self, y, cover_weight: float = COVER_WEIGHT):
        """Returns about what each class costs a block: float32[B, h, w, C] -> float32[B, h, w, classes].

        That is the squared error, and `cover_weight` times what deep classes add to that of the cover. Within the range
        of its quantiser, a coefficient has the error of a cell of uniform values, whose width follows from the slope of
        the compression. Beyond, it has the error of what is cut off.
        """
        coded = ops.cast(self.bits > 0.0, "float32")
        steepness, scale = ops.exp(self.log_steepness), ops.exp(self.log_scale)
        cell = coded * ops.square(2.0 * steepness * ops.power(2.0, -self.bits)) / 12.0
        limit = coded * scale * ops.sinh(steepness)
        largest = ops.max(limit, axis=0) + 1e-6

        # Each limit is a weighted mean of the two thresholds around it. Its overload is about the same mean of theirs.
        gaps = np.diff(_THRESHOLDS)[:, None]
        steps = ops.clip((ops.expand_dims(limit / largest, 1) - _THRESHOLDS[:-1, None]) / gaps, 0.0, 1.0)
        shares = ops.concatenate([1.0 - steps[:, :1], steps[:, :-1] - steps[:, 1:], steps[:, -1:]], axis=1)

        # Not axis -1: TFLite's converter works out that sum in advance, and gets it wrong.
        errors = ops.matmul(ops.square(y), ops.transpose(cell)) + ops.sum(cell * ops.square(scale), axis=1)
        for i, threshold in enumerate(_THRESHOLDS):
            overload = ops.relu(ops.abs(y) - float(threshold) * largest)
            errors = errors + ops.matmul(ops.square(overload), ops.transpose(shares[:, i]))
        return errors + self._extra_cost(ops.arange(self.classes), cover_weight)

    def quantise(self, y, chosen):
        """Returns the levels of coefficients in given classes: float32[B, h, w, C]."""
        levels, scale, steepness = self._quantisers(chosen)
        v = _asinh(y / scale) / steepness
        # 0 lies between two cells, and a flat block has many zeros. The shift decides for all engines; without it each
        # one's rounding would.
        return ops.clip(ops.floor((v + 1.0) * levels / 2.0 + 1e-3), 0.0, levels - 1.0)

    def decode(self, level, chosen):
        """Returns what levels stand for: float32[B, h, w, C]."""
        levels, scale, steepness = self._quantisers(chosen)
        grown = ops.exp(steepness * ((2.0 * level + 1.0) / levels - 1.0))
        return scale * (grown - 1.0 / grown) / 2.0

    def embed(self, cover, level, chosen):
        """Returns the samples nearest to the cover's that hold levels and classes: float32[B, h, w, C]."""
        samples, bits, first = self._grouped(cover), self._pack(level, chosen), lattice.capacity(self.depth)
        shape = ops.shape(level)[:-1]
        rest = [
            lattice.embed(samples[..., 1:, :], ops.reshape(bits[..., first:end], (*shape, self.groups - 1, per)), depth)
            for depth, per, end in self._kinds()
        ]
        rest = ops.where(ops.reshape(self._deep(chosen), (*shape, 1, 1)), *reversed(rest))
        head = lattice.embed(samples[..., :1, :], ops.expand_dims(bits[..., :first], -2), self.depth)
        return ops.reshape(ops.concatenate([head, rest], axis=-2), ops.shape(cover))

    def extract(self, stego):
        """Returns the levels and classes that samples hold."""
        samples = self._grouped(stego)
        head = lattice.extract(samples[..., 0, :], self.depth)
        flat = (*ops.shape(stego)[:-1], -1)
        normal, deep = (ops.reshape(lattice.extract(samples[..., 1:, :], depth), flat) for depth, _, _ in self._kinds())
        (_, _, least), (_, _, most) = self._kinds()
        normal = ops.concatenate([normal, ops.zeros_like(deep[..., : most - least])], axis=-1)
        rest = ops.where(ops.expand_dims(self._deep(self._class(head)), -1), deep, normal)
        return self._unpack(ops.concatenate([head, rest], axis=-1))

    def _straight_through(self, y, level, chosen):
        # Where a coefficient has no bits, or lies beyond the last level, moving it changes nothing.
        levels, scale, steepness = self._quantisers(chosen)
        coded = ops.logical_and(levels > 1.0, ops.abs(_asinh(y / scale)) < steepness)
        return self.decode(level, chosen) + ops.where(coded, y - ops.stop_gradient(y), 0.0)

    def _pack(self, level, chosen):
        """Returns classes and levels as bits: float32[B, h, w, bits], each 0 or 1."""
        source, place, _ = self._layout()
        values = ops.take_along_axis(level, ops.take(source, chosen, axis=0), axis=-1)
        bits = lattice.bit(values, ops.take(place, chosen, axis=0))
        number = ops.expand_dims(ops.cast(chosen, "float32"), -1)
        return ops.concatenate([lattice.bit(number, self._class_places()), bits], axis=-1)

    def _unpack(self, bits):
        """Returns (levels, classes), the way back."""
        chosen = self._class(bits)
        _, place, ends = self._layout()
        # A coefficient's level is what its bits add to a running sum.
        running = ops.cumsum(bits[..., self.class_bits :] * ops.take(place, chosen, axis=0), axis=-1)
        running = ops.concatenate([ops.zeros_like(running[..., :1]), running], axis=-1)
        until = ops.take_along_axis(running, ops.take(ops.cast(ends, "int32"), chosen, axis=0), axis=-1)
        return until - ops.concatenate([ops.zeros_like(until[..., :1]), until[..., :-1]], axis=-1), chosen

    def _kinds(self):
        """(depth, bits of a group, bits of a block) without and with deep groups."""
        for depth in (self.depth, self.depth + 1):
            per = lattice.capacity(depth)
            yield depth, per, lattice.capacity(self.depth) + (self.groups - 1) * per

    def _grouped(self, samples):
        return ops.reshape(samples, (*ops.shape(samples)[:-1], self.groups, lattice.GROUP))

    def _deep(self, chosen):
        return chosen >= self.classes - self.deep_classes

    def _class(self, bits):
        number = ops.sum(bits[..., : self.class_bits] * self._class_places(), axis=-1)
        return ops.minimum(ops.cast(number, "int32"), self.classes - 1)

    def _class_places(self):
        return ops.convert_to_tensor(2.0 ** np.arange(self.class_bits, dtype="float32")[::-1])

    def _extra_cost(self, chosen, cover_weight: float):
        """What a deep class costs beyond its error in the secret."""
        # A lattice of scale s has a squared error of 0.0717 * 2 * s^2 a sample (Conway and Sloane, table 2.3).
        growth = 0.0717 * 2.0 * (4.0 ** (self.depth + 1) - 4.0**self.depth) / 255.0**2
        samples = (self.groups - 1) * lattice.GROUP
        return ops.where(self._deep(chosen), cover_weight * growth * samples, 0.0)

    def _quantisers(self, chosen):
        """(number of levels, scale, steepness) of each coefficient."""
        tables = ops.power(2.0, self.bits), ops.exp(self.log_scale), ops.exp(self.log_steepness)
        return [ops.take(table, chosen, axis=0) for table in tables]

    def _layout(self):
        """For each bit of a class, its coefficient and its place value; for each coefficient, where its bits end."""
        ends = ops.cumsum(self.bits, axis=-1)
        length, channels = int(self.level_bits().max()), self.bits.shape[-1]
        # How many coefficients end at each bit; behind the last bit comes what is not used.
        rows = ops.broadcast_to(ops.arange(self.classes)[:, None], ends.shape)
        indices = ops.reshape(ops.stack([rows, ops.cast(ends, "int32")], axis=-1), (-1, 2))
        ending = ops.scatter(indices, ops.ones(self.classes * channels), (self.classes, length + 1))
        source = ops.minimum(ops.cast(ops.cumsum(ending, axis=-1)[:, :-1], "int32"), channels - 1)
        exponent = ops.take_along_axis(ends, source, axis=-1) - 1.0 - ops.arange(length, dtype="float32")
        return source, ops.power(2.0, ops.maximum(exponent, 0.0)), ends

    def compute_output_shape(self, input_shape):
        return tuple(map(tuple, input_shape)) if isinstance(input_shape[0], (tuple, list)) else input_shape

    def get_config(self):
        names = ("classes", "deep_classes", "depth", "candidates")
        return super().get_config() | {name: getattr(self, name) for name in names}


def _constant(table: np.ndarray):
    return lambda shape, dtype=None: ops.convert_to_tensor(table.reshape(shape), dtype=dtype)


def _asinh(x):
    # Not ops.arcsinh, which TFLite has no operator for.
    magnitude = ops.abs(x)
    return ops.sign(x) * ops.log(magnitude + ops.sqrt(ops.square(magnitude) + 1.0))
