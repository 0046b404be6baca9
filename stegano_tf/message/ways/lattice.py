"""The way `capacity`: the most bytes for the least change, with the lattice E8.

The bits choose a coset of a lattice, and 8 neighbouring samples, a group, move to the nearest point of that coset
(B. Chen and G. Wornell, 2001, https://doi.org/10.1109/18.923725). The lattice of depth d is 2^d times {x in Z^8: x mod
2 is a word of the extended Hamming code}, which is E8 (J. Conway and N. Sloane, "Sphere Packings, Lattices and Groups",
chapter 5, construction A). A group carries 8 d + 4 bits. `networks.codebook` does the same as layers of a network.

A message takes the fewest bits: at most two depths, one above the other, in a secret order of the groups. What is
exact is exact: one pixel that changes on the way damages the message.
"""

import itertools
import struct
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from stegano_tf.message import keys
from stegano_tf.message.ways import salt
from stegano_tf.message.ways.way import DamagedError, RoomError, Way
from stegano_tf.sealing import stretching

GROUP = 8
DEPTHS = 4  # 0 to 3: 0.5, 1.5, 2.5 and 3.5 bits a sample
_HEADER = struct.Struct("<IB11s")  # length of the message, lanes that it has, a part of the tag of these two
_HEADER_DEPTH = 2
_LANES = 16  # at most: so many messages
_LANE = 64  # groups in a lane at least, if there are two
_BLOCK = 1 << 13  # groups to work on at a time: whole bytes at any depth

_PARITY = np.array([[0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]])
_ENCODE = np.concatenate([np.eye(4, dtype=int), _PARITY], axis=1)
_WORDS = (np.array(list(itertools.product([0, 1], repeat=4))) @ _ENCODE % 2).astype(np.int16)  # by their first 4 bits
_CHECKS = _WORDS[:, 4:] @ [8, 4, 2, 1]  # what follows these 4 bits, as a number


def bits_of(depth: int) -> int:
    """Returns how many bits a group carries; none at depth -1."""
    return 8 * depth + 4 if depth >= 0 else 0


_HEADER_GROUPS = -(-8 * _HEADER.size // bits_of(_HEADER_DEPTH))


class Capacity(Way):
    """Up to 3.5 bits a sample, exact as long as no pixel changes.

    Example:
      way = Capacity()
      stego = way.embed(cover, {key: b"a message"})
      assert way.extract(stego, key) == b"a message"
    """

    name = "capacity"

    def __init__(self, rate: float = 2.5):
        """Pictures are coded to `rate` bits a sample, 0.5 to 3.5; whatever else there is may take more."""
        self.rate = rate

    def __str__(self) -> str:
        return f"{self.name}, {self.rate} bits a sample"

    def salt(self, picture: np.ndarray) -> bytes:
        return salt.read(picture)

    def with_salt(self, picture: np.ndarray, salt_: bytes) -> np.ndarray:
        return salt.write(picture, salt_)

    def capacity(self, cover: np.ndarray) -> int:
        return self._most(cover, bits_of(DEPTHS - 1))

    def room(self, cover: np.ndarray) -> int:
        return self._most(cover, GROUP * self.rate)

    @staticmethod
    def _most(cover: np.ndarray, bits: float) -> int:
        """Returns how many bytes one message may have at so many bits a group."""
        return max(0, int(_room(len(_free(cover)) - _HEADER_GROUPS, bits)))

    def embed(self, cover: np.ndarray, messages: Mapping[bytes, bytes]) -> np.ndarray:
        lanes = _lanes(cover)
        stego = np.array(cover, order="C")
        samples = _grouped(stego)
        start = 0
        shares = _shares([len(message) for message in messages.values()], [len(lane) for lane in lanes])
        for (key, message), share in zip(messages.items(), shares, strict=True):
            head, places = _places(lanes, start, share, stretching.words(len(samples), keys.part(key, b"order")))
            start += share
            fields = struct.pack("<IB", len(message), share)
            header = _HEADER.pack(len(message), share, keys.tag(key, fields))
            data = keys.masked(key, header + message + keys.tag(key, message))
            _write(samples, head, _HEADER_DEPTH, data[: _HEADER.size])
            body = data[_HEADER.size :]
            for part, depth, piece in _pieces(places, len(body)):
                _write(samples, part, depth, body[piece])
        return stego

    def extract(self, stego: np.ndarray, key: bytes) -> bytes | None:
        try:
            lanes = _lanes(stego)
        except RoomError:
            return None
        samples = _grouped(stego)
        words = stretching.words(len(samples), keys.part(key, b"order"))
        for start, lane in enumerate(lanes):
            head = lane[stretching.order(words[lane], _HEADER_GROUPS)]
            found = keys.masked(key, _read(samples, head, _HEADER_DEPTH)[: _HEADER.size])
            size, share, tag = _HEADER.unpack(found)
            if tag == keys.tag(key, found[:5])[: len(tag)] and 0 < share <= len(lanes) - start:
                return self._message(samples, key, size, _places(lanes, start, share, words)[1])
        return None

    def _message(self, samples: np.ndarray, key: bytes, size: int, places: np.ndarray) -> bytes:
        length = size + keys.TAG
        if length <= _room(len(places)) + keys.TAG:
            read = [_read(samples, part, depth) for part, depth, _ in _pieces(places, length)]
            data = keys.masked(key, bytes(_HEADER.size) + b"".join(read)[:length])[_HEADER.size :]
            if keys.tag(key, data[:size]) == data[size:]:
                return data[:size]
        raise DamagedError(f"holds a message of {size:,} bytes, but pixels have changed: it is not whole")


WAY = Capacity
EXAMPLES = [{"rate": rate} for rate in (0.5, 1.5, 2.5, 3.5)]


def _grouped(picture: np.ndarray) -> np.ndarray:
    """Returns uint8[N, 8], of a C-contiguous picture a view; the last few samples may be left out."""
    flat = picture.reshape(-1)
    return flat[: len(flat) // GROUP * GROUP].reshape(-1, GROUP)


def _free(picture: np.ndarray) -> np.ndarray:
    """Returns which groups may carry bits: all but the salt's, int64[N] in their own order."""
    return np.delete(np.arange(picture.size // GROUP), salt.groups(picture.size))


def _lanes(picture: np.ndarray) -> list[np.ndarray]:
    """Returns the groups of each lane, int64[N] in their own order: a partition that everybody knows."""
    free = _free(picture)
    count = max(1, min(_LANES, len(free) // _LANE))
    order = free[stretching.order(stretching.words(len(free), b"stegano_tf picture 1 lanes"))]
    return [np.sort(order[lane::count]) for lane in range(count)]


def _places(lanes: Sequence[np.ndarray], start: int, share: int, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the groups of a header, in the first of a message's lanes, and those of the message, in their order."""
    head = lanes[start][stretching.order(words[lanes[start]], _HEADER_GROUPS)]
    used = np.zeros(len(words), bool)
    used[np.concatenate(lanes[start : start + share])] = True
    used[head] = False
    used = np.flatnonzero(used)
    return head, used[stretching.order(words[used])]


def _room(groups: int, bits: float = bits_of(DEPTHS - 1)) -> float:
    """Returns how many bytes a message has at most in so many groups of so many bits, besides its tag."""
    return groups * bits / 8 - keys.TAG


def _shares(sizes: Sequence[int], lanes: Sequence[int]) -> list[int]:
    """Returns how many lanes each message gets, so that the fullest has as much room as possible; RoomError if none."""
    groups = min(lanes)
    most = [_room(groups * share - _HEADER_GROUPS) for share in range(len(lanes) + 1)]
    if len(sizes) == 1:
        most[-1] = _room(sum(lanes) - _HEADER_GROUPS)
    shares = [next((share for share, room in enumerate(most) if share and room >= size), None) for size in sizes]
    if None in shares or sum(shares) > len(lanes):
        found = " and ".join(f"{size:,}" for size in sizes)
        room = max(0, int(_room(sum(lanes) - _HEADER_GROUPS)))
        raise RoomError(f"has room for {room:,} bytes in one message, expected {found}")
    for _ in range(len(lanes) - sum(shares)):
        fullest = max(range(len(sizes)), key=lambda one: sizes[one] / shares[one])
        shares[fullest] += 1
    return shares


def _pieces(places: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, int, slice]]:
    """Yields which groups carry which bytes at which depth; the deeper groups, in whole eights of them, go first.

    Eight groups carry whole bytes at every depth, so all pieces but the last end with a byte.
    """
    depth = next(depth for depth in range(DEPTHS) if bits_of(depth) * len(places) >= 8 * size)
    low, high = bits_of(depth - 1), bits_of(depth)
    deep = min(len(places), -(-max(0, 8 * size - low * len(places)) // (high - low)))
    deep = min(len(places), -(-deep // 8) * 8)
    end = deep * high // 8
    yield places[:deep], depth, slice(0, end)
    if end < size:
        rest = -(-8 * (size - end) // low)
        yield places[deep : deep + rest], depth - 1, slice(end, size)


def _write(samples: np.ndarray, places: np.ndarray, depth: int, data: bytes) -> None:
    """Lets groups of uint8[N, 8] carry data, followed by bits that are 0."""
    bits, step = bits_of(depth), _BLOCK * bits_of(depth) // 8
    for number, start in enumerate(range(0, len(places), _BLOCK)):
        block = places[start : start + _BLOCK]
        spread = np.unpackbits(np.frombuffer(data[number * step : (number + 1) * step], np.uint8))
        spread = np.pad(spread, (0, len(block) * bits - len(spread)))
        samples[block] = nearest(samples[block], _residues(spread.reshape(-1, bits), depth), depth)


def _read(samples: np.ndarray, places: np.ndarray, depth: int) -> bytes:
    """Returns what groups carry, with bits that are 0 at the end up to a whole byte."""
    found = []
    for start in range(0, len(places), _BLOCK):
        residues = extracted(samples[places[start : start + _BLOCK]], depth)
        found.append(np.packbits(_bits(residues, depth)))
    return b"".join(found)


def _residues(bits: np.ndarray, depth: int) -> np.ndarray:
    """Returns what stands for bits in a group, int16[N, 8]: numbers of d bits in 4 samples, of d + 1 bits in 4."""
    places = (1 << np.arange(depth + 1)[::-1]).astype(np.int16)
    low = bits[:, : 4 * depth].reshape(len(bits), 4, depth) @ places[1:]
    high = bits[:, 4 * depth :].reshape(len(bits), 4, depth + 1) @ places
    return np.concatenate([low, high], axis=1)


def _bits(residues: np.ndarray, depth: int) -> np.ndarray:
    """The way back: uint8[N, bits]."""
    low = residues[:, :4, None] >> np.arange(depth)[::-1].astype(np.int16) & 1
    high = residues[:, 4:, None] >> np.arange(depth + 1)[::-1].astype(np.int16) & 1
    count = len(residues)
    return np.concatenate([low.reshape(count, -1), high.reshape(count, -1)], axis=1).astype(np.uint8)


def nearest(samples: np.ndarray, residues: np.ndarray, depth: int) -> np.ndarray:
    """Returns the samples nearest to given ones, within 0 to 255, that carry residues: uint8[N, 8].

    They are at most 2^depth off, and near 0 and 255 less than twice of it.

    Args:
      samples: uint8[N, 8].
      residues: int16[N, 8], below 2^depth in the first four and below twice of it in the others.
    """
    before = samples.astype(np.int16)
    scale = np.int16(1 << depth)
    even, odd = (_congruent(before, residues + offset, 2 * scale) for offset in (np.int16(0), scale))
    gain = np.square(odd - before).astype(np.int32).T - np.square(even - before).T
    # The error of each word, but for what they share, and behind it the word's number: so the first of equals is taken.
    errors = 16 * (_sums(gain[:4]) + _sums(gain[4:])[_CHECKS]) + np.arange(16, dtype=np.int32)[:, None]
    word = _WORDS[errors.min(axis=0) & 15]
    return (even + word * (odd - even)).astype(np.uint8)


def _sums(rows: np.ndarray) -> np.ndarray:
    """Returns the sums of all 16 choices of 4 rows, int32[4, N] to int32[16, N]; the first row is the highest bit."""
    sums = np.zeros((1, rows.shape[1]), np.int32)
    for row in rows:
        sums = np.stack([sums, sums + row], axis=1).reshape(-1, rows.shape[1])
    return sums


def _congruent(samples: np.ndarray, residues: np.ndarray, modulus: np.int16) -> np.ndarray:
    """Returns the nearest values within 0 to 255 that are congruent to `residues` modulo a power of 2."""
    half = modulus // 2
    found = samples + (residues - samples + half & modulus - 1) - half
    return found + modulus * ((found < 0).astype(np.int16) - (found > 255))


def extracted(samples: np.ndarray, depth: int) -> np.ndarray:
    """Returns the residues that samples carry: uint8[N, 8] to int16[N, 8]."""
    scale = np.int16(1 << depth)
    found = samples.astype(np.int16) & 2 * scale - 1
    word = _WORDS[(found[:, :4] >> depth & 1) @ np.array([8, 4, 2, 1])]
    return found + scale * word & 2 * scale - 1
