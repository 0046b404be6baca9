"""The plain form: every byte of the frame is a sample."""

import dataclasses

import numpy as np

from stegano_tf import sealing
from stegano_tf.audio import framing
from stegano_tf.audio.forms import traces
from stegano_tf.audio.forms.form import Form, Found, Sound
from stegano_tf.errors import FormatError

# A sample in the middle of its level is half-way between two of 8 bits; a converter that rounds takes the upper one.
_ROUNDED_MAGIC = bytes(byte + 1 for byte in framing.MAGIC)
_SURE = 1000  # samples in the middle of a level from which they are no chance


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plain(Form):
    """The form of a message for which no option is given."""

    name = f"frame v{framing.VERSION}"
    magic = framing.MAGIC

    @classmethod
    def recognise(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        found = super().recognise(sound, key)
        if not found and any(head.startswith(_ROUNDED_MAGIC) for head in sound.heads):
            lost = "which makes 255 of every byte 254 and cannot be undone"
            raise FormatError(f"was rounded to 8 bits, {lost}; expected 16 bits")
        return found

    @classmethod
    def search(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        """As `Form.search`; says what became of a message that can no longer be read."""
        for channel, samples in sound.channels():
            trace = traces.find(samples, sound.reader.sample_rate)
            if trace is not None:
                return _undone(samples, channel, trace)
            if _are_levels(samples):
                raise FormatError("its samples are those of a message of which the beginning is missing")
        return None


def _undone(samples: np.ndarray, channel: int, trace: traces.Trace) -> Found:
    """Returns the message that begins at a trace, once its header is right; raises FormatError if it is not."""
    position = trace.place

    def read(count: int) -> np.ndarray:
        nonlocal position
        part = (samples[position : position + count] - trace.offset) / trace.gain
        position += count
        return np.rint((part + 32640) / 256).clip(0, 255).astype(np.uint8)

    try:
        framing.Header.parse(read(framing.HEADER_BYTES).tobytes())
    except FormatError as error:
        changed = "its samples were changed, as MP3, resampling, noise or 8 bits do, which cannot be undone"
        raise FormatError(f"held a message, but {changed}; expected the file as it was sent") from error
    position = trace.place
    undone = f"{trace.place:,} samples in front left out" if trace.place else ""
    if abs(trace.gain - 1) > 1e-3 or abs(trace.offset) > 4:
        undone = f"{undone}{', ' if undone else ''}gain {trace.gain:.3f} and offset {round(trace.offset)} undone"
    return Found(size=len(samples) - trace.place, read=read, facts={"channel": channel, "damage": undone})


def _are_levels(samples: np.ndarray) -> bool:
    """Returns whether float32[N] samples are in the middle of the levels of bytes, but for silence."""
    used = samples[samples != 0]
    return len(used) >= _SURE and bool((used % 256 == 128).all()) and len(np.unique(used[:_SURE])) > 8


FORM = Plain
