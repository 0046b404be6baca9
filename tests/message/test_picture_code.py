"""Pictures as bytes: what fits, how good it is, and what is refused before it is decoded."""

import struct

import imagecodecs
import numpy as np
import pytest

from stegano_tf import images, metrics
from stegano_tf.errors import FormatError, ImageError
from stegano_tf.message import code, jpegxl
from stegano_tf.message.ways.way import RoomError

MOST = 1 << 24


@pytest.fixture(scope="module")
def picture():
    """Smooth, with a little noise: 48x64, 5,805 bytes if it is exact."""
    random = np.random.default_rng(0)
    smooth = images.resize(random.integers(0, 256, (6, 8, 3), np.uint8), (48, 64))
    return np.clip(smooth + random.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def test_what_fits_losslessly_is_identical(picture):
    data = code.lossless(picture)
    assert data[:10] == struct.pack("<IIH", 48, 64, 256)
    assert np.array_equal(code.decoded(data, MOST), picture)


@pytest.mark.parametrize(("size", "psnr"), [(4000, 49), (400, 33), (60, 12)])
def test_as_good_as_the_room_allows(picture, size, psnr):
    data = code.fitted(picture, size, MOST)
    assert len(data) <= size
    revealed = code.decoded(data, MOST)
    assert revealed.shape == picture.shape
    assert metrics.psnr(picture, revealed) > psnr


def test_levels_by_hand():
    level, value = code._levels(3.0)
    assert level[[0, 1, 2, 3, 4, 255]].tolist() == [0, 0, 1, 1, 1, 85]
    assert value[[0, 1, 85]].tolist() == [0, 3, 255]
    level, value = code._levels(1.5)
    assert value[level][[0, 1, 2, 3, 4]].tolist() == [0, 2, 2, 3, 4]


def test_many_pixels_become_fewer(picture):
    data = code.fitted(picture, 600, 1000)
    with pytest.raises(FormatError, match="of 64x48, step 256; expected at most 1,000 pixels"):
        code.decoded(code.lossless(picture), 1000)
    assert code.decoded(data, 1000).shape == (27, 36, 3)


def test_no_room(picture):
    for size in (0, 9, 20):
        with pytest.raises(RoomError, match=r"of a picture of \d+x\d+, which is too little"):
            code.fitted(picture, size, MOST)


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (16, 16), (256, 320), (90, 120), (1080, 1920)])
def test_the_size_in_a_jpeg_xl_header(shape):
    data = imagecodecs.jpegxl_encode(np.zeros((*shape, 3), np.uint8), lossless=True, effort=1)
    assert jpegxl.size(data) == shape


def test_what_is_refused_before_it_is_decoded():
    header = struct.pack("<IIH", 20, 20, 256)
    bomb = imagecodecs.jpegxl_encode(np.zeros((2000, 2000, 3), np.uint8), lossless=True, effort=1)
    deep = imagecodecs.jpegxl_encode(np.zeros((20, 20, 3), np.uint16), lossless=True)
    film = imagecodecs.jpegxl_encode(np.zeros((3, 20, 20, 3), np.uint8), lossless=True, usecontainer=False)
    for data, words in (
        (header + bomb, "a picture of 2000x2000"),
        (header + deep, "JPEG XL picture"),
        (header + film, "JPEG XL picture"),
        (header + bomb[:2] + bytes(3), "cannot be decoded|a picture"),
        (header, "of 10 bytes"),
        (struct.pack("<IIH", 20, 20, 255) + bomb, "step 255"),
        (struct.pack("<IIH", 0, 20, 256) + bomb, "picture of 20x0"),
        (header + b"no picture at all", "the message"),
    ):
        with pytest.raises((FormatError, ImageError), match=words):
            code.decoded(data, 10_000)
