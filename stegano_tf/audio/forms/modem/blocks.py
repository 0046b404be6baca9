"""A message to blocks of a fixed size, any of which in a sufficient number make it up again, and back.

The message is cut into blocks of data. They lie in groups, the block `i` of `n` groups in group `i % n`; to each group
zfec adds as many blocks, from each of which one that is lost can be restored. Every block says whose and which it is:

    offset  bytes  field
         0      4  length of the message
         4      4  CRC-32 of the message
         8      2  number of the block
        10      *  data
        -4      4  CRC-32 of all that is before it
"""

import dataclasses
import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np

from stegano_tf.errors import FormatError

_HEADER = struct.Struct("<IIH")
_CRC = struct.Struct("<I")
OVERHEAD = _HEADER.size + _CRC.size
_GROUP = 200  # blocks of data in a group; zfec takes 256 in all
_SPARE = 0.05  # share of blocks that may be lost anywhere


@dataclasses.dataclass(frozen=True, slots=True)
class Label:
    """Which message a block is of."""

    size: int  # bytes
    crc: int  # CRC-32 of the message


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """How a message of `size` bytes lies in blocks.

    Attributes:
      size: of the message, in bytes.
      block: bytes of a block, its header included.
      burst: neighbours that may be lost beside those that may be lost anywhere.
    """

    size: int
    block: int
    burst: int

    @property
    def payload(self) -> int:
        """Bytes of the message in a block."""
        return self.block - OVERHEAD

    @property
    def data(self) -> int:
        """Blocks that hold the message."""
        return max(1, -(-self.size // self.payload))

    @property
    def groups(self) -> int:
        return -(-self.data // _GROUP)

    @property
    def checks(self) -> int:
        """Blocks that are added to each group."""
        return -(-self.burst // self.groups) + int(np.ceil(_SPARE * self.data / self.groups))

    @property
    def blocks(self) -> int:
        """All blocks: first the data, then those that were added, taking the groups in turns."""
        return self.data + self.groups * self.checks

    def members(self, group: int) -> list[int]:
        """Returns the numbers of the blocks of a group, those that were added last."""
        added = range(self.data + group, self.blocks, self.groups)
        return [*range(group, self.data, self.groups), *added]


def split(message: np.ndarray, shape: Shape) -> Iterator[bytes]:
    """Yields the blocks of a message, uint8[shape.size]; raises FormatError if it is too long."""
    import zfec  # noqa: PLC0415 (a shared library that other forms do not need)

    if shape.blocks > 1 << 16:
        longest = shape.payload * 60_000
        raise FormatError(f"a message of {shape.size:,} bytes, expected at most {longest:,} for this profile")
    data = np.zeros(shape.data * shape.payload, np.uint8)
    data[: shape.size] = message
    pieces = list(data.reshape(-1, shape.payload))
    pieces += [None] * (shape.blocks - shape.data)
    for group in range(shape.groups):
        members = shape.members(group)
        count = len(members) - shape.checks
        made = zfec.Encoder(count, len(members)).encode(
            [pieces[i] for i in members[:count]], range(count, len(members))
        )
        for number, piece in zip(members[count:], made, strict=True):
            pieces[number] = piece
    label = Label(shape.size, zlib.crc32(message))
    return (_pack(label, number, bytes(piece)) for number, piece in enumerate(pieces))


def _pack(label: Label, number: int, data: bytes) -> bytes:
    text = _HEADER.pack(label.size, label.crc, number) + data
    return text + _CRC.pack(zlib.crc32(text))


def parse(block: bytes) -> tuple[Label, int, bytes] | None:
    """Returns the label, the number and the data of a block, or None if it is damaged."""
    text = block[: -_CRC.size]
    if zlib.crc32(text) != _CRC.unpack(block[-_CRC.size :])[0]:
        return None
    size, crc, number = _HEADER.unpack_from(text)
    return Label(size, crc), number, text[_HEADER.size :]


def join(label: Label, found: Mapping[int, bytes], shape: Shape) -> bytes | None:
    """Returns the message in its blocks, data by number, or None if there are too few.

    Raises FormatError if the message's CRC-32 is wrong although each block's is right.
    """
    import zfec  # noqa: PLC0415

    if len(found) < shape.data:  # before anything is made of the size that a block claims
        return None
    pieces: dict[int, bytes] = {}
    for group in range(shape.groups):
        members = shape.members(group)
        count = len(members) - shape.checks
        there = [place for place, number in enumerate(members) if number in found][:count]
        if len(there) < count:
            return None
        solved = zfec.Decoder(count, len(members)).decode([found[members[place]] for place in there], there)
        pieces.update(zip(members, solved, strict=False))
    message = b"".join(pieces[number] for number in range(shape.data))[: shape.size]
    if zlib.crc32(message) != label.crc:
        raise FormatError(f"is damaged: the message's CRC-32 is {zlib.crc32(message):08x}, expected {label.crc:08x}")
    return message
