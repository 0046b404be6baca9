"""What a change by 1 costs: much where the picture is smooth, so that few changes are made where they would be seen.

HILL: B. Li, M. Wang, J. Huang, X. Li, "A New Cost Function for Spatial Image Steganography", ICIP 2014. The changes are
made in step with their neighbours: CMD, B. Li, M. Wang, X. Li, S. Tan, J. Huang, "A Strategy of Clustering Modification
Directions in Spatial Image Steganography", IEEE TIFS 10 (9), 2015, and for colours CMD-C, W. Tang, B. Li, W. Luo,
J. Huang, "Clustering Steganographic Modification Directions for Color Components", IEEE SPL 23 (2), 2016.

Only the sender knows costs. A reader needs none.
"""

import numpy as np

from stegano_tf.coding import stc

_FLAT = np.finfo(np.float32).eps  # the least residual; what has none at all is flat
_CHEAPER = 10.0  # how many times cheaper a change is that goes the way of its neighbours


def hill(channel: np.ndarray) -> np.ndarray:
    """Returns the costs of a change by 1, float32[H, W] from 0, of a channel uint8[H, W].

    Example:
      hill(picture[..., 1]).argmin()  # of the green sample to change first
    """
    from scipy import ndimage  # noqa: PLC0415

    residual = _residual(channel)
    ndimage.uniform_filter(residual, 3, output=residual, mode="reflect")
    np.maximum(residual, _FLAT, out=residual)
    return ndimage.uniform_filter(np.reciprocal(residual, out=residual), 15, output=residual, mode="reflect")


def dry(channel: np.ndarray) -> np.ndarray:
    """Returns which samples of a channel may change, bool[H, W]: all but the saturated ones and the flat parts."""
    from scipy import ndimage  # noqa: PLC0415

    busy = ndimage.maximum_filter(_residual(channel) > 0, 3)
    return busy & (channel > 0) & (channel < 255)


def of_picture(picture: np.ndarray) -> np.ndarray:
    """Returns the costs of all samples of uint8[H, W, 3], float32[H, W, 3]: `stc.WET` where nothing may change."""
    found = np.empty((3, *picture.shape[:2]), np.float32)
    for channel, out in zip(np.moveaxis(picture, 2, 0), found, strict=True):
        out[:] = hill(channel)
        out[~dry(channel)] = stc.WET
    return np.moveaxis(found, 0, 2)


def _residual(channel: np.ndarray) -> np.ndarray:
    """Returns what the filter of Ker and Boehme leaves of a channel, without its sign: float32[H, W]."""
    from scipy import ndimage  # noqa: PLC0415

    residual = channel.astype(np.float32)
    for axis in (0, 1):
        ndimage.correlate1d(residual, [0.5, -1, 0.5], axis, output=residual, mode="reflect")
    return np.abs(residual, out=residual)


def towards_neighbours(changes: np.ndarray, row: int, column: int, channel: int) -> np.ndarray:
    """Returns which way the neighbours went of every second sample of a channel: int8[H // 2, W // 2], 0 for neither.

    `changes` is int8[H, W, 3] of -1, 0 and 1. The samples are those from `row` and `column`, 0 or 1. The four beside a
    sample count once, the other colours of its pixel twice.
    """
    height, width = (side // 2 * 2 for side in changes.shape[:2])
    plane = np.pad(changes[:height, :width, channel], 1)
    near = (slice(row + 1, height + row + 1, 2), slice(column + 1, width + column + 1, 2))
    total = sum(np.roll(plane, shift, axis)[near] for axis in (0, 1) for shift in (-1, 1))
    for other in {0, 1, 2} - {channel}:
        total = total + 2 * changes[row:height:2, column:width:2, other]
    return np.sign(total, dtype=np.int8, casting="unsafe")


def directed(costs: np.ndarray, towards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the costs of +1 and of -1 where neighbours went `towards` 1 or -1; 0 leaves the cost as it is."""
    wet = costs >= stc.WET
    return tuple(np.where((towards == way) & ~wet, costs / np.float32(_CHEAPER), costs) for way in (1, -1))
