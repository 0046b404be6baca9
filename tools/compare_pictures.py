r"""Writes pictures in every mode, depth and container that the programs here can write, and reads each one twice.

    apt-get install imagemagick netpbm libjpeg-turbo-progs
    python tools/compare_pictures.py [--only=REGEX] [--keep=DIR]

The first reader is `stegano_tf.images.read`. It is compared with the values that the picture was written from, where
these are known, and otherwise with ImageMagick 6, which shares no code with the first. Each picture is read right, read
wrong or refused; what is said of the latter is listed. The exit status is 1 if one is read wrong.
"""

import io
import itertools
import re
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np
import tifffile
from absl import app, flags
from PIL import Image

from stegano_tf import images
from stegano_tf.errors import ImageError

_ONLY = flags.DEFINE_string("only", "", "Compare only the pictures whose name this expression finds.")
_KEEP = flags.DEFINE_string("keep", None, "Folder to leave the pictures in that were read wrong.")

HEIGHT, WIDTH = 29, 37  # odd, and no multiple of any block
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH]
COLOURS = np.stack([_X * 7, _Y * 8, (_X * 5 + _Y * 3) % 256], axis=-1).astype(np.uint8)
ALPHA = np.array([0, 255, 128], np.uint8)[(_X // 6 + _Y // 5) % 3]
_RNG = np.random.default_rng(0)

# Where ImageMagick 6.9.11 is wrong, and how that is known.
SECOND_IS_WRONG = {
    r"^magick-tiff-(Bilevel|Grayscale(Alpha)?)-\d+-.*min-is-white": "often writes black as zero; libtiff agrees",
    r"^magick-tiff-\w+-24-": "takes the three bytes of a level in the other order than it wrote them",
    r"^magick-tiff-(Grayscale|Palette)Alpha-(1|10|12)-": "takes alpha for its opposite; converted to PNG it stays so",
    r"^magick-tiff-(Palette|TrueColor)Alpha-\d+-JPEG": "multiplies colours by alpha twice; tifffile agrees with us",
    r"^magick-psd-.*Alpha-(1|8)": "writes colours that are not mixed with white, as Photoshop's are",
    r"^magick-sgi-Bilevel-16": "does not read its own file; netpbm agrees with us",
    r"^magick-sun-.*Alpha": "reads its own alpha from what the format calls padding",
    r"^magick-(heic|avif)|^pillow-(AVIF|HEIF)": "libheif 1.15 takes a wrong matrix and no alpha",
    r"^pillow-(BMP|DIB)-RGBA": "reads alpha from what the format calls padding",
    r"^pillow-(ICO|ICNS)": "takes the first size, not the largest",
    r"^pillow-PCX-1": "netpbm, ffmpeg and the values written agree with us",
    r"^pillow-TGA-LA|^pillow-JPEG2000-CMYK": "the values written agree with us",
    r"^pillow-TIFF-LAB": "takes D65 for white, and is off by 75 from what was written",
    r"^pillow-TIFF-I$": "takes 32 bits with a sign for full range; Pillow writes 16-bit levels so",
}


class Case(NamedTuple):
    """A picture file, the pixels that it was written from (None: ask ImageMagick), and how far off is no fault."""

    name: str
    data: bytes
    pixels: np.ndarray | None = None
    tolerance: int = 1


def to_8_bits(levels: np.ndarray, white: float) -> np.ndarray:
    """Returns levels [H, W, N] of 0 to `white` as uint8[H, W, 3]; the last of 2 or 4 is alpha, over white."""
    share = levels.astype(float) / white
    colour = share[..., : 3 if share.shape[2] > 2 else 1]
    if share.shape[2] in (2, 4):
        colour = colour * share[..., -1:] + 1 - share[..., -1:]
    return np.rint(np.broadcast_to(255 * colour, (*colour.shape[:2], 3))).astype(np.uint8)


def noise(white: int, channels: int) -> np.ndarray:
    """Returns random levels [H, W, channels] of 0 to `white`, both of which occur."""
    levels = _RNG.integers(0, white, (HEIGHT, WIDTH, channels), endpoint=True, dtype=np.uint64)
    levels[0, 0], levels[0, 1] = 0, white
    return levels


def packed(levels: np.ndarray, depth: int) -> list[bytes]:
    """Returns the rows of [H, W, N] in `depth` bits a level, big end first."""
    rows = levels.reshape(len(levels), -1).astype(np.uint64)
    if depth >= 8:
        return [row.astype(f">u{depth // 8}").tobytes() for row in rows]
    return [
        np.packbits(row[:, None] >> np.arange(depth, dtype=np.uint64)[::-1] & np.uint64(1)).tobytes() for row in rows
    ]


def png() -> Iterator[Case]:
    """Every colour type and depth, without and with transparency, field by field."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    for kind, channels in {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.items():
        for depth, transparent in itertools.product(depths[kind], (False, True) if kind in (0, 2, 3) else (False,)):
            white = 2**depth - 1
            levels = noise(white, channels)
            header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, kind, 0, 0, 0)
            chunks = [(b"IHDR", header)]
            shown, alpha = levels, np.where((levels == levels[3, 4]).all(axis=-1), 0, white)
            if kind == 3:
                table = _RNG.integers(0, 256, (white + 1, 4))
                chunks.append((b"PLTE", table[:, :3].astype(np.uint8).tobytes()))
                shown, white, alpha = table[levels[..., 0], :3], 255, table[levels[..., 0], 3]
            if transparent:
                level = table[:, 3].astype(np.uint8) if kind == 3 else levels[3, 4].astype(">u2")
                chunks.append((b"tRNS", level.tobytes()))
                shown = np.dstack([shown, alpha])
            body = zlib.compress(b"".join(b"\0" + row for row in packed(levels, depth)))
            data = b"".join(chunk(*one) for one in (*chunks, (b"IDAT", body), (b"IEND", b"")))
            name = f"png-{kind}-{depth}{'-transparent' * transparent}"
            yield Case(name, b"\x89PNG\r\n\x1a\n" + data, to_8_bits(shown, white))


def tiff() -> Iterator[Case]:
    """Every depth, order, layout and compression that tifffile writes."""
    # tifffile packs levels of less than a byte's multiple right only on little ends.
    depths = [("u1", 1), ("u1", 2), ("u1", 4), ("u1", 8), ("u2", 10), ("u2", 12), ("u2", 14), ("u2", 16), ("u4", 32)]
    depths += [("u8", 64), ("f2", 16), ("f4", 32), ("f8", 64), ("i1", 8), ("i2", 16), ("i4", 32)]
    layouts = [{}, {"tile": (16, 16)}, {"rowsperstrip": 3}, {"planarconfig": "separate"}]
    layouts += [{"compression": name} for name in ("lzw", "zlib", "packbits", "lzma", "zstd", "png", "jpegxl", "lerc")]
    layouts += [{"compression": name, "predictor": True} for name in ("lzw", "zlib")]
    kinds = {"minisblack": 1, "miniswhite": 1, "rgb": 3, "separated": 4}
    for order, (dtype, bits), photometric, extra, layout in itertools.product(
        "<>", depths, kinds, (None, "unspecified", "unassalpha", "assocalpha"), layouts
    ):
        if (bits % 8 and order == ">") or (dtype == "u8" and extra):  # the latter: for want of a float that holds it
            continue
        white = 1 if dtype[0] == "f" else 2 ** (bits - (dtype[0] == "i")) - 1
        levels = _RNG.random((HEIGHT, WIDTH, kinds[photometric] + bool(extra))) * white
        levels = levels.astype(dtype) if dtype[0] == "f" else noise(white, levels.shape[2]).astype(dtype)
        if extra == "assocalpha":
            levels[..., :-1] = levels[..., :-1] * (levels[..., -1:] / white)
        shown = levels.astype(float) / white
        colour, alpha = shown[..., : kinds[photometric]], shown[..., -1:]
        if photometric == "miniswhite":
            colour = 1 - colour
        elif photometric == "separated":
            colour = (1 - colour[..., :3]) * (1 - colour[..., 3:])
        if extra == "unassalpha":
            colour = colour * alpha
        if extra in ("assocalpha", "unassalpha"):
            colour = colour + 1 - alpha
        options = {"photometric": photometric, **layout} | ({"extrasamples": [extra]} if extra else {})
        options |= {"bitspersample": bits} if bits % 8 else {}
        stored = np.moveaxis(levels, -1, 0) if "planarconfig" in layout else levels
        file = io.BytesIO()
        try:
            tifffile.imwrite(file, np.squeeze(stored).astype(order + dtype), **options)
        except (ValueError, TypeError, RuntimeError, KeyError):
            continue  # tifffile or a codec cannot write this combination
        name = f"tiff-{order}-{photometric}-{extra}-{dtype}-{bits}-{'-'.join(map(str, layout.values()))}"
        yield Case(name, file.getvalue(), to_8_bits(colour, 1), 2)


def palettes() -> Iterator[Case]:
    """TIFF with colour maps of bytes, of shifted bytes and of 16 bits."""
    for scale, compression in itertools.product((1, 256, 257), (None, "lzw")):
        table, levels, file = _RNG.integers(1, 256, (3, 256)), noise(255, 1)[..., 0].astype(np.uint8), io.BytesIO()
        table16 = (table * scale).astype(np.uint16)
        tifffile.imwrite(file, levels, photometric="palette", colormap=table16, compression=compression)
        yield Case(f"tiff-palette-{scale}-{compression}", file.getvalue(), np.moveaxis(table[:, levels], 0, -1), 0)


def jpeg() -> Iterator[Case]:
    """Every coding and sampling that cjpeg writes; 12 and 16 bits, and lossless, by imagecodecs."""
    samplings = (
        "1x1 2x1 1x2 2x2 4x1 1x4 4x2 2x4 1x3 3x1 3x3 3x2 1x1,2x1,1x1 1x1,1x2,2x1 2x2,1x1,2x2 2x2,2x1,1x2 2x1,2x1,1x1"
    )
    codings = {
        "baseline": [],
        "progressive": ["-progressive"],
        "arithmetic": ["-arithmetic"],
        "restarts": ["-restart", "1"],
    }
    source = b"P6 %d %d 255\n" % (WIDTH, HEIGHT) + COLOURS.tobytes()
    options = {f"{s}-{c}": ["-sample", s, *o] for s, (c, o) in itertools.product(samplings.split(), codings.items())}
    options |= {"grey": ["-grayscale"], "rgb": ["-rgb"], "grey-arithmetic": ["-grayscale", "-arithmetic"]}
    for name, option in options.items():
        done = subprocess.run(["cjpeg", "-quality", "95", *option], input=source, capture_output=True, check=False)
        if done.returncode == 0:
            expected = imagecodecs.jpeg8_decode(done.stdout, outcolorspace="RGB")
            yield Case(f"jpeg-{name}", done.stdout, to_8_bits(expected, 255), 3)
    for bits, channels in itertools.product((8, 12, 16), (1, 3)):
        levels = np.squeeze(noise(2**bits - 1, channels).astype("u1" if bits == 8 else "u2"))
        data = imagecodecs.jpeg8_encode(levels, bitspersample=bits, lossless=True)
        yield Case(f"jpeg-lossless-{bits}-{channels}", data, to_8_bits(levels.reshape(HEIGHT, WIDTH, -1), 2**bits - 1))


def jpeg2000() -> Iterator[Case]:
    """Every precision with and without a sign, as a file and as a bare codestream."""
    for bits, signed, channels, codec in itertools.product(
        (1, 4, 7, 8, 10, 12, 16), (0, 1), (1, 2, 3, 4), ("jp2", "j2k")
    ):
        levels = noise(2**bits - 1, channels)
        stored = levels.astype(np.int64) - (signed << bits - 1)
        stored = np.squeeze(stored.astype(f"{'ui'[signed]}{1 if bits <= 8 else 2}"))
        data = imagecodecs.jpeg2k_encode(stored, level=0, codecformat=codec, bitspersample=bits, reversible=True)
        yield Case(f"jpeg2000-{codec}-{bits}-{'ui'[signed]}-{channels}", data, to_8_bits(levels, 2**bits - 1), 2)


def pillow() -> Iterator[Case]:
    """Every mode of Pillow in every format that it writes."""
    Image.init()
    source = Image.fromarray(np.dstack([COLOURS, ALPHA]))
    grey = COLOURS[..., 0].astype(np.uint16) * 257
    pictures = {
        mode: source.convert("RGB").convert(mode) for mode in ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
    }
    pictures |= {mode: source.convert(mode) for mode in ("LA", "RGBA", "RGBa")} | {
        "La": source.convert("LA").convert("La")
    }
    pictures |= {"I;16": Image.fromarray(grey), "I": Image.fromarray(grey.astype(np.int32))}
    pictures |= {"F": Image.fromarray(grey.astype(np.float32) / 65535), "PA": pictures["P"].convert("PA")}
    lossless = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}, "MPO": {"quality": 100}, "AVIF": {"quality": 100}}
    for name, (mode, picture) in itertools.product(sorted(Image.SAVE), pictures.items()):
        file = io.BytesIO()
        try:
            picture.save(file, name, **lossless.get(name, {}))
        except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError):
            continue  # Pillow cannot write this mode in this format
        yield Case(f"pillow-{name}-{mode}", file.getvalue(), tolerance=3)


def magick(folder: Path) -> Iterator[Case]:
    """What ImageMagick writes: formats, types, depths and options."""
    Image.fromarray(np.dstack([COLOURS, ALPHA])).save(folder / "alpha.png")
    Image.fromarray(COLOURS).save(folder / "opaque.png")
    compressions = [
        ["-compress", name] for name in ("None", "LZW", "Zip", "RLE", "JPEG", "LZMA", "ZSTD", "WebP", "Group4")
    ]
    tiffs = [["-endian", "MSB"], ["-interlace", "plane"], ["-define", "tiff:tile-geometry=16x16"]]
    tiffs += [
        ["-define", f"quantum:{one}"] for one in ("format=floating-point", "polarity=min-is-white", "format=signed")
    ]
    rle = [[], ["-compress", "RLE"]]
    formats = {
        "png": ([1, 2, 4, 8, 16], [[], ["-interlace", "PNG"]]),
        "tiff": ([1, 2, 4, 8, 10, 12, 14, 16, 24, 32, 64], compressions + tiffs),
        "psd": ([1, 8, 16], rle),
        "jp2": ([8, 12, 16], [["-quality", "0"]]),
        "jpg": ([8], [["-sampling-factor", one] for one in ("1x1", "2x1", "2x2")]),
        "webp": ([8], [[], ["-define", "webp:lossless=true"]]),
        **dict.fromkeys(("pam", "pgm", "ppm", "sgi", "dpx", "fits"), ([8, 16], [[]])),
        **dict.fromkeys(("bmp", "bmp2", "bmp3", "tga", "sun"), ([8], rle)),
        **dict.fromkeys(
            ("gif", "pcx", "pfm", "ico", "dds", "xpm", "xbm", "heic", "avif", "hdr", "exr", "pdf"), ([8], [[]])
        ),
        **dict.fromkeys(
            ("svg", "eps", "miff", "cin", "viff", "pict", "mng", "jng", "palm", "xcf", "wbmp"), ([8], [[]])
        ),
    }
    types = ["Bilevel", "ColorSeparation"]
    types += [kind + alpha for kind in ("Grayscale", "Palette", "TrueColor") for alpha in ("", "Alpha")]
    for suffix, (depths, options) in formats.items():
        for kind, depth, option in itertools.product(types, depths, options):
            if depth not in (8, 16) and option != options[0]:
                continue
            source = "alpha.png" if kind.endswith("Alpha") else "opaque.png"
            path = folder / f"written.{suffix}"
            path.unlink(missing_ok=True)
            command = ["convert", folder / source, "-type", kind, *option, "-depth", str(depth), f"{suffix}:{path}"]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0 and path.exists():
                name = f"magick-{suffix}-{kind}-{depth}-{'-'.join(option[1:])}"
                yield Case(name, path.read_bytes(), tolerance=3 if suffix in ("jpg", "webp") or "JPEG" in option else 1)


def netpbm() -> Iterator[Case]:
    """What Netpbm's tools write."""
    for tool in ("ppmtobmp", "pamtotga", "ppmtopcx", "pnmtorast", "ppmtoxpm", "pamtopfm", "pamtotiff", "pamtopng"):
        for mode, name in {"1": "pbm", "L": "pgm", "RGB": "ppm"}.items():
            picture, file = Image.fromarray(COLOURS).convert(mode), io.BytesIO()
            picture.save(file, "PPM")
            done = subprocess.run([tool], input=file.getvalue(), capture_output=True, check=False)
            if done.returncode == 0 and done.stdout:
                yield Case(f"netpbm-{tool}-{name}", done.stdout, np.asarray(picture.convert("RGB")))


def second(path: Path) -> np.ndarray | None:
    """Returns what ImageMagick reads, uint8[H, W, 3], or None if it does not."""
    options = ["-auto-orient", "-background", "white", "-alpha", "remove", "-colorspace", "sRGB", "-depth", "8"]
    done = subprocess.run(["convert", f"{path}[0]", *options, "ppm:-"], capture_output=True, check=False)
    if done.returncode or not done.stdout:
        return None
    with Image.open(io.BytesIO(done.stdout)) as picture:
        return np.asarray(picture.convert("RGB"))


def compare(case: Case, path: Path) -> tuple[str, str]:
    """Returns "right", "wrong", "refused", "second is wrong" or "nobody else reads it", and what is to be said."""
    path.write_bytes(case.data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", images.ImageWarning)
            found = images.read(path)
    except ImageError as error:
        return "refused", str(error).removeprefix(f"{path}: ")
    expected = second(path) if case.pixels is None else case.pixels
    if expected is None:
        return "nobody else reads it", ""
    off = np.abs(found.astype(int) - expected).max() if found.shape == expected.shape else "another size"
    if off != "another size" and off <= case.tolerance:
        return "right", ""
    for pattern, reason in SECOND_IS_WRONG.items():
        if case.pixels is None and re.search(pattern, case.name):
            return "second is wrong", reason
    return "wrong", f"off by {off}"


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    counts, refusals = Counter(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        makers = (png(), tiff(), palettes(), jpeg(), jpeg2000(), pillow(), magick(Path(folder)), netpbm())
        for case in itertools.chain(*makers):
            if not re.search(_ONLY.value, case.name):
                continue
            # ImageMagick goes by the suffix where a format has no magic number.
            verdict, words = compare(case, Path(folder) / f"picture.{case.name.split('-')[1].lower()}")
            counts[verdict] += 1
            if verdict == "refused":
                refusals[words] += 1
            elif verdict != "right":
                print(f"{verdict:20} {case.name}: {words}", flush=True)
            if verdict == "wrong" and _KEEP.value:
                (Path(_KEEP.value) / case.name).write_bytes(case.data)
    for words, count in refusals.most_common():
        print(f"{count:4} refused: {words}")
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
    sys.exit(counts["wrong"] > 0)


if __name__ == "__main__":
    app.run(main)
