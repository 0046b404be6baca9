"""TIFF pictures whose levels Pillow does not scale, takes for a negative, or does not read: tifffile reads them.

Pillow is right for whole bytes and single bits without a sign, which is most files.
Source: TIFF 6.0, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
"""

import enum
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import ExifTags, Image, TiffImagePlugin
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, PLANARCONFIG, SAMPLEFORMAT

from stegano_tf import scratch
from stegano_tf.errors import ImageError
from stegano_tf.images import levels

_DNG_VERSION = 50706
# Pillow's mode by the samples of a pixel before an alpha channel: without one, with one, and multiplied by it.
_MODES = {
    PHOTOMETRIC.MINISWHITE: (1, {None: "L", EXTRASAMPLE.UNASSALPHA: "LA"}),
    PHOTOMETRIC.MINISBLACK: (1, {None: "L", EXTRASAMPLE.UNASSALPHA: "LA", EXTRASAMPLE.ASSOCALPHA: "La"}),
    PHOTOMETRIC.PALETTE: (1, {None: "RGB", EXTRASAMPLE.UNASSALPHA: "RGBA"}),
    PHOTOMETRIC.RGB: (3, {None: "RGB", EXTRASAMPLE.UNASSALPHA: "RGBA", EXTRASAMPLE.ASSOCALPHA: "RGBa"}),
    PHOTOMETRIC.SEPARATED: (4, {None: "CMYK"}),
}
# What the libtiff in Pillow's wheels unpacks.
_PILLOWS = set(TiffImagePlugin.COMPRESSION_INFO) - {COMPRESSION.WEBP}
_MOST_SAMPLES = 8  # a pixel; all are decoded, though some are not used


def decode(file: BinaryIO, check_size: Callable[[int, int], None]) -> Image.Image | None:
    """Returns the first picture of a TIFF file in one of Pillow's 8-bit modes, or None if Pillow reads it right.

    `n_frames` of the picture says how many the file holds. `check_size` is called with a width and height before any
    memory is taken, and raises what it likes.

    Raises:
      ImageError: the levels mean nothing that is known, or it is a camera's raw file; says which, without a file name.
      Exception: tifffile or a codec found damage.
    """
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        if _DNG_VERSION in page.tags or page.is_reduced:
            raise ImageError("begins with a preview, as cameras' raw files do; expected the developed picture, as PNG")
        if _pillow_is_right(page):
            return None
        check_size(page.imagewidth, page.imagelength)
        check_size(page.tilewidth, page.tilelength)
        mode, samples = _mode(page)
        values = scratch.zeros(page.nbytes, scratch.PICTURE_IN_MEMORY).view(page.dtype).reshape(page.shape)
        page.asarray(out=values, maxworkers=1)
        values = values.view(np.uint8) if values.dtype == bool else values
        if page.axes == "SYX":
            values = np.moveaxis(values, 0, -1)
        values = values.reshape(page.imagelength, page.imagewidth, -1)[..., :samples]
        picture = levels.picture(_bytes(page, values), mode)
        picture.n_frames = len(tiff.pages)
        if profile := page.tags.valueof("InterColorProfile"):
            picture.info["icc_profile"] = profile
        if orientation := page.tags.valueof("Orientation"):
            picture.getexif()[ExifTags.Base.Orientation] = int(orientation)
        return picture


def _pillow_is_right(page: tifffile.TiffPage) -> bool:
    if page.bitspersample not in (1, 8) or page.sampleformat != SAMPLEFORMAT.UINT or page.compression not in _PILLOWS:
        return False
    if page.photometric == PHOTOMETRIC.PALETTE:
        return page.compression == COMPRESSION.JPEG  # Pillow takes every colour map for one of 16 bits
    if page.samplesperpixel == 1 or page.photometric not in _MODES:
        return True
    # Several samples a pixel: Pillow mixes up planes, and does not know the other kinds.
    chunky = page.bitspersample == 8 and page.planarconfig == PLANARCONFIG.CONTIG
    return chunky and (page.photometric == PHOTOMETRIC.RGB or not page.extrasamples)


def _mode(page: tifffile.TiffPage) -> tuple[str, int]:
    """Returns Pillow's mode of a page in 8 bits, and how many samples of each pixel it uses."""
    bits, samples, kind = page.bitspersample, page.samplesperpixel, page.sampleformat
    # Signed levels have no stated black or white. Grey ones of 32 bits are read for the sake of Pillow, which writes
    # 16-bit levels so.
    known = kind in (SAMPLEFORMAT.UINT, SAMPLEFORMAT.IEEEFP) or (kind, bits, samples) == (SAMPLEFORMAT.INT, 32, 1)
    indices = page.photometric != PHOTOMETRIC.PALETTE or (kind == SAMPLEFORMAT.UINT and page.colormap is not None)
    layout = page.axes in ("YX", "YXS", "SYX") and samples <= _MOST_SAMPLES and page.dtype is not None
    colours, modes = _MODES.get(page.photometric, (0, {}))
    extra = page.extrasamples or (EXTRASAMPLE.UNASSALPHA,) * (samples == colours + 1)  # as Pillow takes it
    alpha = next((kind for kind in extra[:1] if kind != EXTRASAMPLE.UNSPECIFIED), None)
    if not (known and indices and layout and samples == colours + len(extra) and alpha in modes):
        raise ImageError(
            f"is a TIFF file of {samples} samples a pixel, {bits} bits each ({_name(SAMPLEFORMAT, kind)}, "
            f"{_name(PHOTOMETRIC, page.photometric)}), which is not supported; expected grey, RGB, CMYK or a palette, "
            "for instance as PNG"
        )
    return modes[alpha], colours + (alpha is not None)


def _bytes(page: tifffile.TiffPage, values: np.ndarray) -> np.ndarray:
    """Returns the samples of a page, [H, W, samples], in 8 bits: 0 is black, no ink or transparent."""
    white = None
    if page.sampleformat != SAMPLEFORMAT.IEEEFP:
        white = 65535 if page.sampleformat == SAMPLEFORMAT.INT else 2**page.bitspersample - 1
    if page.photometric == PHOTOMETRIC.PALETTE:
        table = page.colormap.T  # 16 bits; some programs write bytes
        table = (table >> 8 if table.max() > 255 else table).astype(np.uint8)
        colours = table[values[..., 0]]
        return np.dstack([colours, levels.eight_bits(values[..., 1], white)]) if values.shape[2] > 1 else colours
    scaled = levels.eight_bits(values, white)
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        np.subtract(255, scaled[..., 0], out=scaled[..., 0])
    return scaled


def _name(names: type[enum.IntEnum], value: int) -> str:
    try:
        return names(value).name.lower()
    except ValueError:
        return str(value)
