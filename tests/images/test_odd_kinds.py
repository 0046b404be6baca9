"""PNG, JPEG, JPEG 2000, Photoshop, BMP and other files of rare kinds against pixels worked out by hand."""

import base64
import io
import struct
import sys
import warnings
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from stegano_tf import images
from stegano_tf.errors import ImageError

GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
ORIENTATION_3 = Image.Exif()
ORIENTATION_3[274] = 3


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size, depth, colour_type, rows, *before, after=(), interlaced=0):
    """A PNG file written field by field; `rows` are the packed bytes of each row, the rest are chunks."""
    header = struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, interlaced)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [(b"IHDR", header), *before, (b"IDAT", pixels), *after, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def grey(*levels):
    return [[[level] * 3 for level in levels]]


def read(data, warning=None):
    if warning is None:
        return images.decode(data, "a picture").tolist()
    with pytest.warns(images.ImageWarning, match=warning):
        return images.decode(data, "a picture").tolist()


@pytest.mark.parametrize("unused", [0, 1])  # bits of the transparent level beyond the depth mean nothing
@pytest.mark.parametrize(
    ("depth", "level", "row", "pixels"),
    [
        (1, 0, b"\x40", (255, 255)),  # 0 1
        (1, 1, b"\x40", (0, 255)),
        (2, 1, b"\x60", (255, 170)),  # 1 2
        (4, 5, b"\x5a", (255, 170)),
        (8, 85, b"\x55\xaa", (255, 170)),
        (16, 128, b"\x00\x80\x01\x81", (255, 1)),  # 385 / 257 = 1.498
    ],
)
def test_transparent_level_of_grey_png(depth, level, row, pixels, unused):
    transparency = (b"tRNS", struct.pack(">H", level + (unused << depth if depth < 16 else 0)))
    assert read(png((2, 1), depth, GREY, [row], transparency), "composited on white") == grey(*pixels)


@pytest.mark.parametrize("depth", [8, 16])
def test_transparent_colour_of_png(depth):
    code = "B" if depth == 8 else "H"
    colours = np.array([1, 2, 3, 1, 2, 4]) * (1 if depth == 8 else 257)
    transparency = (b"tRNS", struct.pack(">3H", *colours[:3]))
    data = png((2, 1), depth, COLOUR, [struct.pack(f">6{code}", *colours)], transparency)
    assert read(data, "composited on white") == [[[255] * 3, [1, 2, 4]]]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palette_of_png_with_transparency(depth):
    last = 2**depth - 1
    table = bytes(v for i in range(last + 1) for v in (i, 0, 255 - i))
    row = {1: b"\x40", 2: b"\x30", 4: b"\x0f", 8: b"\x00\xff"}[depth]  # 0 and the last one
    data = png((2, 1), depth, PALETTE, [row], (b"PLTE", table), (b"tRNS", b"\x33"))
    # The first entry, (0, 0, 255), has 51 / 255 of opacity.
    assert read(data, "composited on white") == [[[204, 204, 255], [last, 0, 255 - last]]]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colours", [1, 3])
def test_alpha_of_png(depth, colours):
    kind = GREY_ALPHA if colours == 1 else COLOUR_ALPHA
    samples = np.array([*[0] * colours, 102, *[51] * colours, 255], f">u{depth // 8}") * (1 if depth == 8 else 257)
    data = png((2, 1), depth, kind, [samples.astype(f">u{depth // 8}").tobytes()])
    assert read(data, "composited on white") == grey(153, 51)


def test_interlaced_png():
    # Of Adam7's passes, the first has the first pixel and the sixth the second one.
    assert read(png((2, 1), 16, GREY, [b"\0\x80", b"\x01\x81"], interlaced=1)) == grey(0, 1)
    transparency = (b"tRNS", b"\0\1")
    assert read(png((2, 1), 4, GREY, [b"\x10", b"\x20"], transparency, interlaced=1), "white") == grey(255, 34)


LONG = zlib.compress(bytes(3_000_000))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        (b"zTXt", b"workflow\0\0" + LONG),
        (b"iTXt", b"workflow\0\1\0\0\0" + LONG),
        (b"iCCP", b"profile\0\0" + LONG),
        (b"tEXt", b"transparency\0 7"),
        (b"tEXt", b"icc_profile\0 7"),
        (b"tEXt", b"exif\0 7"),
    ],
    ids=lambda text: text[1][:12],
)
def test_texts_and_profiles_of_png_change_nothing(text, after):
    data = png((1, 1), 8, COLOUR, [b"\1\2\3"], *() if after else [text], after=[text] if after else ())
    assert read(data) == [[[1, 2, 3]]]


def test_many_long_texts_of_png(monkeypatch):
    monkeypatch.setattr("PIL.PngImagePlugin.MAX_TEXT_MEMORY", 1000)
    assert read(png((1, 1), 8, COLOUR, [b"\1\2\3"], *[(b"tEXt", b"a\0" + b"x" * 600)] * 3)) == [[[1, 2, 3]]]


def exif_as_text():
    block = ORIENTATION_3.tobytes()
    return zlib.compress(b"\nexif\n%8d\n%s\n" % (len(block), block.hex().encode()))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        (b"eXIf", ORIENTATION_3.tobytes()[6:]),
        (b"zTXt", b"Raw profile type exif\0\0" + exif_as_text()),
        (b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta><a tiff:Orientation="3"/></x:xmpmeta>'),
    ],
    ids=lambda text: text[0],
)
def test_orientation_of_png(text, after, depth):
    row = b"\0\xff" if depth == 8 else b"\0\0\xff\xff"
    data = png((2, 1), depth, GREY, [row], *() if after else [text], after=[text] if after else ())
    assert read(data) == grey(255, 0)


# Eight by 32 pixels of (200, 100, 50): cjpeg -quality 95 -optimize -sample 1x4, without the JFIF segment.
ONE_BY_FOUR = base64.b85decode(
    b"|JeWA07C!*0RaI40RjO50RjR70s;gB0s;a81q1{G1O^2L1_lKN1_lQS2nGiU2L=WR3kV4c3JMAe1_%ob3knPg3JMDU+W<oW0s;a80s;jC0|g2P"
    b"1_ufX3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe|G)qd2ml}e2m=8W00I#K0}%oL!~hil0RaF20000000000"
    b"0000000sZV02B}b00000000000000000000|HJ?k0RaF200000000000000000{rY02C1c00000000000000000000|Jncy0|5X65d#qbKLDNp"
    b"u53U5*#"
)


def test_jpeg_of_a_rare_sampling():
    np.testing.assert_allclose(read(ONE_BY_FOUR), np.full((32, 8, 3), (200, 100, 50)), atol=2)


@pytest.mark.parametrize("sampling", ["444", "422", "420", "411", "440"])
@pytest.mark.parametrize("options", [{}, {"lossless": True}], ids=str)
def test_jpeg_of_usual_samplings(sampling, options):
    flat = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    data = imagecodecs.jpeg8_encode(flat, level=95, **options or {"subsampling": sampling})
    np.testing.assert_allclose(read(data), flat, atol=2)


def test_cmyk_of_jpeg_with_and_without_adobes_mark():
    buffer = io.BytesIO()
    Image.new("CMYK", (16, 16), (255, 0, 0, 128)).save(buffer, "JPEG", quality=95)
    data = buffer.getvalue()
    mark = data.index(b"\xff\xee")
    assert data[mark + 4 : mark + 9] == b"Adobe"
    for cmyk in (data, data[:mark] + data[mark + 16 :]):
        np.testing.assert_allclose(read(cmyk), np.full((16, 16, 3), (0, 127, 127)), atol=2)


@pytest.mark.parametrize("codec", ["jp2", "j2k"])
@pytest.mark.parametrize(
    ("bits", "signed"), [(1, 0), (4, 0), (7, 0), (8, 0), (8, 1), (10, 0), (12, 0), (12, 1), (16, 0), (16, 1)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_2000_of_every_precision(codec, bits, signed, channels):
    top = 2**bits - 1
    levels = np.array([[0, top, round(top * 0.4), 0]]).repeat(4, axis=0) - (signed << bits - 1)
    stored = levels.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")
    stored = stored if channels == 1 else np.stack([stored] * channels, axis=-1)
    data = imagecodecs.jpeg2k_encode(stored, level=0, reversible=True, codecformat=codec, bitspersample=bits)
    expected = grey(0, 255, round(255 * round(top * 0.4) / top), 0)
    np.testing.assert_array_equal(read(data), expected * 4)


def psd(mode, depth, channels, *values):
    """A Photoshop file of 8x1 pixels: the header of 26 bytes, no palette, resources or layers, and planes of bytes."""
    return struct.pack(">4sH6xHIIHHIIIH", b"8BPS", 1, channels, 1, 8, depth, mode, 0, 0, 0, 0) + bytes(values)


def test_photoshop():
    assert read(psd(0, 1, 1, 0b01000000)) == grey(255, 0, *[255] * 6)  # bitmap: 1 is black
    assert read(psd(1, 8, 1, *range(8))) == grey(*range(8))
    colours = [*[10] * 8, *[20] * 8, *[30] * 8]
    assert read(psd(3, 8, 3, *colours)) == [[[10, 20, 30]] * 8]
    assert read(psd(3, 8, 4, *colours, *[0] * 8), "has 4 channels, 3 are used") == [[[10, 20, 30]] * 8]
    assert read(psd(1, 8, 2, *range(8), *[0] * 8), "has 2 channels, 1 are used") == grey(*range(8))
    assert read(psd(4, 8, 4, *[255] * 24, *[127] * 8)) == grey(*[127] * 8)  # 255 is no ink


def test_bits_of_xbm_are_black():
    data = b"#define a_width 8\n#define a_height 1\nstatic char a_bits[] = {\n0x02};\n"
    assert read(data) == grey(255, 0, *[255] * 6)


def bmp(bits, coding, data, *, height=1, width=2, masks=(), table=b""):
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, coding, len(data), 0, 0, len(table) // 4, 0)
    header += struct.pack(f"<{len(masks)}I", *masks) + table
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(data), 0, 0, 14 + len(header)) + header + data


def test_bmp():
    table = bytes([0, 0, 255, 0, 9, 8, 7, 0])  # blue, green, red, nothing
    red, dark = [255, 0, 0], [7, 8, 9]
    assert read(bmp(1, 0, b"\x40\0\0\0", table=table)) == [[red, dark]]
    assert read(bmp(4, 0, b"\x01\0\0\0", table=table)) == [[red, dark]]
    assert read(bmp(4, 2, b"\2\x01\0\0\0\1", table=table)) == [[red, dark]]
    assert read(bmp(8, 1, b"\1\0\1\1\0\0\0\1", table=table)) == [[red, dark]]
    assert read(bmp(16, 0, struct.pack("<2H", 31 << 10, 1 << 5))) == [[red, [0, 8, 0]]]
    masks = 31 << 11, 63 << 5, 31
    assert read(bmp(16, 3, struct.pack("<2H", *masks[:2]), masks=masks)) == [[red, [0, 255, 0]]]
    assert read(bmp(32, 0, b"\0\0\xff\0\x09\x08\x07\0")) == [[red, dark]]
    top_down = b"\0\0\xff\0\x09\x08\x07\0"
    assert read(bmp(32, 0, top_down, height=-2, width=1)) == [[red], [dark]]
    assert read(bmp(32, 0, top_down, height=2, width=1)) == [[dark], [red]]


@pytest.mark.parametrize("white", [1, 100, 255, 1000, 65535])
def test_netpbm(white):
    levels = [0, white, white // 5]
    expected = grey(0, 255, round(255 * (white // 5) / white))
    data = b"P5 3 1 %d\n" % white + np.array(levels, ">u2" if white > 255 else "u1").tobytes()
    assert read(data) == expected
    assert read(b"P2 3 1 %d\n%d %d %d\n" % (white, *levels)) == expected


def fits(bits, data):
    cards = ["SIMPLE  =                    T", f"BITPIX  = {bits:20}", "NAXIS   =                    2"]
    cards += ["NAXIS1  =                    2", "NAXIS2  =                    1", "END"]
    return "".join(card.ljust(80) for card in cards).ljust(2880).encode() + data.ljust(2880, b"\0")


def test_fits():
    assert read(fits(8, b"\1\2")) == grey(1, 2)
    with pytest.raises(ImageError, match="is a FITS file of more than 8 bits"):
        read(fits(16, bytes(4)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_heic(mode):
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    flat = Image.new(mode, (64, 64), {"RGB": (200, 100, 50), "RGBA": (0, 0, 0, 102), "L": 77}[mode])
    heif.from_pillow(flat).save(buffer, quality=95)
    expected = {"RGB": (200, 100, 50), "RGBA": (153, 153, 153), "L": (77, 77, 77)}[mode]
    found = read(buffer.getvalue(), "composited on white" if mode == "RGBA" else None)
    np.testing.assert_allclose(found, np.full((64, 64, 3), expected), atol=3)


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_heic_without_its_package(monkeypatch, brand):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"is a HEIC picture.*pip install pillow-heif"):
        read(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(40))


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"%PDF-1.7\n", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a PostScript file"),
        (b"\xc5\xd0\xd3\xc6", "an EPS file"),
        (b"\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><svg/>", "an XML file, perhaps an SVG drawing"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\xff\x0a\xfa\x7f", "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
        (b"II*\0\x10\0\0\0CR\2\0", "a camera's raw file (CR2)"),
        (b"\0\0\0\x18ftypcrx ", "a camera's raw file (CR3)"),
        (b"PF\n2 1\n-1.0\n", "a PFM picture in colour"),
        (b"8BPS\0\1" + bytes(16) + b"\0\x10\0\3", "a Photoshop file of 16 bits a channel"),
        (b"8BPS\0\1" + bytes(16) + b"\0\x20\0\3", "a Photoshop file of 32 bits a channel"),
        (struct.pack(">6I", 0x59A66A95, 37, 29, 8, 1073, 2), "a Sun raster picture with rows of odd length"),
        (b"8BPS\0\2", "a large Photoshop file (PSB)"),
        (b"\xff\xd8\xff\xc1\0\x0b\x0c\0\1\0\1\1\1\x11\0", "a JPEG file that cannot be decoded (cannot handle 12-bit"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "a sound (WAV), expected a picture file such as PNG; `receive` and `decode` read"),
        (b"ID3\4", "a sound (MP3)"),
        (b"RIFF\x24\0\0\0AVI LIST", "a film"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"age-encryption.org/v1\n", "a sealed file (age)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS, not the file itself (`git lfs pull`"),
        (b"icns\0\0\0\x40ic07\0\0\0\x38nothing", "an ICNS file that cannot be decoded"),
    ],
)
def test_what_is_not_read_is_named(start, name):
    with pytest.raises(ImageError) as caught:
        read(start + bytes(60))
    message = str(caught.value)
    assert message.startswith(f"a picture: is {name}"), message
    assert "expected" in message
    assert "damage" not in message


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\x81\x01\x02" + bytes(2 * 17), "a WBMP picture"),  # 129x2, 17 bytes a row
        (b"\0\x25\0\x1d\0\x26\x40\0\x08\1" + bytes(99), "a Palm bitmap"),  # 37x29, 38 bytes a row, 8 bits
        (bytes(522) + b"\x00\x11\x02\xff" + bytes(99), "a PICT drawing"),
        (bytes(128) + b"DICM" + bytes(99), "a DICOM picture"),
        (b"notes.txt" + bytes(248) + b"ustar\0", "a tar archive"),
    ],
)
def test_what_has_no_magic_number_is_named_if_nothing_reads_it(data, name):
    with pytest.raises(ImageError, match=f"a picture: seems to be {name}, expected a whole picture file"):
        read(data)
    with pytest.raises(ImageError, match="a picture: starts with"):
        read(data[:8].replace(b"\0", b"\7"))
