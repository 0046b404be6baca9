"""Where the marks of a message lie in any sound: by correlation with the signs of their first samples."""

import dataclasses

import numpy as np

from stegano_tf.audio import pcm
from stegano_tf.audio.forms.marked.label import MARK, SYNC, Label, from_nibbles

_ALIKE = 0.8  # correlation at which 32 samples may be a mark: 4.5 standard deviations of noise; its label decides


def search(samples: np.ndarray) -> dict[int, Label]:
    """Returns the marks in float32[N] samples by where they begin; those of the first message if there are several."""
    count = len(samples) - MARK + 1
    found: dict[int, Label] = {}
    message = None
    for start in range(0, count, pcm.BLOCK):
        stop = min(start + pcm.BLOCK, count)
        part = samples[start : stop + len(SYNC) - 1].astype(np.float64)
        product = np.correlate(part, SYNC.astype(np.float64))
        sums, squares = (np.concatenate([[0], np.cumsum(values)]) for values in (part, part**2))
        sums, squares = (values[len(SYNC) :] - values[: -len(SYNC)] for values in (sums, squares))
        energy = np.maximum(squares - sums**2 / len(SYNC), 1e-9)
        for place in start + np.flatnonzero(product**2 > _ALIKE**2 * len(SYNC) * energy):
            label = label_in(samples[place : place + MARK])
            if label is not None:
                message = message or dataclasses.replace(label, segment=0)
                if dataclasses.replace(label, segment=0) == message:
                    found[int(place)] = label
    return found


def label_in(mark: np.ndarray) -> Label | None:
    """Returns the label of float[MARK] samples whose first show gain and offset."""
    height, offset = fit(mark[: len(SYNC)])
    if height == 0:
        return None
    halves = np.rint(((mark[len(SYNC) :] - offset) / height * 15 + 15) / 2).clip(0, 15).astype(np.uint8)
    return Label.parse(from_nibbles(halves))


def fit(sync: np.ndarray) -> tuple[float, float]:
    """Returns the height (negative: inverted) and the offset of a mark's first samples, unmoved by single clicks."""
    high, low = np.median(sync[SYNC > 0]), np.median(sync[SYNC < 0])
    return float(high - low) / 2, float(high + low) / 2
