"""A picture as bytes, as good as so many bytes allow. tools/benchmark_message.py has the comparison behind the choices.

    offset  bytes  field
         0      4  height of the picture
         4      4  width
         8      2  256 times the step T of its levels, 256 if they are as they were
        10         JPEG XL or AVIF file, perhaps of a smaller picture

* Exactly: JPEG XL, lossless.
* At many bits a pixel: JPEG XL, lossless, of the levels `round(v / T)`, which mean `round(T k)`. So an error is at most
  T / 2, rounded up. Where lossless coding comes near to fitting, this leaves much less noise than transform coding.
* At fewer: AVIF of 10 bits, or of 12 where its steps are finer.
* At few, the picture is scaled down first.
"""

import dataclasses
import functools
import math
import struct
from collections.abc import Callable

import numpy as np

from stegano_tf import images, metrics
from stegano_tf.errors import FormatError, one_line
from stegano_tf.message import jpegxl
from stegano_tf.message.ways.way import RoomError

_HEADER = struct.Struct("<IIH")
_ONE = 256  # a step of 1
_MANY = 3.0  # bits a pixel from which JPEG XL of fewer levels and AVIF of 12 bits are tried
_FEW = 0.5  # bits a pixel below which smaller pictures are tried
_COARSEST = 16.0  # step
_SMALL = 1000  # bytes: the headers of AVIF take much of them
_LEAST = 16  # pixels
_LARGE = 1 << 20  # pixels above which the quality is found on a sample
_TILE = 128
_HALVINGS = 8


def lossless(picture: np.ndarray) -> bytes:
    """Returns the picture, uint8[H, W, 3], exactly."""
    return _packed(picture, 1.0, _jpegxl(picture, picture.size > 3 * _LARGE))


def fitted(picture: np.ndarray, size: int, most: int) -> bytes:
    """Returns the picture, uint8[H, W, 3], as good as `size` bytes allow, in at most `most` pixels.

    Raises RoomError if nothing fits.

    Example:
      decoded(fitted(picture, 10_000, 10**7), 10**7)
    """
    height, width, _ = picture.shape
    room = size - _HEADER.size
    scale = min(1.0, math.sqrt(most / (height * width)))
    target = images.resize(picture, (max(1, int(scale * height)), max(1, int(scale * width))))
    best, scale, rate = None, 1.0, 8 * room / (target.size // 3)
    enough = _FEW if room > _SMALL else 4 * _MANY
    while room > 0:
        for code in (_AVIF_10, _AVIF_12, _NEAR) if rate >= _MANY else (_AVIF_10,):
            coded = _searched(code, scale, room, target)
            if coded is not None:
                best = min(best or (math.inf, b""), (metrics.squared_error(target, decoded(coded, most)), coded))
        if (best and rate >= enough) or target.size * scale**2 < 3 * _LEAST:
            break
        scale, rate = scale / 2, 4 * rate
    if best is None:
        raise RoomError(f"has room for {max(0, size):,} bytes of a picture of {width}x{height}, which is too little")
    return best[1]


def decoded(data: bytes, most: int) -> np.ndarray:
    """Returns the picture, uint8[H, W, 3], in its own size; raises FormatError if it is none of at most `most` pixels.

    Its size is known before it is decoded.
    """
    if len(data) <= _HEADER.size:
        raise FormatError(f"holds a picture of {len(data)} bytes, expected more than {_HEADER.size}")
    height, width, step = _HEADER.unpack_from(data)
    coded = data[_HEADER.size :]
    if not 0 < height * width <= most or not step >= _ONE:
        raise FormatError(f"holds a picture of {width}x{height}, step {step}; expected at most {most:,} pixels")
    if coded.startswith(b"\xff\x0a"):
        picture = _from_jpegxl(coded, most)
    else:
        picture = images.decode(coded, "the message", max_pixels=most)
    return images.resize(_levels(step / _ONE)[1][picture], (height, width))


def _searched(code: "_Code", scale: float, room: int, picture: np.ndarray) -> bytes | None:
    """Returns a picture in the best quality that is found to fit; None if the coarsest does not."""
    height, width, _ = picture.shape
    small = images.resize(picture, (max(1, round(scale * height)), max(1, round(scale * width))))
    sample, quick = _sample(small), small.size > 3 * _LARGE
    low, high, best = 0.0, 1.0, None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        coded = code.encode(sample, middle, quick)
        if len(coded) <= room * sample.size / small.size:
            low, best = middle, coded
        else:
            high = middle
    quality = low
    while sample is not small and quality >= 0:
        best = code.encode(small, quality, quick)
        if len(best) <= room:
            break
        best, quality = None, quality - 1 / 50
    return None if best is None else _packed(picture, code.step(quality), best)


def _sample(picture: np.ndarray) -> np.ndarray:
    """Returns a picture if it is small, or tiles of it, side by side, that lie evenly in it."""
    height, width, _ = picture.shape
    if height * width <= _LARGE or min(height, width) < 8 * _TILE:
        return picture
    tops, lefts = (np.linspace(0, side - _TILE, 8).astype(int) for side in (height, width))
    rows = [np.concatenate([picture[top : top + _TILE, left : left + _TILE] for left in lefts], axis=1) for top in tops]
    return np.concatenate(rows)


@dataclasses.dataclass(frozen=True)
class _Code:
    """A file format, and how a quality from 0 to 1 becomes its parameters."""

    encode: Callable[[np.ndarray, float, bool], bytes]  # of a picture, a quality, and whether to take little time
    step: Callable[[float], float] = lambda _: 1.0


def _avif(bits: int, picture: np.ndarray, quality: float, quick: bool) -> bytes:
    """More than 8 bits, because 8 of brightness and colour lose what 8 of red, green and blue have."""
    import imagecodecs  # noqa: PLC0415

    deep = np.rint(picture * np.float32(((1 << bits) - 1) / 255)).astype(np.uint16)
    options = {"speed": 7 if quick else 4, "pixelformat": "444", "numthreads": 2}
    return imagecodecs.avif_encode(deep, level=round(100 * quality), bitspersample=bits, **options)


def _near_step(quality: float) -> float:
    """A step that the header can say."""
    return round(_ONE * _COARSEST ** (1 - quality)) / _ONE


def _jpegxl(picture: np.ndarray, quick: bool) -> bytes:
    import imagecodecs  # noqa: PLC0415

    return imagecodecs.jpegxl_encode(picture, lossless=True, effort=3 if quick else 7)


_AVIF_10, _AVIF_12 = (_Code(functools.partial(_avif, bits)) for bits in (10, 12))
_NEAR = _Code(lambda picture, quality, quick: _jpegxl(_levels(_near_step(quality))[0][picture], quick), _near_step)


def _levels(step: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns which level of a step stands for each value, and which value each level stands for: uint8[256] twice."""
    level = np.rint(np.arange(256) / step)
    value = np.minimum(np.rint(np.arange(256) * step), 255)
    return level.astype(np.uint8), value.astype(np.uint8)


def _packed(picture: np.ndarray, step: float, coded: bytes) -> bytes:
    return _HEADER.pack(*picture.shape[:2], round(_ONE * step)) + coded


def _from_jpegxl(coded: bytes, most: int) -> np.ndarray:
    import imagecodecs  # noqa: PLC0415

    height, width = jpegxl.size(coded)
    if height * width > most:
        raise FormatError(f"holds a picture of {width}x{height}, expected at most {most:,} pixels")
    try:
        picture = imagecodecs.jpegxl_decode(coded)
    except Exception as error:  # imagecodecs raises whatever there is
        raise FormatError(f"holds a JPEG XL picture that cannot be decoded ({one_line(error)})") from error
    if picture.dtype != np.uint8 or picture.shape != (height, width, 3):
        raise FormatError(f"holds a JPEG XL picture of shape {picture.shape}, expected RGB")
    return picture
