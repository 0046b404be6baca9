"""A trained codebook: the coefficients of a block into the bits that a block of a stego image holds, and back."""

import itertools

import keras
import numpy as np
from keras import layers, ops

from stegano_tf.networks.codebook import allocation, lattice
from stegano_tf.networks.layers import pick, register

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
        self._frozen = {}

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
        return (
            np.count_nonzero(self._slots(), axis=1)[self._deep(np.arange(self.classes)).astype(int)] - self.class_bits
        )

    def freeze(self) -> None:
        """Works out the tables now, for a graph that is exported; the weights count no longer.

        Converters fold only some of the operators that make the tables of the weights.
        """
        self._frozen = {
            table.__name__: keras.tree.map_structure(np.asarray, table(self))
            for table in (Codebook._quantisers, Codebook._overloads, Codebook._layout)
        }

    def call(self, inputs, inverse: bool = False):
        """(coefficients, cover) -> (stego, coefficients as they will be read), with `inverse` stego -> coefficients.

        float32[B, h, w, C] each; cover and stego are samples, whole numbers from 0 to 255. What will be read has the
        gradients of coefficients that are not quantised. The way there comes first: it builds the codebook.
        """
        # All blocks in one row: LiteRT is fast only where no shape follows from values.
        if inverse:
            return ops.reshape(self.decode(*self.extract(self._blocks(inputs))), ops.shape(inputs))
        y, cover = map(self._blocks, inputs)
        level, chosen = map(ops.stop_gradient, self.encode(ops.stop_gradient(y)))
        results = self.embed(cover, level, chosen), self._straight_through(y, level, chosen)
        return tuple(ops.reshape(result, ops.shape(inputs[1])) for result in results)

    def encode(self, y):
        """float32[..., C] -> levels, of that shape, and classes, int32[...]: the best of the candidates."""
        _, shortlist = ops.top_k(-self.estimate(y), self.candidates)
        best, least = shortlist[..., 0], np.inf
        for i in range(self.candidates):
            chosen = shortlist[..., i]
            of_secret = ops.sum(ops.square(y - self.decode(self.quantise(y, chosen), chosen)), axis=-1)
            error = of_secret + self._extra_cost(chosen, COVER_WEIGHT)
            best, least = ops.where(error < least, chosen, best), ops.minimum(error, least)
        return self.quantise(y, best), best

    def estimate(self, y, cover_weight: float = COVER_WEIGHT):
        """Returns about what each class costs a block: float32[..., C] -> float32[..., classes].

        That is the squared error, and `cover_weight` times what deep classes add to that of the cover. Within the range
        of its quantiser, a coefficient has the error of a cell of uniform values, whose width follows from the slope of
        the compression. Beyond, it has the error of what is cut off.
        """
        least, terms = self._table(Codebook._overloads)
        errors = least + self._extra_cost(ops.arange(self.classes), cover_weight)
        for threshold, shares in terms:
            errors = errors + ops.matmul(ops.square(ops.relu(ops.abs(y) - threshold)), shares)
        return errors

    def quantise(self, y, chosen):
        """Returns the levels of coefficients in given classes: float32[..., C]."""
        levels, scale, steepness = self._quantisers_of(chosen)
        v = _asinh(y, scale) / steepness
        # 0 lies between two cells, and a flat block has many zeros. The shift decides for all engines; without it each
        # one's rounding would.
        return ops.clip(ops.floor((v + 1.0) * levels / 2.0 + 1e-3), 0.0, levels - 1.0)

    def decode(self, level, chosen):
        """Returns what levels stand for: float32[..., C]."""
        levels, scale, steepness = self._quantisers_of(chosen)
        grown = ops.exp(steepness * ((2.0 * level + 1.0) / levels - 1.0))
        return scale * (grown - 1.0 / grown) / 2.0

    def embed(self, cover, level, chosen):
        """Returns the samples nearest to the cover's that hold levels and classes: float32[N, C]."""
        source, place, _ = self._table(Codebook._layout)
        number = ops.expand_dims(ops.cast(chosen, "float32"), -1)
        values = pick(ops.concatenate([number, level], axis=-1), ops.take(source, chosen, axis=0))
        bits = lattice.bit(values, ops.take(place, chosen, axis=0))
        residues = lattice.residues(ops.reshape(bits, (-1, self.slots)), self.depth + 1)
        return self._blocks(lattice.embed(self._grouped(cover), residues, self._scales(chosen)))

    def extract(self, stego):
        """Returns the levels and classes that samples, float32[N, C], hold."""
        first = lattice.bits(lattice.extract(stego[:, : lattice.GROUP], 2.0**self.depth), self.depth)[
            :, : self.class_bits
        ]
        number = ops.matmul(
            first, ops.convert_to_tensor(2.0 ** np.arange(self.class_bits, dtype="float32")[::-1, None])
        )
        chosen = ops.minimum(ops.cast(number[:, 0], "int32"), self.classes - 1)
        _, place, last = self._table(Codebook._layout)
        bits = lattice.bits(lattice.extract(self._grouped(stego), self._scales(chosen)), self.depth + 1)
        # A coefficient's level is what its bits add to a running sum, which begins with the class.
        terms = ops.reshape(bits, (-1, self.groups * self.slots)) * ops.take(place, chosen, axis=0)
        sums = pick(ops.cumsum(terms, axis=-1), ops.take(last, chosen, axis=0))
        return sums - ops.concatenate([number, sums[:, :-1]], axis=-1), chosen

    def _straight_through(self, y, level, chosen):
        # Where a coefficient has no bits, or lies beyond the last level, moving it changes nothing.
        levels, scale, steepness = self._quantisers_of(chosen)
        coded = ops.logical_and(levels > 1.0, ops.abs(_asinh(y, scale)) < steepness)
        return self.decode(level, chosen) + ops.where(coded, y - ops.stop_gradient(y), 0.0)

    def _blocks(self, x):
        return ops.reshape(x, (-1, self.groups * lattice.GROUP))

    def _grouped(self, samples):
        return ops.reshape(samples, (-1, lattice.GROUP))

    @property
    def slots(self) -> int:
        """How many bits a group of the largest scale holds."""
        return lattice.capacity(self.depth + 1)

    def _deep(self, chosen):
        return chosen >= self.classes - self.deep_classes

    def _slots(self) -> np.ndarray:
        """Returns which slots for bits a class uses that is not deep, and one that is: bool[2, groups * slots]."""
        # The numbers of a lattice of half the scale lack their most significant bits.
        lacking = [place == 0 for count in (self.depth + 1, self.depth + 2) for _ in range(4) for place in range(count)]
        shallow = np.tile(~np.array(lacking), self.groups)
        return np.stack([shallow, shallow | (np.arange(len(shallow)) >= self.slots)])

    def _scales(self, chosen):
        """The scale of each group's lattice: float32[N * groups, 1]."""
        scales = np.full((self.classes, self.groups), 2.0**self.depth, "float32")
        scales[self.classes - self.deep_classes :, 1:] *= 2.0
        return ops.reshape(ops.take(ops.convert_to_tensor(scales), chosen, axis=0), (-1, 1))

    def _table(self, table):
        """Returns what `table` makes of the weights, or made of them when they were frozen."""
        return self._frozen.get(table.__name__) or table(self)

    def _quantisers(self):
        """Number of levels, scale and steepness of each coefficient in each class: float32[classes, C] each."""
        return ops.power(2.0, self.bits), ops.exp(self.log_scale), ops.exp(self.log_steepness)

    def _quantisers_of(self, chosen):
        return [ops.take(table, chosen, axis=0) for table in self._table(Codebook._quantisers)]

    def _overloads(self):
        """For `estimate`: the least error of each class, and pairs of thresholds, float32[C], and shares in them.

        A share is what of the squared overload beyond a threshold is a class's error: float32[C, classes].
        """
        levels, scale, steepness = self._quantisers()
        coded = ops.cast(self.bits > 0.0, "float32")
        cell = coded * ops.square(2.0 * steepness / levels) / 12.0
        limit = coded * scale * ops.sinh(steepness)
        largest = ops.max(limit, axis=0) + 1e-6
        # Each limit is a weighted mean of the two thresholds around it. Its overload is about the same mean of theirs.
        gaps = zip(_THRESHOLDS[:-1], np.diff(_THRESHOLDS), strict=True)
        steps = [1.0, *(ops.clip((limit / largest - low) / gap, 0.0, 1.0) for low, gap in gaps), 0.0]
        shares = [ops.transpose(below - above) for below, above in itertools.pairwise(steps)]
        shares[0] = shares[0] + ops.transpose(cell)  # whose threshold is 0
        terms = [(float(part) * largest, share) for part, share in zip(_THRESHOLDS, shares, strict=True)]
        # Not axis -1: TFLite's converter works out that sum in advance, and gets it wrong.
        return ops.sum(cell * ops.square(scale), axis=1), terms

    def _layout(self):
        """How bits lie in the slots of a block's groups, for each class.

        Returns:
          source: of which number a slot has a bit; 0 is the class, the others are the levels: int32[classes, slots].
          place: the bit's place value: float32[classes, slots]; more than any number in slots that are not used.
          last: the last slot up to the end of each level: int32[classes, C].
        """
        used, classes = self._slots(), ops.arange(self.classes)
        deep = ops.cast(self._deep(classes), "int32")
        length, channels = np.count_nonzero(used, axis=1).max(), self.bits.shape[-1]
        slot = np.argsort(~used, axis=1, kind="stable")[:, :length].astype("int32")
        # Where each number ends, counted in bits.
        ends = ops.concatenate([ops.full((self.classes, 1), float(self.class_bits)), self.bits], axis=-1)
        ends = ops.cumsum(ends, axis=-1)
        # How many numbers end at each bit; behind the last bit comes what is not used.
        rows = ops.broadcast_to(classes[:, None], ends.shape)
        indices = ops.reshape(ops.stack([rows, ops.cast(ends, "int32")], axis=-1), (-1, 2))
        ending = ops.scatter(indices, ops.ones(self.classes * (channels + 1)), (self.classes, length + 1))
        source = ops.minimum(ops.cast(ops.cumsum(ending, axis=-1)[:, :-1], "int32"), channels)
        exponent = ops.take_along_axis(ends, source, axis=-1) - 1.0 - ops.arange(length, dtype="float32")
        place = ops.power(2.0, ops.maximum(exponent, 0.0))
        bit = np.maximum(np.cumsum(used, axis=1) - 1, 0).astype("int32")  # of each slot
        source, place = (ops.take_along_axis(table, ops.take(bit, deep, axis=0), axis=-1) for table in (source, place))
        last = ops.take_along_axis(ops.take(slot, deep, axis=0), ops.cast(ends[:, 1:], "int32") - 1, axis=-1)
        return source, ops.where(ops.take(used, deep, axis=0), place, 2.0**15), last

    def _extra_cost(self, chosen, cover_weight: float):
        """What a deep class costs beyond its error in the secret."""
        # A lattice of scale s has a squared error of 0.0717 * 2 * s^2 a sample (Conway and Sloane, table 2.3).
        growth = 0.0717 * 2.0 * (4.0 ** (self.depth + 1) - 4.0**self.depth) / 255.0**2
        samples = (self.groups - 1) * lattice.GROUP
        return ops.where(self._deep(chosen), cover_weight * growth * samples, 0.0)

    def compute_output_shape(self, input_shape):
        return tuple(map(tuple, input_shape)) if isinstance(input_shape[0], (tuple, list)) else input_shape

    def get_config(self):
        names = ("classes", "deep_classes", "depth", "candidates")
        return super().get_config() | {name: getattr(self, name) for name in names}


def _constant(table: np.ndarray):
    return lambda shape, dtype=None: ops.convert_to_tensor(table.reshape(shape), dtype=dtype)


def _asinh(y, scale):
    """asinh(y / scale)."""
    # Not ops.arcsinh and ops.sign: TFLite has no operator for the one, LiteRT no fast one for the other.
    magnitude, sign = ops.abs(y) / scale, ops.clip(1e30 * y, -1.0, 1.0)
    return sign * ops.log(magnitude + ops.sqrt(ops.square(magnitude) + 1.0))
