"""TIFF files written field by field, in every depth, against levels worked out by hand."""

import itertools
import struct
import warnings
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from stegano_tf import images, scratch
from stegano_tf.errors import ImageError

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR, LAB = 0, 1, 2, 3, 4, 5, 6, 8
UNSIGNED, SIGNED, FLOAT = 1, 2, 3


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def tiff(size, bits, photometric, *planes, order="<", **tags):
    """Returns a TIFF file of one strip a plane; `bits` is a list if a pixel has several samples.

    `tags` are lists of numbers under t and the tag's number.
    """
    bits = bits if isinstance(bits, list) else [bits]
    entries = {
        256: [size[0]],
        257: [size[1]],
        258: bits,
        259: [1],
        262: [photometric],
        277: [len(bits)],
        278: [size[1]],
    }
    entries |= {284: [min(2, len(planes))], 273: [0] * len(planes), 279: [len(plane) for plane in planes]}
    entries |= {int(name[1:]): value for name, value in tags.items()}
    types = {tag: (4, "I") if tag in (273, 279) else (3, "H") for tag in entries}  # LONG and SHORT
    # Values of more than four bytes stand behind the directory, the planes behind these.
    lengths = [len(value) * struct.calcsize(types[tag][1]) for tag, value in entries.items()]
    outside = 8 + 2 + 12 * len(entries) + 4
    entries[273] = list(itertools.accumulate(entries[279][:-1], initial=outside + sum(n for n in lengths if n > 4)))
    directory, values = b"", b""
    for tag, value in sorted(entries.items()):
        kind, code = types[tag]
        field = struct.pack(f"{order}{len(value)}{code}", *value)
        if len(field) > 4:
            values, field = values + field, struct.pack(f"{order}I", outside + len(values))
        directory += struct.pack(f"{order}HHI", tag, kind, len(value)) + field.ljust(4, b"\0")
    head = struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(entries))
    return head + directory + bytes(4) + values + b"".join(planes)


def packed(levels, bits):
    """Returns levels as one row of `bits` each, the first one in the highest bits."""
    row = "".join(format(level, f"0{bits}b") for level in levels)
    return int(row.ljust(-len(row) % 8 + len(row), "0"), 2).to_bytes(-(-len(row) // 8))


def grey(*levels):
    return [[[level] * 3 for level in levels]]


def read(data):
    return images.decode(data, "a picture").tolist()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 10, 12, 14, 16, 32])
def test_grey_of_every_depth(bits, order):
    white = 2**bits - 1
    levels = [0, white, white // 3, white - white // 3] if bits > 1 else [0, 1, 1, 0]
    pixels = [0, 255, 85, 170] if bits > 1 else [0, 255, 255, 0]
    code = {16: "H", 32: "I"}.get(bits)
    data = struct.pack(f"{order}4{code}", *levels) if code else packed(levels, bits)
    for photometric, expected in ((BLACK_IS_ZERO, pixels), (WHITE_IS_ZERO, [255 - pixel for pixel in pixels])):
        assert read(tiff((4, 1), bits, photometric, data, order=order)) == grey(*expected)


@pytest.mark.parametrize(("dtype", "bits"), [("f2", 16), ("f4", 32), ("f8", 64)])
@pytest.mark.parametrize("white", [1, 255])
def test_floating_point(dtype, bits, white):
    levels = (np.array([0, 0.25, 1], dtype) * white).astype(dtype).tobytes()
    assert read(tiff((3, 1), bits, BLACK_IS_ZERO, levels, t339=[FLOAT])) == grey(0, 64, 255)
    assert read(tiff((3, 1), bits, WHITE_IS_ZERO, levels, t339=[FLOAT])) == grey(255, 191, 0)
    assert read(tiff((1, 1), [bits] * 3, RGB, levels, t339=[FLOAT] * 3)) == [[[0, 64, 255]]]


@pytest.mark.parametrize("planar", [False, True])
def test_16_bit_colour(planar):
    colours = np.array([[0, 257 * 9, 65535], [128, 129, 385]], np.uint16)
    planes = colours.T if planar else [colours]
    data = tiff((2, 1), [16] * 3, RGB, *(np.ascontiguousarray(plane).tobytes() for plane in planes))
    assert read(data) == [[[0, 9, 255], [0, 1, 1]]]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [False, True])
def test_cmyk(bits, planar):
    full = 2**bits - 1
    inks = np.array([[0, 0, 0, 0], [full, 0, 0, 0], [0, 0, 0, full]], f"u{bits // 8}")
    planes = inks.T if planar else [inks]
    data = tiff((3, 1), [bits] * 4, CMYK, *(np.ascontiguousarray(plane).tobytes() for plane in planes))
    assert read(data) == [[[255, 255, 255], [0, 255, 255], [0, 0, 0]]]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, RGB])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(
    ("kind", "expected"), [(0, 51), (1, 204), (2, 214)]
)  # dropped, 51 + 255 * 3/5, 20 % of 51 + ...
def test_a_further_sample_is_alpha_or_dropped(bits, photometric, planar, kind, expected):
    colours = 3 if photometric == RGB else 1
    alpha = 102 if kind == 1 else 51
    samples = np.array([51] * colours + [alpha], np.uint16) * (257 if bits == 16 else 1)
    planes = samples if planar else [samples]
    planes = [plane.astype(f"u{bits // 8}").tobytes() for plane in planes]
    data = tiff((1, 1), [bits] * (colours + 1), photometric, *planes, t338=[kind])
    if kind:
        with pytest.warns(images.ImageWarning, match="composited on white"):
            found = read(data)
    else:
        found = read(data)
    np.testing.assert_allclose(found, grey(expected), atol=1)


def test_lab():
    # L* = 50.2 and 100 without colour; L* = 50.2, a* = 20, b* = -30 (white D50, http://brucelindbloom.com matrix) is
    # (133.4, 108.5, 171.0) in sRGB.
    samples = bytes([128, 0, 0, 255, 0, 0, 128, 20, 226])
    found = read(tiff((3, 1), [8] * 3, LAB, samples))
    np.testing.assert_allclose(found, [[[119] * 3, [255] * 3, [133.4, 108.5, 171]]], atol=1)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("scale", [1, 256, 257])  # of programs that write bytes, that shift, that follow the standard
def test_palette(bits, scale):
    count = 2**bits
    table = [[(7 * i + 50 * c) % 255 for i in range(count)] for c in range(3)]
    levels = [0, 1, count - 1, count // 2]
    data = tiff((4, 1), bits, PALETTE, packed(levels, bits), t320=[v * scale for row in table for v in row])
    assert read(data) == [[[row[level] for row in table] for level in levels]]


@pytest.mark.parametrize(("kind", "expected"), [(0, [[10, 20, 30]]), (2, [[206, 208, 210]])])  # a fifth, and 204
def test_palette_with_alpha(kind, expected):
    table = [v * 257 for channel in (10, 20, 30) for v in (0, channel, *[0] * 254)]
    data = tiff((1, 1), [8] * 2, PALETTE, b"\1\x33", t320=table, t338=[kind])
    if kind:
        with pytest.warns(images.ImageWarning, match="composited on white"):
            assert read(data) == [expected]
    else:
        assert read(data) == [expected]


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd", "png", "jpegxl", "webp"])
@pytest.mark.parametrize(
    ("photometric", "dtype"),
    [
        (BLACK_IS_ZERO, np.uint8),
        (BLACK_IS_ZERO, np.uint16),
        (WHITE_IS_ZERO, np.uint16),
        (RGB, np.uint8),
        (RGB, np.uint16),
    ],
)
def test_tiles_strips_and_compression(tmp_path, photometric, dtype, compression):
    if compression == "webp":
        photometric, dtype = RGB, np.uint8  # all that WebP holds
    options = {"compression": compression, "photometric": photometric}
    if compression in ("webp", "jpegxl"):
        options["compressionargs"] = {"lossless": True}
    pixels = np.random.default_rng(0).integers(0, 256, (37, 21, 3)[: 3 if photometric == RGB else 2], dtype=np.uint8)
    stored = (255 - pixels if photometric == WHITE_IS_ZERO else pixels).astype(dtype) * (
        257 if dtype == np.uint16 else 1
    )
    expected = pixels if photometric == RGB else np.repeat(pixels[..., None], 3, axis=2)
    for layout in ({"rowsperstrip": 5}, {"tile": (16, 16)}):
        tifffile.imwrite(tmp_path / "a.tif", stored, **options, **layout)
        np.testing.assert_array_equal(images.read(tmp_path / "a.tif"), expected)


def test_alpha_beside_jpeg():
    flat = np.full((16, 16, 4), (100, 50, 200, 51), np.uint8)
    data = imagecodecs.jpeg8_encode(flat, level=95, colorspace="CMYK", outcolorspace="CMYK")  # four samples as they are
    data = tiff((16, 16), [8] * 4, RGB, data, t259=[7], t338=[2])
    with pytest.warns(images.ImageWarning, match="composited on white"):
        found = images.decode(data, "a picture")
    np.testing.assert_allclose(found, np.full((16, 16, 3), (224, 214, 244)), atol=2)  # a fifth, and 204


def test_orientation_profile_and_frames_of_deep_pictures(tmp_path):
    levels = np.array([0, 65535], np.uint16).tobytes()
    assert read(tiff((2, 1), 16, BLACK_IS_ZERO, levels, t274=[6])) == [[[0] * 3], [[255] * 3]]
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 4, 5), np.uint16), photometric="minisblack")
    with pytest.warns(images.ImageWarning, match="holds 3 frames, the first is used"):
        assert images.read(tmp_path / "a.tif").shape == (4, 5, 3)


@pytest.mark.parametrize(
    ("bits", "photometric", "tags", "named"),
    [
        (8, BLACK_IS_ZERO, {"t339": [SIGNED]}, "8 bits each (int, minisblack)"),
        (16, BLACK_IS_ZERO, {"t339": [SIGNED]}, "16 bits each (int, minisblack)"),
        ([16] * 3, LAB, {}, "3 samples a pixel, 16 bits each (uint, cielab)"),
        ([16] * 3, YCBCR, {}, "(uint, ycbcr)"),
        (16, MASK, {}, "(uint, mask)"),
        (16, 32803, {}, "(uint, cfa)"),
        ([16] * 5, BLACK_IS_ZERO, {}, "5 samples a pixel"),
        ([16] * 40, BLACK_IS_ZERO, {"t338": [0] * 39}, "40 samples a pixel"),
        ([16] * 2, WHITE_IS_ZERO, {"t338": [1]}, "2 samples a pixel"),
        (8, RGB, {"t50706": [1, 4]}, "begins with a preview, as cameras' raw files do"),
        (8, BLACK_IS_ZERO, {"t254": [1]}, "begins with a preview"),
    ],
)
def test_kinds_without_a_known_meaning_are_named(bits, photometric, tags, named):
    with pytest.raises(ImageError) as caught:
        read(tiff((1, 1), bits, photometric, bytes(80), **tags))
    assert named in str(caught.value)
    assert "expected" in str(caught.value)


def test_levels_out_of_range():
    for levels, found in {(-0.5, 1): "from -0.5 to 1.0, expected 0 to 1", (0, 256): "expected 0 to 255"}.items():
        with pytest.raises(ImageError, match=found):
            read(tiff((2, 1), 32, BLACK_IS_ZERO, struct.pack("<2f", *levels), t339=[FLOAT]))


def test_limits_come_before_memory(monkeypatch):
    monkeypatch.setattr(scratch, "zeros", None)
    tiles = {"t322": [65000], "t323": [65000], "t324": [8], "t325": [8]}
    for size, tags in (((65000, 65000), {}), ((1, 1), tiles)):
        with pytest.raises(ImageError, match="has 65000x65000 = 4225000000 pixels, expected at most"):
            read(tiff(size, 16, BLACK_IS_ZERO, bytes(8), **tags))


def test_truncated(capfd):
    levels = np.arange(600, dtype=np.uint16)
    for data in (
        tiff((20, 30), 16, BLACK_IS_ZERO, levels.tobytes()),
        tiff((20, 30), 16, BLACK_IS_ZERO, zlib.compress(levels.tobytes()), t259=[8]),
    ):
        images.decode(data, "whole")
        for length in [*range(1, 200), *range(200, len(data) - 4, 31)]:
            with pytest.raises(ImageError, match="expected"):
                images.decode(data[:length], "cut")
    assert capfd.readouterr() == ("", "")


def test_large_ones_lie_in_a_file(monkeypatch):
    monkeypatch.setattr(scratch, "PICTURE_IN_MEMORY", 100)
    monkeypatch.setattr(scratch, "IN_MEMORY", 100)
    levels = np.arange(600, dtype=np.uint16) * 109
    expected = (2 * levels.astype(int) + 257) // 514
    found = images.decode(tiff((20, 30), 16, BLACK_IS_ZERO, levels.tobytes()), "a picture")
    np.testing.assert_array_equal(found[..., 0].ravel(), expected)


def test_pillows_own_32_bit_grey_is_16_bit(tmp_path):
    Image.fromarray(np.array([[0, 257, 65535]], np.int32)).save(tmp_path / "a.tif")
    assert images.read(tmp_path / "a.tif").tolist() == grey(0, 1, 255)
