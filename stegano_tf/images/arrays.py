"""Checks, scaling and cropping of pictures in memory."""

import numpy as np
from PIL import Image

from stegano_tf import scratch
from stegano_tf.errors import ImageError


def check_rgb(image: np.ndarray) -> None:
    """Raises TypeError or ValueError unless `image` is `uint8[H, W, 3]` with at least one pixel."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise TypeError(f"a picture is {getattr(image, 'dtype', type(image).__name__)}, expected a uint8 array")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"a picture has shape {image.shape}, expected (height, width, 3)")


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns `image`, `uint8[H, W, 3]`, Lanczos-scaled to `size` (height, width); itself if of that size."""
    check_rgb(image)
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"a size of {height}x{width} pixels, expected at least 1x1")
    if image.shape[:2] == (height, width):
        return image
    # Rows and columns are scaled one after the other, each in strips: a whole picture at four bytes a pixel, as Pillow
    # stores it, would take more memory. The order shows in the result. As in Pillow, the one that shrinks goes first.
    if height < image.shape[0] and width > image.shape[1]:
        return _scale_rows(_scale_rows(image.swapaxes(0, 1), height).swapaxes(0, 1), width)
    return scratch.copy(_scale_rows(_scale_rows(image, width).swapaxes(0, 1), height).swapaxes(0, 1))


def _scale_rows(image: np.ndarray, width: int) -> np.ndarray:
    """Returns `uint8[H, W, 3]` scaled to [H, width, 3]."""
    if image.shape[1] == width:
        return image
    scaled = scratch.picture(len(image), width)
    for rows in scratch.parts(len(image), 4 * image.shape[1]):
        strip = np.ascontiguousarray(image[rows])
        scaled[rows] = Image.fromarray(strip).resize((width, len(strip)), Image.Resampling.LANCZOS)
        scratch.release(image, scaled)
    return scaled


def centre_crop(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the middle `size` (height, width) of `image`, C-contiguous; raises ImageError if that is smaller."""
    check_rgb(image)
    height, width = size
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    if top < 0 or left < 0:
        raise ImageError(f"the picture is {image.shape[1]}x{image.shape[0]}, expected at least {width}x{height} pixels")
    return np.ascontiguousarray(image[top : top + height, left : left + width])
