"""What is known of a sound file and of the message in it."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from stegano_tf.audio import files
from stegano_tf.audio.forms.form import Form


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """What a sound file is and what its header says it holds; None stands for what is not known or not there."""

    path: Path
    container: str  # libsndfile's name of the file format, such as "WAV"; "MP4" and its kin of FFmpeg's
    subtype: str  # libsndfile's name of the sample format, such as "PCM_16", or FFmpeg's of a codec
    sample_rate: int  # in Hz; it means nothing for the message
    channels: int
    channel: int = 0  # the one that holds the message, counted from 0
    frames: int  # samples of each channel
    form: str  # the `name` of the form, see `forms.form.Form`
    payload_bytes: int  # of the picture file, or of the age file that seals it
    payload: str | None = None  # what kind of picture file, a key of `payloads.PAYLOADS`; None while it is sealed
    image_size: tuple[int, int] | None = None  # (height, width) of the picture; None while it is sealed
    secret_size: tuple[int, int] | None = None  # (height, width) of the secret before it was resized
    network: bytes | None = None  # 8 bytes that name the network which reveals the secret
    samples_after: int = 0  # after the message's end, which editors may append; 0 in a recording
    sealed: bool = False  # whether the payload is an age file
    parity: int | None = None  # check symbols in a codeword of 255
    bits: float = 8  # of each sample that hold the message; below 1 on average
    profile: str | None = None  # of the modem, a key of `forms.modem.PROFILES`
    reception: object | None = None  # how a modem's sound arrived, as its `str` says
    others: str | None = None  # further messages in a modem's sound
    parts: tuple[Path, ...] = ()  # files that were just written, if they are several
    damage: object | None = None  # what was repaired, as its `str` says
    snr: float | None = None  # of a recording that was just made a carrier, in dB relative to full scale
    unproved: str | None = None  # why reading all of it does not prove that this message is whole, or one at all

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
    """A picture from a sound file."""

    image: np.ndarray  # uint8[H, W, 3] RGB, C-contiguous and writable
    info: AudioInfo  # where it came from

    @property
    def secret_size(self) -> tuple[int, int] | None:
        """As `AudioInfo.secret_size`."""
        return self.info.secret_size
