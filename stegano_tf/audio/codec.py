"""Pictures to sound files and back: the composition of the other modules of this package.

All streams, a block at a time: neither the BMP file nor the samples are ever whole in memory, and with `bmp.File` and
`decode_file` the picture is not either. What is sealed or has parity passes through temporary files (`scratch`):
parity reaches across the message, and nothing sealed may be handed on before all of it is known to be right. In memory
are PNG and WebP payloads, what is sealed with a passphrase (see `sealing`), recordings, and messages that are being
repaired. Reading trusts no length before that many samples are there.
"""

import contextlib
import dataclasses
import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stegano_tf import outputs, scratch
from stegano_tf.audio import bmp, files, framing, marked, payloads, pcm, sealing
from stegano_tf.audio import carrier as carrier_
from stegano_tf.errors import AudioError, FormatError

FRAMED = f"frame v{framing.VERSION}"
RAW_BMP = "raw bmp"
MARKED = f"{FRAMED} with marks and parity"
CARRIED = f"{FRAMED} in the low bits of a recording"
BARE = "bare age file"
# A sample in the middle of its level is half-way between two of 8 bits; a converter that rounds takes the upper one.
_ROUNDED_MAGIC = bytes(byte + 1 for byte in framing.MAGIC)
_PICTURE = "picture file"  # inside an age file that was made by hand
PAYLOADS = ("bmp", *payloads.FORMATS)
# Where labels are looked for in a recording: in front, and far enough behind for whatever a burst in front left. Before
# every 21st segment there is a whole number of samples, at any number of bits.
_LOOKED_AT = (0, *(21 << doubling for doubling in range(20)))


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
      form: `FRAMED`, `RAW_BMP`, `MARKED`, `CARRIED` or `BARE`.
      payload_bytes: length of the payload: of the picture file, or of the age file that seals it.
      payload: "bmp", "png" or "webp": what kind of picture file; None while it is sealed.
      image_size: (height, width) of the picture; None while it is sealed.
      secret_size: (height, width) of the secret before it was resized, or None if not recorded.
      network: 8 bytes that name the network which reveals the secret, or None if not recorded.
      samples_after: samples after the message's end, which editors may append; 0 in a recording.
      sealed: whether the payload is an age file.
      parity: check symbols in a codeword of 255, or None in a form without.
      bits: of each sample that hold the message.
      damage: what was repaired, or None.
      snr: of a recording that was just made a carrier, in dB relative to full scale.
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
    image_size: tuple[int, int] | None
    secret_size: tuple[int, int] | None
    network: bytes | None
    samples_after: int
    payload: str | None = "bmp"
    sealed: bool = False
    parity: int | None = None
    bits: int = 8
    damage: marked.Damage | None = None
    snr: float | None = None

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
    image: np.ndarray | bmp.File,
    path: str | os.PathLike,
    *,
    secret_size: tuple[int, int] | None = None,
    network: bytes | None = None,
    sample_rate: int = 44100,
    raw_bmp: bool = False,
    payload: str = "bmp",
    lock: sealing.Lock | None = None,
    bare: bool = False,
    marks: marked.Marks | None = None,
    carrier: carrier_.Carrier | None = None,
    force: bool = False,
) -> AudioInfo:
    """Writes a picture as a sound file: by itself mono and of 16 bits, one byte of its file a sample.

    Args:
      image: uint8[H, W, 3] RGB, or a BMP file, which is read while it is sent.
      path: the suffix chooses the container: .wav .rf64 .flac .aiff .aif .caf .w64.
      secret_size: (height, width) that the frame records for the secret inside the picture.
      network: 8 bytes that the frame records for the network that reveals the secret.
      sample_rate: in Hz; a carrier keeps its own.
      raw_bmp: writes the bare BMP file without a frame, as published; damage cannot be detected then.
      payload: "bmp", "png" or "webp", all lossless; the latter two take an array.
      lock: who can open it; anybody if None.
      bare: writes a sound that cannot be told from noise, without even the frame's magic; needs a passphrase.
      marks: adds marks, known levels and parity.
      carrier: hides the message in this recording.
      force: whether an existing file is replaced.

    Returns:
      What `inspect` with the key says about the new file.

    Raises:
      TypeError, ValueError: `image` is not uint8[H, W, 3], or options are impossible or exclude each other.
      AudioError: the suffix or the sample rate is not possible, or the carrier does not serve.
      ImageError: the payload's format cannot hold the picture.
      OutputError: `path` cannot be written, or exists and `force` is not set.
    """
    if payload not in PAYLOADS:
        raise ValueError(f"payload is {payload!r}, expected one of {', '.join(PAYLOADS)}")
    if raw_bmp:
        if secret_size is not None or network is not None:
            raise ValueError("the bare BMP form has no place for secret_size and network, expected None")
        if payload != "bmp" or lock or bare or marks or carrier:
            raise ValueError("the bare BMP form is neither sealed, marked nor carried")
        samples, blocks = _bmp(image)
        files.write(path, map(pcm.encode, blocks), samples, sample_rate=sample_rate, force=force)
        return inspect(path)
    if bare and not lock:
        raise ValueError("a bare sound must be sealed with a passphrase")
    size, blocks = _bmp(image)
    if payload != "bmp":
        data = payloads.encode(image, payload)
        size, blocks = len(data), iter([data])
    header = framing.Header(size, secret_size, network)
    if not (lock or bare or marks or carrier):
        samples = size + framing.HEADER_BYTES + framing.DIGEST_BYTES
        frame = framing.frame(header, blocks)
        files.write(path, map(pcm.encode, frame), samples, sample_rate=sample_rate, force=force)
        return inspect(path)
    message = framing.frame(header, blocks)
    options = {"marks": marks, "carrier": carrier, "sample_rate": sample_rate, "force": force}
    if lock:
        with scratch.file() as plaintext, scratch.file() as sealed:
            _fill(plaintext, message)
            sealing.seal_file(plaintext, sealed, lock)
            sealed.seek(0)
            info = _write_sealed(sealed, path, bare=bare, passphrase=lock.passphrase, **options)
    else:
        info = _write(size + framing.HEADER_BYTES + framing.DIGEST_BYTES, message, path, passphrase=None, **options)
    return dataclasses.replace(
        info,
        payload_bytes=info.payload_bytes if lock else size,
        payload=payload,
        image_size=image.shape[:2],
        secret_size=secret_size,
        network=network,
    )


def _bmp(image: np.ndarray | bmp.File) -> tuple[int, Iterator]:
    return image.encode() if isinstance(image, bmp.File) else bmp.encode(image)


def encode_payload(
    data: bytes,
    path: str | os.PathLike,
    *,
    passphrase: str | None = None,
    sample_rate: int = 44100,
    bare: bool = False,
    marks: marked.Marks | None = None,
    carrier: carrier_.Carrier | None = None,
    force: bool = False,
) -> AudioInfo:
    """Writes an age file, such as the `age` command makes of a BMP, PNG or WebP picture, as a sound file.

    Args:
      data: the age file, binary or armored; what is in it cannot be checked.
      path, sample_rate, bare, marks, carrier, force: as `encode`.
      passphrase: decides the order of a carrier's samples; it opens nothing here.

    Raises:
      FormatError: `data` is no age file.
      AudioError, OutputError: as `encode`.
    """
    if not sealing.is_sealed(data):
        raise FormatError(f"the payload starts with {data[:8]!r}, expected an age file ({sealing.MAGIC[:-1]!r})")
    return _write_sealed(
        io.BytesIO(data),
        path,
        passphrase=passphrase,
        bare=bare,
        marks=marks,
        carrier=carrier,
        sample_rate=sample_rate,
        force=force,
    )


def _write_sealed(
    sealed: BinaryIO, path: str | os.PathLike, *, bare: bool, passphrase: str | None, **options
) -> AudioInfo:
    if bare:
        if options["marks"] or options["carrier"]:
            raise ValueError("a bare sound has neither marks nor a carrier: they would show")
        data = sealed.read()
        samples = pcm.encode(sealing.to_noise(data))
        files.write(path, [samples], len(samples), sample_rate=options["sample_rate"], force=options["force"])
        return _info(path, form=BARE, payload_bytes=len(data), sealed=True)
    size = sealed.seek(0, os.SEEK_END)
    sealed.seek(0)
    frame = framing.frame(framing.Header(size, flags=framing.Flags.SEALED), iter(lambda: sealed.read(pcm.BLOCK), b""))
    info = _write(size + framing.HEADER_BYTES + framing.DIGEST_BYTES, frame, path, passphrase=passphrase, **options)
    return dataclasses.replace(info, payload_bytes=size, sealed=True)


def _write(
    size: int,
    message: Iterable,
    path: str | os.PathLike,
    *,
    passphrase: str | None,
    marks: marked.Marks | None,
    carrier: carrier_.Carrier | None,
    sample_rate: int,
    force: bool,
) -> AudioInfo:
    """Writes a message of `size` bytes, which comes in blocks."""
    if carrier:
        return _write_carried(b"".join(message), path, carrier, marks, passphrase=passphrase, force=force)
    if marks:
        samples, blocks = marked.encode(_gathered(size, message), marks)
        files.write(path, blocks, samples, sample_rate=sample_rate, force=force)
        return _info(path, form=MARKED, parity=marks.checks, bits=marks.depth)
    files.write(path, map(pcm.encode, message), size, sample_rate=sample_rate, force=force)
    return _info(path, form=FRAMED)


def _gathered(size: int, blocks: Iterable) -> np.ndarray:
    """Returns the bytes of all blocks, uint8[size]."""
    data = scratch.zeros(size)
    start = 0
    for block in blocks:
        part = np.frombuffer(block, np.uint8)
        data[start : start + len(part)] = part
        start += len(part)
        scratch.release(data)
    return data


def _fill(file: BinaryIO, blocks: Iterable) -> None:
    """Writes blocks to a temporary file and goes back to its start."""
    try:
        for block in blocks:
            file.write(block)
    except OSError as error:
        raise scratch.no_room(error) from error
    file.seek(0)


def _write_carried(
    message: bytes,
    path: str | os.PathLike,
    carrier: carrier_.Carrier,
    marks: marked.Marks | None,
    *,
    passphrase: str | None,
    force: bool,
) -> AudioInfo:
    if marks:
        if marks.depth != 8:
            raise ValueError("a carrier's low bits know no levels, expected marks of depth 8")
        message = marked.encode_bytes(message, marks.checks)
    recording = files.read_recording(carrier.path)
    try:
        carrier_.check_clipping(recording.samples, recording.depth)
        flat = recording.samples.reshape(-1)
        bits = carrier_.choose_bits(
            flat.size, len(message), recording.sample_rate, recording.samples.shape[1], carrier.bits
        )
    except AudioError as error:
        raise AudioError(f"{carrier.path}: {error}") from error
    key = carrier_.order_key(passphrase) if passphrase is not None else None
    changed = carrier_.embed(flat, message, bits, recording.depth, carrier_.order(flat.size, bits, key))
    files.write_recording(
        path, dataclasses.replace(recording, samples=changed.reshape(recording.samples.shape)), force=force
    )
    snr = carrier_.snr(flat, changed, recording.depth)
    return _info(path, form=CARRIED, bits=bits, snr=snr, parity=marks.checks if marks else None)


def message_bytes(
    image: np.ndarray, *, payload: str = "bmp", sealed: bool = False, marks: marked.Marks | None = None
) -> int:
    """Returns how many bytes a picture takes in a carrier, `sealed` with a passphrase (recipients: some 100 more)."""
    size = bmp.encode(image)[0] if payload == "bmp" else len(payloads.encode(image, payload))
    size += framing.HEADER_BYTES + framing.DIGEST_BYTES
    if sealed:
        size = sealing.sealed_bytes(size) + framing.HEADER_BYTES + framing.DIGEST_BYTES
    return marked.encoded_bytes(size, marks.checks) if marks else size


def decode(path: str | os.PathLike, *, key: sealing.Key | None = None) -> Decoded:
    """Reads the picture in a sound file, from whichever channel, or whichever low bits, hold it.

    Args:
      path: the sound file.
      key: opens what is sealed; its passphrase also finds what was hidden with one in a carrier.

    Raises:
      AudioError: `path` cannot be read as sound, is lossy or cannot be decoded.
      FormatError: the sound holds no message, one of another version, or one that is cut short or damaged.
      SealingError: it is sealed, and the key does not open it.
    """
    with _open(path, key) as (info, message):
        inner = _unsealed(message, key or sealing.Key())
        picture = _Picture(inner)
        image = picture.image()
        inner.finish()
        return Decoded(image=image, info=_describe(info, message, inner, picture))


def decode_file(
    path: str | os.PathLike, picture: str | os.PathLike, *, key: sealing.Key | None = None, force: bool = False
) -> AudioInfo:
    """Writes the picture in a sound file as a BMP file, whole or not at all, and returns where it came from.

    A payload of BMP is never whole in memory; rows that were sent top-down are written so.

    Args:
      path, key: as `decode`.
      picture: the file to write.
      force: whether an existing file is replaced.

    Raises:
      AudioError, FormatError, SealingError: as `decode`.
      OutputError: `picture` or a temporary file cannot be written.
    """
    with outputs.replacing(picture, force=force) as partial, _open(path, key) as (info, message):
        inner = _unsealed(message, key or sealing.Key())
        found = _Picture(inner)
        with partial.open("wb") as file:
            for block in found.bmp():
                file.write(block)
        inner.finish()
        return _describe(info, message, inner, found)


def inspect(path: str | os.PathLike, *, verify: bool = False, key: sealing.Key | None = None) -> AudioInfo:
    """Returns what a sound file holds, from its headers alone, or with `verify` from all of it.

    Raises:
      AudioError, FormatError, SealingError: as `decode`; without `verify`, damage behind the headers of the plain form
        goes unnoticed. Without `key`, a sealed message is not opened.
    """
    with _open(path, key) as (info, message):
        inner = message if key is None else _unsealed(message, key)
        picture = None if inner.sealed else _Picture(inner)
        if verify:
            inner.finish()
        return _describe(info, message, inner, picture)


def read_payload(path: str | os.PathLike, *, key: sealing.Key | None = None) -> bytes:
    """Returns the payload in a sound file as it is: a picture file, or an age file that is not opened.

    Raises:
      AudioError, FormatError: as `decode`.
    """
    with _open(path, key) as (_, message):
        data = message.rest()
        message.finish()
        return data


# --- Finding the message ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(slots=True)
class _Source:
    """Where a message was found: a form, what is known of it, and a function that returns its next bytes.

    Attributes:
      facts: of `AudioInfo`.
      size: bytes that are there; for the plain forms, samples.
      read: returns the next n bytes as uint8[n].
    """

    form: str
    size: int
    read: Callable[[int], np.ndarray]
    facts: dict = dataclasses.field(default_factory=dict)


def _memory(data: bytes | np.ndarray, form: str, **facts) -> _Source:
    data = np.frombuffer(data, np.uint8)
    position = 0

    def read(count: int) -> np.ndarray:
        nonlocal position
        position += count
        scratch.release(data)
        return data[position - count : position]

    return _Source(form, len(data), read, facts)


def _stored(file: BinaryIO, form: str) -> _Source:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return _Source(form, size, lambda count: np.frombuffer(file.read(count), np.uint8))


@contextlib.contextmanager
def _open(path: str | os.PathLike, key: sealing.Key | None) -> Iterator[tuple[AudioInfo, "_Message"]]:
    with files.Reader(path) as reader, framing.Digest() as digest:
        try:
            source = _find(reader, key)
            yield _info(path, reader, form=source.form, **source.facts), _Message(source, digest)
        except (FormatError, sealing.SealingError) as error:
            raise type(error)(f"{path}: {error}") from error


def _info(path: str | os.PathLike, reader: files.Reader | None = None, **facts) -> AudioInfo:
    """Returns what is known of a sound file before its message is read."""
    if reader is None:
        with files.Reader(path) as opened:
            return _info(path, opened, **facts)
    unknown = {"channel": 0, "payload_bytes": 0, "image_size": None, "secret_size": None, "network": None}
    return AudioInfo(
        path=Path(path),
        container=reader.container,
        subtype=reader.subtype,
        sample_rate=reader.sample_rate,
        channels=reader.channels,
        frames=reader.frames,
        **{**unknown, "samples_after": 0, "payload": None, **facts},
    )


def _describe(info: AudioInfo, message: "_Message", inner: "_Message", picture: "_Picture | None") -> AudioInfo:
    """Returns `info` with what was read of the message outside and, if it was opened, inside its seal."""
    info = dataclasses.replace(
        info, payload_bytes=message.payload_bytes, sealed=message.sealed, **_known(inner.header, picture)
    )
    # Of the other forms, `_find` knows where they end.
    return dataclasses.replace(info, samples_after=message.after) if info.form in (FRAMED, RAW_BMP) else info


def _known(header: framing.Header, picture: "_Picture | None") -> dict:
    facts = {"secret_size": header.secret_size, "network": header.network}
    return facts | ({"payload": picture.kind, "image_size": picture.size} if picture else {})


def _find(reader: files.Reader, key: sealing.Key | None) -> _Source:
    """Returns the message that a sound holds.

    Raises:
      FormatError: there is none.
    """
    blocks = list(reader.blocks(min(reader.frames, marked.MARK)))
    channels = list(np.concatenate(blocks).T) if blocks else []
    heads = [pcm.decode(np.ascontiguousarray(channel)).tobytes() for channel in channels]
    for channel, head in enumerate(heads):
        if head.startswith(framing.MAGIC):
            return _streamed(reader, channel, FRAMED)
    for channel, samples in enumerate(channels):
        label = marked.recognise(samples)
        # Not for a few bytes of FLAC that claim to be hours of it.
        if label is not None and label.samples <= min(reader.frames, payloads.LARGEST + 8 * reader.size):
            reader.seek(0)
            blocks = reader.channel_blocks(channel, label.samples - marked.MARK)
            message = marked.decode_clean(label, blocks)
            if message is not None:
                after = reader.frames - label.samples
                facts = {"parity": label.checks, "bits": label.depth, "channel": channel, "samples_after": after}
                return _memory(message, MARKED, **facts)
    # Two letters are also found by chance, so a bare BMP in any channel comes after a frame in any.
    for channel, head in enumerate(heads):
        if head.startswith(bmp.MAGIC):
            return _streamed(reader, channel, RAW_BMP)
    if key is not None and key.bare:
        reader.seek(0)
        noise = pcm.decode(reader.channel(0, reader.frames)).tobytes()
        return _memory(sealing.from_noise(noise), BARE, sealed=True)
    # What is left takes the whole sound: not for a few bytes that claim to be hours of it.
    if reader.frames * reader.channels <= (16 << 20) + 2 * reader.size:
        source = _carried(reader, key) or _damaged(reader)
        if source:
            return source
    if any(head.startswith(_ROUNDED_MAGIC) for head in heads):
        raise FormatError(
            "was rounded to 8 bits, which makes 255 of every byte 254 and cannot be undone; expected 16 bits"
        )
    found = heads[0][: len(framing.MAGIC)].hex(" ") if heads else "nothing"
    raise FormatError(
        f"holds no message: begins with {found}, expected {framing.MAGIC.hex(' ')} or {bmp.MAGIC.hex(' ')}; "
        "one that lies in a recording and is sealed with a passphrase is seen with that passphrase only"
    )


def _streamed(reader: files.Reader, channel: int, form: str) -> _Source:
    def read(count: int) -> np.ndarray:
        data = np.empty(count, np.uint8)
        start = 0
        for block in reader.blocks(count):
            pcm.decode(block[:, channel], out=data[start : start + len(block)])
            start += len(block)
        return data

    reader.seek(0)
    return _Source(form, reader.frames, read, {"channel": channel})


def _carried(reader: files.Reader, key: sealing.Key | None) -> _Source | None:
    if reader.subtype not in files.RECORDINGS:
        return None
    flat = reader.recording().samples.reshape(-1)
    secrets = [None]
    # A passphrase that would have to be asked for is not: most sounds in which nothing is seen hold nothing.
    if key is not None and isinstance(key.passphrase, str):
        secrets.append(carrier_.order_key(key.passphrase))
    for secret in secrets:
        for bits in range(1, carrier_.MAX_BITS + 1):
            order = carrier_.order(flat.size, bits, secret)
            fits = carrier_.capacity(flat.size, bits)
            for segment in _LOOKED_AT:
                start = segment * marked.BYTES_SEGMENT
                if start >= fits:
                    break
                part = carrier_.extract(flat, min(fits - start, 4 * marked.BYTES_SEGMENT), bits, order, start)
                if segment == 0 and part[: len(framing.MAGIC)].tobytes() == framing.MAGIC:
                    return _memory(carrier_.extract(flat, fits, bits, order), CARRIED, bits=bits)
                label = marked.find_label(part, segment)
                if label is not None:
                    message, damage = marked.decode_bytes(carrier_.extract(flat, fits, bits, order), label)
                    return _memory(message, CARRIED, bits=bits, parity=label.checks, damage=damage)
    return None


def _damaged(reader: files.Reader) -> _Source | None:
    for channel in range(reader.channels):
        reader.seek(0)
        samples = reader.floats(channel)
        places = marked.search(samples)
        if places:
            label = next(iter(places.values()))
            message, damage = marked.decode(samples, places)
            return _memory(message, MARKED, parity=label.checks, bits=label.depth, channel=channel, damage=damage)
    return None


# --- Reading it ------------------------------------------------------------------------------------------------------


class _Message:
    """The payload of a message, read front to back and hashed on the way.

    Attributes:
      header: of the frame; in a form without one, what it would say.
      sealed: whether the payload is an age file.
      payload_bytes: length of the payload.
      after: bytes after the message's end.
      head: the first bytes of the payload, as many as a picture's header needs.
    """

    def __init__(self, source: _Source, digest: framing.Digest):
        self._source, self._digest = source, digest
        self._framed = source.form not in (RAW_BMP, BARE, _PICTURE)
        self.sealed = source.form == BARE
        if self._framed:
            self.header = framing.Header.parse(source.read(min(source.size, framing.HEADER_BYTES)).tobytes())
            self.sealed = framing.Flags.SEALED in self.header.flags
            end = framing.HEADER_BYTES + self.header.payload_bytes + framing.DIGEST_BYTES
        else:
            self.head = source.read(min(source.size, bmp.HEADER_BYTES)).tobytes()
            end = bmp.stated_size(self.head) if source.form == RAW_BMP else source.size
            self.header = framing.Header(end)
        if end > source.size:
            raise FormatError(
                f"is cut short: {end - source.size:,} samples are missing; its header announces {end:,}, "
                f"{source.size:,} are there"
            )
        self.payload_bytes = self._left = self.header.payload_bytes
        self.after = source.size - end
        if self._framed:
            self.head = self.read(min(self._left, bmp.HEADER_BYTES)).tobytes()
        else:
            self._left = max(0, self._left - len(self.head))

    def read(self, count: int) -> np.ndarray:
        """Returns the next `count` bytes of the payload, uint8[count]."""
        data = self._source.read(count)
        self._left -= count
        if self._framed:
            self._digest.update(data)
        return data

    def blocks(self) -> Iterator[bytes | np.ndarray]:
        """Yields the whole payload, of which nothing but `head` was read before."""
        yield self.head
        while self._left:
            yield self.read(min(self._left, pcm.BLOCK))

    def rest(self) -> bytes:
        """Returns what `blocks` yields."""
        return b"".join(self.blocks())

    def finish(self) -> None:
        """Reads the payload to its end.

        Raises:
          FormatError: its digest is not the one that the frame states.
        """
        while self._left:
            self.read(min(self._left, pcm.BLOCK))
        if self._framed:
            found, expected = self._digest.digest(), self._source.read(framing.DIGEST_BYTES).tobytes()
            if found != expected:
                raise FormatError(
                    f"is damaged: the payload's SHA-256 is {found.hex()[:16]}…, expected {expected.hex()[:16]}…"
                )


def _unsealed(message: _Message, key: sealing.Key) -> _Message:
    """Returns the message inside a sealed one, once that has proved whole; any other one itself.

    Raises:
      SealingError: the key does not open it.
    """
    if not message.sealed:
        return message
    with scratch.file() as sealed:
        _fill(sealed, message.blocks())
        message.finish()
        opened = scratch.file()  # is closed with the last reference to it
        sealing.open_file(sealed, opened, key)
    opened.seek(0)
    # Whoever uses the age command by hand seals a picture file, not a frame.
    form = FRAMED if opened.read(len(framing.MAGIC)) == framing.MAGIC else _PICTURE
    source = _stored(opened, form)
    inner = _Message(source, framing.Digest())
    if inner.sealed:
        raise FormatError("is sealed twice, expected a picture inside the seal")
    return inner


class _Picture:
    """The picture that a payload is.

    Attributes:
      kind: "bmp", "png" or "webp".
      size: (height, width).
    """

    def __init__(self, message: _Message):
        self._message = message
        self.kind = payloads.kind(message.head) or "bmp"
        if self.kind == "bmp":
            self._layout = bmp.parse(message.head, message.payload_bytes)
            self.size = self._layout.height, self._layout.width
        else:
            self._data = message.rest()
            self.size = payloads.size(self._data)

    def bmp(self) -> Iterator[bytes | np.ndarray]:
        """Yields the picture as a BMP file."""
        return bmp.convert(self._layout, self._message.read) if self.kind == "bmp" else bmp.encode(self.image())[1]

    def image(self) -> np.ndarray:
        """Returns the picture, uint8[H, W, 3] RGB."""
        return bmp.decode(self._layout, self._message.read) if self.kind == "bmp" else payloads.decode(self._data)
