"""Bytes to 16-bit PCM samples and back: one byte, one sample, as published, but in the middle of its level.

Byte `b` becomes the sample `256*b + 128 - 32768`, and sample `s` becomes the byte `(s + 32768) >> 8`. The published
mapping puts the byte at the lower edge of its level; the middle lets every sample move by up to ±127 without harm.
Conversion to 24-bit, 32-bit, float, FLAC or (truncating) 8-bit PCM and back loses nothing. A converter that *rounds* to
8 bits (SoX does, without dither) meets an exact half and makes every byte one more, 255 excepted: 254 and 255 become
the same, which cannot be undone.
"""

from collections.abc import Iterable

import numpy as np

from stegano_tf import scratch

BLOCK = 1 << 19
"""Samples that are worked on at a time: bytes, samples and picture rows of one block stay in the processor's cache."""


def encode(data) -> np.ndarray:
    """Returns the int16[N] samples of N bytes: bytes, a memoryview, contiguous uint8[N]."""
    data = np.frombuffer(data, np.uint8)
    samples = np.multiply(data, 256, dtype=np.uint16)
    samples ^= 0x8080  # adds 128 and, by flipping the sign bit, subtracts 32768
    return samples.view(np.int16)


def decode(samples: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Returns the uint8 bytes of int16 `samples`, of the same shape, in `out` if it is given."""
    if samples.dtype != np.int16:
        raise TypeError(f"samples are {samples.dtype}, expected int16")
    if out is None:
        out = np.empty(samples.shape, np.uint8)
    np.right_shift(samples, 8, out=out, casting="unsafe")
    out ^= 0x80
    return out


def gather(blocks: Iterable[np.ndarray], out: np.ndarray) -> np.ndarray:
    """Returns `out`, which may lie in `scratch`, filled with one-dimensional blocks, one after the other."""
    start = 0
    for block in blocks:
        out[start : start + len(block)] = block
        start += len(block)
        scratch.release(out)
    return out
