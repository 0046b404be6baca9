"""A message to the samples of the form with marks and parity, and to its bytes for the low bits of a recording."""

import zlib
from collections.abc import Iterable, Iterator

import numpy as np

from stegano_tf import scratch
from stegano_tf.audio import parity, pcm
from stegano_tf.audio.forms.marked.label import BODY, HIGHEST, LABEL, MARK, SEGMENT, SYNC, Label, nibbles
from stegano_tf.errors import FormatError

_LEVELS = (2 * np.arange(16) - 15) / 15  # of a label, in units of the highest level
_MAX_MESSAGE = (1 << 32) - 1
BYTES_SEGMENT = LABEL + BODY  # bytes of a segment in the low bits of a recording


def encode(message, checks: int, depth: int) -> tuple[int, Iterator[np.ndarray]]:
    """Returns the samples of a message, bytes or contiguous uint8[N]: how many, and int16 blocks.

    Args:
      checks: check symbols in a codeword of 255, 0 to 64.
      depth: bits a sample, 8 or 4.

    Raises:
      FormatError: the message is empty, or longer than a label can say.
    """
    label, symbols = _encode(message, checks, depth)
    return label.samples, _segments(label, symbols)


def _encode(message, checks: int, depth: int) -> tuple[Label, Iterator[np.ndarray]]:
    data = np.frombuffer(message, np.uint8)
    if not 0 < len(data) <= _MAX_MESSAGE:
        raise FormatError(f"a message of {len(data):,} bytes, expected 1 to {_MAX_MESSAGE:,} in the form with parity")
    return Label(0, len(data), crc32(data), checks, depth), parity.encode(data, checks)


def crc32(data: np.ndarray) -> int:
    """Returns the CRC-32 of uint8[N], which may lie in `scratch`."""
    crc = 0
    for part in scratch.parts(len(data), 1):
        crc = zlib.crc32(data[part], crc)
        scratch.release(data)
    return crc


def marks_of(label: Label) -> np.ndarray:
    """Returns the marks of all segments and the closing one as they are written, int16[segments + 1, MARK]."""
    marks = np.empty((label.segments + 1, MARK), np.int16)
    marks[:, : len(SYNC)] = SYNC * np.int16(HIGHEST[label.depth])
    levels = np.rint(_LEVELS * HIGHEST[label.depth]).astype(np.int16)
    marks[:, len(SYNC) :] = levels[nibbles(label.all())].reshape(len(marks), -1)
    return marks


def _segments(label: Label, symbols: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    marks = marks_of(label)
    segment = 0
    for piece in scratch.pieces(symbols, pcm.BLOCK // SEGMENT * BODY * label.depth // 8):
        samples = pcm.encode(piece) if label.depth == 8 else _encode_nibbles(piece)
        whole = len(samples) // BODY
        bodies = samples[: whole * BODY].reshape(-1, BODY)
        yield np.concatenate([marks[segment : segment + whole], bodies], axis=1).reshape(-1)
        segment += whole
        if len(samples) > whole * BODY:
            yield np.concatenate([marks[segment], samples[whole * BODY :]])
    yield marks[-1]


def _encode_nibbles(symbols: np.ndarray) -> np.ndarray:
    return (2 * nibbles(symbols).astype(np.int16) - 15) * 1024


def encode_bytes(message, checks: int) -> bytes:
    """Returns the form without known levels and resynchronisation: every segment is a label and `BODY` bytes."""
    label, blocks = _encode(message, checks, 8)
    symbols = np.concatenate(list(blocks))
    return b"".join(
        text.tobytes() + symbols[segment * BODY : (segment + 1) * BODY].tobytes()
        for segment, text in enumerate(label.all())
    )


def encoded_bytes(size: int, checks: int) -> int:
    """Returns the length of what `encode_bytes` makes of `size` bytes."""
    label = Label(0, size, 0, checks, 8)
    return label.shape.symbols + (label.segments + 1) * LABEL
