"""What happens to pictures on their way: JPEG of many programs. `stegano_tf.channels` has libjpeg as it is."""

import numpy as np
import simplejpeg

FAST = 93  # the best quality at which the fast transform is of use: above, its errors are larger than what is rounded


def compress_fast(picture: np.ndarray, quality: int) -> np.ndarray:
    """Returns what `channels.jpeg` does, but with libjpeg's fast transform, less exact, which many programs use."""
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality, colorsubsampling="420", fastdct=True)
    return simplejpeg.decode_jpeg(data)
