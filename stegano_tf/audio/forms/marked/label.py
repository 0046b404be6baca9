"""What every mark says: which segment it begins, and of what message. Section 4.2 of docs/FORMAT.md."""

import dataclasses
import struct

import numpy as np

from stegano_tf.audio import parity

SEGMENT = 4096  # samples of a segment
SYNC = np.array([1 if bit == "1" else -1 for bit in f"{0x9AB7B058:032b}"], np.int8)
"""The signs of a mark's first samples: 16 of each, and of all such words one of the least like its own shifts."""
_FIELDS = struct.Struct("<IIIBB2x")  # segment, message bytes, CRC-32 of the message, check symbols, depth
_CHECKS = 8  # check symbols: a label is read with any 4 of its bytes wrong
LABEL = _FIELDS.size + _CHECKS  # bytes of a label
_DEPTH, _ZEROS = 13, slice(14, 16)
MARK = len(SYNC) + 2 * LABEL  # samples of a mark
BODY = SEGMENT - MARK  # samples of a segment behind its mark
HIGHEST = {8: 32640, 4: 15360}  # the highest level, by depth


@dataclasses.dataclass(frozen=True, slots=True)
class Label:
    """What every mark says."""

    segment: int  # counted from 0; the closing mark says how many there are
    size: int  # of the message, in bytes
    crc: int  # CRC-32 of the message
    checks: int  # check symbols of a codeword
    depth: int  # bits a sample

    @classmethod
    def parse(cls, data: np.ndarray) -> "Label | None":
        """Returns the label in uint8[24], corrected if need be, or None if they are none."""
        if len(data) < LABEL or not cls.may_be(data[None]):
            return None
        data = data.copy()
        if not parity.correct_word(data, _CHECKS):
            return None
        fields = data[: _FIELDS.size].tobytes()
        label = cls(*_FIELDS.unpack(fields))
        valid = label.size and label.checks <= parity.MAX_CHECKS and label.depth in HIGHEST
        return label if valid and label.segment <= label.segments and label.fields() == fields else None

    @staticmethod
    def may_be(data: np.ndarray) -> np.ndarray:
        """Returns which, bool[N], of uint8[N, 24] are worth correcting: most of what is no label is not."""
        wrong = np.count_nonzero(data[:, _ZEROS], axis=1) + ~np.isin(data[:, _DEPTH], list(HIGHEST))
        return data.any(axis=1) & (wrong <= 1)

    def fields(self) -> bytes:
        """Returns the label's 16 bytes without check symbols."""
        return _FIELDS.pack(self.segment, self.size, self.crc, self.checks, self.depth)

    def all(self) -> np.ndarray:
        """Returns the labels of all segments and the closing one, uint8[segments + 1, 24]."""
        fields = np.tile(np.frombuffer(self.fields(), np.uint8), (self.segments + 1, 1))
        fields[:, :4] = np.arange(self.segments + 1, dtype="<u4")[:, None].view(np.uint8)
        return np.concatenate([fields, parity.check_symbols(fields.T, _CHECKS).T], axis=1)

    @property
    def shape(self) -> parity.Shape:
        return parity.Shape(self.size, self.checks)

    @property
    def body_samples(self) -> int:
        """Samples of all bodies."""
        return self.shape.symbols * 8 // self.depth

    @property
    def segments(self) -> int:
        return -(-self.body_samples // BODY)

    @property
    def samples(self) -> int:
        """Samples of the whole form."""
        return self.body_samples + (self.segments + 1) * MARK


def nibbles(data: np.ndarray) -> np.ndarray:
    """Returns the halves of bytes, uint8[2 * N], the higher ones first."""
    return np.stack([data >> 4, data & 15], axis=-1).reshape(-1)


def from_nibbles(halves: np.ndarray) -> np.ndarray:
    """Returns the bytes, uint8[N], of what `nibbles` returned."""
    return halves[0::2] << 4 | halves[1::2]
