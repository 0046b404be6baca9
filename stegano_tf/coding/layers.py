"""Bits in a group of samples, by changes of 1: syndrome-trellis codes, side by side and on several threads.

Samples come in their secret order. Codeword c of C takes every C-th of them, from c on. C is as small as the longest
codeword allows: short ones are less efficient. Of the costs of changes follows how many bits fit into the second-lowest
bits of the samples, the higher layer, and how many into the lowest. Equation numbers are those of the paper in `stc`.
"""

import concurrent.futures
import os
import secrets

import numpy as np

from stegano_tf.coding import stc

THREADS = min(4, os.cpu_count() or 1)
_SIDE_BY_SIDE = 16  # codewords in one call: what a processor adds with one instruction
_DEAR = np.float32(1e5)  # nats: never worth it, but not wet
_SAMPLED = 1 << 16  # costs that are enough to find out how many bits fit


def codewords(samples: int) -> int:
    """Returns how many codewords so many samples make."""
    return -(-samples // stc.LONGEST)


def lengths(samples: int, bits: int, split: int) -> tuple[int, int]:
    """Returns the bits of a codeword in the higher and in the lower layer; the higher one has split / 256 of all."""
    count = codewords(samples)
    high = -(-bits * split // (256 * count))
    return high, max(0, -(-(bits - high * count) // count))


def write(levels: np.ndarray, up: np.ndarray, down: np.ndarray, bits: np.ndarray, split: int) -> np.ndarray:
    """Returns how samples have to change to say bits: int8[N] of integers[N] and their costs of +1 and -1, float32[N].

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


def lowest(levels: np.ndarray, prices: np.ndarray, data: bytes) -> np.ndarray:
    """Returns how integers[N] change so that their lowest bits say data: int8[N] of -1, 0, 1. Raises stc.WetError."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    flips = stc.embed((levels & 1).astype(np.uint8)[:, None], prices[:, None], bits[:, None])[:, 0]
    signs = np.unpackbits(np.frombuffer(secrets.token_bytes(-(-len(flips) // 8)), np.uint8))[: len(flips)]
    return flips * (1 - 2 * signs.astype(np.int8))


def _shape(samples: int) -> tuple[int, int]:
    """Returns how many samples a codeword has, and how many there are: the last few samples may be left out."""
    count = codewords(samples)
    return samples // count, count


def scale(up: np.ndarray, down: np.ndarray, bits: float) -> float:
    """Returns the factor that makes nats of costs, float32[N], so that changes of N samples say so many bits in all.

    It is the largest at which the entropy of the changes is enough: the lambda of equation 5.
    """
    step = -(-len(up) // _SAMPLED)
    up, down, bits = up[::step], down[::step], bits * len(up[::step]) / max(1, len(up))
    low, high = -10.0, 25.0  # of the logarithm
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if sum(entropies(up, down, np.exp(middle))) > bits else (low, middle)
    return float(np.exp(low))


def nats(up: np.ndarray, down: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns costs in nats, float32[N], for `stc.embed_ternary`; what is wet stays wet."""
    return tuple(np.where(c >= stc.WET, stc.WET, np.minimum(c * np.float32(factor), _DEAR)) for c in (up, down))


def entropies(up: np.ndarray, down: np.ndarray, factor: float) -> tuple[float, float]:
    """Returns how many bits the second-lowest bits and the lowest ones of samples say, at a factor of their costs."""
    a, b = (np.exp(-np.minimum(factor * costs.astype(np.float64), 700)) for costs in (up, down))
    total = 1 + a + b
    far = (_binary(a / total) + _binary(b / total)).sum() / 2  # either change flips the higher bit, as the level has it
    near = sum((_binary(p / (1 + p)) * (1 + p) / total).sum() for p in (a, b)) / 2
    return float(far), float(near)


def _binary(p: np.ndarray) -> np.ndarray:
    from scipy.special import entr  # noqa: PLC0415

    return (entr(p) + entr(1 - p)) / np.log(2)
