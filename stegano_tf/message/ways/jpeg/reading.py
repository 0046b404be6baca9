"""Reading bits: how likely each is 0, from the blocks of a picture that JPEG may have changed."""

import numpy as np

from stegano_tf.message.ways.jpeg import blocks as jpeg

# The variance of a coefficient, in squared steps: what a JPEG table that is a little finer leaves; and in squared units
# for each black or white pixel, of which nobody knows how far it was beyond. Measured on photographs.
_VARIANCE, _CUT = 1 / 22, 0.09


def likelihoods(blocks: np.ndarray, which: np.ndarray, quality: int) -> np.ndarray:
    """Returns the logarithms of P(0) / P(1) of all bits in some blocks.

    Args:
      blocks: uint8[3, N, 64].
      which: the numbers of n of them.
      quality: the design quality.

    Returns:
      float32[n, 15].
    """
    step = jpeg.steps(quality).astype(np.float32)

    def work(part: slice) -> np.ndarray:
        chosen = blocks[:, which[part]]
        values = (jpeg.luma(chosen) @ jpeg.BASIS) / step
        values -= 2 * np.rint(values / 2)
        cut = jpeg.extreme(chosen).astype(np.float32)
        return (0.5 - np.abs(values)) / (_VARIANCE + _CUT * cut[:, None] / step**2)

    return np.concatenate(jpeg.in_parts(work, len(which)))
