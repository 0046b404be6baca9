"""What every kind of picture file that travels offers."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np


class Picture(Protocol):
    """A picture in a message, of which the header was read and found right.

    Attributes:
      size: (height, width).
    """

    size: tuple[int, int]

    def image(self) -> np.ndarray:
        """Returns the picture, uint8[H, W, 3] RGB, C-contiguous and writable."""

    def bmp(self) -> Iterator[bytes | np.ndarray]:
        """Yields the picture as a BMP file."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A kind of picture file, which gives every pixel back as it was.

    Its functions raise `FormatError` for what they read and `ImageError` for what they are to write, and name no file.

    Attributes:
      name: for options and for `AudioInfo.payload`.
      starts: whether the first bytes of a file (up to 54) are those of this kind.
      least_bytes: of (height, width): the fewest bytes that the file of such a picture has.
      encode: of uint8[H, W, 3] RGB: the size of the file in bytes, and the file in bytes-like blocks.
      open: of a `message.Message`, from which it reads the file: the picture.
    """

    name: str
    starts: Callable[[bytes], bool]
    least_bytes: Callable[[int, int], int]
    encode: Callable[[np.ndarray], tuple[int, Iterable]]
    open: Callable[..., Picture]
