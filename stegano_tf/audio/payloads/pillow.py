"""uint8 RGB pictures to lossless files of Pillow's formats and back."""

import functools
import io
from collections.abc import Callable, Iterator

import numpy as np

from stegano_tf import scratch
from stegano_tf.audio.payloads import bmp
from stegano_tf.audio.payloads.payload import Payload
from stegano_tf.errors import FormatError, ImageError, one_line

# A picture may take so many bytes to decode: what any small file may claim, and so many times its own size.
_CLAIM = 48 << 20
_PER_BYTE = 9


def payload(name: str, starts: Callable[[bytes], bool], *, pixel_bytes: int, **options) -> Payload:
    """Returns the payload that Pillow writes in the format `name`, with these options.

    `pixel_bytes` is the memory that it takes to decode a pixel.
    """
    return Payload(
        name=name,
        starts=starts,
        least_bytes=lambda height, width: max(1, (pixel_bytes * height * width - _CLAIM) // _PER_BYTE),
        encode=functools.partial(_encode, name, options, pixel_bytes),
        open=functools.partial(_Picture, name, pixel_bytes),
    )


def _encode(name: str, options: dict, pixel_bytes: int, image: np.ndarray) -> tuple[int, Iterator[bytes]]:
    from PIL import Image  # noqa: PLC0415 (a BMP payload needs no Pillow)

    bmp.check_picture(image)
    file = io.BytesIO()
    height, width, _ = image.shape
    try:
        Image.fromarray(image).save(file, name.upper(), **options)
    except (ValueError, OSError) as error:
        raise ImageError(f"{name} cannot hold a picture of {width} x {height} pixels ({error})") from error
    data = file.getvalue()
    try:
        _check_size(width, height, pixel_bytes, len(data))
    except FormatError as error:
        raise ImageError(f"{error}; send it as bmp") from error
    return len(data), iter([data])


class _Picture:
    """As `Payload.open` describes; transparency is put on white."""

    def __init__(self, name: str, pixel_bytes: int, message):
        from PIL import Image  # noqa: PLC0415

        data = message.rest()
        try:
            self._picture = Image.open(io.BytesIO(data), formats=[name.upper()])
        except Exception as error:  # Pillow's decoders raise whatever their parsing ran into
            raise FormatError(f"the picture inside cannot be read: {one_line(error)}") from error
        _check_size(*self._picture.size, pixel_bytes, len(data))
        self.size = self._picture.size[::-1]

    def image(self) -> np.ndarray:
        height, width = self.size
        image = scratch.picture(height, width)
        try:
            self._picture.load()
            for rows in scratch.parts(height, 4 * width):
                image[rows] = _rgb(self._picture.crop((0, rows.start, width, rows.stop)))
                scratch.release(image)
        except Exception as error:
            raise FormatError(f"the picture inside is damaged: {one_line(error)}") from error
        return image

    def bmp(self) -> Iterator[bytes | np.ndarray]:
        return bmp.encode(self.image())[1]


def _rgb(picture):
    """Returns a Pillow picture as RGB."""
    from PIL import Image  # noqa: PLC0415

    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _check_size(width: int, height: int, pixel_bytes: int, size: int) -> None:
    """Refuses a few bytes that claim to be a huge picture."""
    if pixel_bytes * width * height > _CLAIM + _PER_BYTE * size:
        raise FormatError(f"a picture of {width} x {height} pixels in {size:,} bytes is larger than they justify")
