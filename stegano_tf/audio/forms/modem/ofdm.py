"""Bits to the samples of a segment, and samples back to how likely each bit is.

A symbol is the inverse Fourier transform of its carriers, with its end repeated in front of it as a guard. A carrier
has Gray-coded levels in each of its two dimensions. The reader knows the first symbol of each segment. It estimates the
channel from this one and the next segment's. Codecs make different noise at each time and frequency, and a room has
another echo at each frequency. So the noise and what is left of the channel are estimated from the data themselves: by
expectation maximisation over the levels, around each carrier.
"""

import functools

import numpy as np
import scipy.fft
from scipy.ndimage import uniform_filter, uniform_filter1d

from stegano_tf.audio.forms.modem.profiles import BODY, DATA_SYMBOLS, FIRST_CARRIER, GUARD, SYMBOL, Profile, mask, order

PEAK = 10 ** (-3 / 20)  # of full scale: MP3 and its kin overshoot
_CREST = 10 ** (10 / 20)  # peak over root mean square; what is higher is clipped, which makes noise 40 dB below
_WIDTHS = (1, 3, 9, 31)  # carriers over which the channel may be taken for constant
_NEAR = (3, 17)  # symbols and carriers over which the noise may be taken for constant
_NOISE = (1e-5, 10)  # the least and the most, relative to the signal
_ROUNDS = 3  # more of them fit the noise to itself where it hides the levels
_DELAYS = np.linspace(-4, 4, 65)  # samples that the end of a segment may come late
_SURE = 10  # the largest logarithm of P(0) / P(1): below what a single check of the code can outvote


@functools.cache
def levels(bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the levels of a dimension with so many bits, float32[2**bits], and their bits, bool[2**bits, bits].

    The levels are those of a carrier of mean power 1, which has two dimensions.

    Example:
      >>> levels(2)[0] * np.sqrt(10)
      array([-3., -1.,  1.,  3.], dtype=float32)
    """
    count = 1 << bits
    values = 2 * np.arange(count) - (count - 1)
    gray = np.arange(count) ^ (np.arange(count) >> 1)
    size = np.sqrt(2 * np.mean(values**2))
    return (values / size).astype(np.float32), (gray[:, None] >> np.arange(bits - 1, -1, -1) & 1).astype(bool)


def modulate(words: np.ndarray, profile: Profile) -> np.ndarray:
    """Returns the int16 samples of a segment with the codewords uint8[blocks, sent]."""
    bits = np.zeros(profile.room, np.uint8)
    bits[: words.size] = words.T.reshape(-1)
    sent = np.empty_like(bits)
    sent[order(profile)] = bits
    sent ^= mask(profile)
    half = profile.bits // 2
    values, patterns = levels(half)
    inverse = np.argsort(patterns @ (1 << np.arange(half - 1, -1, -1)))
    places = inverse[sent.reshape(-1, half) @ (1 << np.arange(half - 1, -1, -1))]
    dimensions = values[places].reshape(DATA_SYMBOLS, profile.carriers, 2)
    return _samples(np.concatenate([profile.sync()[None], dimensions[..., 0] + 1j * dimensions[..., 1]]), profile)


def closing(profile: Profile) -> np.ndarray:
    """Returns the int16 samples of the known symbol, with which a sound ends, too."""
    return _samples(profile.sync()[None], profile)


def _samples(carriers: np.ndarray, profile: Profile) -> np.ndarray:
    body, guard = BODY // profile.step, GUARD // profile.step
    spectrum = np.zeros((len(carriers), body // 2 + 1), np.complex64)
    spectrum[:, FIRST_CARRIER : profile.last + 1] = carriers
    bodies = scipy.fft.irfft(spectrum, body)
    bodies *= body / np.sqrt(2 * profile.carriers)  # root mean square 1
    samples = np.concatenate([bodies[:, -guard:], bodies], axis=1).reshape(-1)
    return np.rint(np.clip(samples, -_CREST, _CREST) * (PEAK * 32767 / _CREST)).astype(np.int16)


def demodulate(samples: np.ndarray, profile: Profile, *, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns the likelihoods of the bits of a segment and the signal-to-noise ratio of its carriers.

    Args:
      samples: float32[N] at `RATE`; of the segment and the symbol after it.
      closed: whether that symbol is a known one.

    Returns:
      likelihoods: float32[blocks, sent], of each bit the logarithm of P(0) / P(1).
      snr: float32[carriers], a ratio of powers, the worse one of two that may be too good: noise hides the levels of
        the data, and a codec may make the same noise of all known symbols.
    """
    symbols = samples[: (DATA_SYMBOLS + 2) * SYMBOL].reshape(-1, SYMBOL)
    # Half of the guard is left before and behind, for what arrives early and late.
    spectrum = scipy.fft.rfft(symbols[:, GUARD // 2 : GUARD // 2 + BODY])[:, FIRST_CARRIER : profile.last + 1]
    numbers = np.arange(FIRST_CARRIER, profile.last + 1)
    spectrum = spectrum * np.exp(1j * np.pi * GUARD / BODY * numbers).astype(np.complex64)
    first, last = spectrum[[0, -1]] * np.conj(profile.sync())
    share = np.arange(1, DATA_SYMBOLS + 1, dtype=np.float32)[:, None] / (DATA_SYMBOLS + 1)
    channel, noise, width = _channel(first, last, share) if closed else _channel_at(first)
    noise = np.clip(noise / np.abs(channel) ** 2, *_NOISE) * np.ones((DATA_SYMBOLS, 1), np.float32)
    of_data, likelihoods = _likelihoods(spectrum[1:-1] / channel, noise, profile.bits // 2, width)
    noise = np.maximum(noise, of_data)
    bits = likelihoods.reshape(-1) * (1 - 2 * mask(profile).astype(np.float32))
    words = bits[order(profile)][: profile.code.sent * profile.blocks]
    return words.reshape(-1, profile.blocks).T, 1 / noise.mean(axis=0)


def _smooth(channel: np.ndarray, width: int) -> np.ndarray:
    return uniform_filter1d(channel.real, width) + 1j * uniform_filter1d(channel.imag, width)


def _channel_at(first: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Returns the channel, its noise and its width from one estimate, complex64[carriers]."""
    width = _WIDTHS[2]
    channel = _smooth(first, width)
    return channel, uniform_filter1d(np.abs(first - channel) ** 2, _NEAR[1]), width


def _channel(first: np.ndarray, last: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Returns the channel at each share of the time between two estimates, complex64[N, carriers]; noise and width.

    Args:
      first, last: complex64[carriers].
      share: float32[N, 1], 0 to 1.
    """
    # What is left of a difference between the clocks turns carriers in proportion to their number.
    turn = last * np.conj(first)
    turns = 2 * np.pi / BODY * _DELAYS[:, None] * np.arange(FIRST_CARRIER, FIRST_CARRIER + len(first))
    sums = np.exp(-1j * turns) @ turn
    best = np.abs(sums).argmax()
    numbers = turns[best] + np.angle(sums[best])
    last = last * np.exp(-1j * numbers)
    # The width over which one estimate predicts the other one best: the noise of the two is not the same.
    width = min(_WIDTHS, key=lambda width: np.sum(np.abs(_smooth(first, width) - last) ** 2))
    noise = uniform_filter1d(np.abs(last - first) ** 2, _NEAR[1]) / 2
    first, last = _smooth(first, width), _smooth(last, width)
    channel = ((1 - share) * first + share * last) * np.exp(1j * share * numbers)
    return channel, noise, width


def _likelihoods(received: np.ndarray, noise: np.ndarray, bits: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the noise, both dimensions together, and the likelihoods of the bits.

    Args:
      received: complex64[symbols, carriers], equalised.
      noise: of that shape, a first guess.
      bits: of each dimension.
      width: carriers over which the channel may be taken for constant.
    """
    points, patterns = levels(bits)
    for _ in range(_ROUNDS):
        squares = _squares(received, points)
        weights = -squares / noise[..., None, None]
        weights = np.exp(weights - weights.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        noise = np.maximum(uniform_filter((weights * squares).sum(axis=(-1, -2)), _NEAR), _NOISE[0])
        if width > _WIDTHS[1]:
            continue  # the known symbols say it all
        means = weights @ points
        trust = 1 / noise
        known = 2 * trust.mean(axis=0)  # two symbols by which the channel is 1
        power = known + (trust * (weights @ points**2).sum(axis=-1)).sum(axis=0)
        fit = known + (trust * received * (means[..., 0] - 1j * means[..., 1])).sum(axis=0)
        received = received * (uniform_filter1d(power, width) / _smooth(fit, width))
    squares = _squares(received, points)
    weights = np.exp(np.maximum(-squares / noise[..., None, None], -80))
    ones = [weights[..., patterns[:, bit]].sum(axis=-1) for bit in range(bits)]
    zeros = [weights[..., ~patterns[:, bit]].sum(axis=-1) for bit in range(bits)]
    likelihoods = np.log(np.stack(zeros, axis=-1)) - np.log(np.stack(ones, axis=-1))
    return noise, np.clip(likelihoods, -_SURE, _SURE)


def _squares(received: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Returns how far carriers are from each level, in each dimension, float32[symbols, carriers, 2, levels]."""
    return np.square(np.stack([received.real, received.imag], axis=-1)[..., None] - points)
