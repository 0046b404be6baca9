"""Picture files to and from `uint8[H, W, 3]` RGB arrays, the only form of a picture inside this package.

`read` takes any file that Pillow opens, and warns (`ImageWarning`) if it ignores a part of it. `write` writes a stego
image only in formats that give every pixel back exactly.

Limits: an RGB colour profile is dropped, not applied (the pixels stay what the file holds, so that a stego image
survives any number of reads); 16-bit colour is cut to 8 bits by Pillow; metadata is not kept.
"""

import contextlib
import io
import os
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageOps

from stegano_tf import outputs, scratch
from stegano_tf.errors import ImageError, OutputError, one_line

# Half a gigabyte of RGB. Pillow refuses larger pictures as decompression bombs: this is twice its MAX_IMAGE_PIXELS.
MAX_PIXELS = 178_956_970

# Pillow's format name and save options by suffix. A stego image is noisy in its low bits: PNG levels above 1 take twice
# as long for 7 % less, lossless WebP beyond method 0 ten times as long for 6 %, and deflated TIFF files gain little.
_LOSSLESS = {
    ".png": ("PNG", {"compress_level": 1}),
    ".bmp": ("BMP", {}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
    ".webp": ("WEBP", {"lossless": True, "quality": 20, "method": 0}),
}
_JPEG = ("JPEG", {"quality": 95, "subsampling": 0})
_ALL = _LOSSLESS | {".jpg": _JPEG, ".jpeg": _JPEG}
_LOSSY = {".avif", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".jxl"}

# Formats whose further frames are previews, gain maps (most telephones' JPEG files) or layers of the one picture.
_ONE_PICTURE = {"MPO", "PSD"}
# The JPEG segment that holds EXIF or XMP; within the compressed pixels 0xFF is never followed by 0xE1.
_APP1 = b"\xff\xe1"

_LIMIT_LOCK = threading.Lock()


class ImageWarning(UserWarning):
    """A part of a picture file was not used: transparency, further frames, a broken profile or EXIF block."""


def read(path: str | os.PathLike, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Returns the picture in a file as `uint8[H, W, 3]`, RGB, 0 to 255, C-contiguous, H and W at least 1.

    The EXIF orientation is applied. Transparent pixels are composited on white and further frames are ignored, each
    with an `ImageWarning`. Grey levels of 16 bits become `v / 257`, rounded; floating-point grey is taken as 0 to 1, or
    as 0 to 255 if any pixel exceeds 1. CMYK goes through the file's colour profile to sRGB, or without one through
    Pillow's plain formula.

    Raises:
      ImageError: the file is missing, a folder, empty, not a picture, damaged, or of more than `max_pixels` pixels,
        which is found out before it is decoded.
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
        return _read(file, file.peek(8)[:8], str(path), max_pixels)


def decode(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Returns the picture in `data`, what a picture file holds, and raises as `read`; messages call it `name`."""
    return _read(io.BytesIO(data), data[:8], name, max_pixels)


def check(path: str | os.PathLike, *, lossless: bool = True, force: bool = False) -> Path:
    """Returns `path` as a `Path` if `write` may write a picture there; called before long work too.

    Raises:
      ImageError: the suffix names a format that cannot be written, or a lossy one while `lossless` is set.
      OutputError: as `outputs.check`.
    """
    suffix = Path(path).suffix.lower()
    writable = _LOSSLESS if lossless else _ALL
    if suffix not in writable:
        reason = f"{suffix or 'a name without suffix'} is not a format that can be written"
        if lossless and suffix in _LOSSY:
            reason = f"{suffix} is lossy: it rounds or reduces the colours, which destroys the hidden picture"
        raise ImageError(f"{path}: {reason}; expected {', '.join(writable)}")
    return outputs.check(path, force=force)


def write(path: str | os.PathLike, image: np.ndarray, *, lossless: bool = True, force: bool = False) -> None:
    """Writes `image`, `uint8[H, W, 3]` RGB, in the format that the suffix of `path` names.

    PNG, BMP, TIFF and lossless WebP are read back bit for bit. With `lossless=False`, which is for pictures that hide
    nothing, JPEG (quality 95, no chroma subsampling) is allowed too.

    Raises:
      TypeError, ValueError: `image` is not such an array.
      ImageError: as `check`, or the format cannot hold a picture of this size.
      OutputError: as `outputs.replacing`.
    """
    check_rgb(image)
    path = check(path, lossless=lossless, force=force)
    name, options = _ALL[path.suffix.lower()]
    with outputs.replacing(path, force=force) as partial:
        try:
            picture = Image.fromarray(image)
            scratch.release(image)
            picture.save(partial, name, **options)
        except ValueError as error:
            height, width, _ = image.shape
            raise ImageError(f"{path}: {name} cannot hold {width}x{height} pixels ({error})") from error


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns `image`, `uint8[H, W, 3]`, Lanczos-scaled to `size` (height, width); itself if of that size."""
    check_rgb(image)
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    # Rows and columns are scaled one after the other, each in strips: a whole picture at four bytes a pixel, as Pillow
    # stores it, would take more memory. The order shows in the result. As in Pillow, the one that shrinks goes first.
    if height < image.shape[0] and width > image.shape[1]:
        return _scale_rows(_scale_rows(image.swapaxes(0, 1), height).swapaxes(0, 1), width)
    return scratch.copy(_scale_rows(_scale_rows(image, width).swapaxes(0, 1), height).swapaxes(0, 1))


def _scale_rows(image: np.ndarray, width: int) -> np.ndarray:
    """Returns `uint8[H, W, 3]` scaled to [H, width, 3]."""
    if image.shape[1] == width:
        return image
    scaled = scratch.picture(len(image), width)
    for rows in scratch.parts(len(image), 4 * image.shape[1]):
        strip = np.ascontiguousarray(image[rows])
        scaled[rows] = Image.fromarray(strip).resize((width, len(strip)), Image.Resampling.LANCZOS)
        scratch.release(image, scaled)
    return scaled


def centre_crop(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the middle `size` (height, width) of `image`, C-contiguous; raises ImageError if that is smaller."""
    check_rgb(image)
    height, width = size
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    if top < 0 or left < 0:
        raise ImageError(f"the picture is {image.shape[1]}x{image.shape[0]}, expected at least {width}x{height} pixels")
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def check_rgb(image: np.ndarray) -> None:
    """Raises TypeError or ValueError unless `image` is `uint8[H, W, 3]` with at least one pixel."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise TypeError(f"a picture is {getattr(image, 'dtype', type(image).__name__)}, expected a uint8 array")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"a picture has shape {image.shape}, expected (height, width, 3)")


def _read(file: BinaryIO, start: bytes, name: str, max_pixels: int) -> np.ndarray:
    """Returns the picture in a file that starts with `start`, and warns of what was not used of it."""
    if not start:
        raise ImageError(f"{name}: is empty, expected a picture file")
    notes: list[str] = []
    try:
        if start.startswith(b"\xff\xd8"):
            data = file.read()
            if (image := _decode_plain_jpeg(data, max_pixels)) is not None:
                return image
            file = io.BytesIO(data)
        with _open(file, name, max_pixels) as picture:
            image = _decode(picture, notes)
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{name}: starts with {start!r}, expected a whole picture file (PNG, JPEG, ...)") from error
    except (ImageError, OutputError):
        raise
    except Exception as error:  # Pillow's decoders raise whatever their parsing ran into, not just OSError.
        found = f"cannot be decoded ({one_line(error)})"
        raise ImageError(f"{name}: {found}, expected an undamaged picture file") from error
    for note in notes:
        warnings.warn(f"{name}: {note}", ImageWarning, stacklevel=3)
    return image


def _decode_plain_jpeg(data: bytes, max_pixels: int) -> np.ndarray | None:
    """Returns the pixels that Pillow would return, in two thirds of its time and without the interpreter's lock.

    Returns None for what Pillow has to read: a file that may hold an orientation, is neither plain colour nor grey, is
    too large, or is damaged.
    """
    import simplejpeg  # noqa: PLC0415  (training on pictures that are decoded already does without it)

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
    except ValueError:
        return None


@contextlib.contextmanager
def _open(file: BinaryIO, name: str, max_pixels: int) -> Iterator[Image.Image]:
    """Opens a picture, reading just its header, and refuses one of more than `max_pixels` pixels."""
    expected = f"pixels, expected at most {max_pixels} (max_pixels raises the limit)"
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
            raise ImageError(f"{name}: has {found[0] if found else 'too many'} {expected}") from error
        finally:
            Image.MAX_IMAGE_PIXELS = pillow_limit
    with picture:
        if (pixels := picture.width * picture.height) > max_pixels:
            raise ImageError(f"{name}: has {picture.width}x{picture.height} = {pixels} {expected}")
        yield picture


def _decode(picture: Image.Image, notes: list[str]) -> np.ndarray:
    """Returns `uint8[H, W, 3]` and adds to `notes` what was not used."""
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format not in _ONE_PICTURE:
        notes.append(f"holds {frames} frames, the first is used")
    picture.load()
    try:
        ImageOps.exif_transpose(picture, in_place=True)
    except Exception as error:  # the pixels can be read, however broken the EXIF block is
        notes.append(f"its EXIF data is broken ({error}), the picture is not turned")
    if picture.mode == "F" or picture.mode.startswith("I"):
        picture = _grey8(picture)
    elif picture.mode == "CMYK":
        picture = _cmyk_to_rgb(picture, notes)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
        if alpha.getextrema() != (255, 255):
            notes.append("has transparent pixels, they are composited on white")
            white = Image.new("RGB", picture.size, "white")
            white.paste(picture, mask=alpha)
            picture = white
    return _pixels(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _pixels(picture: Image.Image) -> np.ndarray:
    """Returns `np.array(picture)` of an RGB picture, a megapixel at a time: at once, it would make two more copies."""
    pixels = scratch.picture(picture.height, picture.width)
    for rows in scratch.parts(picture.height, 4 * picture.width):
        pixels[rows] = picture.crop((0, rows.start, picture.width, rows.stop))
        scratch.release(pixels)
    return pixels


def _grey8(picture: Image.Image) -> Image.Image:
    """16-bit, 32-bit and floating-point grey to 8 bits, "L" or, with a transparent level, "LA"."""
    levels = np.asarray(picture)
    low, high = levels.min(), levels.max()
    # No format says what floating-point white is: 1 in scientific files, 255 in those that Pillow converted.
    white = 65535 if picture.mode != "F" else 1 if high <= 1 else 255
    if not 0 <= low <= high <= white:
        raise ValueError(f"grey levels from {low} to {high}, expected 0 to {white}")
    # In float32 too this is v / 257 rounded correctly: v / 257 is never closer than 1 / 514 to a half.
    grey = Image.fromarray(np.rint(levels * np.float32(255 / white)).astype(np.uint8))
    transparent = picture.info.get("transparency")
    if transparent is None:
        return grey
    return Image.merge("LA", (grey, Image.fromarray(np.where(levels == transparent, 0, 255).astype(np.uint8))))


def _cmyk_to_rgb(picture: Image.Image, notes: list[str]) -> Image.Image:
    # Inks differ so much that the embedded profile is worth using. Pillow has already undone Adobe's inversion.
    if profile := picture.info.get("icc_profile"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ImportError) as error:  # ImportError: a Pillow built without LittleCMS.
            notes.append(f"its CMYK profile cannot be used ({error}), colours are approximate")
    return picture.convert("RGB")
