"""What the forms share that put a message into a recording: the recording, what speaks against it, and writing it."""

import dataclasses
import functools
import math

import numpy as np

from stegano_tf.audio import files
from stegano_tf.audio.forms.form import Form
from stegano_tf.errors import AudioError
from stegano_tf.settings import file_name, setting

_CLIPPED = 1e-3  # share of samples at full scale from which a recording counts as clipped
_LEAST_DEPTH = 16  # bits: a recording of fewer is written to as one of 16, or the noise would be heard
_PART = 1 << 20  # frames that are compared at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recorded(Form):
    """In 16- or 24-bit PCM of any lossless container, which keeps its sample rate."""

    carrier: str = setting(dataclasses.MISSING, "hide the message in this recording", metavar="SOUND", parse=file_name)

    @functools.cached_property
    def recording(self) -> files.Recording:
        """What `carrier` holds."""
        return files.read_recording(self.carrier)

    @functools.cached_property
    def _empty(self) -> int:
        """Low bits that are 0 in every sample and are left so."""
        recording = self.recording
        return min(files.empty_bits(recording.samples), max(0, recording.depth - _LEAST_DEPTH))

    @property
    def depth(self) -> int:
        """Bits of a sample in the recording's own bits."""
        return self.recording.depth - self._empty

    @property
    def own(self) -> np.ndarray:
        """The recording in its own bits, int32[frames, channels]; not to be changed."""
        return self.recording.samples >> self._empty if self._empty else self.recording.samples

    def samples(self, size: int) -> int:
        return self.recording.samples.size

    def check(self, path, size: int, sample_rate: int, *, keyed: bool = False) -> None:
        """As `Form.check`; a clipped recording is refused because its flat tops would show what is changed there."""
        samples, depth = self.recording.samples, self.recording.depth
        full = 1 << (depth - 1)
        share = np.count_nonzero((samples >= full - 1) | (samples <= -full)) / max(1, samples.size)
        if share > _CLIPPED:
            found = f"is clipped: {share:.1%} of its samples are at full scale, expected at most {_CLIPPED:.1%}"
            raise AudioError(f"{self.carrier}: {found}")
        files.container_for(path, samples.size * depth // 16, sample_rate=self.recording.sample_rate)

    def too_short(self, wanted: str, usable: int, needed: float, left_out: str) -> AudioError:
        """Returns what to raise where `usable` samples, of all channels, are fewer than needed.

        `wanted` says what does not fit, `left_out` what samples are that are not usable.
        """
        (frames, channels), rate = self.recording.samples.shape, self.recording.sample_rate
        seconds = math.ceil(needed / channels / rate * 10) / 10
        lasts = f"it lasts {usable / channels / rate:.1f} s, expected at least {seconds:.1f} s"
        without = f" without the {1 - usable / max(1, frames * channels):.0%} that are {left_out}"
        found = f"is too short to carry {wanted}: {lasts}{without if usable < frames * channels else ''}"
        return AudioError(f"{self.carrier}: {found}")

    def written(self, path, changed: np.ndarray, **options) -> tuple[files.Reader, float]:
        """Writes the recording with other samples, as `own` has them; returns its closed reader and the `snr`.

        The options are those of `files.write_recording`.
        """
        noise = snr(self.own, changed, self.depth)
        made = dataclasses.replace(self.recording, samples=changed << self._empty if self._empty else changed)
        return files.write_recording(path, made, **options), noise


def snr(before: np.ndarray, after: np.ndarray, depth: int) -> float:
    """Returns the power of a full-scale square wave over that of the change, in dB."""
    pairs = ((before[start : start + _PART], after[start : start + _PART]) for start in range(0, len(before), _PART))
    squares = sum(float(np.square(np.subtract(*pair, dtype=np.float64)).sum()) for pair in pairs)
    error = squares / max(1, before.size)
    return math.inf if error == 0 else 20 * math.log10((1 << (depth - 1)) / math.sqrt(error))
