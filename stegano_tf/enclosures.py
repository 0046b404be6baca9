"""Any file as sound, bit for bit and with its name, and back into a folder."""

import os
from pathlib import Path

from stegano_tf import outputs, sealing
from stegano_tf.audio import codec, files
from stegano_tf.audio.payloads import FILE
from stegano_tf.errors import SteganoError
from stegano_tf.message import frame


def encode(path: str | os.PathLike, audio: str | os.PathLike, **options) -> codec.AudioInfo:
    """Writes a file as a sound file; `options` are those of `audio.codec.encode` but for `payload`.

    Raises what `audio.codec.encode` does, and SteganoError if the file cannot be read.

    Example:
      enclosures.encode("report.pdf", "report.mp3")
      path, info = enclosures.decode("report.mp3", "received")  # received/report.pdf
    """
    options["form"] = codec.check(audio, **options)
    return codec.encode_file(pack(path), audio, **options)


def pack(path: str | os.PathLike) -> bytes:
    """Returns what `audio.codec.encode_file` takes of a file; raises SteganoError if it cannot be read."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SteganoError(f"{path}: cannot be read: {error.strerror}, expected a file") from error
    return frame.Secret(data, Path(path).name).pack()


def decode(
    audio: files.Paths, folder: str | os.PathLike, *, key: sealing.Key | None = None, force: bool = False
) -> tuple[Path, codec.AudioInfo]:
    """Writes what is in a sound into a folder and returns the new file's name: a file, or a picture file as it is.

    The name is the one that the sender gave it, without folders and all else that would lead out of this one
    (`frame.safe`). A picture file is called as the sound.

    Args:
      audio: several files if the message was split.
      folder: is made if it is missing, but not the one that it lies in.
      key: opens a sealed message.
      force: whether an existing file is replaced.

    Raises:
      AudioError, FormatError, SealingError: as `audio.codec.decode`.
      OutputError: as `outputs.inside`, or the file exists and `force` is not set.
    """
    outputs.check_folder(folder)
    data, info = codec.read_file(audio, key=key)
    name = f"{info.path.stem}.{info.payload}"
    if info.payload == FILE:
        secret = frame.Secret.parse(data)
        name, data = secret.name, secret.data
    path = outputs.inside(folder, name)
    with outputs.replacing(path, force=force) as partial:
        partial.write_bytes(data)
    return path, info
