"""A sound to the message in it: segments are found, brought to the modem's clock, decoded, and their blocks collected.

The sound is read twice from front to back: once to find where segments begin, and once to decode them. In memory are a
few seconds of it, the places, and the blocks that were found. Nothing is made of a size that a block claims before
there are as many blocks.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

from stegano_tf.audio.forms.modem import blocks, ofdm
from stegano_tf.audio.forms.modem.profiles import DATA_SYMBOLS, GUARD, PROFILES, RATE, SEGMENT, SYMBOL, Profile, shape
from stegano_tf.audio.forms.modem.search import Place, search
from stegano_tf.errors import FormatError

_TOLERANCE = 1e-3  # of a second, by which two clocks may differ
_MARGIN = 0.02  # seconds around a segment that the resampler needs
_SILENT = 0.1  # of the power of the known symbol
_BATCH = 16  # codewords that are decoded at once
_WHOLE = 0.5  # share of right blocks from which on not the noise is to blame
_GAP = 2  # how much stronger than for Shannon's capacity the signal must be
_HOPELESS = 0.7  # of the bits that a block needs; a codeword that promises fewer is not decoded


@dataclasses.dataclass(frozen=True, slots=True)
class Reception:
    """How a message arrived."""

    profile: Profile
    snr: float  # median signal-to-noise ratio of the carriers, in dB
    clock: float  # by how much the reader's clock is slower than the writer's, in parts per million
    blocks: int  # of the message, in all
    lost: int  # of them
    others: str | None = None  # further messages in the sound

    def __str__(self) -> str:
        return f"signal to noise {self.snr:.1f} dB, clocks differ by {self.clock:+.0f} ppm"

    @property
    def damage(self) -> str | None:
        """What was restored."""
        return f"{self.lost:,} of {self.blocks:,} blocks were lost and restored" if self.lost else None


class IncompleteError(FormatError):
    """Too little of a message arrived.

    Attributes:
      last: number of the last block that arrived.
      blocks: of the message, in all.
    """

    def __init__(self, message: str, last: int, blocks: int):
        super().__init__(message)
        self.last, self.blocks = last, blocks


_Heard = dict[tuple[Profile, blocks.Label], dict[int, bytes]]
"""The data of the blocks of each message, by number."""


def read(sound: Callable[[], Iterable[np.ndarray]], sample_rate: int) -> tuple[bytes, Reception] | None:
    """Returns the first whole message in a sound and how it arrived; None if there is none.

    Args:
      sound: starts the sound anew and returns its float32[N] blocks, of one channel.
      sample_rate: in Hz.

    Raises:
      IncompleteError: there is a message, but too little of it arrived; says how much, and what would survive.
      FormatError: of what seems to be a message no block arrived.
    """
    places = list(search(sound(), sample_rate))
    follow = _followers(places)
    clocks = [(places[after].time - places[before].time) * RATE / SEGMENT for before, after in follow.items()]
    clock = float(np.median(clocks)) if clocks else 1.0
    heard: _Heard = {}
    waiting: dict[Profile, list[np.ndarray]] = {}
    snrs: dict[Profile, list] = {}
    received: collections.Counter[Profile] = collections.Counter()
    tape = _Tape(sound())
    for number, place in enumerate(places):
        closed = number in follow
        own = (places[follow[number]].time - place.time) * RATE / SEGMENT if closed else clock
        samples = _segment(tape, place, sample_rate, own)
        if np.var(samples[SYMBOL:-SYMBOL]) < _SILENT * np.var(samples[:SYMBOL]):
            continue  # the last symbol of a message
        likelihoods, snr = ofdm.demodulate(samples, place.profile, closed=closed)
        if closed:
            total = snrs.setdefault(place.profile, [0, 0])
            total[0] += np.log10(snr)
            total[1] += 1
        words = waiting.setdefault(place.profile, [])
        words.extend(likelihoods)
        received[place.profile] += len(likelihoods)
        if len(words) >= _BATCH:
            _collect(place.profile, waiting.pop(place.profile), heard)
    for profile, words in waiting.items():
        _collect(profile, words, heard)
    levels = {profile: 10 * total / count for profile, (total, count) in snrs.items()}  # decibels, by carrier
    for number, ((profile, label), found) in enumerate(heard.items()):
        cut = shape(profile, label.size)
        message = blocks.join(label, found, cut)
        if message is not None:
            others = [one for place, one in enumerate(heard.items()) if place != number]
            loud = float(np.median(levels[profile])) if profile in levels else float("nan")
            arrived = cut.blocks, cut.blocks - len(found), " and ".join(map(_arrived, others)) or None
            return message, Reception(profile, loud, 1e6 * (clock - 1), *arrived)
    if heard:
        (profile, label), found = best = max(heard.items(), key=lambda item: len(item[1]))
        cut = shape(profile, label.size)
        right = sum(len(some) for (one, _), some in heard.items() if one is profile) / received[profile]
        text = f"is damaged: {_arrived(best)}, expected at least {cut.data:,}; {_advice(profile, levels, right)}"
        text += "".join(f"; {_arrived(one)}, too" for one in heard.items() if one[0] != best[0])
        raise IncompleteError(text, max(found), cut.blocks)
    if len(follow) > 1:
        profile = places[next(iter(follow))].profile
        seen = f"{len(follow) + 1} segments in the profile {profile.name!r} are seen, no block of them is right"
        raise FormatError(f"is damaged: {seen}; {_advice(profile, levels, 0)}")
    return None


def _followers(places: list[Place]) -> dict[int, int]:
    """Returns which place begins the segment after that of another one, by number."""
    times = np.array([place.time for place in places])
    follow = {}
    for number, place in enumerate(places):
        low, high = (np.searchsorted(times, place.time + SEGMENT / RATE * (1 + sign * _TOLERANCE)) for sign in (-1, 1))
        after = next((other for other in range(low, high) if places[other].profile is place.profile), None)
        if after is not None:
            follow[number] = after
    return follow


class _Tape:
    """A sound of which pieces are taken from front to back."""

    def __init__(self, sound: Iterable[np.ndarray]):
        self._blocks = iter(sound)
        self._start = 0  # the sample with which `_data` begins
        self._data = np.zeros(0, np.float32)

    def take(self, start: int, stop: int) -> np.ndarray:
        """Returns float32[stop - start], zeros where there is no sound; `start` never goes back."""
        end = self._start + len(self._data)
        parts = [self._data]
        while end < stop:
            block = next(self._blocks, None)
            if block is None:
                block = np.zeros(stop - end, np.float32)
            if end + len(block) <= start:  # skip what lies between two messages
                parts = []
                self._start = end + len(block)
            else:
                parts.append(np.array(block, np.float32))
            end += len(block)
        self._data = np.concatenate(parts)
        skip = max(0, start - self._start)
        self._start, self._data = self._start + skip, self._data[skip:]
        before = np.zeros(max(0, self._start - start), np.float32)
        return np.concatenate([before, self._data])[: stop - start]


def _segment(tape: _Tape, place: Place, sample_rate: int, clock: float) -> np.ndarray:
    """Returns float32[N], the segment of a place and the symbol after it, at `RATE` Hz of the writer's clock."""
    import soxr  # noqa: PLC0415

    start = int(np.floor((place.time - GUARD / RATE - _MARGIN) * sample_rate))
    stop = int(np.ceil((place.time + (SEGMENT + SYMBOL) / RATE * clock + _MARGIN) * sample_rate))
    samples = soxr.resample(tape.take(start, stop), sample_rate * clock, RATE, "HQ")
    first = round((place.time * sample_rate - start) / (sample_rate * clock) * RATE) - GUARD
    return samples[first : first + SEGMENT + SYMBOL]


def _collect(profile: Profile, words: list[np.ndarray], heard: _Heard) -> None:
    """Adds the blocks that are right in codewords, likelihoods float32[sent] each, to what was heard."""
    likelihoods = np.stack(words)
    odds = np.exp(-np.abs(likelihoods))  # of the less likely value of a bit
    doubt = (np.log1p(odds) + odds / (1 + odds) * np.abs(likelihoods)) / np.log(2)  # entropy
    hopeful = 1 - doubt.mean(axis=1) > _HOPELESS * profile.code.size / profile.code.sent
    for bits in profile.code.decode(likelihoods[hopeful]):
        block = blocks.parse(np.packbits(bits).tobytes())
        if block is not None:
            label, number, data = block
            heard.setdefault((profile, label), {})[number] = data


def _arrived(message: tuple[tuple[Profile, blocks.Label], dict[int, bytes]]) -> str:
    (profile, label), found = message
    total = shape(profile, label.size).blocks
    return f"{len(found):,} of the {total:,} blocks of a message of {label.size:,} bytes arrived"


def _advice(profile: Profile, levels: dict[Profile, np.ndarray], right: float) -> str:
    """Says what would have arrived, of a message of which a share of the received blocks was `right`.

    The noise is that of `levels`, decibels by carrier.
    """
    measured = f"signal to noise {np.median(levels[profile]):.1f} dB; " if profile in levels else ""
    if right >= _WHOLE:
        return f"{measured}expected the whole sound"
    names = list(PROFILES)
    able = [PROFILES[name] for name in names[names.index(profile.name) + 1 :]]
    if profile in levels:
        bits = np.log2(1 + 10 ** (levels[profile] / 10) / _GAP)
        able = [one for one in able if _needs(one) <= bits[: one.carriers].mean()]
    if not able:
        return f"{measured}expected less noise: no profile bears this"
    return f"{measured}expected less noise, or a message made to survive as {' or '.join(one.name for one in able)}"


def _needs(profile: Profile) -> float:
    """Returns the bits of a message that a carrier bears in a symbol."""
    return profile.blocks * profile.code.size / (DATA_SYMBOLS * profile.carriers)
