"""Bytes in samples, by changes of 1 at places that a key decides. Section 11 of docs/FORMAT.md.

Samples belong to groups of about a million, so that an order of one takes little memory. They are dealt out in runs:
each group has its share of every part and channel of the recording, and says an equal share of the bits. In an order of
its own, the first samples of the first group say the header: how long the message is, and how it is coded.
"""

import dataclasses
import itertools
import struct

import numpy as np

from stegano_tf.coding import layers, stc
from stegano_tf.sealing import stretching
from stegano_tf.sealing.drawing import Drawn

GROUP = 1 << 20  # samples of a group, about
RUN = 64  # samples that are dealt to a group together: longer than frames are, or a group would be of one channel
_HEADER = struct.Struct("<IBB")  # length, 256ths of the higher layer, attempt
_TAG = 16
_HEADER_BITS = 8 * (_HEADER.size + _TAG)
_HEADER_SHARE = 8  # of the first group, one in so many says the header
LEAST = 2 * _HEADER_BITS * _HEADER_SHARE
"""Samples without which there is no message."""

_ATTEMPTS = 16
_SAMPLED = 1 << 16  # costs that are enough to find the shares of the layers


def usable(costs: np.ndarray) -> int:
    """Returns how many samples may change, by their costs."""
    return int(np.count_nonzero(costs < stc.WET))


def needed(size: int, rate: float) -> float:
    """Returns how many usable samples a message of `size` bytes takes at `rate` bits a sample."""
    return max(LEAST, (8 * (size + _TAG) + _HEADER_BITS) / rate)


def capacity(costs: np.ndarray, rate: float) -> int:
    """Returns how many bytes of message fit at `rate` bits a usable sample."""
    return max(0, (int(rate * usable(costs)) - _HEADER_BITS) // 8 - _TAG) if usable(costs) >= LEAST else 0


def embed(samples: np.ndarray, costs: np.ndarray, key: bytes, message: bytes) -> np.ndarray:
    """Returns how integers[N] change to say a message under a key of 32 bytes: int8[N] of -1, 0 and 1.

    `costs` are float32[N], `stc.WET` where nothing may change; a typical one is 1. Raises `stc.WetError` if too much
    is wet.

    Example:
      changes = embed(samples, costs, key, b"a message")
      assert extract(samples + changes, key) == b"a message"
    """
    keys = _Keys(key)
    data = np.unpackbits(np.frombuffer(keys.siv(b"body").encrypt(message, None), np.uint8))
    split = _split(costs, len(data))
    for attempt in range(_ATTEMPTS):
        changes = np.zeros(len(samples), np.int8)
        try:
            head = keys.header_samples(len(samples))
            header = keys.siv(b"header").encrypt(_HEADER.pack(len(message), split, attempt), None)
            changes[head] = layers.lowest(samples[head], costs[head], header)
            for number, part in enumerate(_parts(len(samples), len(data))):
                own = keys.body_samples(len(samples), number, attempt)
                prices, said = costs[own], data[part]
                up, down = layers.nats(prices, prices, layers.scale(prices, prices, len(said)))
                changes[own] = layers.write(samples[own], up, down, said, split)
        except stc.WetError:
            continue
        return changes
    raise stc.WetError


def extract(samples: np.ndarray, key: bytes) -> bytes | None:
    """Returns the message in integers[N] under a key of 32 bytes; None if there is none, or not a whole one."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415

    keys, count = _Keys(key), len(samples)
    if count < LEAST:
        return None
    levels = (samples[keys.header_samples(count)] & 1).astype(np.uint8)
    header = np.packbits(stc.syndrome(levels[:, None], _HEADER_BITS)).tobytes()
    try:
        length, split, attempt = _HEADER.unpack(keys.siv(b"header").decrypt(header, None))
        total = 8 * (length + _TAG)
        if total > 2 * count:  # a header that somebody made up
            return None
        body = np.concatenate(
            [
                layers.read(samples[keys.body_samples(count, number, attempt)], part.stop - part.start, split)
                for number, part in enumerate(_parts(count, total))
            ]
        )
        return keys.siv(b"body").decrypt(np.packbits(body).tobytes(), None)
    except InvalidTag:
        return None


def _groups(count: int) -> int:
    return -(-count // GROUP)


def _dealt(count: int, group: int) -> np.ndarray:
    """Returns which samples belong to a group, int64[M], ascending."""
    runs = np.arange(RUN * group, count, RUN * _groups(count))
    own = (runs[:, None] + np.arange(RUN)).reshape(-1)
    return own[: np.searchsorted(own, count)]


def _parts(count: int, total: int) -> list[slice]:
    """Returns which of the bits each group says."""
    groups = _groups(count)
    return [slice(*pair) for pair in itertools.pairwise(total * group // groups for group in range(groups + 1))]


def _split(costs: np.ndarray, total: int) -> int:
    """Returns how many 256ths of the bits the higher layer says best."""
    some = costs[:: -(-len(costs) // _SAMPLED) | 1]  # an even step would see one channel of two
    high, low = layers.entropies(some, some, layers.scale(some, some, total * len(some) / len(costs)))
    return round(256 * high / (high + low))


@dataclasses.dataclass(frozen=True)
class _Keys(Drawn):
    """What is drawn from the key of a message, and which samples that chooses."""

    label: bytes = b"stegano_tf stealth in sound 1 "

    def header_samples(self, count: int) -> np.ndarray:
        """Returns which of `count` samples say the header, int64[H], in their order."""
        own = _dealt(count, 0)
        return own[self._order(len(own), b"header", _head(len(own)))]

    def body_samples(self, count: int, group: int, attempt: int) -> np.ndarray:
        """Returns which of `count` samples say the bits of a group, int64[M], in their order."""
        own = _dealt(count, group)
        if group == 0:
            own = own[self._order(len(own), b"header")[_head(len(own)) :]]
        return own[self._order(len(own), b"body" + bytes([attempt]) + struct.pack("<I", group))]

    def _order(self, count: int, use: bytes, first: int | None = None) -> np.ndarray:
        return stretching.order(stretching.words(count, self.draw(b"order " + use)), first)


def _head(first: int) -> int:
    """Returns how many samples of the first group, which has `first`, say the header."""
    return min(first // _HEADER_SHARE, stc.LONGEST)
