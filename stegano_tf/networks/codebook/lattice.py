"""Bits into pictures and out of them, exactly: quantisation index modulation with the lattice E8.

The bits choose a coset of a lattice, and hiding moves a group of 8 samples to the nearest point of that coset (B. Chen
and G. Wornell, 2001, https://doi.org/10.1109/18.923725). The change is noise of the same size, whatever is hidden.

The lattice is 2^depth times {x in Z^8: x mod 2 is a word of the extended Hamming code}, which is E8 (J. Conway and
N. Sloane, "Sphere Packings, Lattices and Groups", chapter 5, construction A). For the same number of bits its error is
0.65 dB below that of single samples modulo a number (table 2.3 there).
"""

import itertools

import numpy as np
import scipy.linalg
from keras import ops

GROUP = 8
"""Samples that carry bits together."""

_PARITY = np.array([[0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]], "float32")
_DATA = np.array(list(itertools.product([0, 1], repeat=4)), "float32")
_ENCODE = np.zeros((8, 8), "float32")  # from 8 samples, of which 4 are data, to a word of the code
_ENCODE[:4] = np.concatenate([np.eye(4), _PARITY], axis=1)
_WORDS = _DATA @ _ENCODE[:4] % 2  # all 16


def capacity(depth: int) -> int:
    """Returns how many bits a group carries."""
    return 4 * depth + 4 * (depth + 1)


def residues(bits, depth: int):
    """float32[..., capacity(depth)], each 0 or 1 -> what stands for them in a group: float32[..., 8]."""
    return ops.matmul(bits, ops.convert_to_tensor(_places(depth)))


def bits(residues, depth: int):
    """The way back."""
    places = _places(depth)
    spread = ops.matmul(residues, ops.convert_to_tensor((places.T > 0).astype("float32")))
    return bit(spread, ops.convert_to_tensor(places.sum(axis=1)))


def embed(samples, residues, scale):
    """Returns the samples nearest to given ones that carry residues.

    They are at most `scale` off, and near 0 and 255 less than twice of it.

    Args:
      samples: float32[..., 8], whole numbers from 0 to 255, as the result.
      residues: float32[..., 8], whole numbers below `scale` in the first four, and below twice of it in the others.
      scale: of the lattice: 2 to 32, a power of 2, or float32[..., 1] of such.
    """
    even, odd = (_nearest(samples, residues + offset, 2.0 * scale) for offset in (0.0, scale))
    # The squared error of each word of the code, but for a term they share: a whole number. The word's own number
    # behind it makes all of them different. Not argmin, which LiteRT is slow at.
    errors = ops.matmul(ops.square(odd - samples) - ops.square(even - samples), ops.convert_to_tensor(16.0 * _WORDS.T))
    errors = errors + ops.arange(16, dtype="float32")
    best = ops.relu(1.0 + ops.min(errors, axis=-1, keepdims=True) - errors)  # 1 for the least, 0 for the others
    return even + ops.matmul(best, ops.convert_to_tensor(_WORDS)) * (odd - even)


def extract(samples, scale):
    """Returns the residues that `embed` put in: float32[..., 8] -> float32[..., 8]."""
    found = _modulo(samples, 2.0 * scale)
    # The word of the code, from its data: the first 4 samples.
    word = _modulo(ops.matmul(bit(found, scale), ops.convert_to_tensor(_ENCODE)), 2.0)
    return _modulo(found + scale * word, 2.0 * scale)


def bit(numbers, places):
    """Returns the bits of whole numbers that have given place values, both float32."""
    # Half a unit more: optimised graphs multiply by reciprocals instead of dividing, which is not exact.
    return _modulo(ops.floor((numbers + 0.5) / places), 2.0)


def _nearest(samples, residues, modulus):
    """The nearest values within 0 to 255 that are congruent to `residues`."""
    half = modulus / 2.0
    nearest = samples + _modulo(residues - samples + half, modulus) - half
    # By how much a whole number is beyond the range, cut off at 1, is 1 if it is beyond and 0 if it is not.
    return nearest + modulus * (ops.clip(-nearest, 0.0, 1.0) - ops.clip(nearest - 255.0, 0.0, 1.0))


def _modulo(numbers, modulus):
    # Exact for powers of two. LiteRT is slow at its own operator for it.
    return numbers - modulus * ops.floor(numbers / modulus)


def _places(depth: int) -> np.ndarray:
    """Returns the place value of each bit in each number, float32[capacity(depth), 8]; the most significant first."""
    low, high = (np.kron(np.eye(4), 2.0 ** np.arange(count)[::-1, None]) for count in (depth, depth + 1))
    return scipy.linalg.block_diag(low, high).astype("float32")
