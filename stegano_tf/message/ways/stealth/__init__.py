"""The way `stealth`: few bits, by changes of 1 where they are hard to tell from the picture's own noise.

Syndrome-trellis codes choose the samples that change, out of millions, so that the sum of their costs is low. A reader
needs the key and no costs. tools/detect.py measures how often trained detectors are wrong about it.
"""

import concurrent.futures
import dataclasses
import itertools
import struct
from collections.abc import Mapping

import numpy as np

from stegano_tf.coding import layers, stc
from stegano_tf.message.ways.stealth import costs, grid, places
from stegano_tf.message.ways.way import SALT, DamagedError, RoomError, Way
from stegano_tf.sealing.drawing import Drawn

RATE = 0.1
_HEADER = struct.Struct("<IBBBBB")  # length, shares of red, green and blue, share of the higher layer, attempt
_TAG = 16
_HEADER_BITS = 8 * (_HEADER.size + _TAG)
_MOST_RATE = 0.5
_ATTEMPTS = 16


class Stealth(Way):
    """Up to `rate` bits for each sample that is neither saturated nor in a flat part.

    Example:
      way = Stealth(rate=0.05)
      stego = way.embed(cover, {key: b"a message"})
      assert way.extract(stego, key) == b"a message"
    """

    name = "stealth"

    def __init__(self, rate: float = RATE):
        """Takes messages up to `rate` bits a sample, above 0 and up to 0.5. A reader needs no rate."""
        if not 0 < rate <= _MOST_RATE:
            raise ValueError(f"rate {rate}: expected more than 0, up to {_MOST_RATE}")
        self.rate = rate

    def __str__(self) -> str:
        return f"{self.name}, {self.rate:g} bits a sample"

    def salt(self, picture: np.ndarray) -> bytes:
        bits = picture.reshape(-1)[places.salt_samples(picture.shape)] & 1
        return np.packbits(stc.syndrome(bits[:, None], 8 * SALT)).tobytes()

    def with_salt(self, picture: np.ndarray, salt: bytes) -> np.ndarray:
        changed, samples = np.array(picture, order="C"), places.salt_samples(picture.shape)
        row, prices = changed.reshape(-1), costs.of_picture(picture).reshape(-1)[samples]
        try:
            row[samples] += layers.lowest(row[samples], prices, salt).view(np.uint8)  # 255 wraps around to -1
        except stc.WetError:
            raise RoomError("is flat or saturated nearly everywhere") from None
        return changed

    def capacity(self, cover: np.ndarray) -> int:
        return self._capacity(costs.of_picture(cover) < stc.WET, 1)

    def advice(self, cover: np.ndarray) -> str | None:
        if not grid.was_jpeg(cover):
            return None
        return (
            "was a JPEG file: its blocks say what its pixels were, and so show changes;"
            " a picture that never was one, or was made half as large since, hides them better"
        )

    def embed(self, cover: np.ndarray, messages: Mapping[bytes, bytes]) -> np.ndarray:
        lanes = next((lanes for lanes in places.LANES if lanes >= len(messages)), None)
        if lanes is None:
            raise RoomError(f"has room for {places.LANES[-1]} messages, not for {len(messages)}")
        prices = costs.of_picture(cover)
        usable = prices < stc.WET
        capacity, longest = self._capacity(usable, lanes), max(map(len, messages.values()), default=0)
        if longest > capacity:
            raise RoomError(
                f"takes {capacity:,} bytes a message at {self.rate:g} bits a sample, not {longest:,}"
                f" ({usable.mean():.0%} of its samples are neither saturated nor flat)"
            )
        canvas = _Canvas(cover, prices, np.zeros(cover.shape, np.int8))
        for lane, (key, message) in enumerate(messages.items()):
            _Lane(cover.shape, key, lanes, lane).write(canvas, message)
        return cover + canvas.changes.view(np.uint8)

    def extract(self, stego: np.ndarray, key: bytes) -> bytes | None:
        for lanes in places.LANES:
            for lane in range(lanes):
                try:
                    found = _Lane(stego.shape, key, lanes, lane).read(stego)
                except RoomError:
                    return None
                if found is not None:
                    return found
        return None

    def _capacity(self, usable: np.ndarray, lanes: int) -> int:
        counts = []
        for lane in range(lanes):
            cells = places.cells(usable.shape, lanes, lane)
            _header_samples(len(cells), lanes)
            counts.append(sum(np.count_nonzero(places.plane(usable, g).reshape(-1)[cells]) for g in places.GROUPS))
        return max(0, (int(self.rate * min(counts)) - _HEADER_BITS - 8 * _TAG) // 8)


WAY = Stealth
EXAMPLES = [{"rate": rate} for rate in (0.05, 0.1, 0.2)]


@dataclasses.dataclass(frozen=True, slots=True)
class _Canvas:
    """What a message is written on: uint8[H, W, 3], its costs float32[H, W, 3], and the changes, int8[H, W, 3]."""

    cover: np.ndarray
    prices: np.ndarray
    changes: np.ndarray


class _Lane:
    """Where a message lies, and how."""

    def __init__(self, shape: tuple[int, ...], key: bytes, lanes: int, lane: int):
        """Raises RoomError if a picture of this shape is too small for so many lanes."""
        self._cells = places.cells(shape, lanes, lane)
        self._drawn = Drawn(key, b"stegano_tf stealth 1 " + bytes([lanes, lane]))
        self._first = self._order(len(self._cells), b"header")
        self._head = _header_samples(len(self._cells), lanes)

    def write(self, canvas: _Canvas, message: bytes) -> None:
        """Enters into the changes what says a message. Raises RoomError if too much of the cover is wet."""
        bits = 8 * (len(message) + _TAG)
        shares, split = self._shares(canvas.prices, bits)
        body = np.unpackbits(np.frombuffer(self._drawn.siv(b"body").encrypt(message, None), np.uint8))
        for attempt in range(_ATTEMPTS):
            fields = len(message), *shares, split, attempt
            try:
                self._write_header(canvas, _HEADER.pack(*fields))
                for number, part in enumerate(_parts(fields)):
                    self._write_group(canvas, places.GROUPS[number], self._own(number, attempt), body[part], split)
            except stc.WetError:
                for group in places.GROUPS:
                    _put(canvas.changes, group, self._cells, 0)
            else:
                return
        raise RoomError(f"has too large flat or saturated parts for {len(message):,} bytes: hide less, or elsewhere")

    def read(self, stego: np.ndarray) -> bytes | None:
        """Returns the message, None if there is none. Raises DamagedError."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415

        levels = _take(stego, places.GROUPS[0], self._cells[self._first[: self._head]])
        header = np.packbits(stc.syndrome((levels & 1)[:, None], _HEADER_BITS)).tobytes()
        try:
            fields = _HEADER.unpack(self._drawn.siv(b"header").decrypt(header, None))
        except InvalidTag:
            return None
        length, *shares, split, attempt = fields
        if not any(shares) or 8 * length > 2 * len(places.GROUPS) * len(self._cells):  # a header that somebody made up
            raise DamagedError(f"says that it holds a message of {length:,} bytes, more than there is room for")

        def bits(number: int, part: slice) -> np.ndarray:
            levels = _take(stego, places.GROUPS[number], self._own(number, attempt))
            return layers.read(levels, part.stop - part.start, split)

        with concurrent.futures.ThreadPoolExecutor(layers.THREADS) as pool:
            body = np.concatenate(list(pool.map(bits, range(len(places.GROUPS)), _parts(fields))))
        try:
            return self._drawn.siv(b"body").decrypt(np.packbits(body).tobytes(), None)
        except InvalidTag:
            found = f"holds a message of {length:,} bytes"
            raise DamagedError(f"{found}, but not whole: pixels have changed since it was hidden") from None

    def _own(self, number: int, attempt: int) -> np.ndarray:
        """Returns the cells of a group in the order in which they are used, int64[N]."""
        own = self._cells if number else self._cells[self._first[self._head :]]
        return own[self._order(len(own), b"body" + bytes([attempt, number]))]

    def _shares(self, prices: np.ndarray, bits: int) -> tuple[list[int], int]:
        """Returns how many of the bits each channel says, up to 255 for the most, and 256ths of the higher layer."""
        channels = [_take(prices, (0, 0, channel), self._cells) for channel in range(3)]
        every = np.concatenate(channels)
        factor = layers.scale(every, every, bits * 3 / len(places.GROUPS))
        both = np.array([layers.entropies(channel, channel, factor) for channel in channels])
        totals = both.sum(axis=1)
        return [round(255 * total / totals.max()) for total in totals], round(256 * both[:, 0].sum() / both.sum())

    def _write_header(self, canvas: _Canvas, header: bytes) -> None:
        group, own = places.GROUPS[0], self._cells[self._first[: self._head]]
        data = self._drawn.siv(b"header").encrypt(header, None)
        levels, prices = _take(canvas.cover, group, own), _take(canvas.prices, group, own)
        _put(canvas.changes, group, own, layers.lowest(levels, prices, data))

    @staticmethod
    def _write_group(
        canvas: _Canvas, group: tuple[int, int, int], own: np.ndarray, bits: np.ndarray, split: int
    ) -> None:
        towards = costs.towards_neighbours(canvas.changes, *group).reshape(-1)[own]
        up, down = costs.directed(_take(canvas.prices, group, own), towards)
        up, down = layers.nats(up, down, layers.scale(up, down, len(bits)))
        _put(canvas.changes, group, own, layers.write(_take(canvas.cover, group, own), up, down, bits, split))

    def _order(self, count: int, use: bytes) -> np.ndarray:
        return places.order(count, self._drawn.draw(b"order " + use))


def _parts(fields: tuple[int, ...]) -> list[slice]:
    """Returns which bits of the body each group says, of the fields of a header."""
    length, *shares, _, _ = fields
    bits, weights = 8 * (length + _TAG), [0]
    for _, _, channel in places.GROUPS:
        weights.append(weights[-1] + shares[channel])
    bounds = [bits * weight // weights[-1] for weight in weights]
    return [slice(*pair) for pair in itertools.pairwise(bounds)]


def _take(values: np.ndarray, group: tuple[int, int, int], cells: np.ndarray) -> np.ndarray:
    """Returns the samples of [H, W, 3] that are of a group and of some cells."""
    return places.plane(values, group).reshape(-1)[cells]


def _put(values: np.ndarray, group: tuple[int, int, int], cells: np.ndarray, new: np.ndarray | int) -> None:
    plane = places.plane(values, group)
    plane[np.unravel_index(cells, plane.shape)] = new


def _header_samples(cells: int, lanes: int) -> int:
    """Returns how many samples of the first group hold the header."""
    count = min(cells // 2, stc.LONGEST)
    if count < 2 * _HEADER_BITS:
        raise RoomError(f"is too small for {lanes} messages" if lanes > 1 else "is too small for a message")
    return count
