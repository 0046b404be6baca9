"""Small files and messages that ask for much; tests and tools/attack.py send them."""

import io
import struct

import numpy as np
from PIL import Image


def encoded(picture: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, kind, **options)
    return file.getvalue()


def jpeg_of_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG file, grey, with `scans` scans that change nothing: each is a walk over all blocks."""
    plain = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True, quality=50)
    start = plain.index(b"\xff\xda")
    end = plain.index(b"\xff\xc4", start) if b"\xff\xc4" in plain[start:] else plain.index(b"\xff\xda", start + 2)
    # One Huffman code, "0": the end of a run of 2**14 blocks and 14 more bits.
    table = b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + bytes([1] + 15 * [0]) + bytes([0xE0])
    bits = "0" + 14 * "1"
    runs = -(-((side // 8) ** 2) // (2**15 - 1)) * bits
    runs += -len(runs) % 8 * "1"
    data = int(runs, 2).to_bytes(len(runs) // 8, "big").replace(b"\xff", b"\xff\0")
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 63, 0x10) + data
    return plain[:end] + table + scans * scan + b"\xff\xd9"


def gif_of_frames(first: int, second: int) -> bytes:
    """A GIF file that states the size of its first frame and has a second one."""
    frames = [Image.new("L", (side, side)) for side in (first, second)]
    file = bytearray(encoded(frames[1], "GIF", save_all=True, append_images=[frames[0]]))
    file[6:10] = struct.pack("<HH", first, first)
    return bytes(file)
