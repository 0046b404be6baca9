"""The beginning of a plain message in a sound that was cut, shifted, scaled, resampled or compressed.

Half of a frame's header is the same in every message, and so are the first bytes of what it holds. As samples they are
erratic as no instrument is. They are found again, at any place and gain, by their correlation, even in what MP3 leaves
of them.
"""

import dataclasses
import fractions
from collections.abc import Iterator

import numpy as np

_CHANCE = 1e-16  # that white noise is as alike by chance: 0.85 for a BMP, of which 60 samples are known
_SAME = 0.99  # correlation at which a sound is a message at any volume; quiet music reaches 0.93
_AS_LOUD = 0.7, 1.5  # gains
_MAYBE = 0.6  # of the header alone, from which the rest is looked at
_LOOKED_AT = 1 << 21  # samples behind the first that is not 0
_RATE = 44_100  # Hz at which a message is written unless somebody asks for another
_RATES = 16_000, 192_000  # Hz; below, too few samples are left of a header
_PART = 1 << 18  # samples that are looked at together
_OVERLAP = 1 << 11  # more samples than the longest pattern has at the highest rate
_MOST_OFFSET = 8000  # of the middle of the levels, in 16-bit steps at full volume
_UNKNOWN = -1


def _known(text: str) -> list[int]:
    """Returns bytes that are written in hexadecimal, and `_UNKNOWN` for those that are written `..`."""
    return [_UNKNOWN if byte == ".." else int(byte, 16) for byte in text.split()]


# Magic, version, flags, length | length of the payload | height and width of the secret | network and CRC-32
_HEADER = _known("89 53 54 47 54 46 0d 0a 01 .. 28 00 .. .. .. .. 00 00 00 00 .. .. 00 00 .. .. 00 00" + " .." * 12)
_STARTS = (
    _known(
        "42 4d .. .. .. .. 00 00 00 00 36 00 00 00 28 00 00 00 .. .. 00 00 .. .. 00 00 01 00 18 00 00 00 00 00"
        " .. .. .. .. 13 0b 00 00 13 0b 00 00 00 00 00 00 00 00 00 00"
    ),
    _known("89 50 4e 47 0d 0a 1a 0a 00 00 00 0d 49 48 44 52 00 00 .. .. 00 00 .. .. 08 02 00 00 00"),
    _known("52 49 46 46 .. .. .. .. 57 45 42 50 56 50 38 4c .. .. .. .. 2f"),
    list(b"age-encryption.org/v1\n-> "),
    list(b"-----BEGIN AGE ENCRYPTED FILE-----\n"),
)


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class Trace:
    """Where a message seems to begin; the clearest one is the least."""

    chance: float  # that noise is as alike
    alike: float  # correlation with what is known of its first samples
    place: int  # of the first one
    gain: float  # negative if the sound is inverted
    offset: float  # in 16-bit steps


def find(samples: np.ndarray, sample_rate: int) -> Trace | None:
    """Returns where a message seems to begin in float32[N] samples of 16 bits, if anywhere."""
    loud = np.flatnonzero(samples)[:1]
    first = max(0, int(loud[0]) - len(_HEADER)) if len(loud) else len(samples)
    least, most = _AS_LOUD
    clear = [
        dataclasses.replace(trace, place=start + trace.place)
        for start in range(first, min(first + _LOOKED_AT, len(samples)), _PART)
        for ratio in _ratios(sample_rate)
        for trace in _traces(_part(samples, start), ratio)
        if trace.chance < _CHANCE and (trace.alike > _SAME or least <= abs(trace.gain) <= most)
    ]
    return min(clear, default=None)


def _part(samples: np.ndarray, start: int) -> np.ndarray:
    part = samples[start : start + _PART + _OVERLAP].astype(np.float64)
    return np.append(part, np.zeros(2 * len(_HEADER))) if start + len(part) == len(samples) else part


def _ratios(sample_rate: int) -> set[float]:
    least, most = _RATES
    return {1.0} | ({sample_rate / _RATE} if least <= sample_rate <= most else set())


def _traces(samples: np.ndarray, ratio: float) -> Iterator[Trace]:
    """Yields the best place for each thing that a header may stand before."""
    places = np.flatnonzero(_correlation(samples, *_pattern(_HEADER, ratio)) > _MAYBE)
    for start in _STARTS:
        levels, known = _pattern([*_HEADER, *start], ratio)
        fits = places[places <= len(samples) - len(levels)]
        if not len(fits):
            continue
        windows = np.lib.stride_tricks.sliding_window_view(samples, len(levels))[fits][:, known]
        wanted = levels[known] - levels[known].mean()
        gains = windows @ wanted / (wanted @ wanted)
        spread = windows.std(axis=1) * np.sqrt(len(wanted) * (wanted @ wanted))
        offsets = windows.mean(axis=1) - gains * levels[known].mean()
        alike = np.abs(gains) * (wanted @ wanted) / np.maximum(spread, 1)
        alike[np.abs(offsets) > _MOST_OFFSET * np.abs(gains)] = 0
        place = int(np.argmax(alike))
        chance = max(0, 1 - alike[place] ** 2) ** (len(wanted) / 2 - 1)
        yield Trace(float(chance), float(alike[place]), int(fits[place]), float(gains[place]), float(offsets[place]))


def _correlation(samples: np.ndarray, levels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Returns the absolute correlation of the known levels with the samples at every place where they fit."""
    wanted = np.where(known, levels - levels[known].mean(), 0)
    weight = known.astype(np.float64)
    sums, squares = np.correlate(samples, weight), np.correlate(samples**2, weight)
    energy = np.maximum(squares - sums**2 / weight.sum(), 1)
    return np.abs(np.correlate(samples, wanted)) / np.sqrt(energy * (wanted @ wanted))


def _pattern(values: list[int], ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the samples of bytes at a rate that is `ratio` times as high, and which of them are known."""
    values = np.array(values)
    known = values != _UNKNOWN
    levels = np.where(known, 256.0 * values - 32640, 0)
    if ratio == 1:
        return levels, known
    from scipy import signal  # noqa: PLC0415 (half a second that only a sound without a message costs)

    known &= np.append(known[1:], False) & np.append(False, known[:-1])  # resampling mixes neighbours
    share = fractions.Fraction(ratio).limit_denominator(1000)
    levels = signal.resample_poly(levels, share.numerator, share.denominator)
    nearest = np.rint(np.arange(len(levels)) / ratio).astype(int).clip(0, len(values) - 1)
    return levels, known[nearest]
