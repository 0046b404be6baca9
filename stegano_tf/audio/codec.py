"""Pictures to sound files and back: the composition of the other modules of this package.

All is read and written a block at a time: the BMP file and the samples are never whole in memory. With `bmp.File` and
`decode_file` the picture is not either. What is sealed or has parity passes through temporary files (`scratch`): parity
reaches across the message, and nothing sealed leaves before all of it is verified. Whole in memory are PNG and WebP
payloads, what is sealed with a passphrase (see `age`), recordings, and messages that are being repaired. No length is
trusted before that many samples are there.
"""

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import numpy as np

from stegano_tf import outputs, scratch, sealing
from stegano_tf.audio import files, forms, framing, limits, pcm
from stegano_tf.audio.forms.form import Form, Found, Sound
from stegano_tf.audio.info import AudioInfo, Decoded
from stegano_tf.audio.message import Message, fill, unsealed
from stegano_tf.audio.payloads import FILE, PAYLOADS, bmp
from stegano_tf.errors import FormatError, OutputError, SteganoError
from stegano_tf.sealing import age


def check(
    path: str | os.PathLike,
    *,
    size: tuple[int, int] | None = None,
    age_file: bytes | None = None,
    passphrase: str | None = None,
    sample_rate: int = 44100,
    payload: str = "bmp",
    lock: sealing.Lock | None = None,
    force: bool = False,
    form: Form | None = None,
    spell: Callable[[str], str] = str,
    **options,
) -> Form:
    """Returns the form that will be written, and refuses all that can be known before there is a picture.

    Give it to the next call as `form`, since a form may have read a recording.

    Args:
      path, sample_rate, payload, lock, force, form, options: as `encode`.
      size: (height, width) of the picture, as far as it is known.
      age_file, passphrase: what `encode_payload` is to write instead of a picture.
      spell: writes the name of an option as the user knows it.

    Raises:
      OptionError: options exclude each other, or the form with the payload or the seal.
      AudioError: the suffix, the sample rate or the length is not possible, or a recording does not serve. How large a
        PNG or WebP becomes is not known, so a recording that is too short for it may pass.
      OutputError: `path` cannot be written, or exists and `force` is not set.
    """
    form = form or forms.choose(forms.for_file(path, options), spell)
    name = " and ".join(spell(name) for name, value in options.items() if value) or form.name
    if payload not in PAYLOADS:
        raise forms.OptionError(f"{spell('payload')} is {payload!r}, expected one of {', '.join(PAYLOADS)}")
    if form.payloads is not None and payload not in form.payloads:
        raise forms.OptionError(f"{name} takes {spell('payload')} {' or '.join(form.payloads)}, not {payload}")
    if (lock or age_file) and not form.sealable:
        raise forms.OptionError(f"{name} cannot be sealed")
    if form.needs_passphrase and not (lock.passphrase if lock else age_file and age.needs_passphrase(age_file)):
        raise forms.OptionError(f"{name} must be sealed with a passphrase")
    keyed = (lock.passphrase if lock else passphrase) is not None
    if form.keyed and not keyed:
        instead = ", not recipients" if lock else ""
        raise forms.OptionError(f"{name} must have a passphrase{instead}: it decides where the message lies")
    least = PAYLOADS[payload].least_bytes(*size) if size else len(age_file or b"-")
    if lock:
        least = age.sealed_bytes(least + framing.OVERHEAD)
    form.check(path, least + framing.OVERHEAD * form.framed, sample_rate, keyed=keyed)
    outputs.check(form.first(path), force=force)
    return form


def encode(
    image: np.ndarray | bmp.File,
    path: str | os.PathLike,
    *,
    secret_size: tuple[int, int] | None = None,
    network: bytes | None = None,
    sample_rate: int = 44100,
    payload: str = "bmp",
    lock: sealing.Lock | None = None,
    force: bool = False,
    **options,
) -> AudioInfo:
    """Writes a picture as a sound file: without options mono and of 16 bits, one byte of a frame a sample.

    Args:
      image: uint8[H, W, 3] RGB, or a BMP file, which is read while it is sent.
      path: the suffix chooses the container: .wav .rf64 .flac .aiff .aif .caf .w64.
      secret_size: (height, width) that the frame records for the secret inside the picture.
      network: 8 bytes that the frame records for the network that reveals the secret.
      sample_rate: in Hz; a carrier keeps its own.
      payload: a key of `payloads.PAYLOADS`, all lossless; all but "bmp" take an array.
      lock: who can open it; anybody if None.
      force: whether an existing file is replaced.
      options: those of one form, see `forms.choose`, such as `parity=0.1` or `carrier="song.wav", bits=2`; or `form`,
        which `check` has made of them.

    Returns:
      What `inspect` with the key says about the new file.

    Raises:
      TypeError, ValueError: `image` is not uint8[H, W, 3], or the form has no place for `secret_size` or `network`.
      OptionError, AudioError, OutputError: as `check`.
      ImageError: the payload's format cannot hold the picture.

    Example:
      info = codec.encode(image, "message.flac", parity=0.1)
      assert (codec.decode("message.flac").image == image).all()
    """
    if not isinstance(image, bmp.File):
        bmp.check_picture(image)
    shared = {"sample_rate": sample_rate, "force": force}
    form = check(path, size=image.shape[:2], payload=payload, lock=lock, **shared, **options)
    if not form.records and (secret_size is not None or network is not None):
        raise ValueError(f"the form {form.name!r} has no place for secret_size and network, expected None")
    size, picture = PAYLOADS[payload].encode(image)
    header = framing.Header(size, secret_size, network)
    facts = {"payload": payload, "image_size": image.shape[:2], "secret_size": secret_size, "network": network}
    return _write_locked(form, path, header, picture, facts, lock=lock, **shared)


def encode_file(data: bytes, path: str | os.PathLike, *, lock: sealing.Lock | None = None, **options) -> AudioInfo:
    """Writes a file with its name, as `message.frame` packs it, as a sound file; arguments and errors as `encode`'s."""
    shared = {"sample_rate": options.pop("sample_rate", 44100), "force": options.pop("force", False)}
    form = check(path, lock=lock, **shared, **options)
    if form.payloads is not None:
        raise forms.OptionError(f"{form.name} takes pictures only")
    return _write_locked(form, path, framing.Header(len(data)), [data], {"payload": FILE}, lock=lock, **shared)


def _write_locked(form: Form, path, header: framing.Header, payload: Iterable, facts: dict, *, lock, **shared):
    """Writes a payload, inside a seal if there is a lock."""
    if not lock:
        return _write(form, path, header, payload, facts | {"unproved": form.unproved}, passphrase=None, **shared)
    with scratch.SecretFile() as plaintext, scratch.SecretFile() as sealed, framing.Digest() as digest:
        fill(plaintext, framing.frame(header, payload, digest))
        age.seal(plaintext, sealed, lock)
        return _write_sealed(form, path, sealed, facts, passphrase=lock.passphrase, **shared)


def encode_payload(
    data: bytes,
    path: str | os.PathLike,
    *,
    passphrase: str | None = None,
    sample_rate: int = 44100,
    force: bool = False,
    **options,
) -> AudioInfo:
    """Writes an age file, such as the `age` command makes of a BMP, PNG or WebP picture, as a sound file.

    Args:
      data: the age file, binary or armored; what is in it cannot be checked.
      passphrase: decides the order of a carrier's samples; it opens nothing here.
      path, sample_rate, force, options: as `encode`.

    Raises:
      FormatError: `data` is no age file.
      OptionError, AudioError, OutputError: as `check`.
      SealingError: the form does not take this age file.
    """
    if not data.startswith((age.MAGIC, age.ARMOR_MAGIC)):
        raise FormatError(f"the payload starts with {data[:8]!r}, expected an age file ({age.MAGIC[:-1]!r})")
    shared = {"sample_rate": sample_rate, "force": force}
    form = check(path, age_file=data, passphrase=passphrase, **shared, **options)
    passphrase = passphrase and sealing.spellings(passphrase)[0]
    return _write_sealed(form, path, io.BytesIO(data), {"unproved": form.unproved}, passphrase=passphrase, **shared)


def _write_sealed(form: Form, path: str | os.PathLike, sealed: BinaryIO, facts: dict, **options) -> AudioInfo:
    """Writes an age file."""
    header = framing.Header(sealed.seek(0, os.SEEK_END), flags=framing.Flags.SEALED)
    sealed.seek(0)
    blocks = iter(lambda: sealed.read(pcm.BLOCK), b"")
    return _write(form, path, header, blocks, facts | {"sealed": True}, **options)


def _write(form: Form, path, header: framing.Header, payload: Iterable, facts: dict, *, passphrase, **options):
    """Writes a payload, which comes in blocks, reads it back as its receiver will, and returns an `AudioInfo`."""
    size = header.payload_bytes
    key = sealing.Key(passphrase=passphrase, bare=form.needs_passphrase)
    with framing.Digest() as sent:
        blocks = framing.frame(header, payload, sent) if form.framed else framing.hashed(payload, sent)

        def check(reader: files.Reader) -> None:
            with framing.Digest() as digest:
                try:
                    _message(reader, *_find(reader, key), digest).finish()
                except SteganoError as error:
                    raise OutputError(f"{path}: cannot be written: no message is read back from it") from error
                if digest.digest() != sent.digest():
                    raise OutputError(f"{path}: cannot be written: another message is read back from it")

        options["check"] = check
        reader, more = form.write(path, size + framing.OVERHEAD * form.framed, blocks, key=key, **options)
    return AudioInfo.of(path, reader, form, payload_bytes=size, **facts, **more)


def decode(path: files.Paths, *, key: sealing.Key | None = None) -> Decoded:
    """Reads the picture in a sound file, from whichever channel, or whichever low bits, hold it.

    `path` names several files if the message was split. `key` opens what is sealed. Its passphrase also finds what was
    hidden with one in a carrier.

    Raises:
      AudioError: `path` cannot be read as sound, is lossy or cannot be decoded.
      FormatError: the sound holds no message, one of another version, or one that is cut short or damaged.
      SealingError: it is sealed, and the key does not open it.
    """
    with _open(path, key) as (message, describe):
        inner = unsealed(message, key or sealing.Key())
        kind, picture = inner.picture()
        with scratch.off_disk(message.sealed):
            image = picture.image()
        inner.finish()
        return Decoded(image=image, info=describe(inner, payload=kind, image_size=picture.size))


def decode_file(
    path: str | os.PathLike, picture: str | os.PathLike, *, key: sealing.Key | None = None, force: bool = False
) -> AudioInfo:
    """Writes the picture in a sound file as a BMP file, whole or not at all, and returns where it came from.

    A payload of BMP is never whole in memory; rows that were sent top-down are written so.

    Raises:
      AudioError, FormatError, SealingError: as `decode`.
      OutputError: `picture` or a temporary file cannot be written, or it exists and `force` is not set.
    """
    with outputs.replacing(picture, force=force) as partial, _open(path, key) as (message, describe):
        inner = unsealed(message, key or sealing.Key())
        kind, found = inner.picture()
        with partial.open("wb") as file:
            file.writelines(found.bmp())
        inner.finish()
        return describe(inner, payload=kind, image_size=found.size)


def inspect(path: files.Paths, *, verify: bool = False, key: sealing.Key | None = None) -> AudioInfo:
    """Returns what a sound file holds, from its headers alone, or with `verify` from all of it.

    What is sealed is opened if there is a passphrase or an identity in `key`. Raises as `decode`; without `verify`,
    damage behind the headers of the plain form goes unnoticed.
    """
    with _open(path, key) as (message, describe):
        opens = key is not None and (key.passphrase is not None or key.identities)
        inner = unsealed(message, key) if opens else message
        kind, picture = (None, None) if inner.sealed else (FILE, None) if inner.is_file else inner.picture()
        if verify:
            inner.finish()
        return describe(inner, payload=kind, image_size=picture and picture.size)


def read_payload(path: files.Paths, *, key: sealing.Key | None = None) -> bytes:
    """Returns the payload in a sound file, a picture file or an unopened age file, as it is; raises as `decode`."""
    with _open(path, key) as (message, _):
        return message.rest(limits.streamed)


def read_file(path: files.Paths, *, key: sealing.Key | None = None) -> tuple[bytes, AudioInfo]:
    """Returns what `encode_file` took, or a picture file, out of its seal, and its origin; raises as `decode`."""
    with _open(path, key) as (message, describe):
        inner = unsealed(message, key or sealing.Key())
        data = inner.rest(limits.streamed)
        kind = FILE if inner.is_file else next((one.name for one in PAYLOADS.values() if one.starts(inner.head)), None)
        if kind is None:
            raise FormatError(f"holds neither a picture nor a file, but what begins with {inner.head[:8].hex(' ')}")
        return data, describe(inner, payload=kind)


@contextlib.contextmanager
def _open(path: files.Paths, key: sealing.Key | None) -> Iterator[tuple[Message, Callable[..., AudioInfo]]]:
    """Yields the message in a sound file, and a function: of it, or of that inside its seal, to what is known."""
    form, found, name = None, None, files.label(path)
    with files.opened(path) as reader, framing.Digest() as digest:
        try:
            form, found = _find(reader, key)
            message = _message(reader, form, found, digest)

            def describe(inner: Message, **picture) -> AudioInfo:
                return AudioInfo.of(
                    files.listed(path)[0],
                    reader,
                    form,
                    payload_bytes=message.payload_bytes,
                    sealed=message.sealed,
                    secret_size=inner.header.secret_size,
                    network=inner.header.network,
                    unproved=form.unproved if inner is message else None,
                    **{"samples_after": message.after, **message.facts, **picture},
                )

            yield message, describe
        except sealing.KeyFileError:
            raise
        except (FormatError, sealing.SealingError) as error:
            # Nobody learns from the words whether there is a message.
            if form and form.needs_passphrase and key.passphrase:
                reason = "wrong passphrase, damaged, or no message at all"
                raise sealing.SealingError(f"{name}: cannot be opened: {reason}") from error
            said = _not_opened() if found and found.keyed else error
            raise said.about(name) from error


def _message(reader: files.Reader, form: type[Form], found: Found, digest: framing.Digest) -> Message:
    """Returns a message that was found, to be hashed by `digest`; raises as `decode`."""
    return Message(found, digest, framed=form.framed, sealed=form.needs_passphrase, file_bytes=reader.size)


def _find(reader: files.Reader, key: sealing.Key | None) -> tuple[type[Form], Found]:
    """Returns the message that a sound holds, and its form; raises FormatError if there is none."""
    sound = Sound(reader)
    samples = reader.frames * reader.channels
    # A search takes the whole sound: not for a few bytes that claim to be hours of it.
    held, heard = samples <= limits.searched(reader.size), samples <= limits.heard(reader.size)
    asked = sorted(forms.FORMS, key=lambda form: not form.lossy) if samples > limits.HELD_FIRST else forms.FORMS
    for look in ("recognise", "search"):
        for form in asked:
            if (form.lossy and heard) or (not reader.lossy and (held or look == "recognise")):
                found = getattr(form, look)(sound, key)
                if found:
                    return form, found
    if reader.lossy:
        raise reader.loses(", and holds no message that was made to survive that")
    if key is not None and isinstance(key.passphrase, str):
        raise _not_opened()
    begins = sound.heads[0][: len(framing.MAGIC)].hex(" ") if sound.heads else "nothing"
    expected = " or ".join(form.magic.hex(" ") for form in forms.FORMS if form.magic)
    hidden = "one that a passphrase hides is seen with that passphrase only"
    raise FormatError(f"holds no message: begins with {begins}, expected {expected}; {hidden}")


def _not_opened() -> FormatError:
    """Returns what is said of a wrong passphrase, of damage, and of a sound that never held a message."""
    found = "holds no message that the passphrase opens: a wrong passphrase, damaged, or none at all"
    return FormatError(found, option="bare", effect="is needed for what it wrote")
