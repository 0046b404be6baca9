"""How far two pictures are apart: PSNR, SSIM and APD of `uint8[H, W, 3]` RGB arrays, the figures of the scoreboard.

PSNR and APD take some tens of megabytes of memory, and SSIM a few hundred, for pictures of any size.
"""

import dataclasses
import math

import numpy as np

from stegano_tf import images, scratch
from stegano_tf.errors import ImageError

_SSIM_WINDOW = 7  # scikit-image's default


@dataclasses.dataclass(frozen=True)
class Quality:
    """The distance of two pictures."""

    psnr: float  # dB, inf for identical pictures
    ssim: float  # -1 to 1, 1 for identical pictures
    apd: float  # 0 to 255, 0 for identical pictures


def quality(a: np.ndarray, b: np.ndarray) -> Quality:
    """Returns all three figures for two `uint8[H, W, 3]` pictures of one shape; raises what they raise."""
    return Quality(psnr(a, b), ssim(a, b), apd(a, b))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the peak signal-to-noise ratio, `10 log10(255² / mean((a - b)²))` in dB; inf for identical pictures.

    Raises TypeError or ValueError unless `a` and `b` are both `uint8[H, W, 3]`, of one shape.

    Example:
      >>> round(psnr(np.zeros((8, 8, 3), np.uint8), np.ones((8, 8, 3), np.uint8)), 2)
      48.13
    """
    squares = squared_error(a, b)
    return 10 * math.log10(255**2 * a.size / squares) if squares else math.inf


def luma_psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the PSNR of luma in dB, of 255 though luma goes from 16 to 235, as MATLAB's `rgb2ycbcr` has it.

    ITU-R BT.601: Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255, not rounded. HiNet and others state this figure. It
    flatters: of a grey error it is 1.3 dB more than `psnr`. `a` and `b` are [H, W, 3] of one shape and any dtype, 0 to
    255. It takes ten times their memory.

    Example:
      >>> round(luma_psnr(np.zeros((8, 8, 3)), np.ones((8, 8, 3))), 2)
      49.45
    """
    difference = (a.astype(np.float64) - b) @ (np.array([65.481, 128.553, 24.966]) / 255)
    squares = np.mean(np.square(difference))
    return 10 * math.log10(255**2 / squares) if squares else math.inf


def squared_error(a: np.ndarray, b: np.ndarray) -> int:
    """Returns `sum((a - b)²)`; arguments and errors as `psnr`."""
    return int(_difference_counts(a, b) @ np.arange(256) ** 2)


def apd(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the average pixel discrepancy, `mean(|a - b|)`, 0 to 255; arguments and errors as `psnr`."""
    return int(_difference_counts(a, b) @ np.arange(256)) / a.size


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the mean structural similarity, scikit-image's with its default window of 7x7, `data_range=255`.

    It is computed in blocks of rows and, apart from the order of the sums, is scikit-image's figure for the whole.

    Raises:
      ImageError: the pictures are smaller than the window.
      TypeError, ValueError: as `psnr`.
    """
    from skimage.metrics import structural_similarity  # noqa: PLC0415  (SciPy behind it takes a second to import)

    _check_pair(a, b)
    height, width, _ = a.shape
    if min(height, width) < _SSIM_WINDOW:
        raise ImageError(f"SSIM of {width}x{height} pixels, expected at least {_SSIM_WINDOW}x{_SSIM_WINDOW}")
    overlap = _SSIM_WINDOW - 1
    total = 0.0
    for rows in scratch.parts(height - overlap, 4 * width):
        # scikit-image averages over the window centres that lie a half window inside: here, exactly `rows` of them.
        block = slice(rows.start, rows.stop + overlap)
        mean = structural_similarity(a[block], b[block], win_size=_SSIM_WINDOW, channel_axis=2, data_range=255)
        total += mean * (rows.stop - rows.start)
        scratch.release(a, b)
    return float(total / (height - overlap))


def _difference_counts(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns `int64[256]`: how many values of `a` and `b` differ by 0, 1, ... 255."""
    _check_pair(a, b)
    counts = np.zeros(256, np.int64)
    for rows in scratch.parts(len(a), 4 * a.shape[1]):
        difference = np.maximum(a[rows], b[rows]) - np.minimum(a[rows], b[rows])  # never overflows
        counts += np.bincount(difference.ravel(), minlength=256)
        scratch.release(a, b)
    return counts


def _check_pair(a: np.ndarray, b: np.ndarray) -> None:
    images.check_rgb(a)
    images.check_rgb(b)
    if a.shape != b.shape:
        raise ValueError(f"pictures of shapes {a.shape} and {b.shape}, expected one shape")
