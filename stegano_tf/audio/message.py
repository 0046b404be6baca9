"""The payload of a message that a form found: read front to back, hashed on the way, opened if it is sealed."""

import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import numpy as np

from stegano_tf import scratch, sealing
from stegano_tf.audio import framing, limits, pcm
from stegano_tf.audio.forms.form import Found
from stegano_tf.audio.payloads import PAYLOADS, bmp
from stegano_tf.errors import FormatError
from stegano_tf.sealing import age

_FILE = b"\1\0"  # version and kind of `message.frame`


class Message:
    """A message, of which the header was read and found right.

    Attributes:
      header: of the frame; in a form without one, what it would say.
      sealed: whether the payload is an age file.
      payload_bytes: length of the payload.
      after: bytes after the message's end.
      file_bytes: size of the sound file.
      head: the first bytes of the payload, as many as a picture's header needs.
      facts: what the form knows of it, attributes of `info.AudioInfo`.
    """

    def __init__(self, found: Found, digest: framing.Digest, *, framed: bool, sealed: bool = False, file_bytes: int):
        """Reads the header; raises FormatError if it is wrong, or announces more than there is or `limits` allow.

        What is not `framed` is a picture file, or an age file if `sealed`.
        """
        self._read, self._digest, self._framed, self.file_bytes = found.read, digest, framed, file_bytes
        self._finished = False
        self.sealed, self.facts = sealed, found.facts
        if framed:
            self.header = framing.Header.parse(found.read(min(found.size, framing.HEADER_BYTES)).tobytes())
            self.sealed = framing.Flags.SEALED in self.header.flags
            end = self.header.payload_bytes + framing.OVERHEAD
        else:
            end = found.size if found.length is None else found.length
            self.header = framing.Header(end)
        if end > found.size:
            there = f"its header announces {end:,}, {found.size:,} are there"
            raise FormatError(f"is cut short: {end - found.size:,} samples are missing; {there}")
        self.check_size(end, limits.held if self.sealed else limits.streamed)
        self.payload_bytes = self._left = self.header.payload_bytes
        self.after = found.size - end
        self.head = self.read(min(self._left, bmp.HEADER_BYTES)).tobytes()

    def check_size(self, size: int, limit: Callable[[int], int]) -> None:
        """Raises FormatError if so many bytes are more than one of the `limits` allows for this sound file."""
        most = limit(self.file_bytes)
        if size > most:
            expected = f"expected at most {most:,} in a sound file of {self.file_bytes:,} bytes"
            raise FormatError(f"announces {size:,} bytes, {expected}")

    def read(self, count: int) -> np.ndarray:
        """Returns the next `count` bytes of the payload, uint8[count]."""
        data = self._read(count)
        self._left -= count
        self._digest.update(data)
        return data

    def blocks(self) -> Iterator[bytes | np.ndarray]:
        """Yields the whole payload, of which nothing but `head` was read before."""
        yield self.head
        while self._left:
            yield self.read(min(self._left, pcm.BLOCK))

    def rest(self, limit: Callable[[int], int] = limits.held) -> bytes:
        """Returns what `blocks` yields, once all of it is verified; raises FormatError if not, or as `check_size`."""
        self.check_size(self.payload_bytes, limit)
        data = io.BytesIO()
        data.writelines(self.blocks())
        self.finish()
        return data.getvalue()

    def finish(self) -> None:
        """Reads the payload to its end; raises FormatError if its digest is not the one that the frame states."""
        while self._left:
            self.read(min(self._left, pcm.BLOCK))
        if self._framed and not self._finished:
            self._finished = True
            found, expected = self._digest.digest().hex(), self._read(framing.DIGEST_BYTES).tobytes().hex()
            if found != expected:
                raise FormatError(f"is damaged: the payload's SHA-256 is {found[:16]}…, expected {expected[:16]}…")

    @property
    def is_file(self) -> bool:
        """Whether the payload is a file with its name; no picture file starts as it does."""
        return self.head.startswith(_FILE)

    def picture(self) -> tuple:
        """Returns which of `PAYLOADS` the payload is, and the picture that this opens; else raises FormatError."""
        if self.is_file:
            raise FormatError("holds a file, expected a picture; decode --out FOLDER writes it")
        # No kind: BMP's error says with what the payload begins.
        kind = next((kind for kind in PAYLOADS.values() if kind.starts(self.head)), bmp.PAYLOAD)
        return kind.name, kind.open(self)


def unsealed(message: Message, key: sealing.Key) -> Message:
    """Returns the message inside a sealed one, once that has proved whole; any other one itself.

    Raises FormatError or SealingError if it is damaged, sealed twice, or the key does not open it.
    """
    if not message.sealed:
        return message
    with scratch.SecretFile() as sealed:
        fill(sealed, message.blocks())
        message.finish()
        opened = scratch.SecretFile()  # is closed with the last reference to it
        age.unseal(sealed, opened, key)
    opened.seek(0)
    # Whoever uses the age command by hand seals a picture file, not a frame.
    framed = opened.read(len(framing.MAGIC)) == framing.MAGIC
    size = opened.seek(0, os.SEEK_END)
    opened.seek(0)
    found = Found(size=size, read=lambda count: np.frombuffer(opened.read(count), np.uint8))
    inner = Message(found, framing.Digest(), framed=framed, file_bytes=message.file_bytes)
    if inner.sealed:
        raise FormatError("is sealed twice, expected a picture inside the seal")
    return inner


def fill(file: BinaryIO, blocks: Iterable) -> None:
    """Writes blocks to a temporary file and goes back to its start; raises OutputError if the disk is full."""
    try:
        for block in blocks:
            file.write(block)
    except OSError as error:
        raise scratch.no_room(error) from error
    file.seek(0)
