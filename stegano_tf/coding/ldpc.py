"""The LDPC codes of 5G NR (3GPP TS 38.212, sections 5.3.2 and 5.4.2.1) in numpy: encoding and decoding.

A code is a base graph whose squares are lifted to `lift` x `lift` cyclic shifts. Its first `2 * lift` bits are not
sent. Of the others as many are sent as there is room for: that sets the rate. Decoding is belief propagation with the
sum-product rule, one row of the base graph after the other (D. Hocevar, "A reduced complexity decoder architecture via
layered decoding of LDPC codes", SIPS 2004), for a batch of codewords at once. Min-sum, the usual shortcut, is weaker,
and no faster in numpy.

No library on PyPI has both these codes and the speed: Sionna needs PyTorch, py3gpp is under the AGPL, and `ldpc` takes
one codeword after the other and has no such tables.
"""

import dataclasses
import functools

import numpy as np

from stegano_tf.coding import graphs

_CORE = 4  # rows of which the parity bits depend on each other; each row after them makes one more column of parity
_ITERATIONS = 40
_SURE = 12  # the largest logarithm of P(0) / P(1) that a check takes in: beyond it, float32 has no digits left
_GRAPHS = {1: (graphs.BASE_GRAPH_1, 22), 2: (graphs.BASE_GRAPH_2, 10)}


@dataclasses.dataclass(frozen=True, slots=True)
class Code:
    """A code for codewords of `sent` bits, of which the 5G base graph 1 or 2 and a lifting size are given.

    Attributes:
      graph: 1 for rates above 1/3, 2 above 1/5.
      lift: 3 * 2**n, up to 384.
      sent: bits of a codeword that are sent.
    """

    graph: int
    lift: int
    sent: int

    @property
    def size(self) -> int:
        """Bits of a message."""
        return _GRAPHS[self.graph][1] * self.lift

    def encode(self, bits: np.ndarray) -> np.ndarray:
        """Returns the codewords, uint8[N, sent], of messages, uint8[N, size], each value 0 or 1."""
        rows, data = _rows(self), _GRAPHS[self.graph][1]
        word = np.zeros(((data + len(rows)) * self.lift, len(bits)), np.uint8)
        word[: self.size] = bits.T
        parity = word[self.size :].reshape(len(rows), self.lift, -1)
        # All parity bits are still 0, so a row's sum is that of its data. Those of the core add up to a shift of the
        # first parity column: each other one occurs in two of them.
        places = [row // self.lift == data for row in rows[:_CORE]]
        shifts = [int(row[place][0]) % self.lift for row, place in zip(rows, places, strict=False) if place.any()]
        alone = next(shift for shift in shifts if shifts.count(shift) == 1)
        core = np.bitwise_xor.reduce([np.bitwise_xor.reduce(word[row]) for row in rows[:_CORE]])
        parity[0] = np.roll(core, alone, axis=0)
        for number, row in [*enumerate(rows[: _CORE - 1], 1), *enumerate(rows[_CORE:], _CORE)]:
            parity[number] = np.bitwise_xor.reduce(word[row])
        return word[2 * self.lift :][: self.sent].T

    def decode(self, likelihoods: np.ndarray) -> np.ndarray:
        """Returns the likeliest messages, uint8[N, size], right or not.

        Args:
          likelihoods: float32[N, sent]: of each bit the logarithm of P(0) / P(1).
        """
        return self.decode_checked(likelihoods)[0]

    def decode_checked(self, likelihoods: np.ndarray, enough: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Returns what `decode` does, and which of the messages pass all checks, bool[N].

        Args:
          likelihoods: as `decode`'s.
          enough: so many right messages are wanted, and the others may stay wrong; all by default.
        """
        enough = len(likelihoods) if enough is None else enough
        rows = _rows(self)
        beliefs = np.zeros(((_GRAPHS[self.graph][1] + len(rows)) * self.lift, len(likelihoods)), np.float32)
        beliefs[2 * self.lift :][: self.sent] = likelihoods.T
        messages = [np.zeros((*row.shape, len(likelihoods)), np.float32) for row in rows]
        result = np.empty((self.size, len(likelihoods)), np.uint8)
        left, right = np.arange(len(likelihoods)), np.zeros(len(likelihoods), bool)
        for _ in range(_ITERATIONS):
            for row, message in zip(rows, messages, strict=True):
                _update(beliefs, row, message)
            hard = np.signbit(beliefs).view(np.uint8)
            result[:, left] = hard[: self.size]
            wrong = np.zeros(len(left), bool)
            for row in rows:
                wrong |= np.bitwise_xor.reduce(hard[row]).any(axis=0)
                if wrong.all():  # long before the last row, in nearly all iterations
                    break
            right[left[~wrong]] = True
            if np.count_nonzero(right) >= enough:
                break
            if not wrong.all():
                left, beliefs = left[wrong], beliefs[:, wrong]
                messages = [message[..., wrong] for message in messages]
        return result.T, right


@functools.lru_cache
def _rows(code: Code) -> list[np.ndarray]:
    """Returns the checks that the sent bits take part in, by row of the graph: places of their bits, int[K, lift]."""
    table, data = _GRAPHS[code.graph]
    rows = [[map(int, entry.split(":")) for entry in line.split()] for line in table.strip().splitlines()]
    count = max(_CORE, -(-code.sent // code.lift) + 2 - data)
    if count > len(rows):
        raise ValueError(f"{code.sent} bits, expected at most {(len(rows) + data - 2) * code.lift}")
    each = np.arange(code.lift)
    return [
        np.stack([column * code.lift + (each + shift) % code.lift for column, shift in row]) for row in rows[:count]
    ]


def _update(beliefs: np.ndarray, row: np.ndarray, message: np.ndarray) -> None:
    """Exchanges beliefs, float32[bits, N], and the messages of a row to its bits, float32[K, lift, N], in place."""
    seen = beliefs[row]
    seen -= message
    negative = np.signbit(seen)
    # tanh(message / 2) is the product of tanh(seen / 2) over the other bits of the check.
    logs = np.abs(seen)
    np.clip(logs, 1e-3, _SURE, out=logs)
    logs /= 2
    np.log(np.tanh(logs, out=logs), out=logs)
    np.subtract(logs.sum(axis=0), logs, out=logs)
    product = np.minimum(np.exp(logs, out=logs), np.float32(1 - 2e-6), out=logs)
    np.log((1 + product) / (1 - product), out=message)
    np.negative(message, out=message, where=negative ^ np.logical_xor.reduce(negative, axis=0))
    seen += message
    beliefs[row] = seen
