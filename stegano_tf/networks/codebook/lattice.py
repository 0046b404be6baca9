"""Bits into pictures and out of them, exactly: quantisation index modulation with the lattice E8.

The bits choose a coset of a lattice, and hiding moves a group of 8 samples to the nearest point of that coset (B. Chen
and G. Wornell, 2001, https://doi.org/10.1109/18.923725). The change is noise of the same size, whatever is hidden.

The lattice is 2^depth times {x in Z^8: x mod 2 is a word of the extended Hamming code}, which is E8 (J. Conway and
N. Sloane, "Sphere Packings, Lattices and Groups", chapter 5, construction A). For the same number of bits its error is
0.65 dB below that of single samples modulo a number (table 2.3 there).
"""

import itertools

import numpy as np
from keras import ops

GROUP = 8
"""Samples that carry bits together."""

_PARITY = np.array([[0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]], "float32")
_DATA = np.array(list(itertools.product([0, 1], repeat=4)), "float32")
_WORDS = np.concatenate([_DATA, _DATA @ _PARITY % 2], axis=1)  # the 16 words of the code


def capacity(depth: int) -> int:
    """Returns how many bits a group carries."""
    return 4 * depth + 4 * (depth + 1)


def embed(samples, bits, depth: int):
    """Returns the samples nearest to given ones that carry bits: at most 2**depth off, near 0 and 255 less than twice.

    Args:
      samples: float32[..., 8], whole numbers from 0 to 255, as the result.
      bits: float32[..., capacity(depth)], each 0 or 1.
      depth: the base-2 logarithm of the lattice's scale, 1 to 5.
    """
    scale = float(2**depth)
    leader = ops.concatenate([_number(bits[..., : 4 * depth], depth), _number(bits[..., 4 * depth :], depth + 1)], -1)
    even, odd = (_nearest(samples, leader + offset, 2.0 * scale) for offset in (0.0, scale))
    # The squared error of each word of the code, but for a term they share.
    errors = ops.matmul(ops.square(odd - samples) - ops.square(even - samples), ops.convert_to_tensor(_WORDS.T))
    # The errors are whole numbers. As integers, because Keras' argmin of floats uses operators that TFLite lacks.
    best = ops.argmin(ops.cast(errors, "int32"), axis=-1)
    word = ops.take(ops.convert_to_tensor(_WORDS), best, axis=0)
    return even + word * (odd - even)


def extract(samples, depth: int):
    """Returns the bits that `embed` put in: float32[..., 8] -> float32[..., capacity(depth)]."""
    scale = float(2**depth)
    residues = _modulo(samples, 2.0 * scale)
    data = bit(residues[..., :4], scale)
    parity = _modulo(ops.matmul(data, ops.convert_to_tensor(_PARITY)), 2.0)
    leaders = _modulo(residues[..., 4:] + scale * parity, 2.0 * scale)
    return ops.concatenate([_bits(residues[..., :4] - scale * data, depth), _bits(leaders, depth + 1)], -1)


def bit(numbers, places):
    """Returns the bits of whole numbers that have given place values, both float32."""
    # Half a unit more: optimised graphs multiply by reciprocals instead of dividing, which is not exact.
    return _modulo(ops.floor((numbers + 0.5) / places), 2.0)


def _nearest(samples, residues, modulus: float):
    """The nearest values within 0 to 255 that are congruent to `residues`."""
    half = modulus / 2.0
    nearest = samples + _modulo(residues - samples + half, modulus) - half
    # By how much a whole number is beyond the range, cut off at 1, is 1 if it is beyond and 0 if it is not.
    return nearest + modulus * (ops.clip(-nearest, 0.0, 1.0) - ops.clip(nearest - 255.0, 0.0, 1.0))


def _modulo(numbers, modulus: float):
    # Exact for powers of two. LiteRT is slow at its own operator for it.
    return numbers - modulus * ops.floor(numbers / modulus)


def _number(bits, count: int):
    """float32[..., 4 * count] -> float32[..., 4], the most significant bit first."""
    places = ops.convert_to_tensor(np.kron(np.eye(4), 2.0 ** np.arange(count)[::-1, None]).astype("float32"))
    return ops.matmul(bits, places)


def _bits(numbers, count: int):
    """The way back."""
    spread = ops.matmul(numbers, ops.convert_to_tensor(np.kron(np.eye(4), np.ones(count)).astype("float32")))
    return bit(spread, ops.convert_to_tensor(np.tile(2.0 ** np.arange(count)[::-1], 4).astype("float32")))
