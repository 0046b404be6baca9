"""Pillow's pictures of any mode to RGB pixels."""

import io

import numpy as np
from PIL import Image, ImageChops, ImageCms, ImageOps

from stegano_tf import scratch
from stegano_tf.errors import one_line
from stegano_tf.images import levels


def rgb(picture: Image.Image, notes: list[str]) -> np.ndarray:
    """Returns a picture as `uint8[H, W, 3]`, turned as its EXIF block says, transparent pixels on white.

    Adds to `notes` what was not used.
    """
    picture.load()
    try:
        ImageOps.exif_transpose(picture, in_place=True)
    except Exception as error:  # the pixels can be read, however broken the EXIF block is
        notes.append(f"its EXIF data is broken ({one_line(error)}), the picture is not turned")
    if picture.format in ("PSD", "XBM") and picture.mode == "1":
        picture = ImageChops.invert(picture)  # 1 is black in both, Pillow takes it for white
    if picture.format == "PSD" and picture.mode == "RGBA":
        picture = Image.merge("RGB", picture.split()[:3])  # the colours are stored as they look on white
    if picture.mode == "F" or picture.mode.startswith("I"):
        picture = levels.picture(_grey(picture), "L")
    elif picture.mode == "CMYK":
        picture = _cmyk_to_rgb(picture, notes)
    elif picture.mode == "LAB":
        picture = _by_profile(picture, ImageCms.createProfile("LAB"))
    elif picture.mode == "La":  # Pillow has no direct way to RGBA
        picture = picture.convert("LA")
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


def _grey(picture: Image.Image) -> np.ndarray:
    """Returns grey of 16 bits, 32 bits (as Pillow writes 16) or floating point in 8 bits."""
    return levels.eight_bits(np.asarray(picture), None if picture.mode == "F" else 65535)


def _cmyk_to_rgb(picture: Image.Image, notes: list[str]) -> Image.Image:
    # Inks differ so much that the embedded profile is worth using. Pillow has already undone Adobe's inversion.
    if profile := picture.info.get("icc_profile"):
        try:
            return _by_profile(picture, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
        except (ImageCms.PyCMSError, OSError, ImportError) as error:  # ImportError: a Pillow built without LittleCMS.
            notes.append(f"its CMYK profile cannot be used ({one_line(error)}), colours are approximate")
    return picture.convert("RGB")


def _by_profile(picture: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    # LittleCMS would otherwise interpolate in a small table: off by up to 50 levels for Lab.
    flags = ImageCms.Flags.NOOPTIMIZE
    srgb = ImageCms.createProfile("sRGB")
    return ImageCms.applyTransform(picture, ImageCms.buildTransform(profile, srgb, picture.mode, "RGB", flags=flags))
