"""Picture files of strangers: what is looked at before anything of them is decoded.

Pillow decodes them, in a process that ends when it takes too long or too much memory (`workers`). The network gets BMP
files that were written here, so no other decoder ever sees a stranger's file. Alpha and EXIF orientation are ignored,
as TensorFlow does it.
"""

import io
import re
import warnings

import numpy as np
from PIL import Image

from stegano_tf.errors import one_line
from stegano_tf.serving.errors import invalid

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
MAX_SCANS = 100  # of a JPEG file; encoders write 1 to 13
MAX_SEGMENTS = 1000  # of a JPEG file
MAX_PADDING = 64  # bytes 0xFF before a JPEG marker; Pillow reads them one by one

# A JPEG marker: neither a stuffed zero nor a restart marker, which only occur within a scan.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])", re.DOTALL)
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01


def size(name: str, data: bytes) -> tuple[int, int]:
    """Returns height and width of a picture file as its header states them, and decodes nothing.

    `name` says in messages which one it is. Raises RequestError, INVALID_ARGUMENT: the file is of another format than
    `FORMATS`, holds more than one frame, or is a JPEG file of too many scans.
    """
    with _opened(name, data) as picture:
        return picture.height, picture.width


def as_bmp(name: str, data: bytes) -> bytes:
    """Returns a picture file's pixels, RGB, as a BMP file of 24 bits; raises as `size`, and if the file is damaged."""
    with _opened(name, data) as picture:
        try:
            # Of 16-bit grey the upper 8 bits, as Pillow does it with 16-bit colours.
            grey = picture.mode.startswith("I")
            pixels = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)) if grey else picture
            bmp = io.BytesIO()
            pixels.convert("RGB").save(bmp, "BMP")
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise errors of any kind.
            raise invalid(f"{name}: cannot be decoded ({one_line(error)}), expected an undamaged file") from error
        return bmp.getvalue()


def _opened(name: str, data: bytes) -> Image.Image:
    if data.startswith(b"\xff\xd8"):
        _check_jpeg(name, data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
        # What a telephone's JPEG file has beside the picture is a preview or a gain map. Pillow calls it MPO.
        frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
    except Exception as error:  # as above
        found = f"{len(data)} bytes that start with {data[:8]!r}"
        raise invalid(f"{name}: {found}, expected a picture file ({', '.join(FORMATS)})") from error
    if frames > 1:
        raise invalid(f"{name}: holds {frames} frames, expected one")
    return picture


def _check_jpeg(name: str, data: bytes) -> None:
    """Counts the scans up to the end of the picture: each of them costs a walk over all its pixels."""
    at, segments, scans = 2, 0, 0
    while (found := _MARKER.search(data, at)) and (marker := found[1][0]) != _EOI:
        segments += 1
        if not scans and found.start() - at > MAX_PADDING:
            raise invalid(f"{name}: {found.start() - at} bytes lie between JPEG segments, expected none")
        scans += marker == _SOS
        if scans > MAX_SCANS or segments > MAX_SEGMENTS:
            raise invalid(
                f"{name}: a JPEG file of more than {MAX_SCANS} scans or {MAX_SEGMENTS} segments, expected fewer"
            )
        at = found.end()
        if marker not in (_SOI, _TEM):  # those two have no length
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    if not scans:
        raise invalid(f"{name}: a JPEG file without a picture")
