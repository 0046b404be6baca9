"""What is known of a sound file and of the message in it."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from stegano_tf.audio import files
from stegano_tf.audio.forms.form import Form


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """What a sound file is and what its header says it holds.

    Attributes:
      path: the file.
      container: libsndfile's name of the file format, such as "WAV".
      subtype: libsndfile's name of the sample format, such as "PCM_16".
      sample_rate: in Hz; it means nothing for the message.
      channels: how many there are.
      channel: the one that holds the message, counted from 0.
      frames: samples of each channel.
      form: the `name` of the form, see `forms.form.Form`.
      payload_bytes: length of the payload: of the picture file, or of the age file that seals it.
      payload: what kind of picture file, a key of `payloads.PAYLOADS`; None while it is sealed.
      image_size: (height, width) of the picture; None while it is sealed.
      secret_size: (height, width) of the secret before it was resized, or None if not recorded.
      network: 8 bytes that name the network which reveals the secret, or None if not recorded.
      samples_after: samples after the message's end, which editors may append; 0 in a recording.
      sealed: whether the payload is an age file.
      parity: check symbols in a codeword of 255, or None in a form without.
      bits: of each sample that hold the message.
      damage: what was repaired, as its `str` says, or None.
      snr: of a recording that was just made a carrier, in dB relative to full scale.
      unproved: why not even reading all of it proves that this message is whole, or one at all; None if that does.
    """

    path: Path
    container: str
    subtype: str
    sample_rate: int
    channels: int
    channel: int = 0
    frames: int
    form: str
    payload_bytes: int
    payload: str | None = None
    image_size: tuple[int, int] | None = None
    secret_size: tuple[int, int] | None = None
    network: bytes | None = None
    samples_after: int = 0
    sealed: bool = False
    parity: int | None = None
    bits: int = 8
    damage: object | None = None
    snr: float | None = None
    unproved: str | None = None

    @classmethod
    def of(cls, path: str | os.PathLike, reader: files.Reader, form: type[Form] | Form, **facts) -> "AudioInfo":
        """Returns what the reader of a file and its form say, with further facts, all of them attributes."""
        return cls(
            path=Path(path),
            container=reader.container,
            subtype=reader.subtype,
            sample_rate=reader.sample_rate,
            channels=reader.channels,
            frames=reader.frames,
            form=form.name,
            **facts,
        )

    @property
    def duration(self) -> float:
        """Seconds that the sound lasts."""
        return self.frames / self.sample_rate


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A picture from a sound file.

    Attributes:
      image: uint8[H, W, 3] RGB, C-contiguous and writable.
      info: where it came from.
    """

    image: np.ndarray
    info: AudioInfo

    @property
    def secret_size(self) -> tuple[int, int] | None:
        """(height, width) of the secret before it was resized, or None if not recorded."""
        return self.info.secret_size
