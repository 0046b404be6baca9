"""What every kind of picture file that travels offers."""

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A kind of picture file, which gives every pixel back as it was.

    Its functions raise `FormatError` for what they read and `ImageError` for what they are to write, and name no file.
    `open` takes a `message.Message`, reads the header from it and returns an object that has the attribute `size`,
    (height, width), and two methods. `image` returns uint8[H, W, 3] RGB, C-contiguous and writable. `bmp` yields the
    picture as a BMP file in bytes-like blocks.
    """

    name: str  # for options and for `AudioInfo.payload`
    starts: Callable[[bytes], bool]  # whether the first bytes of a file (up to 54) are those of this kind
    least_bytes: Callable[[int, int], int]  # of height and width: the fewest bytes that the file of such a picture has
    encode: Callable[[np.ndarray], tuple[int, Iterable]]  # of uint8[H, W, 3] RGB: bytes of the file; it, in blocks
    open: Callable
