"""The frame around a payload: what says that there is one, how long it is, and whether it arrived unharmed.

Version 1, all numbers little-endian:

    offset  bytes  field
         0      8  magic: 89 53 54 47 54 46 0D 0A ("\\x89STGTF\\r\\n")
         8      1  version: 1
         9      1  flags: 1 if the payload is an age file, else 0; a bit that is not known makes the frame unreadable
        10      2  header length in bytes: 40
        12      8  payload length in bytes, N
        20      4  the secret's original height in pixels
        24      4  the secret's original width in pixels (height and width 0: not recorded)
        28      8  the network that reveals the secret: first 8 bytes of its weights file's SHA-256 (0: not recorded)
        36      4  CRC-32 (zlib's, IEEE 802.3) of bytes 0 to 35
        40      N  payload
      40+N     32  SHA-256 of the payload

The digest stands at the end, so a frame is written in one pass; the CRC lets a reader trust the lengths before it has
read that far. The digest finds damage, not tampering: whoever changes the payload can write a new digest. Messages name
no file: the caller, who knows it, adds its name.
"""

import contextlib
import dataclasses
import enum
import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from stegano_tf.errors import FormatError

MAGIC = b"\x89STGTF\r\n"  # like PNG's: damaged by text-mode transfers, and no byte string that a BMP could start with
VERSION = 1
_FIELDS = struct.Struct("<8sBBHQII8s")
_CRC = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CRC.size
DIGEST_BYTES = 32
OVERHEAD = HEADER_BYTES + DIGEST_BYTES  # bytes of a frame beside its payload
NETWORK_BYTES = 8
_NOT_WORTH_A_THREAD = 1 << 16  # bytes that are hashed sooner than another thread is woken
MAX_PIXELS = (1 << 32) - 1  # the largest height and width of a secret that the header can record


class Flags(enum.IntFlag, boundary=enum.STRICT):
    """What was done to the payload."""

    NONE = 0
    SEALED = 1  # it is an age file; what the picture's frame would say stands inside


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """The header of a version 1 frame."""

    payload_bytes: int
    secret_size: tuple[int, int] | None = None  # (height, width), before it was resized; each 1 to 2**32 - 1
    network: bytes | None = None  # 8 bytes that name the network which reveals the secret, not all zero
    flags: Flags = Flags.NONE

    def pack(self) -> bytes:
        """Returns the header's 40 bytes; raises ValueError if a field is out of range."""
        if self.secret_size is not None and not all(1 <= pixels <= MAX_PIXELS for pixels in self.secret_size):
            raise ValueError(f"secret_size is {self.secret_size}, expected (height, width) within 1..{MAX_PIXELS}")
        if self.network is not None and (len(self.network) != NETWORK_BYTES or not any(self.network)):
            raise ValueError(f"network is {self.network!r}, expected {NETWORK_BYTES} bytes, not all zero")
        height, width = self.secret_size or (0, 0)
        network = self.network or bytes(NETWORK_BYTES)
        fields = _FIELDS.pack(MAGIC, VERSION, self.flags, HEADER_BYTES, self.payload_bytes, height, width, network)
        return fields + _CRC.pack(zlib.crc32(fields))

    @classmethod
    def parse(cls, data: bytes) -> "Header":
        """Returns the header in the first 40 bytes of `data`, such that `parse(data).pack() == data[:40]`.

        Raises FormatError if `data` is too short or no header of version 1.
        """
        if len(data) < HEADER_BYTES:
            raise FormatError(f"the frame header is cut short: {len(data)} bytes, expected {HEADER_BYTES}")
        magic, version, flags, header_bytes, payload_bytes, *secret_size, network = _FIELDS.unpack_from(data)
        (crc,) = _CRC.unpack_from(data, _FIELDS.size)
        if magic != MAGIC:
            raise FormatError(f"the frame starts with {magic.hex(' ')}, expected {MAGIC.hex(' ')}")
        if version != VERSION:
            raise FormatError(f"the frame is of version {version}, expected {VERSION}; a newer release may read it")
        try:
            flags = Flags(flags)
        except ValueError as error:
            raise FormatError(f"the frame has unknown flags {flags:#04x}; a newer release may read it") from error
        found = zlib.crc32(data[: _FIELDS.size])
        if crc != found:
            raise FormatError(f"the frame header is damaged: CRC-32 {found:08x}, expected {crc:08x}")
        if header_bytes != HEADER_BYTES:
            raise FormatError(f"the frame header states a length of {header_bytes} bytes, expected {HEADER_BYTES}")
        if secret_size != [0, 0] and 0 in secret_size:
            raise FormatError(f"the frame records a secret of {secret_size[1]} x {secret_size[0]} pixels")
        secret_size = tuple(secret_size) if any(secret_size) else None
        return cls(payload_bytes, secret_size, network if any(network) else None, flags)


class Digest(contextlib.AbstractContextManager):
    """SHA-256 of a payload, computed on a second thread while the caller reads, converts and writes.

    Hashing takes about as long as all the rest; hashlib and libsndfile both release the interpreter lock. Blocks must
    not be changed after they were handed over.
    """

    def __init__(self):
        self._hash = hashlib.sha256()
        self._pool = ThreadPoolExecutor(1, "sha256")
        self._pending: Future | None = None  # the block that is being hashed

    def __exit__(self, *_) -> None:
        self._pool.shutdown()

    def update(self, block) -> None:
        """Adds a contiguous bytes-like block, once the block before it is done: at most two are held in memory."""
        self._wait()
        if memoryview(block).nbytes < _NOT_WORTH_A_THREAD:
            self._hash.update(block)
        else:
            self._pending = self._pool.submit(self._hash.update, block)

    def digest(self) -> bytes:
        """Returns the digest, 32 bytes, of all blocks so far."""
        self._wait()
        return self._hash.digest()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()


def frame(header: Header, payload: Iterable, digest: Digest) -> Iterator:
    """Yields the frame's bytes-like blocks: the header, the blocks of `payload` as they come, and the digest.

    `payload` has `header.payload_bytes` bytes in total. Its blocks must not be changed afterwards. `digest` is new.
    """
    yield header.pack()
    yield from hashed(payload, digest)
    yield digest.digest()


def is_whole(data) -> bool:
    """Returns whether bytes-like `data` begins with a frame of which the payload has the digest that stands there."""
    try:
        end = HEADER_BYTES + Header.parse(data[:HEADER_BYTES]).payload_bytes
    except FormatError:
        return False
    return hashlib.sha256(data[HEADER_BYTES:end]).digest() == bytes(data[end : end + DIGEST_BYTES])


def hashed(blocks: Iterable, digest: Digest) -> Iterator:
    """Yields bytes-like blocks as they come, and adds them to a digest."""
    for block in blocks:
        digest.update(block)
        yield block
