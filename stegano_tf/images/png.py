"""PNG pictures: what Pillow would unpack for nothing, and levels that it does not scale.

Source: https://www.w3.org/TR/png-3/
"""

import contextlib
import struct
from collections.abc import Iterator
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import Image

from stegano_tf import scratch
from stegano_tf.images import levels

START = b"\x89PNG\r\n\x1a\n"

_UNPACKED = {b"iCCP", b"iTXt", b"zTXt", b"tEXt"}
_ORIENTATION = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")  # names of texts that can hold one
_LONG_TEXT = 1 << 20  # bytes; no EXIF block is longer
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@contextlib.contextmanager
def without_texts(file: BinaryIO) -> Iterator[BinaryIO]:
    """Yields a PNG file without its colour profile and its texts, but with those that may hold an orientation.

    Pillow unpacks profiles and texts, and refuses the whole picture for a long one. It takes texts that are called
    "transparency" or the like for its own notes.
    """
    kept, place = [0], len(START)  # where a part begins that is kept, where it ends, where the next one begins, ...
    while len(head := _at(file, place, 8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        end = place + 12 + size
        if kind in _UNPACKED and not (size < _LONG_TEXT and _at(file, place + 8, 24).startswith(_ORIENTATION)):
            kept += [place, end]
        place = end
    if len(kept) == 1:
        yield file
        return
    with scratch.file() as copy:
        for start, stop in zip(kept[::2], [*kept[1::2], place], strict=True):
            for part in scratch.parts(stop - start, 1):
                copy.write(_at(file, start + part.start, part.stop - part.start))
        yield copy


def decode(file: BinaryIO, picture: Image.Image) -> Image.Image | None:
    """Returns the picture in a PNG file in 8 bits, or None if Pillow's `picture` of it is right.

    Pillow keeps the upper byte of 16 and does not scale the level that stands for transparent. libpng does both.
    """
    deep = picture.tile and str(picture.tile[0].args).endswith("16B")
    if not deep and ("transparency" not in picture.info or picture.mode == "P"):
        return None
    picture.load()  # the EXIF block may stand behind the pixels
    values = imagecodecs.png_decode(_at(file, 0, -1))
    if values.dtype == np.uint16:
        values = levels.eight_bits(values, 65535)
    return levels.picture(values, _MODES[values.shape[2] if values.ndim == 3 else 1])


def _at(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)
