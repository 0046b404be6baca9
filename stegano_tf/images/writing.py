"""Pictures to files."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stegano_tf import outputs, scratch
from stegano_tf.errors import ImageError, OutputError
from stegano_tf.images.arrays import check_rgb

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


def writable(path: str | os.PathLike) -> bool:
    """Returns whether the suffix of `path` names a format that `write` writes, perhaps a lossy one."""
    return Path(path).suffix.lower() in _ALL


def write(
    path: str | os.PathLike,
    image: np.ndarray,
    *,
    lossless: bool = True,
    force: bool = False,
    options: Mapping[str, Any] | None = None,
    holds: Callable[[np.ndarray], bool] | None = None,
) -> None:
    """Writes `image`, `uint8[H, W, 3]` RGB, in the format that the suffix of `path` names.

    PNG, BMP, TIFF and lossless WebP are read back bit for bit. With `lossless=False`, which is for pictures that hide
    nothing, JPEG (quality 95, no chroma subsampling, or `options` of Pillow's) is allowed too.

    If there is a function `holds`, the file is read back and must be what that says.

    Raises:
      TypeError, ValueError: `image` is not such an array.
      ImageError: as `check`, or the format cannot hold a picture of this size.
      OutputError: as `outputs.replacing`, or what is read back is not right.
    """
    check_rgb(image)
    path = check(path, lossless=lossless, force=force)
    name, usual = _ALL[path.suffix.lower()]
    if name == "JPEG" and options is not None:
        usual = options
    with outputs.replacing(path, force=force) as partial:
        try:
            picture = Image.fromarray(image)
            scratch.release(image)
            picture.save(partial, **{"format": name, **usual})
        except ValueError as error:
            height, width, _ = image.shape
            raise ImageError(f"{path}: {name} cannot hold {width}x{height} pixels ({error})") from error
        if holds is not None:
            from stegano_tf.images import reading  # noqa: PLC0415  (it needs libraries that writing does not)

            if not holds(reading.read(partial, max_pixels=image.size)):
                raise OutputError(f"{path}: what was written does not read as it should; the disk may be damaged")
