import hashlib
import struct
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stegano_tf.audio import framing
from stegano_tf.errors import FormatError

# magic, version 1, no flags, 32 header bytes, 3 payload bytes, secret 256 x 2, CRC-32 (by the bitwise algorithm,
# polynomial EDB88320, not zlib), "abc", SHA-256("abc") as FIPS 180 gives it
GOLDEN = bytes.fromhex(
    "89 53 54 47 54 46 0d 0a  01  00  20 00  03 00 00 00 00 00 00 00  00 01 00 00  02 00 00 00  26 51 6c de"
    "61 62 63"
    "ba7816bf 8f01cfea 414140de 5dae2223 b00361a3 96177a9c b410ff61 f20015ad"
)
sizes = st.none() | st.tuples(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))


def seal(fields: bytes) -> bytes:
    return fields + struct.pack("<I", zlib.crc32(fields))


def test_golden_frame():
    blocks = framing.frame(framing.Header(3, (256, 2)), [b"a", b"", b"bc"])
    assert b"".join(blocks).hex(" ") == GOLDEN.hex(" ")
    assert framing.Header.parse(GOLDEN) == framing.Header(3, (256, 2))


@given(st.integers(0, 2**64 - 1), sizes)
def test_parse_undoes_pack(payload_bytes, secret_size):
    header = framing.Header(payload_bytes, secret_size)
    assert framing.Header.parse(header.pack()) == header


@given(st.binary(min_size=20, max_size=20))
@example(bytes(20))
@example(bytes([1, 0, 32, 0]) + bytes(16))
@example(bytes([1, 0, 32, 0]) + bytes(12) + b"\x01\0\0\0")
def test_pack_undoes_parse(fields):
    data = seal(framing.MAGIC + fields)
    try:
        header = framing.Header.parse(data)
    except FormatError:
        # Refused only for a reason that the format gives: version, flags, length, or one zero in the secret's size.
        height, width = struct.unpack("<II", fields[12:])
        assert fields[:4] != bytes([1, 0, 32, 0]) or (height == 0) != (width == 0)
    else:
        assert header.pack() == data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GOLDEN[:31], "cut short: 31 bytes, expected 32"),
        (b"", "cut short: 0 bytes"),
        (b"PNG" + GOLDEN[3:], "starts with 50 4e 47"),
        (seal(GOLDEN[:8] + b"\x02" + GOLDEN[9:28]), "of version 2, expected 1"),
        (seal(GOLDEN[:8] + b"\x00" + GOLDEN[9:28]), "of version 0, expected 1"),
        (seal(GOLDEN[:9] + b"\x81" + GOLDEN[10:28]), "unknown flags 0x81"),
        (seal(GOLDEN[:10] + b"\x21" + GOLDEN[11:28]), "length of 33 bytes, expected 32"),
        (GOLDEN[:12] + b"\x04" + GOLDEN[13:], "damaged: CRC-32"),
        (seal(GOLDEN[:24] + bytes(4)), "a secret of 0 x 256 pixels"),
    ],
)
def test_other_headers_are_refused(data, message):
    with pytest.raises(FormatError, match=message):
        framing.Header.parse(data)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0), (-1, 5), (2**32, 1)])
def test_impossible_secret_sizes_are_refused(size):
    with pytest.raises(ValueError, match=r"expected \(height, width\)"):
        framing.Header(3, size).pack()


@given(st.lists(st.binary(max_size=50)))
def test_digest_is_that_of_the_joined_blocks(blocks):
    with framing.Digest() as digest:
        for block in blocks:
            digest.update(block)
        assert digest.digest() == hashlib.sha256(b"".join(blocks)).digest()
