"""Any secret into a picture and out of it, as bytes: what the command and `stegano_tf.hide` call."""

import dataclasses
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stegano_tf import images, metrics, outputs, sealing
from stegano_tf.errors import FormatError, ImageError
from stegano_tf.message import contents, hiding, keys, ways
from stegano_tf.message.frame import Kind, Secret
from stegano_tf.message.ways.way import DamagedError, RoomError, Way

Picture = np.ndarray | str | os.PathLike
CHAT_SIDE, CHAT_QUALITY = 1600, 75


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A stego image and the secrets in it, as they were given and as they will be found."""

    written: hiding.Written
    sources: tuple[contents.Source, ...]
    secrets: tuple[Secret, ...]

    @property
    def stego(self) -> np.ndarray:
        """The stego image, uint8[H, W, 3]."""
        return self.written.stego


def hide(
    cover: Picture,
    secret: Picture | bytes,
    *,
    way: str | Way = "capacity",
    lock: sealing.Lock | None = None,
    also: Sequence[tuple[Any, sealing.Lock]] = (),
    name: str | None = None,
    max_pixels: int | None = None,
) -> Hidden:
    """Hides any file, or a picture as good as the room allows, as bytes; what it returns was read back.

    Args:
      cover: at least 171 pixels; errors call it `name`.
      secret: a file's name, a picture, or a file's bytes.
      way: one of `ways.WAYS`, or such with options: `ways.make("stealth", rate=0.05)`.
      lock: who can find and open it; anybody if None.
      also: further secrets, each with a lock of its own. None of them tells of another.
      max_pixels: refuse a file with a larger picture (default: `images.MAX_PIXELS`).

    Warns (`images.ImageWarning`) of a cover in which the way is easier to notice.

    Raises:
      RoomError: the cover has too little room; says how much it has.
      SealingError: a lock is of no use for a picture, or two are the same.

    Example:
      stego = hide("cover.png", "contract.pdf", lock=sealing.Lock(passphrase="correct horse")).stego
      find(stego, key=sealing.Key(passphrase="correct horse")).secret.data
    """
    locks = [lock, *(other for _, other in also)]
    for one in locks:
        keys.check(one)
    image = read(cover, max_pixels)
    name = name or _name(cover, "the cover")
    try:
        way = ways.make(way) if isinstance(way, str) else way
        most = way.capacity(image)
        sources = [
            contents.read(source, most=most, max_pixels=max_pixels) for source in (secret, *(s for s, _ in also))
        ]
        secrets = contents.fitted(way, image, list(zip(sources, locks, strict=True)))
        written = hiding.hide(way, image, list(zip(secrets, locks, strict=True)))
    except RoomError as error:
        raise error.about(name) from error
    advice = way.advice(image)
    if advice is not None:
        warnings.warn(f"{name}: {advice}", images.ImageWarning, stacklevel=2)
    return Hidden(written=written, sources=tuple(sources), secrets=tuple(secrets))


def as_chats_scale(cover: np.ndarray) -> np.ndarray:
    """Returns a picture, uint8[H, W, 3], with a long side of 1600 pixels at most, as chat apps send it."""
    height, width, _ = cover.shape
    scale = CHAT_SIDE / max(height, width)
    return cover if scale >= 1 else images.resize(cover, (max(1, round(scale * height)), max(1, round(scale * width))))


def find(
    stego: Picture, *, key: sealing.Key | None = None, name: str | None = None, max_pixels: int | None = None
) -> hiding.Found | None:
    """Returns the message that lies as bytes in a picture, None if nothing says that there is one.

    Args:
      stego: a file's name or a picture, which errors call `name`.
      key: a passphrase or identities; `hiding.reveal` says what is tried.

    Raises:
      DamagedError: there is one, but pixels have changed.
      SealingError, FormatError: it cannot be opened or read.
    """
    try:
        return hiding.reveal(read(stego, max_pixels), key)
    except (DamagedError, FormatError) as error:
        raise error.about(name or _name(stego, "the stego image")) from error


def find_unasked(stego: np.ndarray, *, key: sealing.Key | None, name: str) -> hiding.Found | None:
    """As `find`, first what anybody may read, and nobody is asked for a passphrase."""
    found = find(stego, name=name)
    known = key and dataclasses.replace(key, passphrase=None if callable(key.passphrase) else key.passphrase)
    if found is None and known and (known.passphrase or known.identities):
        found = find(stego, key=known, name=name)
    return found


def reveal(
    stego: np.ndarray, *, key: sealing.Key | None, name: str, max_pixels: int | None = None
) -> np.ndarray | None:
    """Returns the picture in a picture, None if anybody may look and there is none.

    Raises as `find`, SealingError if a key finds nothing, and ImageError if it finds another file.
    """
    found = find(stego, key=key, name=name)
    if found is None and key is not None:
        raise nothing(name)
    secret = found and revealed(found, stego, name=name, max_pixels=max_pixels)
    if found is not None and secret is None:
        raise ImageError(f"{name}: holds the file {found.secret.name!r}, expected a picture")
    return secret


def revealed(
    found: hiding.Found, stego: np.ndarray, *, name: str = "the stego image", max_pixels: int | None = None
) -> np.ndarray | None:
    """Returns the picture, uint8[H, W, 3], that `find` found in a picture; None if it is another file.

    Raises ImageError or FormatError if it has more than `max_pixels`, by default 16 for each of the stego image, or is
    damaged.
    """
    most = max_pixels or min(contents.PICTURE_SHARE * stego.size // 3, images.MAX_PIXELS)
    try:
        return contents.picture(found.secret, max_pixels=most)
    except (ImageError, FormatError) as error:
        raise error.about(name) from error


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What fits into a cover by one way."""

    way: str
    room: int  # bytes of a message, not sealed
    cover: float | None  # dB, PSNR of the stego image; None if the secret does not fit
    secret: float | None  # dB, PSNR of a secret that is coded to the room; None for a file, or if there is none


def fits(cover: np.ndarray, secret: contents.Source | None = None) -> Iterator[Fit]:
    """Yields what would fit into a cover, uint8[H, W, 3], by every way: random bytes, or a secret, are put into it."""
    for way in (way for name in ways.installed() for way in ways.examples(name)):
        yield _fit(way, cover, secret)


def _fit(way: Way, cover: np.ndarray, secret: contents.Source | None) -> Fit:
    room, psnr = max(0, way.room(cover) - len(Secret(b"", secret.name if secret else "").pack())), None
    message = np.random.default_rng(0).bytes(room)
    try:
        if secret is not None:
            (found,) = contents.fitted(way, cover, [(secret, None)])
            message = found.pack()
            revealed = contents.picture(found, max_pixels=images.MAX_PIXELS)
            if secret.picture is not None and secret.picture.shape == revealed.shape:
                psnr = metrics.psnr(secret.picture, revealed)
        stego = way.embed(cover, {keys.anybody(way): message})
    except RoomError:
        return Fit(way=str(way), room=room, cover=None, secret=None)
    return Fit(way=str(way), room=room, cover=metrics.psnr(cover, stego), secret=psnr)


def write(path: str | os.PathLike, hidden: Hidden, *, force: bool = False) -> None:
    """Writes a stego image from which each message can be read back; raises as `images.write`."""
    options = hidden.written.way.file_options
    images.write(path, hidden.stego, force=force, lossless=options is None, options=options, holds=hidden.written.holds)


def save(
    path: str | os.PathLike,
    found: hiding.Found,
    stego: np.ndarray,
    *,
    name: str = "the stego image",
    max_pixels: int | None = None,
    force: bool = False,
) -> np.ndarray | None:
    """Writes what `find` found: the file as it was sent, or a picture in the format of `path`'s suffix.

    Returns the picture, uint8[H, W, 3], if it was written as one. Raises as `revealed`, `images.write` and
    `outputs.replacing`.
    """
    suffix = Path(path).suffix.lower()
    if found.secret.kind == Kind.PICTURE or (
        images.writable(path) and suffix != Path(contents.name(found.secret)).suffix.lower()
    ):
        picture = revealed(found, stego, name=name, max_pixels=max_pixels)
        if picture is not None:
            images.write(path, picture, lossless=False, force=force)
            return picture
    with outputs.replacing(path, force=force) as partial:
        partial.write_bytes(found.secret.data)
    return None


def nothing(name: str) -> sealing.SealingError:
    """Returns what to say of a picture in which a key found nothing: always the same."""
    text = f"{name}: holds no message for this passphrase or identity, or none at all"
    if missing := sorted(set(ways.WAYS) - set(ways.installed())):
        text += f"; {' and '.join(missing)} was not looked for: a package that it needs is not installed"
    return sealing.SealingError(text)


def read(picture: Picture, max_pixels: int | None = None) -> np.ndarray:
    """Returns a picture that may be the name of a file; raises as `images.read`."""
    if isinstance(picture, np.ndarray):
        return picture
    if not isinstance(picture, str | os.PathLike):
        raise TypeError(f"a picture is {type(picture).__name__}, expected a file name or an array, uint8[H, W, 3]")
    return images.read(picture, max_pixels=max_pixels or images.MAX_PIXELS)


def _name(picture: Picture, name: str) -> str:
    return name if isinstance(picture, np.ndarray) else f"{picture}"
