"""Headers that libsndfile does not take although the file is whole, as programs write them to a pipe: made as it does.

Who writes to a pipe does not know the length when the header goes out, and cannot come back. libsndfile accepts most of
the numbers that stand there instead. The others are replaced here by what the size of the file says. BW64 (ITU-R
BS.2088) is RF64 under another name. The first bytes tell what other files are, so that they are refused by name.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

_OTHERS = (  # offset, what stands there, the name, and what FFmpeg calls the container if PyAV reads it
    (4, b"ftyp", "MP4", "mov"),
    (28, b"\x7fFLAC", "FLAC in Ogg", "ogg"),
    (28, b"Speex  ", "Speex", "ogg"),
    (0, b"wvpk", "WavPack", "wv"),
    (0, b"TTA", "True Audio", "tta"),
    (0, b"MAC ", "Monkey's Audio", None),
    (0, b"OFR ", "OptimFROG", None),
    (0, b"tBaK", "TAK", None),
    (0, b"ajkg", "Shorten", None),
    (0, b".SoX", "SoX", None),
    (0, b"XoS.", "SoX", None),
    (0, b"DSD ", "DSF", None),
    (0, b"FRM8", "DSDIFF", None),
    (0, b"\x1aE\xdf\xa3", "Matroska", "matroska"),
    (0, b"#!AMR", "AMR", "amr"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "Windows Media", "asf"),
    (8, b"AVI ", "AVI", "avi"),
    (0, b"\0\0\1\xba", "MPEG", "mpeg"),
    (0, b"G@", "MPEG-TS", "mpegts"),
    (0, b"FLV\1", "Flash video", "flv"),
    (28, b"\x80theora", "Ogg video", "ogg"),
    (28, b"fishead\0", "Ogg video", "ogg"),
    (0, b"\x0bw", "AC-3", "ac3"),
    (0, b"\xff\xf1", "AAC", "aac"),
    (0, b"\xff\xf9", "AAC", "aac"),
)
_PICTURES = (
    (0, b"\x89PNG", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (8, b"WEBP", "WebP"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypavif", "AVIF"),
)
_PCM = {b"", bytes(2), b"\1\0", b"\3\0", b"\xfe\xff"}  # codecs of WAV files: none, integers, floats, stated elsewhere
_MOST_BLOCKS = 10_000  # of 16 MB at most each
_FLAC_LENGTH = 18  # offset of the 8 bytes whose lower 36 bits are the number of samples; 0: not known


def picture_kind(start: bytes) -> str | None:
    """Returns what picture a file is, told by its first 12 bytes; None if it is none."""
    return next((name for offset, magic, name in _PICTURES if start.startswith(magic, offset)), None)


def other_kind(start: bytes) -> tuple[str | None, str | None]:
    """Returns what a file is that libsndfile does not read, and FFmpeg's name of a container that PyAV reads.

    Both are None if its first 64 bytes tell nothing.
    """
    if start[8:16] == b"WAVEfmt " and start[20:22] not in _PCM:
        return f"WAV of codec {start[21::-1][:2].hex()}", "wav"
    return next((names for offset, magic, *names in _OTHERS if start.startswith(magic, offset)), (None, None))


def voc_blocks(file: BinaryIO, size: int) -> int:
    """Returns in how many blocks a VOC file of `size` bytes has its sound; 0 if it is none, or its blocks do not fit.

    libsndfile 1.2.2 takes all that follows the first block's header for samples.
    """
    file.seek(0)
    start = file.read(26)
    place, blocks = int.from_bytes(start[20:22], "little"), 0
    for _ in range(_MOST_BLOCKS if start.startswith(b"Creative Voice File") else 0):
        file.seek(place)
        head = file.read(4)
        if head[:1] in (b"", b"\0"):  # the end of the file, or what states it
            return blocks if place + len(head) == size else 0
        blocks += head[0] in (1, 2, 9)
        place += 4 + int.from_bytes(head[1:], "little")
    return 0


def mended(file: BinaryIO, size: int) -> dict[int, bytes]:
    """Returns what must stand instead, by offset, in a file of `size` bytes for libsndfile to read all of it."""
    file.seek(0)
    start = file.read(48).ljust(48, b"\0")
    magic = start[:4]
    if magic in (b"RIFF", b"RIFX"):
        return _data(_chunks(file, 12, "<4sI" if magic == b"RIFF" else ">4sI"), size, {0: b"\xff" * 4})
    if magic in (b"RF64", b"BW64"):
        renamed = {0: b"RF64"} if magic == b"BW64" else {}
        stated = struct.unpack_from("<Q", start, 28)[0] if start[12:16] == b"ds64" else 0
        place = next((place for kind, _, place in _chunks(file, 12, "<4sI") if kind == b"data"), size)
        return renamed | ({} if 0 < stated <= size - place else {28: struct.pack("<Q", size - place)})
    if magic == b"caff":
        # Some programs count the 4 bytes in front of the samples, which they know of.
        return _data(_chunks(file, 8, ">4sq"), size, dict.fromkeys((-1, 0, 4)))
    if magic == b"FORM":
        return _data(_chunks(file, 12, ">4sI"), size, {8: bytes(4)}, b"SSND")  # 0: up to the end
    return {8: b"\xff" * 4} if magic in (b".snd", b"dns.") and start[8:12] == bytes(4) else {}


def _data(chunks: Iterator, size: int, unknown: dict[int, bytes | None], name: bytes = b"data") -> dict[int, bytes]:
    """Returns the length to state for the samples if it is one of `unknown` and they are there nevertheless."""
    for kind, stated, place in chunks:
        if kind == name and stated in unknown and size > place + max(0, stated):
            value = unknown[stated] or struct.pack(">q", size - place)
            return {place - len(value): value}
    return {}


def _chunks(file: BinaryIO, place: int, layout: str) -> Iterator[tuple[bytes, int, int]]:
    """Yields name, stated size and place of each chunk up to the samples or to a nonsensical size."""
    head = struct.Struct(layout)
    while True:
        file.seek(place)
        data = file.read(head.size)
        if len(data) < head.size:
            return
        name, size = head.unpack(data)
        place += head.size
        yield name, size, place
        if size < 0 or name in (b"data", b"SSND"):
            return
        place += size if head.size > 8 else size + size % 2  # CAF does not pad


def flac_without_length(start: bytes) -> bool:
    """Returns whether the first 26 bytes are those of a FLAC file that does not say how long it is."""
    return start[:4] == b"fLaC" and int.from_bytes(start[_FLAC_LENGTH:26], "big") % (1 << 36) == 0 and len(start) >= 26


def flac_length(start: bytes, frames: int) -> dict[int, bytes]:
    """Returns, as `mended` does, the field of a FLAC file that says how long it is."""
    return {_FLAC_LENGTH: (int.from_bytes(start[_FLAC_LENGTH:26], "big") | frames).to_bytes(8, "big")}


def overwrite(file: BinaryIO, values: dict[int, bytes]) -> None:
    """Writes values at their offsets."""
    for offset, value in values.items():
        file.seek(offset)
        file.write(value)
    file.flush()
    os.lseek(file.fileno(), 0, os.SEEK_SET)
