"""Loudspeaker and microphone, through sounddevice (PortAudio), the extra `device`."""

import contextlib
import os
from collections.abc import Callable, Iterator

from stegano_tf.errors import AudioError, BackendError, one_line

_BLOCK = 4800  # samples that are played or recorded at once
_RATE = 48_000  # Hz at which is recorded


def check(option: str):
    """Returns sounddevice; raises BackendError without it, or if `option` finds no device."""
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        advice = 'is not installed: pip install "stegano_tf[device]"'
        raise BackendError(f"{option} needs the package sounddevice, which {advice}") from error
    except OSError as error:  # Linux: PortAudio is a package of the system
        raise BackendError(f"{option} needs the library PortAudio, which is not installed (libportaudio2)") from error
    kind = "output" if option == "--play" else "input"
    try:
        sounddevice.query_devices(kind=kind)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise BackendError(f"{option} found no {kind} device, expected one that PortAudio knows") from error
    return sounddevice


def play(path: str | os.PathLike) -> None:
    """Plays a sound file; raises BackendError as `check`, or AudioError if the device fails."""
    from stegano_tf.audio import files

    sounddevice = check("--play")
    with files.opened(path) as reader:
        reader.seek(0)
        with _working("--play", sounddevice), sounddevice.OutputStream(reader.sample_rate, channels=1) as stream:
            for block in reader.mono_blocks():
                stream.write(block[:, None])


def record(path: str | os.PathLike, seconds: float, *, force: bool, progress: Callable | None = None) -> None:
    """Writes what the microphone hears as a sound file; raises as `play`, and OutputError as `files.write`.

    Args:
      path: of a lossless container.
      seconds: how long.
      force: whether an existing file is replaced.
      progress: is called with what is done, seconds done and seconds in all.
    """
    from stegano_tf.audio import files

    sounddevice = check("--listen")
    count = int(seconds * _RATE)

    def blocks():
        with sounddevice.InputStream(_RATE, channels=1, dtype="int16") as stream:
            for start in range(0, count, _BLOCK):
                if progress:
                    progress("listening", start // _RATE, int(seconds))
                yield stream.read(min(_BLOCK, count - start))[0][:, 0]

    with _working("--listen", sounddevice):
        files.write(path, blocks(), count, sample_rate=_RATE, force=force)


@contextlib.contextmanager
def _working(option: str, sounddevice) -> Iterator[None]:
    """Says that a device failed."""
    try:
        yield
    except sounddevice.PortAudioError as error:
        raise AudioError(f"{option}: the device fails: {one_line(error)}") from error
