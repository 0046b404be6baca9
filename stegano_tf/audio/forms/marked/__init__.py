"""The form with marks and parity: samples that survive what happens to sound.

The message is encoded by `parity` and sent in segments of 4096 samples, each of which begins with a mark: 32 samples of
two known levels, which show where the segment begins, the gain, the offset and the polarity, and 48 samples in 16
levels that say which segment of what it is (`label`). One more mark closes the last segment. Any one mark tells how to
read the whole. At a depth of 8 a byte is a sample, at the levels of `pcm`. At a depth of 4 it is two samples of 16
levels, of half the height, which bear gains of up to 2 in 16-bit files and eight times the noise.

A sound that is as it was written is read without any of this, if the CRC-32 of the message is right. Its message and
one that is written lie in `scratch`. Repair needs memory for some ten times the message. docs/FORMAT.md writes the form
down for other readers.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from stegano_tf import scratch, sealing
from stegano_tf.audio import framing, limits, parity, pcm
from stegano_tf.audio.forms.form import Form, Found, Sound, in_memory
from stegano_tf.audio.forms.marked import reading, writing
from stegano_tf.audio.forms.marked.label import HIGHEST, MARK, Label
from stegano_tf.settings import setting


def _percent(text: str) -> float:
    try:
        percent = float(text.removesuffix("%"))
        parity.checks_for(percent / 100)
    except ValueError as error:
        raise ValueError("expected 0% to 78%") from error
    if 0 < percent < 1 and not text.endswith("%"):  # in Python 0.1 is 10 %
        raise ValueError(f"expected percent: {100 * percent:g}% or {text}%")
    return percent / 100


def parity_setting(default):
    """Returns the field `parity`: the share by which check symbols lengthen a message, 0 to 0.78."""
    text = (
        "repair damage with check symbols, which make long messages longer by so much, such as 10%; "
        "small pictures last up to twice as long. What the sound lasts is printed"
    )
    return setting(default, text, metavar="PERCENT", parse=_percent)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Marked(Form):
    """Marks, known levels and parity around every frame. Raises ValueError if the parity or the depth is impossible.

    Example:
      >>> Marked(parity=0.1).samples(59_049)  # 255 * 255 symbols and 18 marks
      66465
    """

    parity: float = parity_setting(dataclasses.MISSING)
    depth: int = setting(8, "with --parity, bits a sample; 4 bears far more noise", choices=(8, 4))

    name = f"frame v{framing.VERSION} with marks and parity"

    def __post_init__(self):
        parity.checks_for(self.parity)
        if self.depth not in HIGHEST:
            raise ValueError(f"a depth of {self.depth} bits a sample, expected 8 or 4")

    @property
    def checks(self) -> int:
        """Check symbols in a codeword of 255."""
        return parity.checks_for(self.parity)

    @property
    def facts(self) -> dict:
        return {"parity": self.checks, "bits": self.depth}

    def samples(self, size: int) -> int:
        return Label(0, size, 0, self.checks, self.depth).samples

    def encode(self, size: int, blocks: Iterable) -> tuple[int, Iterator[np.ndarray]]:
        data = pcm.gather((np.frombuffer(block, np.uint8) for block in blocks), scratch.zeros(size))
        return writing.encode(data, self.checks, self.depth)

    @classmethod
    def recognise(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        reader = sound.reader
        frames = min(reader.frames, limits.streamed(reader.size) // reader.channels)
        for channel, start in enumerate(sound.starts[: limits.CHANNELS]):
            label = reading.recognise(start)
            if label is not None and label.samples <= frames:
                reader.seek(0)
                message = reading.decode_clean(label, reader.channel_blocks(channel, label.samples - MARK))
                if message is not None:
                    return _found(message, label, channel=channel, samples_after=reader.frames - label.samples)
        return None

    @classmethod
    def search(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        for channel, samples in sound.channels():
            places = reading.search(samples)
            if places:
                message, damage = reading.decode(samples, places)
                return _found(message, next(iter(places.values())), channel=channel, damage=damage)
        return None


def _found(message: bytes | np.ndarray, label: Label, **facts) -> Found:
    return in_memory(message, parity=label.checks, bits=label.depth, **facts)


FORM = Marked
