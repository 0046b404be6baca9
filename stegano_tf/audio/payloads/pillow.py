"""uint8 RGB pictures to lossless files of Pillow's formats and back."""

import functools
import io
from collections.abc import Callable, Iterator

import numpy as np

from stegano_tf.audio.payloads import bmp
from stegano_tf.audio.payloads.payload import Payload
from stegano_tf.errors import FormatError, ImageError, one_line

LARGEST = 64 << 20  # bytes of a picture that any small file may claim to hold


def payload(name: str, starts: Callable[[bytes], bool], **options) -> Payload:
    """Returns the payload that Pillow writes in the format `name`, with these options."""
    return Payload(
        name=name,
        starts=starts,
        least_bytes=lambda height, width: max(1, (3 * height * width - LARGEST) // 8),
        encode=functools.partial(_encode, name, options),
        open=functools.partial(_Picture, name),
    )


def _encode(name: str, options: dict, image: np.ndarray) -> tuple[int, Iterator[bytes]]:
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
        _check_size(width, height, len(data))
    except FormatError as error:
        raise ImageError(f"{error}; send it as bmp") from error
    return len(data), iter([data])


class _Picture:
    """As `Payload.open` describes; transparency is put on white."""

    def __init__(self, name: str, message):
        from PIL import Image  # noqa: PLC0415

        data = message.rest()
        try:
            self._picture = Image.open(io.BytesIO(data), formats=[name.upper()])
        except Exception as error:  # Pillow's decoders raise whatever their parsing ran into
            raise FormatError(f"the picture inside cannot be read: {one_line(error)}") from error
        _check_size(*self._picture.size, len(data))
        self.size = self._picture.size[::-1]

    def image(self) -> np.ndarray:
        from PIL import Image  # noqa: PLC0415

        picture = self._picture
        try:
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
            return np.array(picture.convert("RGB"))
        except Exception as error:
            raise FormatError(f"the picture inside is damaged: {one_line(error)}") from error

    def bmp(self) -> Iterator[bytes | np.ndarray]:
        return bmp.encode(self.image())[1]


def _check_size(width: int, height: int, size: int) -> None:
    """Refuses a few bytes that claim to be a huge picture."""
    if 3 * width * height > LARGEST + 8 * size:
        raise FormatError(f"a picture of {width} x {height} pixels in {size:,} bytes is larger than they justify")
