"""Bits in a group of samples: syndrome-trellis codes, side by side and on several threads.

Samples come in their secret order. Codeword c of C takes every C-th of them, from c on. C is as small as the longest
codeword allows: short ones are less efficient.
"""

import concurrent.futures
import os

import numpy as np

from stegano_tf.coding import stc

THREADS = min(4, os.cpu_count() or 1)
_SIDE_BY_SIDE = 16  # codewords in one call: what a processor adds with one instruction


def codewords(samples: int) -> int:
    """Returns how many codewords so many samples make."""
    return -(-samples // stc.LONGEST)


def lengths(samples: int, bits: int, split: int) -> tuple[int, int]:
    """Returns the bits of a codeword in the higher and in the lower layer; the higher one has split / 256 of all."""
    count = codewords(samples)
    high = -(-bits * split // (256 * count))
    return high, max(0, -(-(bits - high * count) // count))


def write(levels: np.ndarray, up: np.ndarray, down: np.ndarray, bits: np.ndarray, split: int) -> np.ndarray:
    """Returns how samples have to change to say bits: int8[N] of uint8[N] and its costs of +1 and -1, float32[N].

    The costs are in nats (`stc.embed_ternary`), `bits` is uint8[M] of 0 and 1. Raises stc.WetError.
    """
    shape = _shape(len(levels))
    used = shape[0] * shape[1]
    layers, start = [], 0
    for length in lengths(len(levels), len(bits), split):
        part = bits[start : start + length * shape[1]]
        start += len(part)
        layers.append(np.pad(part, (0, length * shape[1] - len(part))).reshape(length, shape[1]))
    inputs = [values[:used].reshape(shape) for values in (levels, up, down)] + layers

    def embed(first: int) -> np.ndarray:
        return stc.embed_ternary(*(values[:, first : first + _SIDE_BY_SIDE] for values in inputs))

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        changes = np.concatenate(list(pool.map(embed, range(0, shape[1], _SIDE_BY_SIDE))), axis=1).reshape(-1)
    return np.pad(changes, (0, len(levels) - used))


def read(levels: np.ndarray, bits: int, split: int) -> np.ndarray:
    """Returns the bits that samples say, uint8[bits]."""
    shape = _shape(len(levels))
    high, low = lengths(len(levels), bits, split)
    both = stc.read_ternary(levels[: shape[0] * shape[1]].reshape(shape), high, low)
    return np.concatenate([layer.reshape(-1) for layer in both])[:bits]


def _shape(samples: int) -> tuple[int, int]:
    """Returns how many samples a codeword has, and how many there are: the last few samples may be left out."""
    count = codewords(samples)
    return samples // count, count
