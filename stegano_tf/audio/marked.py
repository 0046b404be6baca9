"""A message to samples that survive what happens to sound, and back: marks, known levels, parity.

The message is encoded by `parity` and sent in segments of 4096 samples, each of which begins with a mark: 32 samples of
two known levels, which show where the segment begins, the gain, the offset and the polarity, and 48 samples in 16
levels that say which segment of what it is. One more mark closes the last segment. Any one mark tells how to read the
whole. At a depth of 8 a byte is a sample, at the levels of `pcm`; at a depth of 4 it is two samples of 16 levels, of
half the height, which bear gains of up to 2 in 16-bit files and eight times the noise.

A sound that is as it was written is read without any of this: the message's CRC-32 is right, and that is that.
docs/FORMAT.md writes the form down for other readers. Parity reaches across the whole message: writing and that first
way of reading keep it in `scratch`, but repair needs it in memory some ten times over.
"""

import dataclasses
import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np

from stegano_tf import scratch
from stegano_tf.audio import parity, pcm
from stegano_tf.errors import FormatError

SEGMENT = 4096
"""Samples of a segment."""
SYNC = np.array([1 if bit == "1" else -1 for bit in f"{0x9AB7B058:032b}"], np.int8)
"""The signs of a mark's first samples: 16 of each, and of all such words one of the least like its own shifts."""
_FIELDS = struct.Struct("<IIIBB2x")  # segment, message bytes, CRC-32 of the message, check symbols, depth
_LABEL_CHECKS = 8  # check symbols: a label is read with any 4 of its bytes wrong
_LABEL = _FIELDS.size + _LABEL_CHECKS
_DEPTH, _ZEROS = 13, slice(14, 16)
MARK = len(SYNC) + 2 * _LABEL
BODY = SEGMENT - MARK
HEAD = SEGMENT
"""Samples that `recognise` wants to see."""
_HIGHEST = {8: 32640, 4: 15360}
_STEP = {8: 256, 4: 2048}
_LEVELS = (2 * np.arange(16) - 15) / 15  # of a label, in units of the highest level
_ALIKE = 0.8  # correlation at which 32 samples may be a mark: 4.5 standard deviations of noise; its label decides
_MAX_MESSAGE = (1 << 32) - 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """How a message is protected.

    Attributes:
      parity: the share by which check symbols lengthen it, 0 to 0.78; 0.1 is 10 %.
      depth: bits a sample, 8 or 4.
    """

    parity: float = 0.1
    depth: int = 8

    def __post_init__(self):
        _ = self.checks
        if self.depth not in _HIGHEST:
            raise ValueError(f"a depth of {self.depth} bits a sample, expected 8 or 4")

    @property
    def checks(self) -> int:
        """Check symbols in a codeword of 255."""
        return parity.checks_for(self.parity)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What was repaired.

    Attributes:
      symbols: bytes that were wrong, check symbols included.
      of: bytes that there are.
      gain: by which the samples had been multiplied; negative for inverted polarity.
      offset: in 16-bit steps, that was added.
      slipped: samples that were inserted, or if negative lost, within the message.
    """

    symbols: int = 0
    of: int
    gain: float = 1
    offset: float = 0
    slipped: int = 0

    @property
    def levels_moved(self) -> bool:
        """Whether gain or offset changed by more than their estimate's own error."""
        return abs(self.gain - 1) > 1e-3 or abs(self.offset) > 4

    def __str__(self) -> str:
        parts = [f"{self.symbols:,} of {self.of:,} bytes repaired"]
        if self.levels_moved:
            parts.append(f"gain {self.gain:.3f} and offset {self.offset:.0f} undone")
        if self.slipped:
            parts.append(f"{abs(self.slipped):,} samples {'inserted' if self.slipped > 0 else 'lost'}")
        return ", ".join(parts)


@dataclasses.dataclass(frozen=True, slots=True)
class Label:
    """What every mark says: which segment it begins, and of what message.

    Attributes:
      segment: counted from 0; the closing mark says how many there are.
      size, crc: length of the message and its CRC-32.
      checks: check symbols of a codeword.
      depth: bits a sample.
    """

    segment: int
    size: int
    crc: int
    checks: int
    depth: int

    @classmethod
    def parse(cls, data: np.ndarray) -> "Label | None":
        """Returns the label in uint8[24], corrected if need be, or None if they are none."""
        if len(data) < _LABEL or not data.any():
            return None
        if np.count_nonzero(data[_ZEROS]) + (data[_DEPTH] not in _HIGHEST) > 1:
            return None  # most of what is no label, without the trouble of correcting it
        data = data.copy()
        if not parity.correct_word(data, _LABEL_CHECKS):
            return None
        fields = data[: _FIELDS.size].tobytes()
        label = cls(*_FIELDS.unpack(fields))
        valid = label.size and label.checks <= parity.MAX_CHECKS and label.depth in _HIGHEST
        return label if valid and label.segment <= label.segments and label.fields() == fields else None

    def fields(self) -> bytes:
        """Returns the label's 16 bytes without check symbols."""
        return _FIELDS.pack(self.segment, self.size, self.crc, self.checks, self.depth)

    def all(self) -> np.ndarray:
        """Returns the labels of all segments and the closing one, uint8[segments + 1, 24]."""
        fields = np.tile(np.frombuffer(self.fields(), np.uint8), (self.segments + 1, 1))
        fields[:, :4] = np.arange(self.segments + 1, dtype="<u4")[:, None].view(np.uint8)
        return np.concatenate([fields, parity.check_symbols(fields.T, _LABEL_CHECKS).T], axis=1)

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


def encode(message, options: Marks) -> tuple[int, Iterator[np.ndarray]]:
    """Returns the samples of a message of at least one byte: how many, and int16 blocks."""
    label, symbols = _encode(message, options.checks, options.depth)
    return label.samples, _segments(label, symbols)


def _encode(message, checks: int, depth: int) -> tuple[Label, Iterator[np.ndarray]]:
    data = np.frombuffer(message, np.uint8)
    if not 0 < len(data) <= _MAX_MESSAGE:
        raise FormatError(f"a message of {len(data):,} bytes, expected 1 to {_MAX_MESSAGE:,} in the form with parity")
    return Label(0, len(data), _crc32(data), checks, depth), parity.encode(data, checks)


def _crc32(data: np.ndarray) -> int:
    crc = 0
    for part in scratch.parts(len(data), 1):
        crc = zlib.crc32(data[part], crc)
        scratch.release(data)
    return crc


def _marks(label: Label) -> np.ndarray:
    """Returns the marks of all segments and the closing one as they are written, int16[segments + 1, MARK]."""
    marks = np.empty((label.segments + 1, MARK), np.int16)
    marks[:, : len(SYNC)] = SYNC * np.int16(_HIGHEST[label.depth])
    levels = np.rint(_LEVELS * _HIGHEST[label.depth]).astype(np.int16)
    marks[:, len(SYNC) :] = levels[_nibbles(label.all())].reshape(len(marks), -1)
    return marks


def _segments(label: Label, symbols: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    marks = _marks(label)
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


def _nibbles(data: np.ndarray) -> np.ndarray:
    return np.stack([data >> 4, data & 15], axis=-1).reshape(-1)


def _bytes(nibbles: np.ndarray) -> np.ndarray:
    return nibbles[0::2] << 4 | nibbles[1::2]


def _encode_nibbles(symbols: np.ndarray) -> np.ndarray:
    return (2 * _nibbles(symbols).astype(np.int16) - 15) * 1024


# --- The same in bytes, for the low bits of a recording --------------------------------------------------------------


def encode_bytes(message, checks: int) -> bytes:
    """Returns the form without known levels and resynchronisation: every segment is a label and `BODY` bytes."""
    label, blocks = _encode(message, checks, 8)
    symbols = np.concatenate(list(blocks))
    return b"".join(
        text.tobytes() + symbols[segment * BODY : (segment + 1) * BODY].tobytes()
        for segment, text in enumerate(label.all())
    )


BYTES_SEGMENT = _LABEL + BODY


def encoded_bytes(size: int, checks: int) -> int:
    """Returns the length of what `encode_bytes` makes of `size` bytes."""
    label = Label(0, size, 0, checks, 8)
    return label.shape.symbols + (label.segments + 1) * _LABEL


def find_label(data: np.ndarray, first: int = 0) -> Label | None:
    """Returns the first label that lies where `encode_bytes` puts it; `data` begins with the segment `first`."""
    for segment, start in enumerate(range(0, len(data), BYTES_SEGMENT), first):
        label = Label.parse(data[start : start + _LABEL])
        if label is not None and label.segment == segment:
            return label
    return None


def decode_bytes(data: np.ndarray, label: Label) -> tuple[bytes, Damage | None]:
    """Returns the message in what `encode_bytes` returned, uint8[N], and what was repaired.

    Raises:
      FormatError: as `decode`.
    """
    present = data[: label.shape.symbols + label.segments * _LABEL]  # without the closing label
    if 2 * len(present) < label.shape.symbols:
        raise FormatError(f"is cut short: {len(present):,} of {label.shape.symbols:,} bytes are there")
    symbols = np.zeros(label.shape.symbols, np.uint8)
    known = np.zeros(label.shape.symbols, bool)
    for segment, start in enumerate(range(0, len(present), BYTES_SEGMENT)):
        body = present[start + _LABEL : start + BYTES_SEGMENT]
        symbols[segment * BODY :][: len(body)] = body
        known[segment * BODY :][: len(body)] = True
    return _finish(label, symbols, ~known, Damage(of=len(symbols)))


# --- Reading ---------------------------------------------------------------------------------------------------------


def recognise(samples: np.ndarray) -> Label | None:
    """Returns the label at the start of int16 samples that are as they were written, or None."""
    if len(samples) < MARK or not np.array_equal(np.sign(samples[: len(SYNC)]), SYNC):
        return None
    return _label(samples[:MARK].astype(np.float32))


def decode_clean(label: Label, samples: Iterable[np.ndarray]) -> np.ndarray | None:
    """Returns the message, uint8[label.size], in samples as they were written, or None if they are damaged.

    Args:
      label: of the first mark.
      samples: int16[label.body_samples + MARK * label.segments], in blocks: all but the closing mark.
    """
    data = parity.read_message(_symbols(label, samples), label.shape)
    return data if _crc32(data) == label.crc else None


def _symbols(label: Label, samples: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    # A clean sound of depth 8 is read at the speed of memory.
    read = pcm.decode if label.depth == 8 else _decode_nibbles
    for piece in scratch.pieces(samples, pcm.BLOCK // SEGMENT * SEGMENT):
        whole = len(piece) // SEGMENT * SEGMENT
        bodies = read(piece[:whole].reshape(-1, SEGMENT)[:, MARK:]).reshape(-1)
        symbols = np.concatenate([bodies, read(piece[whole + MARK :])])
        yield symbols if label.depth == 8 else _bytes(symbols)


def _decode_nibbles(samples: np.ndarray) -> np.ndarray:
    return ((samples.astype(np.int32) + 16384) >> 11).clip(0, 15).astype(np.uint8)


def _label(mark: np.ndarray) -> Label | None:
    """Returns the label of float[MARK] samples whose first show gain and offset."""
    height, offset = _fit(mark[: len(SYNC)])
    if height == 0:
        return None
    nibbles = np.rint(((mark[len(SYNC) :] - offset) / height * 15 + 15) / 2).clip(0, 15).astype(np.uint8)
    return Label.parse(_bytes(nibbles))


def _fit(sync: np.ndarray) -> tuple[float, float]:
    """Returns the height (negative: inverted) and the offset of a mark's first samples, unmoved by single clicks."""
    high, low = np.median(sync[SYNC > 0]), np.median(sync[SYNC < 0])
    return float(high - low) / 2, float(high + low) / 2


def search(samples: np.ndarray) -> dict[int, Label]:
    """Returns the marks in float32 samples by where they begin; those of the first message if there are several."""
    count = len(samples) - MARK + 1
    if count < 1:
        return {}
    found: dict[int, Label] = {}
    message = None
    for start in range(0, count, pcm.BLOCK):
        stop = min(start + pcm.BLOCK, count)
        part = samples[start : stop + len(SYNC) - 1].astype(np.float64)
        product = np.zeros(stop - start)
        for lag, sign in enumerate(SYNC):
            product += sign * part[lag : lag + stop - start]
        sums, squares = (np.concatenate([[0], np.cumsum(values)]) for values in (part, part**2))
        sums, squares = (values[len(SYNC) :] - values[: -len(SYNC)] for values in (sums, squares))
        energy = np.maximum(squares - sums**2 / len(SYNC), 1e-9)
        for place in start + np.flatnonzero(product**2 > _ALIKE**2 * len(SYNC) * energy):
            label = _label(samples[place : place + MARK])
            if label is not None:
                message = message or dataclasses.replace(label, segment=0)
                if dataclasses.replace(label, segment=0) == message:
                    found[int(place)] = label
    return found


def decode(samples: np.ndarray, marks: dict[int, Label]) -> tuple[bytes, Damage | None]:
    """Returns the message in damaged samples, and what was repaired.

    Args:
      samples: float32[N], 32768 being full scale, in which `search` found `marks`.

    Raises:
      FormatError: more is damaged than the check symbols repair; says how much, and where it lies.
    """
    label = next(iter(marks.values()))
    if 2 * len(samples) < label.body_samples:
        raise FormatError(f"is cut short: {len(samples):,} of {label.samples:,} samples are there")
    starts, slipped = _places(marks, label)
    gain, offset = _calibrate(samples, marks)
    # Where samples were lost or inserted between two marks, most likely at a border, is for the check symbols to say.
    readings = []
    for share in (1, 0, 0.5) if (np.diff(starts) != np.diff(_expected(label))).any() else (1,):
        body, missing = _bodies(samples, starts, label, share)
        reading = _read_levels(body, missing, label, gain, offset)
        wrong = parity.count_wrong(parity.gather(reading[0], label.shape), label.shape)
        readings.append((wrong, reading))
    symbols, doubtful, gain, offset = min(readings, key=lambda reading: reading[0])[1]
    found = Damage(of=len(symbols), gain=gain, offset=offset, slipped=slipped)
    return _finish(label, symbols, doubtful, found)


def _calibrate(samples: np.ndarray, marks: dict[int, Label]) -> tuple[float, float]:
    """Returns the gain and the offset of the marks that were found, all samples of which are known."""
    label = next(iter(marks.values()))
    written = _marks(label)[[mark.segment for mark in marks.values()]].astype(np.float64)
    found = np.stack([samples[place : place + MARK] for place in marks]).astype(np.float64)
    height, offset = np.median([_fit(mark[: len(SYNC)]) for mark in found], axis=0)
    off = np.abs(found - offset - height / _HIGHEST[label.depth] * written)
    fair = off <= 4 * np.median(off) + 1  # single clicks are not
    return _line(written[fair], found[fair])


def _line(levels: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Returns slope and offset of the straight line of least squares through values over levels."""
    mean = levels.mean(dtype=np.float64)
    slope = np.mean((levels - mean) * values, dtype=np.float64) / levels.var(dtype=np.float64)
    return float(slope), float(values.mean(dtype=np.float64) - slope * mean)


def _read_levels(
    body: np.ndarray, missing: np.ndarray, label: Label, gain: float, offset: float
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Returns the symbols in the samples of all bodies, which of them are doubtful, and refined gain and offset."""
    values = (body - offset) / gain
    levels, residual = _quantise(values, label.depth)
    # Averaged over all samples, the noise there is vanishes; noise that fills the levels hides them and tells nothing.
    for _ in range(3):
        fair = ~_outliers(residual, _STEP[label.depth]) & ~missing
        if not fair.any() or np.ptp(levels[fair]) == 0 or np.std(residual[fair]) > _STEP[label.depth] / 5:
            break
        slope, shift = _line((values - residual)[fair], values[fair])
        offset, gain = offset + gain * shift, gain * slope
        values = (body - offset) / gain
        levels, residual = _quantise(values, label.depth)
    doubtful = missing | _outliers(residual, _STEP[label.depth])
    if label.depth == 4:
        levels, doubtful = _bytes(levels), doubtful[0::2] | doubtful[1::2]
    return levels, doubtful, gain, offset


def _expected(label: Label) -> np.ndarray:
    """Returns where the marks of a sound begin that is as it was written."""
    return np.append(np.arange(label.segments) * SEGMENT, label.samples - MARK)


def _places(marks: dict[int, Label], label: Label) -> tuple[np.ndarray, int]:
    """Returns where each mark begins, and by how many samples the last one found lies later than the first one says."""
    expected = _expected(label)
    places = {label.segment: place for place, label in sorted(marks.items(), reverse=True)}  # the first of each wins
    known = np.array(sorted(places))
    shifts = np.array([places[segment] - expected[segment] for segment in known])
    nearest = np.searchsorted(known, np.arange(len(expected)), side="right") - 1
    return expected + shifts[nearest.clip(0)], int(shifts[-1] - shifts[0])


def _bodies(samples: np.ndarray, starts: np.ndarray, label: Label, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the samples of all bodies, and which of them are missing.

    Where the next mark is not where it should be, `share` of a body is counted from the mark before it, the rest from
    the one behind.
    """
    body = np.zeros(label.body_samples, np.float32)
    missing = np.ones(label.body_samples, bool)
    for segment in range(label.segments):
        first = segment * BODY
        count = min(BODY, label.body_samples - first)
        start, end = starts[segment] + MARK, starts[segment + 1]
        middle = count if end - start == count else int(share * count)
        for place, begin, stop in ((start, 0, middle), (end - count + middle, middle, count)):
            skip = max(0, -place)
            part = samples[place + skip :][: max(0, stop - begin - skip)]
            body[first + begin + skip :][: len(part)] = part
            missing[first + begin + skip :][: len(part)] = False
    return body, missing


def _quantise(values: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the nearest levels, uint8, and by how much `values` lie above them."""
    step, highest = _STEP[depth], _HIGHEST[depth]
    levels = np.rint((values + highest) / step).clip(0, 2 * highest // step)
    return levels.astype(np.uint8), values - (levels * step - highest)


def _outliers(residual: np.ndarray, step: int) -> np.ndarray:
    """Returns which samples lie off their level although nearly all others keep to theirs; none where all are noisy."""
    off = np.abs(residual - np.median(residual))
    most = 3 * (np.quantile(off, 0.6) + 1)
    return off > most if most < step / 4 else np.zeros(len(off), bool)


def _finish(label: Label, symbols: np.ndarray, doubtful: np.ndarray, found: Damage) -> tuple[bytes, Damage | None]:
    """Returns the message in its symbols, and `found` with what was repaired, or None if there was nothing."""
    shape = label.shape
    cube = parity.gather(symbols, shape)
    data = parity.message(cube, shape)
    if zlib.crc32(data) != label.crc:
        before = cube.copy()
        # No code restores more than its redundancy: then the time of a long search is saved.
        if np.count_nonzero(doubtful) > shape.symbols - shape.size:
            raise FormatError(_beyond_repair(label, doubtful, parity.count_wrong(cube, shape), shape.words))
        wrong, words = parity.repair(cube, parity.gather(doubtful, shape), shape)
        data = parity.message(cube, shape)
        if zlib.crc32(data) != label.crc:
            raise FormatError(_beyond_repair(label, doubtful, wrong, words))
        found = dataclasses.replace(found, symbols=int(np.count_nonzero(before != cube)))
    return data.tobytes(), found if found.symbols or found.levels_moved or found.slipped else None


def _beyond_repair(label: Label, doubtful: np.ndarray, wrong: int, words: int) -> str:
    text = f"is damaged beyond repair: {wrong:,} of {words:,} codewords are wrong"
    if not label.checks:
        text = "is damaged, and has no parity to repair it with"
    if doubtful.any():
        places = np.flatnonzero(doubtful) * 8 // label.depth
        places += (places // BODY + 1) * MARK
        # The middle 98 %: single clicks far away do not hide where most of it lies.
        first, last = np.quantile(places, [0.01, 0.99]).astype(int)
        text += f"; {len(places):,} damaged bytes are seen, most between samples {first:,} and {last:,}"
    return text
