"""Pictures to sound files and back: the composition of `bmp`, `framing`, `pcm` and `files`.

Everything streams, a block at a time: neither the BMP file nor the samples are ever whole in memory, so encoding needs
a few MB beside the picture, and decoding the picture itself. Reading trusts no length before that many samples are
there.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stegano_tf.audio import bmp, files, framing, pcm
from stegano_tf.errors import FormatError

FRAMED = f"frame v{framing.VERSION}"
RAW_BMP = "raw bmp"


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
      form: `FRAMED` or `RAW_BMP`.
      payload_bytes: length of the BMP file inside.
      image_size: (height, width) of the picture.
      secret_size: (height, width) of the secret before it was resized, or None if not recorded.
      network: 8 bytes that name the network which reveals the secret, or None if not recorded.
      samples_after: samples after the message's end, which editors may append.
    """

    path: Path
    container: str
    subtype: str
    sample_rate: int
    channels: int
    channel: int
    frames: int
    form: str
    payload_bytes: int
    image_size: tuple[int, int]
    secret_size: tuple[int, int] | None
    network: bytes | None
    samples_after: int

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


def encode(
    image: np.ndarray,
    path: str | os.PathLike,
    *,
    secret_size: tuple[int, int] | None = None,
    network: bytes | None = None,
    sample_rate: int = 44100,
    raw_bmp: bool = False,
    force: bool = False,
) -> AudioInfo:
    """Writes a picture as a mono 16-bit sound file, one byte of its BMP file a sample.

    Args:
      image: uint8[H, W, 3] RGB.
      path: the suffix chooses the container: .wav .rf64 .flac .aiff .aif .caf .w64.
      secret_size: (height, width) that the frame records for the secret inside the picture.
      network: 8 bytes that the frame records for the network that reveals the secret.
      sample_rate: in Hz.
      raw_bmp: writes the bare BMP file without a frame, as published; damage cannot be detected then.
      force: whether an existing file is replaced.

    Returns:
      What `inspect` says about the new file.

    Raises:
      TypeError, ValueError: `image` is not uint8[H, W, 3], or `secret_size` or `network` is impossible or has no frame to be in.
      AudioError: the suffix or the sample rate is not possible.
      ImageError: the picture's BMP would exceed 4 GiB.
      OutputError: `path` cannot be written, or exists and `force` is not set.
    """
    samples, blocks = bmp.encode(image)
    if raw_bmp:
        if secret_size is not None or network is not None:
            raise ValueError("the bare BMP form has no place for secret_size and network, expected None")
    else:
        blocks = framing.frame(framing.Header(samples, secret_size, network), blocks)
        samples += framing.HEADER_BYTES + framing.DIGEST_BYTES
    files.write(path, map(pcm.encode, blocks), samples, sample_rate=sample_rate, force=force)
    return inspect(path)


def decode(path: str | os.PathLike) -> Decoded:
    """Reads the picture in a sound file, from whichever channel holds it.

    Raises:
      AudioError: `path` cannot be read as sound, is lossy or cannot be decoded.
      FormatError: the sound holds no message, one of another version, or one that is cut short or damaged.
    """
    with _open(path) as message:
        image = bmp.decode(message.layout, message.read)
        message.finish()
        return Decoded(image=image, info=message.info)


def inspect(path: str | os.PathLike, *, verify: bool = False) -> AudioInfo:
    """Returns what a sound file holds, from its headers alone, or with `verify` from all of it.

    Raises:
      AudioError, FormatError: as `decode`; without `verify`, damage behind the headers goes unnoticed.
    """
    with _open(path) as message:
        if verify:
            message.finish()
        return message.info


@contextlib.contextmanager
def _open(path: str | os.PathLike) -> Iterator["_Message"]:
    with files.Reader(path) as reader, framing.Digest() as digest:
        try:
            yield _Message(Path(path), reader, digest)
        except FormatError as error:
            raise FormatError(f"{path}: {error}") from error


class _Message:
    """The payload in an open sound file, read front to back and hashed on the way.

    Attributes:
      info: what the headers say.
      layout: of the BMP file that the payload is.
    """

    def __init__(self, path: Path, reader: files.Reader, digest: framing.Digest):
        self._reader, self._digest = reader, digest
        form, self._channel, head = self._find()
        if form == FRAMED:
            header = framing.Header.parse(head)
            start, self._left = framing.HEADER_BYTES, header.payload_bytes
            secret_size, network = header.secret_size, header.network
            end = start + self._left + framing.DIGEST_BYTES
        else:
            start, self._left = 0, bmp.stated_size(head)
            secret_size = network = None
            end = self._left
        if end > reader.frames:
            raise FormatError(
                f"is cut short: {end - reader.frames:,} samples are missing; its header announces {end:,}, "
                f"{reader.frames:,} are there"
            )
        self._framed = form == FRAMED
        payload_bytes = self._left
        reader.seek(start)
        self.layout = bmp.parse(self.read(min(payload_bytes, bmp.HEADER_BYTES)).tobytes(), payload_bytes)
        self.info = AudioInfo(
            path=path,
            container=reader.container,
            subtype=reader.subtype,
            sample_rate=reader.sample_rate,
            channels=reader.channels,
            channel=self._channel,
            frames=reader.frames,
            form=form,
            payload_bytes=payload_bytes,
            image_size=(self.layout.height, self.layout.width),
            secret_size=secret_size,
            network=network,
            samples_after=reader.frames - end,
        )

    def _find(self) -> tuple[str, int, bytes]:
        """Returns the form of the message, its channel, and the first bytes there, as many as any header needs."""
        blocks = self._reader.blocks(min(self._reader.frames, bmp.HEADER_BYTES))
        heads = [pcm.decode(channel).tobytes() for block in blocks for channel in block.T]
        # A frame in any channel goes before a BMP in any: two letters are also found by chance.
        for form, magic in ((FRAMED, framing.MAGIC), (RAW_BMP, bmp.MAGIC)):
            for channel, head in enumerate(heads):
                if head.startswith(magic):
                    return form, channel, head
        found = heads[0][: len(framing.MAGIC)].hex(" ") if heads else "nothing"
        raise FormatError(
            f"holds no message: begins with {found}, expected {framing.MAGIC.hex(' ')} or {bmp.MAGIC.hex(' ')}"
        )

    def _read(self, count: int) -> np.ndarray:
        data = np.empty(count, np.uint8)
        start = 0
        for block in self._reader.blocks(count):
            pcm.decode(block[:, self._channel], out=data[start : start + len(block)])
            start += len(block)
        return data

    def read(self, count: int) -> np.ndarray:
        """Returns the next `count` bytes of the payload, uint8[count]."""
        data = self._read(count)
        self._left -= count
        if self._framed:
            self._digest.update(data)
        return data

    def finish(self) -> None:
        """Reads the payload to its end.

        Raises:
          FormatError: its digest is not the one that the frame states.
        """
        while self._left:
            self.read(min(self._left, pcm.BLOCK))
        if self._framed:
            found, expected = self._digest.digest(), self._read(framing.DIGEST_BYTES).tobytes()
            if found != expected:
                raise FormatError(
                    f"is damaged: the payload's SHA-256 is {found.hex()[:16]}…, expected {expected.hex()[:16]}…"
                )
