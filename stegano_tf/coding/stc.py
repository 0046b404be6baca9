"""Syndrome-trellis codes: bits say a message by their syndrome, and few of them change, where changes are cheap.

T. Filler, J. Judas, J. Fridrich: Minimizing Additive Distortion in Steganography Using Syndrome-Trellis Codes, IEEE
TIFS 6 (3), 2011. The constraint height is 10. The parity-check matrix has no submatrix that repeats: column j has ones
in its first and its last row, and between them the bits of byte j of SHAKE-256. So there is no table to agree on.
A message has about nine tenths of the bits that the bound allows at its cost; tools/benchmark_stealth.py measures it.

Codewords lie side by side in the last axis, so that one instruction works on a state of sixteen of them. numba compiles
the functions for the processor and keeps them beside the module.
"""

import functools
import hashlib
from collections.abc import Callable

import numba
import numpy as np

HEIGHT = 10
LONGEST = 1 << 14  # bits of a codeword: the trellis takes 128 bytes for each
WET = np.float32(1e9)  # the cost of what must not change
_STATES = 1 << HEIGHT
_FAR = np.float32(1e30)  # the cost of a state that nothing leads to


class WetError(Exception):
    """A message would change a wet bit: too many are."""


def embed(bits: np.ndarray, costs: np.ndarray, message: np.ndarray) -> np.ndarray:
    """Returns which of the bits to flip, bool[N, C], so that their syndrome is the message, at the least total cost.

    `bits` is uint8[N, C] of C codewords, `costs` float32[N, C] from 0 to `WET`, `message` uint8[M, C]; M <= N <=
    `LONGEST`. Raises WetError if a wet bit would flip.

    >>> flips = embed(np.zeros((40, 1), np.uint8), np.ones((40, 1), np.float32), np.ones((4, 1), np.uint8))
    >>> syndrome(flips.view(np.uint8), 4).T
    array([[1, 1, 1, 1]], dtype=uint8)
    """
    flips = _viterbi(np.ascontiguousarray(costs, np.float32), message ^ syndrome(bits, len(message)), columns())
    if np.any(costs[flips] >= WET):
        raise WetError
    return flips


def embed_ternary(
    levels: np.ndarray, up: np.ndarray, down: np.ndarray, high: np.ndarray, low: np.ndarray
) -> np.ndarray:
    """Returns how to change the levels, int8[N, C] of -1, 0 and 1, so that their two lowest bits say two messages.

    The multi-layered construction of the paper's section VI: first the second-lowest bits, which one of the two
    changes flips, at the costs that their probabilities mean; then the lowest ones of what is left free.

    `levels` is an integer array[N, C]; `up` and `down` are the costs of +1 and -1, float32[N, C] in nats (a change of
    cost c has the probability exp(-c) beside 1 for none) or `WET`; `high` and `low` are uint8[M, C] of their own M,
    of which the entropies of the two layers say how many fit. Raises WetError.
    """
    odd = (levels & 1).astype(bool)
    far, near = np.where(odd, up, down), np.where(odd, down, up)  # only the far one flips the second-lowest bit
    step = np.where(odd, np.int8(1), np.int8(-1))
    flips = embed((levels >> 1 & 1).astype(np.uint8), far + np.log1p(np.exp(-near)), high)
    changes = np.where(flips, step, np.int8(0))
    rest = embed((odd ^ flips).astype(np.uint8), np.where(flips, WET, near), low)
    return np.where(rest, -step, changes)


def read_ternary(levels: np.ndarray, high: int, low: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the two messages of `embed_ternary`, of `high` and `low` bits for each codeword of levels[N, C]."""
    return syndrome((levels >> 1 & 1).astype(np.uint8), high), syndrome((levels & 1).astype(np.uint8), low)


def syndrome(bits: np.ndarray, length: int) -> np.ndarray:
    """Returns the message that bits say, uint8[length, C] of uint8[N, C]."""
    return _syndrome(bits, length, columns())


@functools.cache
def columns() -> np.ndarray:
    """Returns the columns of the parity-check matrix, int64[LONGEST], bit 0 for the row of the block they begin in.

    Block b, the columns from floor(b N / M) to floor((b + 1) N / M), begins in row b. Rows after the last do not count.
    """
    middle = np.frombuffer(hashlib.shake_256(b"stegano_tf stc 10").digest(LONGEST), np.uint8)
    return (1 << HEIGHT - 1) + 2 * middle.astype(np.int64) + 1


def _compiled(function: Callable) -> Callable:
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder may be written, neither this one nor the user's: compile anew in every process
        return numba.njit(nogil=True)(function)


@_compiled
def _syndrome(bits, length, columns):
    n, codewords = bits.shape
    found = np.zeros((length, codewords), np.uint8)
    for c in range(codewords):
        state, j = 0, 0
        for block in range(length):
            while j < (block + 1) * n // length:
                if bits[j, c]:
                    state ^= columns[j]
                j += 1
            found[block, c] = state & 1
            state >>= 1
    return found


@_compiled
def _viterbi(costs, target, columns):
    n, codewords = costs.shape
    half = _STATES // 2
    total = np.full((_STATES, codewords), _FAR, np.float32)
    total[0] = 0
    path = np.zeros(((n + 31) // 32, _STATES, codewords), np.uint32)  # bit j % 32 of [j // 32, s, c]: flipped
    j = 0
    for block in range(len(target)):
        while j < (block + 1) * n // len(target):
            column = columns[j] - half
            cost, word, bit = costs[j], path[j >> 5], np.uint32(1) << np.uint32(j & 31)
            for s in range(half):  # its last row is one, so each pair has one state in either half
                t = half + (s ^ column)
                for c in range(codewords):
                    a, b = total[s, c], total[t, c]
                    to_a, to_b = b + cost[c], a + cost[c]
                    total[s, c] = to_a if to_a < a else a
                    word[s, c] |= bit if to_a < a else np.uint32(0)
                    total[t, c] = to_b if to_b < b else b
                    word[t, c] |= bit if to_b < b else np.uint32(0)
            j += 1
        least = np.full(codewords, _FAR, np.float32)
        for s in range(half):
            for c in range(codewords):
                total[s, c] = total[2 * s + 1, c] if target[block, c] else total[2 * s, c]
                least[c] = min(least[c], total[s, c])
        for s in range(half):
            for c in range(codewords):
                total[s, c] -= least[c]
        total[half:] = _FAR
    flips = np.zeros((n, codewords), np.bool_)
    for c in range(codewords):
        s, j = np.argmin(total[:half, c]), n - 1
        for block in range(len(target) - 1, -1, -1):
            s = 2 * s + target[block, c]
            while j >= block * n // len(target):
                if path[j >> 5, s, c] >> np.uint32(j & 31) & np.uint32(1):
                    flips[j, c] = True
                    s ^= columns[j]
                j -= 1
    return flips
