"""Where segments begin in a sound of any rate, length and content, found in bounded memory.

The sound is brought to 12 kHz, which all profiles' known symbols need below 3.4 kHz, and correlated with each of them.
A piece of music looks like one of them by chance, rarely; then no codeword of the segment is right.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import scipy.fft
from scipy.ndimage import maximum_filter1d

from stegano_tf.audio.forms.modem.profiles import BODY, FIRST_CARRIER, PROFILES, RATE, Profile

STEP = 4  # samples at `RATE` that become one
_RATE = RATE // STEP
_WINDOW = BODY // STEP
_LAST = 290  # carrier that is looked at
_BLOCK = 1 << 16  # samples of a Fourier transform
_ALIKE = 0.12  # the least square of a correlation; noise reaches half of it once in 10^9 s
_PROFILES = tuple(PROFILES.values())


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a known symbol begins, behind its guard.

    Attributes:
      time: in seconds.
      profile: whose symbol it is.
      alike: square of the correlation, 0 to 1.
    """

    time: float
    profile: Profile
    alike: float


def search(blocks: Iterable[np.ndarray], sample_rate: int) -> Iterator[Place]:
    """Yields the known symbols in a sound, in the order of time; `blocks` are float32[N] at `sample_rate` Hz."""
    start = -_WINDOW
    for part in _overlapping(_resampled(blocks, sample_rate)):
        for place, profile, alike in _peaks(part):
            yield Place((start + place) / _RATE, profile, alike)
        start += _BLOCK - 3 * _WINDOW


def _resampled(blocks: Iterable[np.ndarray], sample_rate: int) -> Iterator[np.ndarray]:
    import soxr  # noqa: PLC0415 (a shared library that other forms do not need)

    stream = soxr.ResampleStream(sample_rate, _RATE, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(np.ascontiguousarray(block, np.float32))
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _overlapping(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields float32[_BLOCK] pieces, three windows of which are the next one's, too, and zeros around all."""
    rest = np.zeros(_WINDOW, np.float32)
    for block in itertools.chain(blocks, [np.zeros(3 * _WINDOW, np.float32)]):
        rest = np.concatenate([rest, block])
        while len(rest) >= _BLOCK:
            yield rest[:_BLOCK]
            rest = rest[_BLOCK - 3 * _WINDOW :]
    yield np.append(rest, np.zeros(_BLOCK - len(rest), np.float32))


@functools.cache
def _symbols() -> np.ndarray:
    """Returns the spectra of the known symbols, complex64[profiles, _BLOCK // 2 + 1], below 3.4 kHz, of energy 1."""
    spectra = np.zeros((len(_PROFILES), _WINDOW // 2 + 1), np.complex64)
    for spectrum, profile in zip(spectra, _PROFILES, strict=True):
        spectrum[FIRST_CARRIER : _LAST + 1] = profile.sync()[: _LAST + 1 - FIRST_CARRIER]
    samples = scipy.fft.irfft(spectra, _WINDOW)
    samples /= np.linalg.norm(samples, axis=1, keepdims=True)
    return np.conj(scipy.fft.rfft(samples, _BLOCK))


def _peaks(part: np.ndarray) -> Iterator[tuple[float, Profile, float]]:
    """Yields where known symbols begin in float32[_BLOCK] samples, and how alike they are."""
    spectrum = scipy.fft.rfft(part)
    low, high = (carrier * _BLOCK // _WINDOW for carrier in (FIRST_CARRIER, _LAST + 1))
    spectrum[:low] = 0
    spectrum[high:] = 0
    energy = np.cumsum(np.append(0, np.square(scipy.fft.irfft(spectrum, _BLOCK), dtype=np.float64)))
    energy = energy[_WINDOW:] - energy[:-_WINDOW]
    count = _BLOCK - 2 * _WINDOW
    products = scipy.fft.irfft(spectrum * _symbols(), _BLOCK)[:, :count]
    alike = np.square(products) / np.maximum(energy[:count], 1e-10 * energy.max() + 1e-12)
    best = alike.max(axis=0)
    for place in np.flatnonzero((best > _ALIKE) & (best == maximum_filter1d(best, _WINDOW))):
        # What lies nearer to the ends is found in another piece: the band limits make this one circular.
        if _WINDOW // 2 <= place < count - _WINDOW // 2:
            number = alike[:, place].argmax()
            shift = _between(*np.abs(products[number, place - 1 : place + 2]))
            yield float(place + shift), _PROFILES[number], float(alike[number, place])


def _between(left: float, middle: float, right: float) -> float:
    """Returns where the parabola through three values is highest, counted from the middle one."""
    return (left - right) / (2 * (left - 2 * middle + right) or 1)
