"""What a form of sound offers: `codec` writes and reads every form through this and knows none of them.

A message is bytes: a frame, or, in a form without frames, a picture file or an age file. A form turns a message into
samples and finds it again. To add one, say a modem, write a module `forms/modem.py` or a package `forms/modem/`:

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Modem(Form):
        modem: bool = setting(dataclasses.MISSING, "survive MP3 and the telephone")   # required: it selects the form
        rate: int = setting(2, "bits a carrier", choices=(1, 2, 4))                      # has a default: optional
        name = "frame v1 in tones"

    FORM = Modem

with these methods: `encode`, `samples` (what a message costs), and `recognise` or `search`. The fields become flags and
keyword arguments by themselves; two forms exclude each other where no form has the options of both. Then put the name
of the module into `forms.FORMS`, at the place in which a reader is to ask it.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

import numpy as np

from stegano_tf import scratch
from stegano_tf.audio import files, pcm, sealing

_START = 80  # samples: the longest beginning that any form looks at, and not only the first bytes of a message


@dataclasses.dataclass(slots=True, kw_only=True)
class Found:
    """A message that was found in a sound.

    Attributes:
      size: bytes that are there from the message's first on, those behind its end included.
      read: returns the next n of them, uint8[n].
      length: of the message, in a form without frames; None: all that is there.
      facts: what `info.AudioInfo` is to say of it.
    """

    size: int
    read: Callable[[int], np.ndarray]
    length: int | None = None
    facts: dict = dataclasses.field(default_factory=dict)


def in_memory(data: bytes | np.ndarray, **facts) -> Found:
    """Returns a message that was read already, with nothing behind its end that belongs to the sound."""
    data = np.frombuffer(data, np.uint8)
    position = 0

    def read(count: int) -> np.ndarray:
        nonlocal position
        position += count
        scratch.release(data)
        return data[position - count : position]

    return Found(size=len(data), read=read, facts={"samples_after": 0, **facts})


class Sound:
    """A sound file in which a message is looked for.

    Attributes:
      reader: the open file, wherever it stands: seek before reading.
      starts: the first samples of each channel, int16[up to 80].
      heads: the same as bytes.
    """

    def __init__(self, reader: files.Reader):
        self.reader = reader
        blocks = list(reader.blocks(min(reader.frames, _START)))
        self.starts = list(np.concatenate(blocks).T) if blocks else []
        self.heads = [pcm.decode(np.ascontiguousarray(start)).tobytes() for start in self.starts]

    @functools.cached_property
    def recording(self) -> files.Recording | None:
        """The samples as integers of 16 or 24 bits; None if they are others."""
        return self.reader.recording() if self.reader.subtype in files.RECORDINGS else None

    def stream(self, channel: int) -> Found:
        """Returns the message whose bytes are the samples of a channel; it is read block by block."""
        reader = self.reader

        def read(count: int) -> np.ndarray:
            data = np.empty(count, np.uint8)
            start = 0
            for block in reader.blocks(count):
                pcm.decode(block[:, channel], out=data[start : start + len(block)])
                start += len(block)
            return data

        reader.seek(0)
        return Found(size=reader.frames, read=read, facts={"channel": channel})


class Form:
    """A form of sound; an instance has its options. The default is that each byte of the message is a sample.

    Attributes:
      name: for `AudioInfo.form`.
      magic: the bytes with which its messages begin, if they are samples one by one.
      framed: whether its message is a frame.
      sealable: whether a message can be sealed.
      needs_passphrase: whether a message must be sealed, with a passphrase.
      payloads: names of the kinds of picture file that it takes; None for all.
      unproved: why reading all of it, without opening it, does not prove the message whole; None if that does.
    """

    name: ClassVar[str]
    magic: ClassVar[bytes | None] = None
    framed: ClassVar[bool] = True
    sealable: ClassVar[bool] = True
    needs_passphrase: ClassVar[bool] = False
    payloads: ClassVar[tuple[str, ...] | None] = None
    unproved: ClassVar[str | None] = None

    @property
    def records(self) -> bool:
        """Whether the secret's size and the network are recorded: in a frame, be it inside the seal."""
        return self.framed or self.sealable

    @property
    def facts(self) -> dict:
        """What `info.AudioInfo` says of the options."""
        return {}

    def samples(self, size: int) -> int:
        """Returns how many samples, of all channels, the sound of a message of `size` bytes has."""
        return size

    def check(self, path, size: int, sample_rate: int) -> None:
        """Refuses what cannot be written to `path`, before any work is done for it.

        Args:
          path: the sound to write.
          size: the fewest bytes that the message will have.
          sample_rate: in Hz.

        Raises:
          AudioError: the message or its rate does not go into the container, or another file does not serve.
        """
        files.container_for(path, self.samples(size), sample_rate=sample_rate)

    def encode(self, size: int, blocks: Iterable) -> tuple[int, Iterator[np.ndarray]]:
        """Returns the samples of a message: how many, and int16 blocks.

        Args:
          size: of the message, in bytes.
          blocks: the message, in bytes-like blocks.
        """
        return size, map(pcm.encode, blocks)

    def write(self, path, size: int, blocks: Iterable, *, passphrase: str | None, **options) -> tuple:
        """Writes a message, as `encode` has it, as a sound file.

        Args:
          path: the file.
          size, blocks: as `encode`.
          passphrase: what the message is sealed with, for a form that hides it in an order of its own.
          options: sample_rate and force, as `files.write`.

        Returns:
          The closed `files.Reader` of the file, and facts for `info.AudioInfo`.
        """
        samples, pieces = self.encode(size, blocks)
        return files.write(path, pieces, samples, **options), self.facts

    @classmethod
    def recognise(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        """Returns the message of this form in a sound that is as it was written, told by its start; asked first.

        Raises:
          FormatError: there is one, and it can certainly not be read. The message names no file.
        """
        for channel, head in enumerate(sound.heads):
            if cls.magic and head.startswith(cls.magic):
                return sound.stream(channel)
        return None

    @classmethod
    def search(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        """Returns the message of this form anywhere in a sound, damaged or not; asked if no form is recognised.

        Raises:
          FormatError: as `recognise`.
        """
        return None

    @classmethod
    def capacities(cls, path) -> dict[int, int]:
        """Returns how many bytes of message a recording carries, by bits a sample; for a form that takes one."""
        return {}
