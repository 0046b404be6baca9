"""Small files and messages that ask for much; tests and tools/attack.py send them."""

import io
import struct

import numpy as np
from PIL import Image


def encoded(picture: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    """Returns a picture as a file."""
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, kind, **options)
    return file.getvalue()


def jpeg_of_scans(side: int, scans: int) -> bytes:
    """Returns a progressive JPEG file, grey, with `scans` scans that change nothing: each is a walk over all blocks."""
    plain = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True, quality=50)
    end = plain.index(b"\xff\xc4", plain.index(b"\xff\xda"))  # of the first scan
    # One Huffman code, "0": the end of a run of 2**14 blocks and 14 more bits.
    table = b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + bytes([1] + 15 * [0]) + bytes([0xE0])
    runs = -(-((side // 8) ** 2) // (2**15 - 1)) * ("0" + 14 * "1")
    runs += -len(runs) % 8 * "1"
    data = int(runs, 2).to_bytes(len(runs) // 8, "big").replace(b"\xff", b"\xff\0")
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 63, 0x10) + data
    return plain[:end] + table + scans * scan + b"\xff\xd9"


def gif_of_frames(first: int, second: int) -> bytes:
    """Returns a GIF file that states the size of its first frame and has a larger second one."""
    frames = [Image.new("L", (side, side)) for side in (first, second)]
    file = bytearray(encoded(frames[1], "GIF", save_all=True, append_images=[frames[0]]))
    file[6:10] = struct.pack("<HH", first, first)
    return bytes(file)


def calls(path: bytes, message: bytes, streams: int, *, missing: int = 0, window: int = 65_535) -> bytes:
    """Returns what a gRPC client sends for some calls on a new connection: HTTP/2, frame by frame.

    A `message` has at most 16,384 bytes. The last `missing` bytes of each are never sent. `window` is what the client
    takes of an answer.
    """

    def header(name: bytes, value: bytes) -> bytes:
        return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    fields = {b":method": b"POST", b":scheme": b"http", b":path": path, b":authority": b"localhost"}
    fields |= {b"te": b"trailers", b"content-type": b"application/grpc"}
    headers = b"".join(header(name, value) for name, value in fields.items())
    out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, struct.pack(">HI", 4, window))
    for stream in range(1, 2 * streams, 2):
        prefixed = b"\0" + struct.pack(">I", len(message) + missing) + message
        out += frame(1, 4, stream, headers) + frame(0, int(not missing), stream, prefixed)
    return out
