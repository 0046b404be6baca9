"""What a change by 1 costs in a recording: little where it is loud and busy.

K. Chen, H. Zhou, W. Li, K. Yang, W. Zhang, N. Yu: Derivative-Based Steganographic Distortion and Its Non-additive
Extensions for Audio, IEEE TCSVT 30 (7), 2020. Costs are inversely proportional to the amplitude, because changes of
quiet samples are found easily, and to the residual of a derivative filter, because detectors look at derivatives. Here
the filter is the second derivative. Its residual is averaged over neighbours: a single one may be small by chance.
Costs are additive. What detectors find is not measured yet.

Only the sender knows costs. A reader needs none.
"""

import numpy as np

from stegano_tf.coding import stc

_AROUND = 15  # samples over which the residual is averaged
_PART = 1 << 19  # frames that are worked on at a time
_SAMPLED = 1 << 16  # samples that are enough to find the median
_DEAREST = 1e6  # medians: never worth it, but not wet


def of_recording(samples: np.ndarray, depth: int) -> np.ndarray:
    """Returns the costs of a change by 1, float32[frames, channels], of int32[frames, channels] of `depth` bits.

    Their median is about 1. `stc.WET` stands where nothing may change: at full scale and one step below, in the middle
    of five samples on a straight line, as silence and flat tops are, and at -1, 0 and 1. So no sample reaches full
    scale, and none becomes 0 or ceases to be 0.

    Example:
      of_recording(samples, 16)[:, 0].argmin()  # the sample of the first channel to change first
    """
    merits = np.empty(samples.shape, np.float32)
    for start in range(0, len(samples), _PART):
        first = max(0, start - _AROUND)
        part = samples[first : start + _PART + _AROUND].astype(np.float32)
        merits[start : start + _PART] = _merits(part, 1 << (depth - 1))[start - first :][:_PART]
    some = merits.reshape(-1)[:: -(-merits.size // _SAMPLED) | 1]  # an even step would see one channel of two
    median = np.median(some[some > 0]) if some.any() else np.float32(1)
    wet = merits == 0
    merits[wet] = median
    np.divide(median, merits, out=merits)
    np.minimum(merits, np.float32(_DEAREST), out=merits)
    merits[wet] = stc.WET
    return merits


def _merits(samples: np.ndarray, full: int) -> np.ndarray:
    """Returns amplitude times residual of float32[frames, channels], 0 where nothing may change."""
    from scipy import ndimage  # noqa: PLC0415

    residual = np.abs(ndimage.correlate1d(samples, [1, -2, 1], axis=0, mode="nearest"))
    amplitude = np.abs(samples)
    dry = (ndimage.maximum_filter1d(residual, 3, axis=0) > 0) & (amplitude > 1) & (amplitude < full - 2)
    return np.where(dry, amplitude * ndimage.uniform_filter1d(residual, _AROUND, axis=0, mode="nearest"), 0)
