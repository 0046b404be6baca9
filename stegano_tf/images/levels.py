"""Levels of any depth as pictures of 8 bits."""

import numpy as np
from PIL import Image

from stegano_tf import scratch


def eight_bits(levels: np.ndarray, white: float | None) -> np.ndarray:
    """Returns `levels`, [H, W] or [H, W, channels], 0 to `white`, as uint8 of the same shape: `255 v / white`, rounded.

    No format says what floating-point white is (`None`): 1 in scientific files, 255 in those that Pillow converted. It
    is taken as 255 if a level exceeds 1.

    Raises:
      ValueError: a level is below 0, above `white` or not a number.

    Example:
      >>> eight_bits(np.array([[0, 128, 129, 65535]]), 65535).tolist()
      [[0, 0, 1, 255]]
    """
    low, high = levels.min(), levels.max()
    if white is None:
        white = 1 if high <= 1 else 255
    if not 0 <= low <= high <= white:
        raise ValueError(f"levels from {low} to {high}, expected 0 to {white}")
    scaled = scratch.zeros(levels.size).reshape(levels.shape)
    for rows in scratch.parts(len(levels), 8 * levels[0].size):
        scaled[rows] = np.rint(levels[rows].astype(np.float64) * (255 / white))
        scratch.release(scaled)
    return scaled


def picture(levels: np.ndarray, mode: str) -> Image.Image:
    """Returns uint8[H, W] or uint8[H, W, channels] as a picture of one of Pillow's 8-bit modes."""
    height, width = levels.shape[:2]
    return Image.frombuffer(mode, (width, height), np.ascontiguousarray(levels), "raw", mode, 0, 1)
