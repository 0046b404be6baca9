"""uint8 RGB pictures to lossless PNG and WebP bytes and back: payloads of about half the size of a BMP."""

import io
from types import MappingProxyType

import numpy as np

from stegano_tf.errors import FormatError, ImageError

FORMATS = MappingProxyType(
    {"png": {"compress_level": 6}, "webp": {"lossless": True, "quality": 20, "method": 2, "exact": True}}
)
"""What pictures are written as, with Pillow's options: more effort than these takes long for the last per cent."""
LARGEST = 64 << 20
_NAMES = MappingProxyType({"PNG": "png", "WEBP": "webp"})


def encode(image: np.ndarray, name: str) -> bytes:
    """Returns the file of a picture, uint8[H, W, 3] RGB, in the format `name`, a key of `FORMATS`.

    Raises:
      ImageError: the format cannot hold so large a picture, or it becomes so small that `decode` would refuse it.
    """
    from PIL import Image  # noqa: PLC0415 (a BMP payload needs no Pillow)

    file = io.BytesIO()
    height, width, _ = image.shape
    try:
        Image.fromarray(image).save(file, name.upper(), **FORMATS[name])
    except (ValueError, OSError) as error:
        raise ImageError(f"{name} cannot hold a picture of {width} x {height} pixels ({error})") from error
    data = file.getvalue()
    try:
        _check_size(width, height, len(data))
    except FormatError as error:
        raise ImageError(f"{error}; send it as bmp") from error
    return data


def kind(start: bytes) -> str | None:
    """Returns "png" or "webp" for bytes that begin as such a file, else None."""
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    return "webp" if start[:4] == b"RIFF" and start[8:12] == b"WEBP" else None


def size(data: bytes) -> tuple[int, int]:
    """Returns (height, width) of the picture in a PNG or WebP file, from its header.

    Raises:
      FormatError: the header is damaged, or states a picture far larger than such a file justifies.
    """
    return _open(data).size[::-1]


def decode(data: bytes) -> np.ndarray:
    """Returns the picture, uint8[H, W, 3] RGB, in a PNG or WebP file; transparency is put on white.

    Raises:
      FormatError: as `size`, or the pixels are damaged.
    """
    from PIL import Image  # noqa: PLC0415

    picture = _open(data)
    try:
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        return np.array(picture.convert("RGB"))
    except Exception as error:  # Pillow's decoders raise whatever their parsing ran into
        raise FormatError(f"the picture inside is damaged: {_reason(error)}") from error


def _open(data: bytes):
    from PIL import Image  # noqa: PLC0415

    try:
        picture = Image.open(io.BytesIO(data), formats=list(_NAMES))
    except Exception as error:
        raise FormatError(f"the picture inside cannot be read: {_reason(error)}") from error
    _check_size(*picture.size, len(data))
    return picture


def _check_size(width: int, height: int, size: int) -> None:
    """Refuses a few bytes that claim to be a huge picture."""
    if 3 * width * height > LARGEST + 8 * size:
        raise FormatError(f"a picture of {width} x {height} pixels in {size:,} bytes is larger than they justify")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
