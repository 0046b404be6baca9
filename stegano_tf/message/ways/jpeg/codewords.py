"""Bytes as bits that survive errors: a strong code for what is short, one of nearly any rate for messages.

Both are LDPC codes of 5G NR (`stegano_tf.coding.ldpc`).
"""

import concurrent.futures
import dataclasses
import os

import numpy as np

from stegano_tf.coding.ldpc import Code

_LIFTS = [3 * 2**n for n in range(8)]
_BATCH = 16  # codewords that are decoded at once: their beliefs stay in the cache of a core
# What part of the bits that arrive can be used, with codewords of full length and with shorter ones.
_LONG, _ONE = 0.93, 0.75
_KNOWN = 20  # how sure it is that padding is 0


@dataclasses.dataclass(frozen=True)
class Short:
    """A code of base graph 2 for `size` bytes, of which `sent` bits are written. Padding with zeros is not written."""

    size: int
    sent: int

    @property
    def _lift(self) -> int:
        return next(lift for lift in _LIFTS if 10 * lift >= 8 * self.size)

    @property
    def _padding(self) -> slice:
        """Which bits of a codeword are not written."""
        return slice(8 * self.size - 2 * self._lift, 8 * self._lift)

    @property
    def _code(self) -> Code:
        padding = self._padding
        return Code(2, self._lift, self.sent + padding.stop - padding.start)

    def encode(self, data: bytes) -> np.ndarray:
        """Returns the bits to write, uint8[sent]."""
        bits = np.zeros((1, self._code.size), np.uint8)
        bits[0, : 8 * self.size] = np.unpackbits(np.frombuffer(data, np.uint8))
        return np.delete(self._code.encode(bits)[0], self._padding)

    def decode(self, likelihoods: np.ndarray) -> tuple[int, bytes] | None:
        """Finds a codeword: returns its number and its bytes, None if none of them is right.

        Args:
          likelihoods: float32[N, sent]: of each bit the logarithm of P(0) / P(1).
        """
        padding = self._padding
        whole = np.full((len(likelihoods), self._code.sent), _KNOWN, np.float32)
        whole[:, : padding.start] = likelihoods[:, : padding.start]
        whole[:, padding.stop :] = likelihoods[:, padding.start :]
        bits, right = self._code.decode_checked(whole, enough=1)
        number = int(right.argmax())
        return (number, np.packbits(bits[number, : 8 * self.size]).tobytes()) if right.any() else None


@dataclasses.dataclass(frozen=True)
class Long:
    """Codewords of base graph 1 for a message: one, or as many of 1056 bytes as it needs."""

    count: int
    lift: int

    @property
    def size(self) -> int:
        """Bytes of all codewords together."""
        return self.count * 22 * self.lift // 8

    @property
    def need(self) -> float:
        """How many bits must arrive: short codewords need more of them than long ones."""
        return 8 * self.size / (_LONG if self.lift == _LIFTS[-1] else _ONE)

    def fits(self, places: int) -> bool:
        """Returns whether so many places are enough for its codewords."""
        return self.sent(places) >= 24 * self.lift

    def sent(self, places: int) -> int:
        """Returns how many bits of each codeword are written where there are so many places."""
        return min(places // self.count, 66 * self.lift)

    def encode(self, data: bytes, places: int) -> np.ndarray:
        """Returns the bits to write, at most `places` of them: first the first bit of each codeword."""
        code = Code(1, self.lift, self.sent(places))
        return code.encode(np.unpackbits(np.frombuffer(data, np.uint8)).reshape(self.count, -1)).T.ravel()

    def decode(self, likelihoods: np.ndarray, *, whole: bool = False) -> tuple[bytes, float]:
        """Returns the likeliest bytes and the share of codewords that are right, given likelihoods, float32[places].

        With `whole`, bytes of which a part is wrong are of no use: it ends there.
        """
        sent = self.sent(len(likelihoods))
        code = Code(1, self.lift, sent)
        words = likelihoods[: sent * self.count].reshape(sent, self.count).T
        cores, parts = os.cpu_count() or 1, []
        with concurrent.futures.ThreadPoolExecutor(cores) as pool:
            for start in range(0, self.count, cores * _BATCH):
                ends = range(start, min(start + cores * _BATCH, self.count), _BATCH)
                done = list(pool.map(code.decode_checked, [words[at : at + _BATCH] for at in ends]))
                parts += done
                # Where none is right, the others are not, either: their bits lie between each other.
                found = np.concatenate([right for _, right in done])
                if not (found.all() if whole else found.any()):
                    break
        bits, right = (np.concatenate(values) for values in zip(*parts, strict=True))
        return np.packbits(bits).tobytes(), np.count_nonzero(right) / self.count


def long(size: int) -> Long:
    """Returns the code for a message of so many bytes.

    Example:
      >>> long(100).size, long(2000).size
      (132, 2112)
    """
    lift = next((lift for lift in _LIFTS[2:] if 22 * lift >= 8 * size), _LIFTS[-1])
    return Long(max(1, -(-8 * size // (22 * lift))), lift)


def longest(bits: float) -> int:
    """Returns how many bytes at most can be written where so many bits arrive."""
    whole = Long(int(_LONG * bits) // (22 * _LIFTS[-1]), _LIFTS[-1])
    return max(code.size for code in (*(Long(1, lift) for lift in _LIFTS[2:-1]), whole) if code.need <= bits)
