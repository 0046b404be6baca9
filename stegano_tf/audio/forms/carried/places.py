"""Which samples of a recording hold a message, and in what order. Section 5 of docs/FORMAT.md.

Digital silence holds nothing: noise where there was none would be seen at a glance. With a passphrase the samples are
taken in an order that nobody else knows, see `sealing.stretching`. The salt lies in the lowest bits of the first
samples, where any noise could be a salt. A group is as many samples as hold whole bytes, so that a burst damages few
bytes.
"""

import hashlib
import unicodedata
from collections.abc import Iterator

import numpy as np

from stegano_tf.audio import limits
from stegano_tf.sealing import stretching

SALT = 128  # samples, of which the lowest bits are the salt
GROUP = 8  # samples that hold whole bytes at any number of bits
_SILENCE = 32  # zeros in a row that count as digital silence


def loud(samples: np.ndarray, *, inside: bool = True) -> np.ndarray:
    """Returns which samples, bool[frames, channels], lie outside digital silence.

    Of each channel of int32[frames, channels], 32 zeros in a row are silent, and all zeros before the first and after
    the last other value. Without `inside`, only the latter are.
    """
    return np.stack([_loud(channel, inside) for channel in samples.T], axis=1)


def _loud(channel: np.ndarray, inside: bool) -> np.ndarray:
    zeros = np.flatnonzero(channel == 0)
    if not len(zeros):
        return np.ones(len(channel), bool)
    breaks = np.flatnonzero(np.diff(zeros) > 1)
    first, last = zeros[np.append(0, breaks + 1)], zeros[np.append(breaks, len(zeros) - 1)]
    silent = (first == 0) | (last == len(channel) - 1)
    if inside:
        silent |= last - first + 1 >= _SILENCE
    steps = np.zeros(len(channel) + 1, np.int8)
    steps[first[silent]] = -1
    steps[last[silent] + 1] = 1
    return np.cumsum(steps[:-1], dtype=np.int8) == 0


def keep_loud(samples: np.ndarray, before: np.ndarray, step: int, full: int) -> None:
    """Changes samples, in place, that were loud `before` and have become silent, by a step that keeps their low bits.

    So a reader takes the same samples as the writer. `step` divides `full`, the highest value plus 1.
    """
    while True:
        flat = np.flatnonzero(before & ~loud(samples))[::2]  # every second one breaks a row of zeros
        if not len(flat):
            return
        samples.reshape(-1)[flat] = np.random.default_rng().choice([-step, step], len(flat)).clip(-full, full - 1)


def views(samples: np.ndarray) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Yields in which samples of int32[frames, channels] a message may lie: of all channels, and of each of a few.

    Each item is a channel, 0 for all, and several int32[N]: what lies outside digital silence; what does if silence
    within the sound is damage; and, last, everything, as version 1 has it.
    """
    parts = [(0, samples)]
    if 1 < samples.shape[1] <= limits.CHANNELS:
        for number, channel in enumerate(samples.T):
            if not any(np.array_equal(channel, other) for other in samples.T[:number]):
                parts.append((number, channel[:, None]))
    for number, part in parts:
        masks = {np.count_nonzero(mask): mask for mask in (loud(part), loud(part, inside=False))}
        used = [part[mask] for count, mask in masks.items() if count < part.size]
        yield number, [*used, np.ascontiguousarray(part).reshape(-1)]


def salted(samples: np.ndarray, passphrase: str) -> Iterator[tuple[bytes, np.ndarray]]:
    """Yields the key that a passphrase has with the salt of int32[N] samples, and the samples behind the salt."""
    if len(samples) > SALT:
        salt = np.packbits((samples[:SALT] & 1).astype(np.uint8)).tobytes()
        yield key(passphrase, salt), samples[SALT:]


def key_v1(passphrase: str) -> bytes:
    """Returns the 32 bytes that decide the order of version 1: scrypt with N = 2^15, r = 8, p = 1 of the NFC text."""
    text = unicodedata.normalize("NFC", passphrase).encode()
    return hashlib.scrypt(text, salt=b"stegano_tf carrier 1", n=1 << 15, r=8, p=1, maxmem=64 << 20, dklen=32)


def key(passphrase: str, salt: bytes) -> bytes:
    """Returns the 32 bytes that decide the order, of the NFC text: as much work as age's usual factor, 2^18."""
    return stretching.stretch(passphrase, b"stegano_tf carrier 2" + salt)


def order(samples: int, group: int, key: bytes, first: int | None = None) -> np.ndarray:
    """Returns the order in which the samples are used, int64[N], or the `first` groups of it.

    Those after the last whole group are not used.
    """
    groups = stretching.order(stretching.words(samples // group, key), first)
    return (group * groups[:, None] + np.arange(group)).reshape(-1)
