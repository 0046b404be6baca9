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

_USED = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf", b"acTL", b"fcTL", b"fdAT"}
_TEXTS = {b"iTXt", b"zTXt", b"tEXt"}
_ORIENTATION = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")  # texts that can hold one
_LONG_TEXT = 1 << 20  # bytes; no EXIF block is longer
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@contextlib.contextmanager
def used_chunks(file: BinaryIO) -> Iterator[BinaryIO]:
    """Yields a PNG file with only the chunks that matter for the pixels and the orientation.

    Pillow unpacks texts and profiles, and refuses the whole picture for a large one. It takes texts that are called
    "transparency" or the like for its own notes.
    """
    kept, place, dropped = [(0, len(START))], len(START), False
    while len(head := _at(file, place, 8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        text = kind in _TEXTS and size < _LONG_TEXT
        if kind in _USED or (text and _at(file, place + 8, 24).startswith(_ORIENTATION)):
            kept.append((place, 12 + size))
        else:
            dropped = True
        place += 12 + size
    if not dropped:
        yield file
        return
    with scratch.file() as copy:
        for start, size in kept:
            copy.write(_at(file, start, size))
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
