"""Picture files to pixels: which reader each is for, the limits, and what is said of failures."""

import contextlib
import functools
import io
import os
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import simplejpeg
from PIL import Image

from stegano_tf import scratch
from stegano_tf.errors import ImageError, OutputError, one_line
from stegano_tf.images import colours, jpeg2000, kinds, png

# Half a gigabyte of RGB. Pillow refuses larger pictures as decompression bombs: this is twice its MAX_IMAGE_PIXELS.
MAX_PIXELS = 178_956_970

# Formats whose further frames are previews, gain maps (most telephones' JPEG files) or layers of the one picture.
_ONE_PICTURE = {"MPO", "PSD"}
# The JPEG segment that holds EXIF or XMP; within the compressed pixels 0xFF is never followed by 0xE1.
_APP1 = b"\xff\xe1"

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF

_LIMIT_LOCK = threading.Lock()


class ImageWarning(UserWarning):
    """A part of a picture file was not used: transparency, further frames, a broken profile or EXIF block."""


def read(path: str | os.PathLike, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Returns the picture in a file as `uint8[H, W, 3]`, RGB, 0 to 255, C-contiguous, H and W at least 1.

    The EXIF orientation is applied. Transparent pixels are composited on white and further frames are ignored, each
    with an `ImageWarning`. Levels of any depth become `255 v / white`, rounded; floating-point white is 1, or 255 if a
    level exceeds 1. CMYK goes through the file's colour profile to sRGB, or without one through a plain formula.

    Raises:
      ImageError: the file is missing, a folder, empty, not a picture, of a kind that is not supported, which it then
        names, not whole, or of more than `max_pixels` pixels, which is found out before it is decoded.
      OutputError: the picture is large, and the disk has no room for the temporary file that holds it.

    Example:
      images.write("cover.png", images.read("cover.jpg"))
    """
    path = Path(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened ({error.strerror}), expected a picture file") from error
    with file:
        return _read(file, file.peek(kinds.START)[: kinds.START], str(path), max_pixels)


def decode(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Returns the picture in `data`, what a picture file holds, and raises as `read`; messages call it `name`."""
    return _read(io.BytesIO(data), data[: kinds.START], name, max_pixels)


def _read(file: BinaryIO, start: bytes, name: str, max_pixels: int) -> np.ndarray:
    """Returns the picture in a file that starts with `start`, and warns of what was not used of it."""
    notes: list[str] = []
    try:
        image = _decode(file if file.seekable() else io.BytesIO(file.read()), start, max_pixels, notes)
    except ImageError as error:
        raise error.about(name) from error
    for note in notes:
        warnings.warn(f"{name}: {note}", ImageWarning, stacklevel=3)
    return image


def _decode(file: BinaryIO, start: bytes, max_pixels: int, notes: list[str]) -> np.ndarray:
    """Returns the pixels and adds to `notes` what was not used; raises ImageError without the file's name."""
    if not start:
        raise ImageError("is empty, expected a picture file")
    if reason := kinds.refusal(start):
        raise ImageError(reason)
    try:
        if start.startswith(b"\xff\xd8"):
            data = file.read()
            if (image := _decode_plain_jpeg(data, max_pixels)) is not None:
                return image
            return _by_pillow(io.BytesIO(data), start, max_pixels, notes)
        if start.startswith(png.START):
            with png.without_texts(file) as plain:
                return _by_pillow(plain, start, max_pixels, notes)
        if start.startswith(_TIFF):
            from stegano_tf.images import tiff  # noqa: PLC0415  (tifffile is slow to import)

            picture = tiff.decode(file, functools.partial(_check_size, max_pixels))
            if picture is not None:
                _note_unused(picture, start, notes)
                return colours.rgb(picture, notes)
        return _by_pillow(file, start, max_pixels, notes)
    except (ImageError, OutputError):
        raise
    except Exception as error:  # Pillow's decoders raise whatever their parsing ran into, not just OSError.
        raise ImageError(_why_not(file, start, error)) from error


def _by_pillow(file: BinaryIO, start: bytes, max_pixels: int, notes: list[str]) -> np.ndarray:
    with _open(file, max_pixels) as picture:
        if picture.format == "FITS" and picture.mode != "L":
            raise ImageError("is a FITS file of more than 8 bits, whose scale Pillow ignores; expected 8 bits, or PNG")
        _note_unused(picture, start, notes)
        return colours.rgb(_scaled(picture, file) or picture, notes)


def _note_unused(picture: Image.Image, start: bytes, notes: list[str]) -> None:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format not in _ONE_PICTURE:
        notes.append(f"holds {frames} frames, the first is used")
    if picture.format == "PSD":
        channels, used = int.from_bytes(start[12:14]), 3 if picture.mode == "RGBA" else len(picture.getbands())
        if channels > used:
            notes.append(f"has {channels} channels, {used} are used: masks and transparency are not")


def _scaled(picture: Image.Image, file: BinaryIO) -> Image.Image | None:
    """Returns the picture in 8 bits as another library reads it, if Pillow would not scale its levels."""
    scaled = None
    if picture.format == "PNG":
        scaled = png.decode(file, picture)
    elif picture.format == "JPEG2000":
        scaled = jpeg2000.decode(file, picture)
    if scaled is not None:
        scaled.info = picture.info
        scaled.info.pop("transparency", None)
    return scaled


def _why_not(file: BinaryIO, start: bytes, error: Exception) -> str:
    """Returns what to say of a file that no reader read because of `error`."""
    kind = kinds.called(start)
    if not kind:
        seems = kinds.guess(file)
        found = f"seems to be {seems}" if seems else f"starts with {start[:8]!r}"
        return f"{found}, expected a whole picture file (PNG, JPEG, ...)"
    if isinstance(error, Image.UnidentifiedImageError):
        error = kinds.objection(file, kind.partition(" ")[0]) or error
    # The text of a KeyError or IndexError means nothing without its type.
    reason = f"{type(error).__name__}: {one_line(error)}" if isinstance(error, LookupError) else one_line(error)
    if isinstance(error, AssertionError):
        reason = "damaged, or of a form that Pillow does not know"
    return (
        f"is {'an' if kind[0] in 'AIX' else 'a'} {kind} file that cannot be decoded ({reason}), "
        "expected a whole file of a common form; "
        "if it opens elsewhere, saving it as PNG helps"
    )


def _decode_plain_jpeg(data: bytes, max_pixels: int) -> np.ndarray | None:
    """Returns the pixels that Pillow would return, in two thirds of its time and without the interpreter's lock.

    Returns None for what Pillow has to read: a file that may hold an orientation, is neither plain colour nor grey, is
    too large, or is damaged.
    """
    if _APP1 in data:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in ("YCbCr", "Gray") or height * width > max_pixels:
            return None
        image = scratch.picture(height, width)
        simplejpeg.decode_jpeg(data, buffer=image)
        scratch.release(image)
        return image
    except (ValueError, KeyError):  # KeyError: a sampling that simplejpeg has no name for
        return None


@contextlib.contextmanager
def _open(file: BinaryIO, max_pixels: int) -> Iterator[Image.Image]:
    """Opens a picture, reading just its header, and refuses one of more than `max_pixels` pixels."""
    # Pillow's limit is global: above it Pillow warns, above twice as much it refuses. It is raised for a moment and not
    # lifted, because some parsers allocate memory. The lock keeps two threads from restoring each other's value.
    with _LIMIT_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        pillow_limit = Image.MAX_IMAGE_PIXELS
        if pillow_limit is not None:
            Image.MAX_IMAGE_PIXELS = max(pillow_limit, max_pixels)
        try:
            picture = Image.open(file)
        except Image.DecompressionBombError as error:
            found = re.search(r"\d+", str(error))  # the size is in the message only
            raise _too_large(found[0] if found else "too many", max_pixels) from error
        finally:
            Image.MAX_IMAGE_PIXELS = pillow_limit
    with picture:
        _check_size(max_pixels, picture.width, picture.height)
        yield picture


def _check_size(max_pixels: int, width: int, height: int) -> None:
    if (pixels := width * height) > max_pixels:
        raise _too_large(f"{width}x{height} = {pixels}", max_pixels)


def _too_large(found: str, max_pixels: int) -> ImageError:
    message = f"has {found} pixels, expected at most {max_pixels}"
    return ImageError(message, option="max_pixels", effect="raises the limit")
