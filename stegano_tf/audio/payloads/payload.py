"""What every kind of picture file that travels offers."""

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A kind of picture file, which gives every pixel back as it was.

    Its functions raise `FormatError` for what they read and `ImageError` for what they are to write, and name no file.

    Attributes:
      name: for options and for `AudioInfo.payload`.
      starts: whether the first bytes of a file (up to 54) are those of this kind.
      least_bytes: of (height, width): the fewest bytes that the file of such a picture has.
      encode: of uint8[H, W, 3] RGB: the size of the file in bytes, and the file in bytes-like blocks.
      open: of a `message.Message`, from which it reads the header: an object that has the attribute `size`, (height,
        width), and the methods `image`, which returns uint8[H, W, 3] RGB, C-contiguous and writable, and `bmp`, which
        yields the picture as a BMP file in bytes-like blocks.
    """

    name: str
    starts: Callable[[bytes], bool]
    least_bytes: Callable[[int, int], int]
    encode: Callable[[np.ndarray], tuple[int, Iterable]]
    open: Callable
