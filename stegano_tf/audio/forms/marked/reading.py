"""The message in the samples of the form with marks and parity, as they were written or damaged, or in its bytes."""

import dataclasses
import zlib
from collections.abc import Iterable, Iterator

import numpy as np

from stegano_tf import scratch
from stegano_tf.audio import parity, pcm
from stegano_tf.audio.forms.marked import writing
from stegano_tf.audio.forms.marked.label import BODY, HIGHEST, LABEL, MARK, SEGMENT, SYNC, Label, from_nibbles
from stegano_tf.errors import FormatError

_STEP = {8: 256, 4: 2048}  # between two levels, by depth
_SEARCHED = 1 << 16  # samples that are searched at a time
_CHANCE = 200  # places that are no marks but look so similar that their labels are read, in a sound of any length
_ALIKE = 0.8  # correlation at which 32 samples may be a mark: 4.5 standard deviations of noise; its label decides


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What was repaired."""

    symbols: int = 0  # bytes that were wrong, check symbols included
    of: int  # bytes that there are
    gain: float = 1  # by which the samples had been multiplied; negative for inverted polarity
    offset: float = 0  # that was added, in 16-bit steps
    slipped: int = 0  # samples that were inserted, or if negative lost, within the message

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


def recognise(samples: np.ndarray) -> Label | None:
    """Returns the label at the start of int16 samples that are as they were written, or None."""
    if len(samples) < MARK or not np.array_equal(np.sign(samples[: len(SYNC)]), SYNC):
        return None
    return Label.parse(_labels_in(samples[None, :MARK].astype(np.float32))[0])


def decode_clean(label: Label, samples: Iterable[np.ndarray]) -> np.ndarray | None:
    """Returns the message, uint8[label.size], in samples as they were written, or None if they are damaged.

    `samples` are int16 blocks of all but the closing mark. `label` is that of the first mark.
    """
    data = parity.read_message(_symbols(label, samples), label.shape)
    return data if writing.crc32(data) == label.crc else None


def _symbols(label: Label, samples: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    # A clean sound of depth 8 is read at the speed of memory.
    read = pcm.decode if label.depth == 8 else _decode_nibbles
    for piece in scratch.pieces(samples, pcm.BLOCK // SEGMENT * SEGMENT):
        whole = len(piece) // SEGMENT * SEGMENT
        bodies = read(piece[:whole].reshape(-1, SEGMENT)[:, MARK:]).reshape(-1)
        symbols = np.concatenate([bodies, read(piece[whole + MARK :])])
        yield symbols if label.depth == 8 else from_nibbles(symbols)


def _decode_nibbles(samples: np.ndarray) -> np.ndarray:
    return ((samples.astype(np.int32) + 16384) >> 11).clip(0, 15).astype(np.uint8)


def find_label(data: np.ndarray, first: int = 0) -> Label | None:
    """Returns the first label that lies where `encode_bytes` puts it; `data` begins with the segment `first`."""
    for segment, start in enumerate(range(0, len(data), writing.BYTES_SEGMENT), first):
        label = Label.parse(data[start : start + LABEL])
        if label is not None and label.segment == segment:
            return label
    return None


def decode_bytes(data: np.ndarray, label: Label) -> tuple[bytes, Damage | None]:
    """Returns the message in what `encode_bytes` returned, uint8[N], and what was repaired; raises as `decode`."""
    present = data[: label.shape.symbols + label.segments * LABEL]  # without the closing label
    if 2 * len(present) < label.shape.symbols:
        raise FormatError(f"is cut short: {len(present):,} of {label.shape.symbols:,} bytes are there")
    symbols = np.zeros(label.shape.symbols, np.uint8)
    known = np.zeros(label.shape.symbols, bool)
    for segment, start in enumerate(range(0, len(present), writing.BYTES_SEGMENT)):
        body = present[start + LABEL : start + writing.BYTES_SEGMENT]
        symbols[segment * BODY :][: len(body)] = body
        known[segment * BODY :][: len(body)] = True
    return _finish(label, symbols, ~known, Damage(of=len(symbols)))


def search(samples: np.ndarray) -> dict[int, Label]:
    """Returns the marks in float32[N] samples by where they begin; those of the first message if there are several.

    Of places that only look like marks few are looked into, and fewer corrected.
    """
    count = len(samples) - MARK + 1
    found: dict[int, Label] = {}
    message = None
    looked_into = wrong = 0
    for start in range(0, count, _SEARCHED):
        stop = min(start + _SEARCHED, count)
        part = samples[start : stop + len(SYNC) - 1].astype(np.float64)
        product = np.correlate(part, SYNC.astype(np.float64))
        sums, squares = (np.concatenate([[0], np.cumsum(values)]) for values in (part, part**2))
        sums, squares = (values[len(SYNC) :] - values[: -len(SYNC)] for values in (sums, squares))
        energy = np.maximum(squares - sums**2 / len(SYNC), 1e-9)
        places = start + np.flatnonzero(product**2 > _ALIKE**2 * len(SYNC) * energy)
        labels = _labels_in(samples[places[:, None] + np.arange(MARK)])
        for which in np.flatnonzero(Label.may_be(labels)):
            if looked_into > _CHANCE + 2 * stop // BODY or wrong > _CHANCE + 2 * len(found):
                break
            label, place = Label.parse(labels[which]), places[which]
            looked_into += 1
            wrong += label is None
            if label is not None:
                message = message or dataclasses.replace(label, segment=0)
                if dataclasses.replace(label, segment=0) == message:
                    found[int(place)] = label
    return found


def _labels_in(marks: np.ndarray) -> np.ndarray:
    """Returns the labels, uint8[N, LABEL], of float[N, MARK] samples whose first show gain and offset."""
    height, offset = (values[:, None] for values in _fit(marks[:, : len(SYNC)]))
    height = np.where(height == 0, np.inf, height)
    halves = np.rint(((marks[:, len(SYNC) :] - offset) / height * 15 + 15) / 2).clip(0, 15).astype(np.uint8)
    return from_nibbles(halves.reshape(-1)).reshape(len(marks), LABEL)


def _fit(sync: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the heights (negative: inverted) and offsets of float[N, 32], marks' starts, unmoved by single clicks."""
    high, low = np.median(sync[:, SYNC > 0], axis=1), np.median(sync[:, SYNC < 0], axis=1)
    return (high - low) / 2, (high + low) / 2


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
    # Between two marks, samples were lost or inserted, most likely at one of them. The check symbols tell where.
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
    written = writing.marks_of(label)[[mark.segment for mark in marks.values()]].astype(np.float64)
    found = np.stack([samples[place : place + MARK] for place in marks]).astype(np.float64)
    height, offset = map(np.median, _fit(found[:, : len(SYNC)]))
    off = np.abs(found - offset - height / HIGHEST[label.depth] * written)
    fair = off <= 4 * np.median(off) + 1  # leaves out single clicks
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
    # The mean over all samples is free of noise. But noise as wide as the levels hides them: then nothing is refined.
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
        levels, doubtful = from_nibbles(levels), doubtful[0::2] | doubtful[1::2]
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

    Where a mark is displaced, `share` of the body before it is counted from the mark in front, the rest from this one.
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
    step, highest = _STEP[depth], HIGHEST[depth]
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
        # No code restores more than its redundancy: do not spend the time of a long search.
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
