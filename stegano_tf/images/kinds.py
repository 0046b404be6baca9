"""Names for files that are not read, so that the message says what they are and not that they are damaged."""

import contextlib
import functools
import importlib
import io
import re
import struct
from typing import BinaryIO

from PIL import Image

START = 64  # bytes of a file from which its kind is told
_LONG_START = 528

_AS_PNG = "expected a picture file such as PNG"
_FOR_SOUNDS = "; `receive` and `decode` read sounds"
_SOUNDS = (
    (8, b"WAVE", "WAV"),
    (0, b"riff\x2e\x91\xcf\x11", "W64"),
    (8, b"AIF", "AIFF"),
    (0, b"caff", "CAF"),
    (0, b"fLaC", "FLAC"),
    (0, b"OggS", "Ogg"),
    (0, b"ID3", "MP3"),
    (0, b"\xff\xfb", "MP3"),
    (4, b"ftypM4A", "M4A"),
)
# Where a magic number stands, the number, and what the file is.
_REFUSED = [
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript file, which is a program"),
    (0, b"\xc5\xd0\xd3\xc6", "an EPS file, which is a program"),
    (0, b"\xd7\xcd\xc6\x9a", "a WMF drawing"),
    (40, b" EMF", "an EMF drawing"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "an XML file, perhaps an SVG drawing"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<!doctype", "a web page"),
    (0, b"<html", "a web page"),
    (0, b"PK\3\4", "a ZIP archive or an office document"),
    (0, b"GRIB", "a GRIB file"),
    (0, b"BUFR", "a BUFR file"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file itself (`git lfs pull` fetches that)"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ", "an xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"\x7fELF", "a program"),
    (0, b"age-encryption.org/", "a sealed file (age)"),
    (0, b"-----BEGIN AGE", "a sealed file (age)"),
    *((place, magic, f"a sound ({name})") for place, magic, name in _SOUNDS),
    (8, b"AVI ", "a film"),
    (0, b"\x1aE\xdf\xa3", "a film"),
    (0, b"\0\0\1\xba", "a film"),
    (0, b"FLV\1", "a film"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "a film or a sound (Windows Media)"),
    (0, b"\0\0\1\xb3", "a film"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"JXL \r\n\x87\n", "a JPEG XL picture"),
    (0, b"II\xbc", "a JPEG XR picture"),
    (0, b"v/1\1", "an OpenEXR picture"),
    (0, b"#?R", "a Radiance HDR picture"),
    (0, b"PF\n", "a PFM picture in colour"),
    (0, b"P7\n", "a PAM picture"),
    (0, b"SDPX", "a DPX picture"),
    (0, b"XPDS", "a DPX picture"),
    (0, b"\x80\x2a\x5f\xd7", "a Cineon picture"),
    (0, b"id=ImageMagick", "a MIFF picture"),
    (0, b"\xab\x01", "a VIFF picture"),
    (0, b"gimp xcf", "a GIMP project"),
    (0, b"8BPS\0\2", "a large Photoshop file (PSB)"),
    (0, b"\x8aMNG", "an MNG animation"),
    (0, b"\x8bJNG", "a JNG picture"),
    (0, b"AT&TFORM", "a DjVu document"),
    (0, b"BPG\xfb", "a BPG picture"),
    (0, b"\xabKTX ", "a KTX texture"),
    (0, b"BLENDER", "a Blender scene"),
    (0, b"FLIF", "a FLIF picture"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file (RAF)"),
    (0, b"FOVb", "a camera's raw file (X3F)"),
    (0, b"IIRO", "a camera's raw file (ORF)"),
    (0, b"IIU\0", "a camera's raw file (RW2)"),
    (8, b"CR\2", "a camera's raw file (CR2)"),
    (4, b"ftypcrx", "a camera's raw file (CR3)"),
    (4, b"ftypqt", "a film"),
    (4, b"ftypisom", "a film"),
    (4, b"ftypmp4", "a film"),
]
_WBMP = re.compile(rb"\0\0([\x80-\xff]{0,3}[\0-\x7f])([\x80-\xff]{0,3}[\0-\x7f])")  # width and height, 7 bits a byte
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
# Pillow takes the start of the second for that of the first.
_AMBIGUOUS = {"CUR": "CUR or TGA", "XBM": "XBM or XPM"}


def refusal(start: bytes) -> str | None:
    """Returns why a file that starts with `start` is not read, and what would help, or None if Pillow is to try."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    for place, magic, kind in _REFUSED:
        if (start[place:] if place else text).startswith(magic):
            return f"is {kind}, {_AS_PNG}{_FOR_SOUNDS if kind.startswith('a sound') else ''}"
    if start.startswith(b"8BPS"):
        bits, mode = int.from_bytes(start[22:24]), int.from_bytes(start[24:26])
        if bits not in (1, 8) or mode == 7:
            kind = f"{bits} bits a channel" if mode != 7 else "several inks"
            return f"is a Photoshop file of {kind}, expected 8 bits and RGB, grey, CMYK or Lab; save it as PNG or TIFF"
    if start.startswith(b"\x59\xa6\x6a\x95"):  # width, -, depth, -, type; rows are padded, which Pillow overlooks
        width, _, depth, _, coding = struct.unpack(">5I", start[4:24].ljust(20, b"\0"))
        if coding == 2 and (width * depth + 7) // 8 % 2:
            return f"is a Sun raster picture with rows of odd length in run-length coding, {_AS_PNG}"
    brands = {start[place : place + 4] for place in range(8, len(start), 4)} if start[4:8] == b"ftyp" else set()
    if brands & _HEIC and not _heif_opener():
        return f"is a HEIC picture, {_AS_PNG}; `pip install pillow-heif` makes HEIC readable"
    return None


def _heif_opener() -> bool:
    """Makes Pillow read HEIC, and returns whether it can."""
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
        return True
    return False


def called(start: bytes) -> str:
    """Returns what Pillow calls a file that starts so, or "" if it knows no such format or cannot tell."""
    Image.init()
    for name in Image.ID:
        accepts = Image.OPEN[name][1]
        if name == "GBR" and start[20:24] != b"GIMP":  # what Pillow looks at is in many files
            continue
        with contextlib.suppress(IndexError, struct.error):  # of very short files
            if accepts is not None and accepts(start[:16]) is True:
                return _AMBIGUOUS.get(name, name)
    return ""


def objection(file: BinaryIO, name: str) -> Exception | None:
    """Returns why Pillow's parser for the format `name` does not take a file; `Image.open` keeps that to itself."""
    file.seek(0)
    try:
        Image.OPEN[name][0](file, None).close()
    except Exception as error:  # parsers raise whatever they ran into
        return error
    return None


def guess(file: BinaryIO) -> str | None:
    """Returns what a file that nothing reads seems to be, without a magic number at its start; None if unknown."""
    file.seek(0)
    start = file.read(_LONG_START)
    size = file.seek(0, io.SEEK_END)
    width, height, row, _, bits, version = struct.unpack(">4H2B", start[:10].ljust(10, b"\0"))
    seems = {
        "a DICOM picture": start[128:132] == b"DICM",
        "a tar archive": start[257:262] == b"ustar",
        "a PICT drawing": not any(start[:512]) and start[522:524] in (b"\x11\x01", b"\0\x11"),
        "a WBMP picture": start.startswith(b"\0\0") and _wbmp_bytes(start) == size,
        "a Palm bitmap": height > 0 and bits in (1, 2, 4, 8, 16) and version < 4 and 0 <= 8 * row - width * bits <= 32,
    }
    return next((kind for kind, so in seems.items() if so), None)


def _wbmp_bytes(start: bytes) -> int:
    """Returns how long a WBMP file is that starts so, -1 if it is none: rows of whole bytes."""
    header = _WBMP.match(start)
    if not header:
        return -1
    width, height = (
        functools.reduce(lambda number, byte: number << 7 | byte & 127, text, 0) for text in header.groups()
    )
    return header.end() + (width + 7) // 8 * height
