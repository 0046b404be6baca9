"""uint8 RGB pictures to BMP bytes and back, a block of rows at a time.

Written: BITMAPFILEHEADER and BITMAPINFOHEADER (54 bytes), then 24-bit pixels, uncompressed, in BGR order, bottom row
first, every row padded with zeros to a multiple of 4 bytes. Read: the same, and also rows stored top-down, a longer
header (V4, V5), a gap before the pixels, and 32-bit pixels, whose fourth byte is ignored (BI_RGB reserves it).
`File` and `convert` hold no picture: they leave the rows in the order in which they are stored. A BMP file is at most
4 GiB long. Source: https://learn.microsoft.com/windows/win32/gdi/bitmap-storage. The caller adds the file's name to
messages.
"""

import dataclasses
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from stegano_tf import scratch
from stegano_tf.audio import pcm
from stegano_tf.audio.payloads.payload import Payload
from stegano_tf.errors import FormatError, ImageError

MAGIC = b"BM"
# magic, file size, reserved, offset of the pixels | header size, width, height, planes, bits per pixel, compression,
# size of the pixels, pixels per metre across and down, colours used, colours needed
_HEADER = struct.Struct("<2sI4xI IiiHHIIiiII")
HEADER_BYTES = _HEADER.size
_PIXELS_PER_METRE = 2835  # 72 dpi


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Where a BMP file keeps its pixels."""

    size: int  # bytes of the whole file, as its header states
    offset: int  # bytes before the first row
    height: int  # rows of the picture, at least 1
    width: int  # pixels of a row, at least 1
    pixel_bytes: int = 3  # or 4
    top_down: bool = False  # whether the first row stored is the top one

    @property
    def stride(self) -> int:
        """Bytes of a stored row, padding included."""
        return (self.width * self.pixel_bytes + 3) // 4 * 4

    def pixels(self, block: np.ndarray) -> np.ndarray:
        """Returns the view of stored rows, uint8[N, stride], that holds their colours, uint8[N, W, 3] BGR."""
        colours = block[:, : self.width * self.pixel_bytes]
        return colours.reshape(len(block), self.width, self.pixel_bytes)[..., :3]

    def blocks(self) -> Iterator[slice]:
        """Yields the rows of the picture, in the order in which they are stored, in slices of about a block."""
        rows = max(1, pcm.BLOCK // self.stride)
        for start in range(0, self.height, rows):
            stop = min(start + rows, self.height)
            if self.top_down:
                yield slice(start, stop)
            else:
                end = self.height - stop - 1
                yield slice(self.height - start - 1, end if end >= 0 else None, -1)  # -1 would mean the last row


def encode(image: np.ndarray) -> tuple[int, Iterator[bytes | np.ndarray]]:
    """Returns the size of a picture's BMP file in bytes, and an iterator over its contents.

    Args:
      image: uint8[H, W, 3] RGB, of any strides, H and W at least 1.

    Raises:
      TypeError, ValueError: as `check_picture`.
      ImageError: the BMP file would be larger than its 32-bit size field can say.

    Example:
      >>> size, blocks = encode(np.zeros((1, 1, 3), np.uint8))
      >>> size, b"".join(blocks)[:2]
      (58, b'BM')
    """
    check_picture(image)
    height, width, _ = image.shape
    size = file_bytes(height, width)
    if size >= 1 << 32:
        raise ImageError(f"a picture of {width} x {height} pixels needs {size:,} bytes as BMP; expected below 4 GiB")
    return size, _encode_blocks(image, Layout(size, HEADER_BYTES, height, width))


def check_picture(image: np.ndarray) -> None:
    """Raises TypeError or ValueError if `image` is not uint8[H, W, 3] with at least one pixel."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise TypeError(f"image is {getattr(image, 'dtype', type(image).__name__)}, expected a uint8 array")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"image has the shape {image.shape}, expected [H, W, 3] with at least one pixel")


def file_bytes(height: int, width: int) -> int:
    """Returns the size of a picture's BMP file, in bytes."""
    return HEADER_BYTES + Layout(0, HEADER_BYTES, height, width).stride * height


def _encode_blocks(image: np.ndarray, layout: Layout) -> Iterator[bytes | np.ndarray]:
    yield _header(layout)
    for rows in layout.blocks():
        pixels = image[rows]
        block = np.empty((len(pixels), layout.stride), np.uint8)
        _swap_red_and_blue(pixels, layout.pixels(block))
        block[:, 3 * layout.width :] = 0
        scratch.release(image)
        yield block.reshape(-1)


class File:
    """A BMP file as a picture that is not in memory; `shape` is (height, width, 3), as an array has it."""

    def __init__(self, path: str | os.PathLike):
        """Reads the header; raises FormatError if it is none of the kind that is read here, or OSError."""
        self._path = Path(path)
        with self._path.open("rb") as file:
            self._layout = parse(file.read(HEADER_BYTES), os.fstat(file.fileno()).st_size)
        self.shape = self._layout.height, self._layout.width, 3

    def encode(self) -> tuple[int, Iterator[bytes | np.ndarray]]:
        """As the function `encode`, of the picture as a BMP file of the kind that is written here."""
        return file_bytes(*self.shape[:2]), self._blocks()

    def _blocks(self) -> Iterator[bytes | np.ndarray]:
        with self._path.open("rb") as file:
            file.seek(HEADER_BYTES)

            def read(count: int) -> np.ndarray:
                data = np.fromfile(file, np.uint8, count)
                if len(data) < count:
                    raise FormatError(f"{self._path}: has become shorter while it was read")
                return data

            yield from convert(self._layout, read)


def parse(header: bytes, available: int) -> Layout:
    """Returns the layout that the first 54 bytes of a BMP file state.

    Raises FormatError if this is no BMP of the kind that is read here, or its pixels do not fit into the `available`
    bytes that are really there, header included.
    """
    if len(header) < HEADER_BYTES:
        raise FormatError(f"a BMP of {len(header)} bytes, expected at least {HEADER_BYTES}")
    magic, size, offset, info_bytes, width, height, planes, bits, compression, *_ = _HEADER.unpack(header)
    if magic != MAGIC:
        raise FormatError(f"the payload starts with {magic!r}, expected a BMP picture ({MAGIC!r})")
    if info_bytes < 40 or offset < 14 + info_bytes:
        raise FormatError(f"a BMP header of {info_bytes} bytes with pixels at {offset}, expected at least 40 and 54")
    if planes != 1 or bits not in (24, 32) or compression != 0:
        found = f"{bits} bits a pixel, compression {compression}, {planes} planes"
        raise FormatError(f"a BMP of {found}; expected 24 or 32, 0 and 1")
    if width < 1 or height == 0:
        raise FormatError(f"a BMP of {width} x {height} pixels, expected at least 1 x 1")
    layout = Layout(size, offset, abs(height), width, bits // 8, top_down=height < 0)
    needed = offset + layout.stride * layout.height
    if not needed <= size <= available:
        found = f"its header says {size:,}, and {available:,} are there"
        raise FormatError(f"a BMP of {width} x {layout.height} pixels needs {needed:,} bytes, {found}")
    return layout


def decode(layout: Layout, read: Callable[[int], np.ndarray]) -> np.ndarray:
    """Returns the picture, uint8[H, W, 3] RGB, C-contiguous and writable.

    `read` returns the next n bytes of the file after its first 54, as uint8[n]. `parse` has checked that there are
    enough of them for the picture to be allocated.
    """
    image = scratch.picture(layout.height, layout.width)
    for rows, block in _stored(layout, read):
        _swap_red_and_blue(layout.pixels(block), image[rows])
        scratch.release(image)
    return image


def convert(layout: Layout, read: Callable[[int], np.ndarray]) -> Iterator[bytes | np.ndarray]:
    """Yields a BMP file with 24-bit pixels and a header of 54 bytes, bytes-like blocks, made of any other.

    The order of the rows stays. What `encode` made is copied byte for byte. The arguments are those of `decode`.
    """
    made = dataclasses.replace(layout, offset=HEADER_BYTES, pixel_bytes=3)
    yield _header(made)
    for _, block in _stored(layout, read):
        out = np.zeros((len(block), made.stride), np.uint8)
        made.pixels(out)[...] = layout.pixels(block)
        yield out.reshape(-1)


def _stored(layout: Layout, read: Callable[[int], np.ndarray]) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields which rows come next, and these as they are stored, uint8[N, stride]; skips the gap before the first."""
    gap = layout.offset - HEADER_BYTES
    while gap:
        gap -= len(read(min(gap, pcm.BLOCK)))
    for rows in layout.blocks():
        count = len(range(layout.height)[rows])
        yield rows, read(count * layout.stride).reshape(count, layout.stride)


def _header(layout: Layout) -> bytes:
    pixels = layout.stride * layout.height
    height = -layout.height if layout.top_down else layout.height
    sizes = HEADER_BYTES + pixels, HEADER_BYTES, 40, layout.width, height
    return _HEADER.pack(MAGIC, *sizes, 1, 24, 0, pixels, _PIXELS_PER_METRE, _PIXELS_PER_METRE, 0, 0)


def _swap_red_and_blue(source: np.ndarray, target: np.ndarray) -> None:
    """Does `target[...] = source[..., ::-1]` for uint8[N, W, 3], eight times as fast."""
    target[...] = source
    target[..., 0] = source[..., 2]
    target[..., 2] = source[..., 0]


class _Picture:
    """As `Payload.open` describes; the rows are read when they are wanted."""

    def __init__(self, message):
        self._read = message.read
        self._layout = parse(message.head, message.payload_bytes)
        self.size = self._layout.height, self._layout.width

    def image(self) -> np.ndarray:
        return decode(self._layout, self._read)

    def bmp(self) -> Iterator[bytes | np.ndarray]:
        return convert(self._layout, self._read)


PAYLOAD = Payload(
    name="bmp",
    starts=lambda start: start.startswith(MAGIC),
    least_bytes=file_bytes,
    encode=lambda image: image.encode() if isinstance(image, File) else encode(image),
    open=_Picture,
)
