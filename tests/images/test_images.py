"""Reading and writing real files: modes and orientations against pixels worked out by hand, then every bad input."""

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from stegano_tf import images, scratch
from stegano_tf.errors import ImageError, OutputError

# No row, column or channel is like another one.
UPRIGHT = np.arange(1, 19, dtype=np.uint8).reshape(2, 3, 3) * 13

# EXIF 2.3, tag 274, as "row 0 of the stored picture is the visual ..., column 0 is the visual ...".
STORED = {
    1: lambda upright: upright,  # top, left
    2: lambda upright: upright[:, ::-1],  # top, right
    3: lambda upright: upright[::-1, ::-1],  # bottom, right
    4: lambda upright: upright[::-1],  # bottom, left
    5: lambda upright: upright.swapaxes(0, 1),  # left, top
    6: lambda upright: upright[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda upright: upright[::-1].swapaxes(0, 1),  # left, bottom
}


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def saved(path, picture, **options):
    picture.save(path, **options)
    return path


def png(path, size, depth, colour_type, rows, *chunks):
    """A PNG file written field by field; `rows` are the packed bytes of each row."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    return path


def grey(*levels):
    """One row of grey pixels."""
    return np.repeat(np.array(levels, np.uint8)[None, :, None], 3, axis=2).tolist()


def test_rgb_is_returned_as_stored(tmp_path):
    image = images.read(saved(tmp_path / "a.png", Image.fromarray(UPRIGHT)))
    np.testing.assert_array_equal(image, UPRIGHT)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](UPRIGHT)))
    path = saved(tmp_path / f"a{suffix}", stored, exif=exif, **({"lossless": True} if suffix == ".webp" else {}))
    np.testing.assert_array_equal(images.read(path), UPRIGHT)


def test_exif_orientation_of_16_bit_grey_and_of_palette(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    sixteen = Image.fromarray(np.array([[0, 257 * 9]], np.uint16))
    assert images.read(saved(tmp_path / "g.png", sixteen, exif=exif)).tolist() == [[[0] * 3], [[9] * 3]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([1, 2, 3, 4, 5, 6])
    palette.putpixel((1, 0), 1)
    assert images.read(saved(tmp_path / "p.png", palette, exif=exif)).tolist() == [[[1, 2, 3]], [[4, 5, 6]]]


@pytest.mark.parametrize("form", ["exif", "xmp"])
def test_orientation_of_jpeg(tmp_path, form):
    # Blocks of 16 pixels: JPEG gives flat ones back to within a level or two.
    upright = np.kron(UPRIGHT[..., 0], np.ones((16, 16), np.uint8))
    exif = Image.Exif()
    exif[274] = 6
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    options = {"exif": exif} if form == "exif" else {"xmp": xmp}
    path = saved(tmp_path / "a.jpg", Image.fromarray(np.ascontiguousarray(STORED[6](upright))), **options)
    image = images.read(path)
    assert image.shape == (32, 48, 3)
    np.testing.assert_allclose(image, np.repeat(upright[..., None], 3, axis=2), atol=2)


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"progressive": True}, {"restart_marker_blocks": 2}], ids=str
)
@pytest.mark.parametrize("shape", [(33, 50, 3), (33, 50), (1, 1, 3)])
def test_plain_jpeg_has_pillows_pixels_by_the_fast_way(tmp_path, monkeypatch, options, shape):
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = saved(tmp_path / "a.jpg", Image.fromarray(noise), **options)
    with Image.open(path) as picture:
        expected = np.asarray(picture.convert("RGB"))
    monkeypatch.setattr(Image, "open", None)  # Pillow is not asked
    image = images.read(path)
    np.testing.assert_array_equal(image, expected)
    assert image.flags.c_contiguous
    assert image.flags.writeable


def test_jpeg_that_only_pillow_forgives(tmp_path):
    # Bytes between segments make libjpeg-turbo warn; the picture is whole all the same.
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (20, 20), "white"))
    data = path.read_bytes()
    assert data[20:22] == b"\xff\xdb"  # the quantisation tables
    path.write_bytes(data[:20] + b"\0\0\0" + data[20:])
    assert (images.read(path) == 255).all()


def test_decode_is_read_without_a_file(tmp_path):
    for name, options in {"a.png": {}, "a.jpg": {}, "a.webp": {"lossless": True}}.items():
        path = saved(tmp_path / name, Image.fromarray(UPRIGHT), **options)
        np.testing.assert_array_equal(images.decode(path.read_bytes(), "a picture"), images.read(path))
    for data, found in {
        b"": "a picture: is empty",
        b"just words": "a picture: starts with b'just wor'",
        path.read_bytes()[:-5]: "a picture: is a WEBP file that cannot be decoded",
    }.items():
        with pytest.raises(ImageError, match=found):
            images.decode(data, "a picture")
    with pytest.raises(ImageError, match="a picture: has 3x2 = 6 pixels, expected at most 5"):
        images.decode((tmp_path / "a.jpg").read_bytes(), "a picture", max_pixels=5)
    transparent = saved(tmp_path / "t.png", Image.new("RGBA", (1, 1), (0, 0, 0, 0))).read_bytes()
    with pytest.warns(images.ImageWarning, match="a picture: has transparent pixels") as caught:
        assert images.decode(transparent, "a picture").tolist() == [[[255] * 3]]
    assert caught[0].filename == __file__


def test_broken_exif_does_not_cost_the_picture(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(UPRIGHT), exif=b"Exif\0\0no EXIF at all")
    with pytest.warns(images.ImageWarning, match="EXIF data is broken"):
        np.testing.assert_array_equal(images.read(path), UPRIGHT)


def test_1_bit_and_8_bit_grey(tmp_path):
    assert images.read(png(tmp_path / "1.png", (3, 1), 1, 0, [b"\xa0"])).tolist() == grey(255, 0, 255)
    assert images.read(png(tmp_path / "8.png", (3, 1), 8, 0, [b"\x00\x07\xff"])).tolist() == grey(0, 7, 255)


def test_16_bit_grey_is_divided_by_257_and_rounded(tmp_path):
    levels = [0, 128, 129, 257, 385, 386, 32767, 65406, 65407, 65535]
    expected = grey(0, 0, 1, 1, 1, 2, 127, 254, 255, 255)  # 32767 / 257 = 127.498
    array = np.array([levels], np.uint16)
    files = [
        png(tmp_path / "a.png", (10, 1), 16, 0, [array.astype(">u2").tobytes()]),
        saved(tmp_path / "little.tif", Image.fromarray(array)),
        saved(tmp_path / "big.tif", Image.frombytes("I;16B", (10, 1), array.astype(">u2").tobytes())),
        saved(tmp_path / "32.tif", Image.fromarray(array.astype(np.int32))),
    ]
    (tmp_path / "a.pgm").write_bytes(b"P5 10 1 65535\n" + array.astype(">u2").tobytes())
    for path in [*files, tmp_path / "a.pgm"]:
        assert images.read(path).tolist() == expected, path


def test_all_16_bit_levels(tmp_path):
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    exact = (2 * levels.astype(int) + 257) // 514
    image = images.read(saved(tmp_path / "a.png", Image.fromarray(levels)))
    np.testing.assert_array_equal(image, np.repeat(exact[..., None], 3, axis=2))


def test_16_bit_grey_with_a_transparent_level(tmp_path):
    row = struct.pack(">2H", 128, 257 * 5)
    path = png(tmp_path / "a.png", (2, 1), 16, 0, [row], (b"tRNS", struct.pack(">H", 128)))
    with pytest.warns(images.ImageWarning, match="transparent"):
        assert images.read(path).tolist() == grey(255, 5)


def test_16_bit_colour_is_rounded_as_grey_is(tmp_path):
    row = struct.pack(">6H", 128, 129, 257, 385, 386, 65535)
    assert images.read(png(tmp_path / "a.png", (2, 1), 16, 2, [row])).tolist() == [[[0, 1, 1], [1, 2, 255]]]


@pytest.mark.parametrize("levels", [[0, 0.5, 1], [0, 127.5, 255]])
def test_float_grey(tmp_path, levels):
    path = saved(tmp_path / "a.tif", Image.fromarray(np.array([levels], np.float32)))
    assert images.read(path).tolist() == grey(0, 128, 255)


@pytest.mark.parametrize(
    ("levels", "found"),
    [
        (np.array([[-1, 3]], np.int32), "from -1 to 3, expected 0 to 65535"),
        (np.array([[0, 65536]], np.int32), "from 0 to 65536, expected 0 to 65535"),
        (np.array([[0, 300]], np.float32), "from 0.0 to 300.0, expected 0 to 255"),
        (np.array([[0, np.nan]], np.float32), "from nan to nan"),
    ],
)
def test_grey_levels_of_no_known_scale_are_refused(tmp_path, levels, found):
    with pytest.raises(ImageError, match=found):
        images.read(saved(tmp_path / "a.tif", Image.fromarray(levels)))


def test_palette_with_transparency(tmp_path):
    palette = (b"PLTE", bytes([10, 20, 30, 0, 0, 0, 200, 100, 0]))
    # Palette entries 0 and 1 are opaque and, over white, 255 * (255 - 51) / 255 = 204 from black; 2 is opaque.
    path = png(tmp_path / "a.png", (3, 1), 8, 3, [bytes([0, 1, 2])], palette, (b"tRNS", bytes([255, 51])))
    with pytest.warns(images.ImageWarning, match=r"a\.png: has transparent pixels") as caught:
        assert images.read(path).tolist() == [[[10, 20, 30], [204, 204, 204], [200, 100, 0]]]
    assert caught[0].filename == __file__
    assert images.read(png(tmp_path / "b.png", (1, 1), 8, 3, [b"\2"], palette)).tolist() == [[[200, 100, 0]]]


@pytest.mark.parametrize(
    ("mode", "pixel", "expected"),
    [
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("RGBA", (0, 50, 255, 51), (204, 214, 255)),  # 255 + (v - 255) / 5
        ("LA", (7, 255), (7, 7, 7)),
        ("LA", (0, 102), (153, 153, 153)),  # 255 * 3 / 5
    ],
)
def test_alpha_is_composited_on_white(tmp_path, mode, pixel, expected):
    path = saved(tmp_path / "a.png", Image.new(mode, (2, 1), pixel))
    if pixel[-1] == 255:
        assert images.read(path).tolist() == [[list(expected)] * 2]
    else:
        with pytest.warns(images.ImageWarning, match="composited on white"):
            assert images.read(path).tolist() == [[list(expected)] * 2]


def test_transparent_colour_that_no_pixel_has_is_no_reason_to_warn(tmp_path):
    path = png(tmp_path / "a.png", (1, 1), 8, 2, [b"\1\2\3"], (b"tRNS", struct.pack(">3H", 9, 9, 9)))
    assert images.read(path).tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_without_profile(tmp_path, suffix):
    # Pillow writes JPEG as Adobe does, inverted; TIFF not. Full cyan and half black: (0, 255 - 128, 255 - 128).
    path = saved(tmp_path / f"a{suffix}", Image.new("CMYK", (8, 8), (255, 0, 0, 128)))
    np.testing.assert_allclose(images.read(path)[4, 4], (0, 127, 127), atol=2)


def cmyk_profile():
    """An ICC 2.4 profile, a table of two levels an ink: none is white, cyan a grey of L* = 50, all else black."""
    white, grey, black = (bytes([lightness, 128, 128]) for lightness in (255, 128, 0))
    table = white + black * 7 + grey + black * 7  # cyan varies slowest
    identity = bytes(range(256))
    matrix = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 16)
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + identity * 4 + table + identity * 3
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(lut))
    header = struct.pack(
        ">II I 4s4s4s 12x 4s 24x I 3I 48x".replace(" ", ""),
        *(144 + len(lut), 0, 0x02400000, b"prtr", b"CMYK", b"Lab ", b"acsp", 0, 0xF6D6, 0x10000, 0xD32D),
    )
    return header + tags + lut


def test_cmyk_with_profile(tmp_path):
    path = saved(tmp_path / "a.tif", Image.new("CMYK", (2, 2), (255, 0, 0, 0)), icc_profile=cmyk_profile())
    np.testing.assert_allclose(images.read(path)[0, 0], (119, 119, 119), atol=2)  # L* = 50 is sRGB 119


def test_cmyk_with_broken_profile(tmp_path):
    path = saved(tmp_path / "a.tif", Image.new("CMYK", (2, 2), (0, 0, 0, 0)), icc_profile=b"no profile")
    with pytest.warns(images.ImageWarning, match="CMYK profile cannot be used"):
        assert images.read(path)[0, 0].tolist() == [255, 255, 255]


def test_first_of_several_frames(tmp_path):
    first, second = Image.new("RGB", (2, 2), "red"), Image.new("RGB", (2, 2), "blue")
    for suffix in (".gif", ".tif", ".png", ".webp"):
        path = saved(tmp_path / f"a{suffix}", first, save_all=True, append_images=[second])
        with pytest.warns(images.ImageWarning, match="holds 2 frames"):
            np.testing.assert_allclose(images.read(path)[0, 0], (255, 0, 0), atol=2)


def test_preview_frames_of_a_telephone_picture_are_no_reason_to_warn(tmp_path):
    frames = {"save_all": True, "append_images": [Image.new("RGB", (4, 4))]}
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (16, 16), "white"), format="MPO", **frames)
    assert images.read(path)[0, 0].tolist() == [255, 255, 255]


def read_error(path, **arguments):
    with pytest.raises(ImageError) as caught:
        images.read(path, **arguments)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "expected" in message
    assert "\n" not in message
    return message


def test_missing_folder_empty_and_foreign_files(tmp_path):
    assert "No such file" in read_error(tmp_path / "none.png")
    assert "directory" in read_error(tmp_path)
    (tmp_path / "empty.png").touch()
    assert "is empty" in read_error(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("just words\n" * 9)
    assert "starts with b'just wor'" in read_error(tmp_path / "text.png")


@pytest.mark.parametrize("size", [(30000, 30000), (14000, 14000)])  # above and below twice Pillow's default limit
def test_decompression_bomb(tmp_path, size):
    limit = Image.MAX_IMAGE_PIXELS
    message = read_error(png(tmp_path / "bomb.png", size, 8, 2, [b""]))
    assert str(size[0] * size[1]) in message
    assert str(images.MAX_PIXELS) in message
    assert limit == Image.MAX_IMAGE_PIXELS


def test_gif_bomb(tmp_path):
    path = tmp_path / "bomb.gif"
    path.write_bytes(b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2D\1\0;")
    assert str(65535**2) in read_error(path)


def test_max_pixels(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.new("RGB", (20, 20)))
    assert "20x20 = 400 pixels, expected at most 399" in read_error(path, max_pixels=399)
    assert images.read(path, max_pixels=400).shape == (20, 20, 3)
    for pillow_limit in (10, 300, None):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillow_limit)
        assert images.read(path, max_pixels=400).shape == (20, 20, 3)
        assert pillow_limit == Image.MAX_IMAGE_PIXELS


def test_threads_restore_pillows_limit(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.new("RGB", (20, 20)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with ThreadPoolExecutor(8) as pool:
        for image in pool.map(lambda limit: images.read(path, max_pixels=limit), range(400, 600)):
            assert image.shape == (20, 20, 3)
    assert Image.MAX_IMAGE_PIXELS == 10


# PCX and GIF end where they end; the formats here know how much must follow.
@pytest.mark.parametrize("name", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM"])
@pytest.mark.filterwarnings("default")  # the TIFF parser warns before it gives up
def test_truncated(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, name)
    whole = buffer.getvalue()
    path = tmp_path / f"cut.{name.lower()}"
    for length in [*range(1, 40), *range(40, len(whole) * 9 // 10, 97)]:
        path.write_bytes(whole[:length])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read_error(path)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "AVIF", "JPEG2000", "ICO", "TGA"])
def test_damaged_files_are_read_or_refused_with_an_image_error(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, name)
    rng = np.random.default_rng(1)
    path = tmp_path / "damaged"
    for _ in range(60):
        damaged = bytearray(buffer.getvalue())
        damaged[rng.integers(min(len(damaged), 200))] = rng.integers(256)
        path.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                assert images.read(path, max_pixels=10**6).dtype == np.uint8
            except ImageError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".webp", ".PNG"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 5, 3), (64, 61, 3)])
def test_written_pictures_are_read_back_bit_for_bit(tmp_path, suffix, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    images.write(tmp_path / f"a{suffix}", image)
    np.testing.assert_array_equal(images.read(tmp_path / f"a{suffix}"), image)
    images.write(tmp_path / f"t{suffix}", image.swapaxes(0, 1)[:, ::-1])  # not contiguous
    np.testing.assert_array_equal(images.read(tmp_path / f"t{suffix}"), image.swapaxes(0, 1)[:, ::-1])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{suffix}", f"t{suffix}"]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG", ".gif", ".avif", ".heic", ".jp2"])
def test_lossy_names_are_refused_with_the_reason(tmp_path, suffix):
    with pytest.raises(ImageError, match=r"lossy.*destroys the hidden picture; expected \.png, \.bmp"):
        images.write(tmp_path / f"a{suffix}", UPRIGHT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a", "a.xyz", "a.wav"])
def test_names_of_no_picture_format_are_refused(tmp_path, name):
    for lossless in (True, False):
        with pytest.raises(ImageError, match=r"not a format that can be written; expected \.png"):
            images.check(tmp_path / name, lossless=lossless)


def test_jpeg_on_request(tmp_path):
    gradient = np.repeat(np.arange(64, dtype=np.uint8)[:, None, None] * 4, 64, axis=1).repeat(3, axis=2)
    images.write(tmp_path / "a.jpg", gradient, lossless=False)
    assert np.abs(images.read(tmp_path / "a.jpg").astype(int) - gradient).max() <= 4
    with Image.open(tmp_path / "a.jpg") as picture:
        assert picture.layer[0][1:3] == (1, 1)  # luma is sampled like chroma: 4:4:4


def test_existing_outputs_need_force(tmp_path):
    images.write(tmp_path / "a.png", UPRIGHT)
    with pytest.raises(OutputError, match="exists already"):
        images.write(tmp_path / "a.png", UPRIGHT[:1])
    assert images.read(tmp_path / "a.png").shape == (2, 3, 3)
    images.write(tmp_path / "a.png", UPRIGHT[:1], force=True)
    assert images.read(tmp_path / "a.png").shape == (1, 3, 3)
    with pytest.raises(OutputError, match="does not exist"):
        images.write(tmp_path / "none" / "a.png", UPRIGHT)


def test_a_picture_too_large_for_its_format_leaves_nothing(tmp_path):
    with pytest.raises(ImageError, match="WEBP cannot hold 17000x1 pixels"):
        images.write(tmp_path / "a.webp", np.zeros((1, 17000, 3), np.uint8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("image", [UPRIGHT.astype(np.float32), UPRIGHT.tolist(), None])
def test_wrong_types(tmp_path, image):
    with pytest.raises(TypeError, match="expected a uint8 array"):
        images.write(tmp_path / "a.png", image)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (4, 4, 1), (0, 4, 3), (1, 4, 4, 3)])
def test_wrong_shapes(tmp_path, shape):
    with pytest.raises(ValueError, match=r"expected \(height, width, 3\)"):
        images.write(tmp_path / "a.png", np.zeros(shape, np.uint8))


def test_resize():
    assert images.resize(UPRIGHT, (2, 3)) is UPRIGHT
    flat = np.full((8, 6, 3), (3, 200, 77), np.uint8)
    for size in ((5, 9), (16, 1)):
        resized = images.resize(flat, size)
        assert resized.shape == (*size, 3)
        assert (resized == flat[0, 0]).all()


def test_centre_crop():
    image = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    crop = images.centre_crop(image, (2, 2))
    np.testing.assert_array_equal(crop, image[1:3, 1:3])
    assert crop.flags.c_contiguous
    with pytest.raises(ImageError, match="is 4x5, expected at least 4x6"):
        images.centre_crop(image, (6, 4))


@pytest.mark.parametrize("size", [(70, 50), (31, 200), (120, 90), (120, 200), (300, 90)])
def test_resizing_in_strips_is_pillows(size, monkeypatch):
    picture = np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    monkeypatch.setattr(scratch, "PART", 2800)  # a few rows of pixels at 4 bytes each
    expected = Image.fromarray(picture).resize(size[::-1], Image.Resampling.LANCZOS)
    resized = images.resize(picture, size)
    np.testing.assert_array_equal(resized, np.asarray(expected))
    assert resized.flags.c_contiguous
