"""Secret orders, for what is hidden where nobody else looks: scrypt stretches a passphrase, SHAKE-256 orders.

scrypt (RFC 7914) works as hard as age does. So a guess costs what it costs against the age file itself, and with a salt
for every message no table serves for two of them. SHAKE-256 (FIPS 202) makes one 32-bit word a place, and the order
sorts these words. Other languages have both functions too; numpy's permutations depend on its version.
"""

import functools
import hashlib
import unicodedata

import numpy as np

_FACTOR = 18  # age's usual work factor


@functools.lru_cache(maxsize=32)  # what was written is read back at once; two forms look at the salts of each channel
def stretch(passphrase: str, salt: bytes) -> bytes:
    """Returns 32 bytes of a passphrase, of its NFC text, and a salt: about a second of work and 256 MiB of memory."""
    text = unicodedata.normalize("NFC", passphrase).encode()
    return hashlib.scrypt(text, salt=salt, n=1 << _FACTOR, r=8, p=1, maxmem=320 << 20, dklen=32)


def words(count: int, key: bytes) -> np.ndarray:
    """Returns uint32[count], the words that SHAKE-256 makes of a key."""
    return np.frombuffer(hashlib.shake_256(key).digest(4 * count), "<u4")


def order(words: np.ndarray, first: int | None = None) -> np.ndarray:
    """Returns the order that sorts uint32[N] words, stably: int64[N], or the `first` of it.

    Example:
      >>> order(np.array([7, 3, 7, 1], np.uint32), 3).tolist()
      [3, 1, 0]
    """
    # A number for each word and its place: sorting numbers is many times as fast as a stable order of words.
    numbers = words.astype(np.uint64) << np.uint64(32) | np.arange(len(words), dtype=np.uint64)
    if first is not None and first < len(words):
        numbers = np.partition(numbers, first)[:first]
    return (np.sort(numbers) & np.uint64(0xFFFFFFFF)).astype(np.int64)
