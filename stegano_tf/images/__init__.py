"""Picture files to and from `uint8[H, W, 3]` RGB arrays, the only form of a picture inside this package.

`read` takes any file that Pillow opens, and what tifffile and imagecodecs read where Pillow does not scale the levels.
It warns (`ImageWarning`) if it ignores a part of a file. `write` writes a stego image only in formats that give every
pixel back exactly. docs/SENDING.md has a table of what becomes of depths and of transparency.

Limits: an RGB colour profile is dropped, not applied (the pixels stay what the file holds, so that a stego image
survives any number of reads); metadata is not kept.
"""

import logging

from stegano_tf.images.arrays import centre_crop, check_rgb, resize
from stegano_tf.images.writing import check, writable, write

# These log what they find odd in a file. Users get one line about it, from us.
for library in ("imagecodecs", "tifffile"):
    logging.getLogger(library).setLevel(logging.CRITICAL)

__all__ = [
    "MAX_PIXELS",
    "ImageWarning",
    "centre_crop",
    "check",
    "check_rgb",
    "decode",
    "read",
    "resize",
    "writable",
    "write",
]


def __getattr__(name: str):
    # Reading needs imagecodecs and simplejpeg. A machine that only trains, on pictures in its memory, may lack them.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from stegano_tf.images import reading  # noqa: PLC0415

    return getattr(reading, name)
