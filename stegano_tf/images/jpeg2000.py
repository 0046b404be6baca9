"""JPEG 2000 pictures whose levels Pillow does not scale: any precision but 8 bits without a sign.

Source: ISO/IEC 15444-1, A.5.1 (the marker SIZ), https://www.itu.int/rec/T-REC-T.800
"""

from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import Image

from stegano_tf.errors import ImageError
from stegano_tf.images import levels

_SOC_SIZ = b"\xff\x4f\xff\x51"


def decode(file: BinaryIO, picture: Image.Image) -> Image.Image | None:
    """Returns the picture in a JPEG 2000 file in 8 bits, or None if Pillow's `picture` of it is right.

    Raises:
      ImageError: channels differ in precision, or have more than 16 bits; without a file name.
      Exception: OpenJPEG found damage.
    """
    file.seek(0)
    data = file.read()
    # After the marker: its length, capabilities, eight fields of four bytes, the number of components. Then, for each,
    # the precision - 1, with the sign in the highest bit, and two bytes of sampling.
    start = data.find(_SOC_SIZ) + 4
    count = int.from_bytes(data[start + 36 : start + 38])
    components = {data[start + 38 + 3 * i : start + 41 + 3 * i] for i in range(count)}
    precisions = {component[0] for component in components}
    if precisions == {7} or picture.mode == "P":
        return None
    signed, bits = max(precisions) >> 7, (max(precisions) & 127) + 1
    mode = "L" if picture.mode.startswith("I") else picture.mode
    if len(components) > 1 or bits > 16 or mode == "YCbCr":
        kind = f"{bits} bits a channel in {mode}" if len(components) == 1 else "channels that differ"
        raise ImageError(
            f"is a JPEG 2000 picture of {kind}, which is not supported; expected 8 bits, or save it as PNG"
        )
    values = imagecodecs.jpeg2k_decode(data)
    if signed:
        values = values.astype(np.int32) + (1 << bits - 1)
    return levels.picture(levels.eight_bits(values, 2**bits - 1), mode)
