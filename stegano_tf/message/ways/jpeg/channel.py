"""What happens to pictures on their way: JPEG."""

import io

import numpy as np
import simplejpeg
from PIL import Image

FAST = 93  # the best quality at which the fast transform is of use: above, its errors are larger than what is rounded


def compress(picture: np.ndarray, quality: int) -> np.ndarray:
    """Returns a picture, uint8[H, W, 3], after libjpeg of a quality, 1 to 100, with 4:2:0."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(file))


def compress_fast(picture: np.ndarray, quality: int) -> np.ndarray:
    """Returns what `compress` does, but with libjpeg's fast transform, which is less exact: many programs use it."""
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality, colorsubsampling="420", fastdct=True)
    return simplejpeg.decode_jpeg(data)
