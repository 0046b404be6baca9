import dataclasses
import io
import struct

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stegano_tf import images
from stegano_tf.audio import pcm
from stegano_tf.audio.payloads import bmp
from stegano_tf.errors import FormatError, ImageError

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (1, 2, 3)
TWO_BY_TWO = np.array([[RED, GREEN], [BLUE, GREY]], np.uint8)


def header(*, magic=b"BM", size=70, offset=54, info=40, width=2, height=2, planes=1, bits=24, compression=0):
    return struct.pack("<2sIHHI", magic, size, 0, 0, offset) + struct.pack(
        "<IiiHHIIiiII", info, width, height, planes, bits, compression, size - 54, 2835, 2835, 0, 0
    )


# The bottom row first, blue before green before red, every row padded from 6 to 8 bytes.
TWO_BY_TWO_BYTES = header() + bytes([255, 0, 0, 3, 2, 1, 0, 0]) + bytes([0, 0, 255, 0, 255, 0, 0, 0])


def to_bytes(image):
    size, blocks = bmp.encode(image)
    data = b"".join(bytes(block) for block in blocks)
    assert len(data) == size
    return data


def from_bytes(data):
    stream = io.BytesIO(data)
    layout = bmp.parse(stream.read(bmp.HEADER_BYTES), len(data))

    def read(count):
        block = stream.read(count)
        assert len(block) == count
        return np.frombuffer(block, np.uint8)

    return bmp.decode(layout, read)


pictures = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


def test_two_by_two_pixels_byte_by_byte():
    assert to_bytes(TWO_BY_TWO) == TWO_BY_TWO_BYTES
    np.testing.assert_array_equal(from_bytes(TWO_BY_TWO_BYTES), TWO_BY_TWO)


@given(pictures)
def test_pillow_reads_what_is_written(image):
    data = to_bytes(image)
    with PIL.Image.open(io.BytesIO(data)) as opened:
        assert opened.format == "BMP"
        np.testing.assert_array_equal(np.asarray(opened.convert("RGB")), image)


@given(pictures, st.sampled_from(["RGB", "RGBA"]))
def test_what_pillow_writes_is_read(image, mode):
    file = io.BytesIO()
    PIL.Image.fromarray(image).convert(mode).save(file, "BMP")
    np.testing.assert_array_equal(from_bytes(file.getvalue()), image)


@given(pictures)
def test_top_down_rows_and_a_gap_before_them(image):
    data = to_bytes(image)
    height, width, _ = image.shape
    stride = (3 * width + 3) // 4 * 4
    rows = [data[54:][i : i + stride] for i in range(0, stride * height, stride)]
    size = len(data) + 84
    top_down = header(size=size, offset=138, info=124, width=width, height=-height) + bytes(84) + b"".join(rows[::-1])
    np.testing.assert_array_equal(from_bytes(top_down), image)


def other_layout(image, *, pixel_bytes=3, top_down=False, gap=0):
    """Returns the bytes of a BMP file that is not of the kind that is written."""
    height, width, _ = image.shape
    pixels = np.full((height, width, pixel_bytes), 99, np.uint8)
    pixels[..., :3] = image[..., ::-1]
    rows = [row.tobytes() + b"\x55" * (-row.size % 4) for row in (pixels if top_down else pixels[::-1])]
    fields = {"offset": 54 + gap, "width": width, "bits": 8 * pixel_bytes, "height": -height if top_down else height}
    return header(size=54 + gap + sum(map(len, rows)), **fields) + bytes(gap) + b"".join(rows)


@given(pictures, st.sampled_from([3, 4]), st.booleans(), st.integers(0, 90))
def test_a_file_is_the_same_picture_without_being_held(tmp_path_factory, image, pixel_bytes, top_down, gap):
    path = tmp_path_factory.getbasetemp() / "a.bmp"
    path.write_bytes(other_layout(image, pixel_bytes=pixel_bytes, top_down=top_down, gap=gap))
    file = bmp.File(path)
    assert file.shape == image.shape
    size, blocks = file.encode()
    data = b"".join(map(bytes, blocks))
    assert len(data) == size
    np.testing.assert_array_equal(from_bytes(data), image)
    np.testing.assert_array_equal(images.read(path), image)  # as if it had gone the other way
    if not top_down:
        assert data == to_bytes(image)


def test_a_file_that_becomes_shorter(tmp_path):
    path = tmp_path / "a.bmp"
    path.write_bytes(TWO_BY_TWO_BYTES)
    file = bmp.File(path)
    path.write_bytes(TWO_BY_TWO_BYTES[:-1])
    with pytest.raises(FormatError, match=r"a\.bmp: has become shorter while it was read"):
        list(file.encode()[1])
    with pytest.raises(FormatError, match="its header says 70, and 69 are there"):
        bmp.File(path)


@pytest.mark.parametrize("block", [1, 24, 47, 48, 49, 10_000])
def test_blocks_of_any_size_hold_the_same_picture(block, monkeypatch):
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    expected = to_bytes(image)
    monkeypatch.setattr(pcm, "BLOCK", block)
    assert to_bytes(image) == expected
    np.testing.assert_array_equal(from_bytes(expected), image)


def test_decoded_picture_is_writable_and_contiguous():
    image = from_bytes(TWO_BY_TWO_BYTES)
    assert image.flags.c_contiguous
    assert image.flags.writeable


def test_strided_pictures_are_written():
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    view = image[::-2, ::2, ::-1]
    np.testing.assert_array_equal(from_bytes(to_bytes(view)), view)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"magic": b"PK"}, r"starts with b'PK'"),
        ({"info": 12, "offset": 26}, r"header of 12 bytes"),
        ({"offset": 53}, r"pixels at 53"),
        ({"info": 124, "offset": 54}, r"124 bytes with pixels at 54"),
        ({"bits": 8}, r"8 bits a pixel"),
        ({"bits": 16}, r"16 bits a pixel"),
        ({"bits": 32, "compression": 3}, r"compression 3"),
        ({"planes": 2}, r"2 planes"),
        ({"width": 0}, r"0 x 2 pixels"),
        ({"width": -2}, r"-2 x 2 pixels"),
        ({"height": 0}, r"2 x 0 pixels"),
        ({"height": 3}, r"2 x 3 pixels needs 78 bytes, its header says 70, and 70 are there"),
        ({"bits": 32, "width": 3}, r"needs 78 bytes"),
        ({"offset": 55}, r"needs 71 bytes"),
        ({"size": 71}, r"its header says 71, and 70 are there"),
        ({"size": 69}, r"its header says 69"),
        ({"width": 2**31 - 1, "height": -(2**31)}, r"pixels needs 13,835,058,055,282,163,766 bytes"),
    ],
)
def test_other_headers_are_refused(fields, message):
    with pytest.raises(FormatError, match=message):
        bmp.parse(header(**fields), 70)


def test_short_header_is_refused():
    with pytest.raises(FormatError, match="53 bytes, expected at least 54"):
        bmp.parse(header()[:53], 53)


def test_pictures_beyond_4_gib_are_refused():
    # 65535 * 21846 * 3 bytes are the first that do not fit; a broadcast array takes no memory.
    image = np.broadcast_to(np.zeros(3, np.uint8), (65_535, 21_846, 3))
    with pytest.raises(ImageError, match=r"21846 x 65535 pixels needs 4,29\d,\d{3},\d{3} bytes"):
        bmp.encode(image)
    size, _ = bmp.encode(image[:, :21_844])
    assert size == 54 + 65_535 * 65_532


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (np.zeros((2, 2, 3)), TypeError),
        ([[[1, 2, 3]]], TypeError),
        (np.zeros((2, 2), np.uint8), ValueError),
        (np.zeros((2, 2, 4), np.uint8), ValueError),
        (np.zeros((0, 2, 3), np.uint8), ValueError),
        (np.zeros((2, 0, 3), np.uint8), ValueError),
    ],
)
def test_only_pictures_are_encoded(image, error):
    with pytest.raises(error, match="expected"):
        bmp.encode(image)


def test_layout_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        bmp.Layout(70, 54, 2, 2).width = 3
