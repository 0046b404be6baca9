"""What is to be hidden, as `frame.Secret`s: files as they are, pictures coded to the room that there is; and back."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stegano_tf import images, sealing
from stegano_tf.errors import ImageError, SteganoError
from stegano_tf.images import kinds
from stegano_tf.message import code, hiding
from stegano_tf.message.frame import Kind, Secret, safe
from stegano_tf.message.ways.way import RoomError, Way

PICTURE_SHARE = 16  # pixels of a secret for each one of the stego image: 4 times its width and height


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A secret as it was given.

    Attributes:
      data: the file, None for a picture from memory.
      picture: uint8[H, W, 3], None if it is no picture.
    """

    name: str
    data: bytes | None = None
    picture: np.ndarray | None = None


def read(source: str | os.PathLike | bytes | np.ndarray, *, most: int, max_pixels: int | None = None) -> Source:
    """Returns a secret: the name of a file, the bytes of one, or a picture, uint8[H, W, 3].

    Raises:
      SteganoError: the file is empty or cannot be read.
      RoomError: it is no picture, which could be coded, and has more than `most` bytes.
    """
    if isinstance(source, np.ndarray):
        images.check_rgb(source)
        return Source("secret.png", picture=source)
    name, data = "secret", source
    if not isinstance(source, bytes):
        name = Path(source).name
        try:
            size = Path(source).stat().st_size
            if size > most and not is_picture(source):
                raise RoomError(f"has room for {most:,} bytes, expected {size:,} for {source}")
            data = Path(source).read_bytes()
        except OSError as error:
            raise SteganoError(f"{source}: cannot be read: {error.strerror}, expected a file") from error
    if not data:
        raise SteganoError(f"{source or 'the secret'}: is empty, expected a file of at least one byte")
    try:
        picture = images.decode(data, str(name), max_pixels=max_pixels or images.MAX_PIXELS)
    except ImageError:
        picture = None
    return Source(name, data, picture)


def fitted(way: Way, cover: np.ndarray, sources: Sequence[tuple[Source, sealing.Lock | None]]) -> list[Secret]:
    """Returns secrets for `hiding.hide`: pictures share what room the files leave.

    A picture is taken as it is, file or pixels, if that fits. If not, it becomes as good as it can.

    Raises RoomError if even the coarsest picture does not fit.
    """
    pictures = [source for source, _ in sources if source.picture is not None]
    files = sum(len(source.data) for source, _ in sources if source.picture is None)
    room = (way.room(cover) - files) // max(1, len(pictures))
    if len(sources) > 1:
        room = room * 7 // 8  # room is shared in lanes
    found = []
    for source, lock in sources:
        if source.picture is None:
            found.append(Secret(source.data, source.name))
            continue
        most = hiding.most(room, lock) - len(Secret(b"", source.name).pack())
        pixels = PICTURE_SHARE * cover.shape[0] * cover.shape[1]  # more are not believed by a receiver
        exact = code.lossless(source.picture)
        if source.data is not None and len(source.data) <= min(most, len(exact)):
            found.append(Secret(source.data, source.name))
        else:
            fits = len(exact) <= most and source.picture.size <= 3 * pixels
            coded = exact if fits else code.fitted(source.picture, most, pixels)
            found.append(Secret(coded, source.name, Kind.PICTURE))
    return found


def picture(secret: Secret, *, max_pixels: int) -> np.ndarray | None:
    """Returns the picture, uint8[H, W, 3], that a message brings; None if it is another file.

    Raises ImageError or FormatError if it is a picture that cannot be decoded, or of more than `max_pixels`.
    """
    if secret.kind == Kind.PICTURE:
        return code.decoded(secret.data, max_pixels)
    try:
        return images.decode(secret.data, secret.name, max_pixels=max_pixels)
    except ImageError:
        return None


def name(secret: Secret) -> str:
    """Returns how to call the file that a message becomes, without any folder; a picture that was coded is a PNG."""
    return safe(f"{Path(secret.name).stem or 'secret'}.png") if secret.kind == Kind.PICTURE else secret.name


def is_picture(path: str | os.PathLike) -> bool:
    """Returns whether a file starts as a picture that can be read, or is a pipe, which is read once only.

    Raises SteganoError if it cannot be read.
    """
    if Path(path).exists() and not Path(path).is_file():
        return True
    try:
        with Path(path).open("rb") as file:
            start = file.read(kinds.START)
    except OSError as error:
        raise SteganoError(f"{path}: cannot be read: {error.strerror}, expected a file") from error
    return bool(kinds.called(start)) and not kinds.refusal(start)
