"""What a form of sound offers: `codec` writes and reads every form through this and knows none of them.

A message is bytes: a frame, or, in a form without frames, a picture file or an age file. A form turns a message into
samples and finds it again. To add one, say a modem, write a module `forms/modem.py` or a package `forms/modem/`:

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Modem(Form):
        modem: bool = setting(dataclasses.MISSING, "survive MP3 and the telephone")  # no default: it selects the form
        rate: int = setting(2, "bits a carrier", choices=(1, 2, 4))
        name = "frame v1 in tones"

    FORM = Modem

with the methods `encode`, `samples`, and `recognise` or `search`. The fields become flags and keyword arguments by
themselves. Two forms exclude each other where no form has the options of both. Then put the module's name into
`forms.FORMS`, at the place in which a reader is to ask it.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from stegano_tf import scratch, sealing
from stegano_tf.audio import files, limits, pcm

_START = 80  # samples: the longest beginning that any form looks at


@dataclasses.dataclass(slots=True, kw_only=True)
class Found:
    """A message that was found in a sound."""

    size: int  # bytes that are there from the message's first on, those behind its end included
    read: Callable[[int], np.ndarray]  # returns the next n of them, uint8[n]
    length: int | None = None  # of the message, in a form without frames; None: all that is there
    facts: dict = dataclasses.field(default_factory=dict)  # attributes of `info.AudioInfo`
    keyed: bool = False  # whether nothing but a passphrase shows it


def in_memory(data: bytes | np.ndarray, **facts) -> Found:
    """Returns a message that was read already."""
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
        reader.seek(0)
        blocks = list(reader.blocks(min(reader.frames, _START)))
        self.starts = list(np.concatenate(blocks).T) if blocks else []
        self.heads = [pcm.decode(np.ascontiguousarray(start)).tobytes() for start in self.starts]

    @functools.cached_property
    def integers(self) -> np.ndarray | None:
        """The samples, int32[frames, channels], without low bits that are 0 everywhere; None if they are no integers.

        They are the same in a file of 16 bits and in one of 24 or 32 bits, or of floats, that was made of it.
        """
        return self.reader.integers()

    def channels(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yields the channels that are searched, by number: float32[frames] each, as `files.Reader.floats`."""
        for channel in range(min(self.reader.channels, limits.CHANNELS)):
            self.reader.seek(0)
            yield channel, self.reader.floats(channel)

    def stream(self, channel: int) -> Found:
        """Returns the message whose bytes are the samples of a channel; it is read block by block."""

        def read(count: int) -> np.ndarray:
            data = np.empty(count, np.uint8)
            start = 0
            for block in self.reader.channel_blocks(channel, count):
                pcm.decode(block, out=data[start : start + len(block)])  # no copy: this is what a reader waits for
                start += len(block)
            return data

        self.reader.seek(0)
        return Found(size=self.reader.frames, read=read, facts={"channel": channel})


class Form:
    """A form of sound; an instance has its options. By default each byte of the message is a sample."""

    name: ClassVar[str]  # for `AudioInfo.form`
    magic: ClassVar[bytes | None] = None  # with which a message begins, if each of its bytes is a sample
    framed: ClassVar[bool] = True  # whether a message is a frame
    sealable: ClassVar[bool] = True
    needs_passphrase: ClassVar[bool] = False  # whether it must be sealed, with a passphrase
    keyed: ClassVar[bool] = False  # whether a passphrase must decide where the message lies
    payloads: ClassVar[tuple[str, ...] | None] = None  # names of the picture files that it takes; None for all
    lossy: ClassVar[bool] = False  # whether it is looked for in lossy files, too, and in long ones, block by block
    unproved: ClassVar[str | None] = None  # why reading a message, unopened, does not prove it whole; None if it does
    facts = MappingProxyType({})  # what `info.AudioInfo` says of the options

    @property
    def records(self) -> bool:
        """Whether the secret's size and the network are recorded: in a frame, be it inside the seal."""
        return self.framed or self.sealable

    def samples(self, size: int) -> int:
        """Returns how many samples, of all channels, the sound of a message of `size` bytes has."""
        return size

    def first(self, path):
        """Returns the name of the first file that is written."""
        return path

    def check(self, path, size: int, sample_rate: int, *, keyed: bool = False) -> None:
        """Raises AudioError if `path` cannot hold at least `size` bytes at this rate in Hz, or a recording is unfit.

        `keyed` says that a passphrase hides it.
        """
        files.container_for(path, self.samples(size), sample_rate=sample_rate)

    def encode(self, size: int, blocks: Iterable) -> tuple[int, Iterator[np.ndarray]]:
        """Returns the samples of a message of `size` bytes in bytes-like blocks: how many, and int16 blocks."""
        return size, map(pcm.encode, blocks)

    def write(self, path, size: int, blocks: Iterable, *, key: sealing.Key, **options) -> tuple:
        """Writes a message, as `encode` takes it, as a sound file; returns its closed reader and facts for `AudioInfo`.

        `key` is what its receiver finds it with, for a form that hides it in an order of its own. The options are
        sample_rate, force and check, as `files.write` has them.
        """
        samples, pieces = self.encode(size, blocks)
        return files.write(path, pieces, samples, **options), self.facts

    @classmethod
    def recognise(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        """Returns the message of this form in a sound that is as it was written, told by its start; asked first.

        Raises FormatError if there is one that can certainly not be read. The text names no file; so in `search`.
        """
        channels = (number for number, head in enumerate(sound.heads) if cls.magic and head.startswith(cls.magic))
        return next(map(sound.stream, channels), None)

    @classmethod
    def search(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        """Returns the message of this form anywhere in a sound, damaged or not; asked if no form is recognised."""
        return None

    @classmethod
    def capacities(cls, path) -> dict[float, int]:
        """Returns how many bytes of message a recording carries, by bits a sample; for a form that takes one.

        At less than one bit a sample the message must be sealed with a passphrase.
        """
        return {}
