"""What lies in a picture, and the code of each: the salt, and of each message a header, a map and the data."""

import struct

from stegano_tf.message.ways.jpeg import codewords, places
from stegano_tf.message.ways.jpeg.keys import TAG
from stegano_tf.message.ways.way import SALT

VERSION = 1
HEADER = struct.Struct("<BBI")  # version, lanes, length
HEAD, MAP, DATA = range(3)  # what is sealed
SALT_CODE = codewords.Short(SALT, places.SALT_BLOCKS * places.COARSE)
HEADER_CODE = codewords.Short(HEADER.size + TAG, places.HEADER_BLOCKS * places.COARSE)


def map_code(grid: places.Grid) -> codewords.Short:
    """Returns the code of a map."""
    return codewords.Short(grid.map_size + TAG, grid.map_blocks * places.COARSE)


def data_code(length: int) -> codewords.Long:
    """Returns the code of a message of so many bytes."""
    return codewords.long(length + TAG)
