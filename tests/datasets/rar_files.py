"""Writes RAR archives without compression, field by field: nothing free writes RAR, and the builder has to read it.

Sources: the technical notes that RARLAB publishes for RAR 5.0, and technote.txt of WinRAR 4 for the older format. Both
were read back with 7-Zip 26.
"""

import struct
import zlib


def rar4(files: dict[str, bytes]) -> bytes:
    def block(kind: int, flags: int, body: bytes) -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head

    archive = b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6))
    for name, data in files.items():
        encoded = name.encode("ascii")
        # packed and unpacked size, Unix, CRC, DOS time of 1 January 2020, needs version 2.0, stored, name, mode 0644
        body = struct.pack(
            "<IIBIIBBHI", len(data), len(data), 3, zlib.crc32(data), 0x50210000, 20, 0x30, len(encoded), 0o100644
        )
        archive += block(0x74, 0x8000, body + encoded) + data
    return archive + block(0x7B, 0x4000, b"")


def rar5(files: dict[str, bytes]) -> bytes:
    def number(value: int) -> bytes:
        low = b""
        while value >= 0x80:
            low += bytes([value & 0x7F | 0x80])
            value >>= 7
        return low + bytes([value])

    def block(*fields: int | bytes) -> bytes:
        head = b"".join(field if isinstance(field, bytes) else number(field) for field in fields)
        head = number(len(head)) + head
        return struct.pack("<I", zlib.crc32(head)) + head

    archive = b"Rar!\x1a\x07\x01\x00" + block(1, 0, 0)
    for name, data in files.items():
        encoded = name.encode()
        crc = struct.pack("<I", zlib.crc32(data))
        # type file, has data, data size, has CRC, unpacked size, mode 0644, CRC, stored, Unix, name
        archive += block(2, 2, len(data), 4, len(data), 0o100644, crc, 0, 1, len(encoded), encoded) + data
    return archive + block(5, 0, 0)
