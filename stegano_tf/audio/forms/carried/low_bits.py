"""Bytes to the low bits of samples and back.

The bits, highest first, are cut into groups of `bits`; each group becomes the low bits of one sample. Of all values
with these low bits a sample takes the nearest, which may carry into its higher bits: that is half the error of
replacing them (for 1 bit: ±1 at random, which leaves no pairs of values behind).
"""

import math

import numpy as np

MAX_BITS = 8


def group(bits: int) -> int:
    """Returns the fewest samples that hold whole bytes."""
    return 8 // math.gcd(bits, 8)


def capacity(samples: int, bits: int) -> int:
    """Returns how many bytes fit."""
    return samples // group(bits) * group(bits) * bits // 8


def embed(samples: np.ndarray, data: bytes, bits: int, depth: int, order: np.ndarray | None) -> np.ndarray:
    """Returns int32[N] samples of `depth` bits whose low `bits` bits hold `data`, in this order if there is one."""
    stream = np.unpackbits(np.frombuffer(data, np.uint8))
    stream = np.append(stream, np.zeros(-len(stream) % bits, np.uint8)).reshape(-1, bits)
    values = stream @ (1 << np.arange(bits - 1, -1, -1))
    used = slice(len(values)) if order is None else order[: len(values)]
    full = 1 << (depth - 1)
    step = 1 << bits
    before = samples[used]
    change = (values - before) % step  # upwards; above half a step it is nearer downwards
    down = change > step // 2
    tie = change == step // 2
    down[tie] = np.random.default_rng().integers(0, 2, np.count_nonzero(tie)).astype(bool)
    after = before + change - step * down
    after += step * ((after < -full).astype(np.int32) - (after >= full))
    result = samples.copy()
    result[used] = after
    return result


def extract(samples: np.ndarray, size: int, bits: int, order: np.ndarray | None, start: int = 0) -> np.ndarray:
    """Returns `size` bytes, uint8[size], that the low `bits` bits of int32[N] samples hold, from byte `start` on.

    The bits before `start` must fill whole samples.
    """
    used = slice(8 * start // bits, -(-8 * (start + size) // bits))
    values = samples[used] if order is None else samples[order[used]]
    groups = np.unpackbits((values & ((1 << bits) - 1)).astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]
    return np.packbits(groups.reshape(-1)[: 8 * size])
