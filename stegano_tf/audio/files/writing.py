"""Samples to sound files of the lossless containers in `CONTAINERS`."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from stegano_tf import outputs
from stegano_tf.audio.files.reading import LOSSY_SUFFIXES, Reader, native, reason
from stegano_tf.audio.files.recordings import Recording
from stegano_tf.errors import AudioError, OutputError

CONTAINERS = MappingProxyType(
    {".wav": "WAV", ".rf64": "RF64", ".flac": "FLAC", ".aiff": "AIFF", ".aif": "AIFF", ".caf": "CAF", ".w64": "W64"}
)
"""The container that a file name's suffix asks for, in libsndfile's terms."""

_MAX_32_BIT_FILE = (1 << 32) - (1 << 16)  # WAV and AIFF count bytes in 32 bits; the rest is left for their headers
_IMPOSSIBLE_FORMAT = 1  # libsndfile's SF_ERR_UNRECOGNISED_FORMAT, for what a container cannot hold
_MAX_SAMPLE_RATES = {"FLAC": 655_350, "AIFF": 800_000_000}  # libsndfile's; other containers hold any positive int32


def container_for(path: str | os.PathLike, samples: int, *, sample_rate: int = 44100) -> str:
    """Returns the libsndfile container in which `samples` 16-bit samples are written to a file of this name.

    A ``.wav`` above 4 GiB becomes RF64, which every reader of large WAV files knows. Raises AudioError if the suffix is
    lossy or unknown, or the container cannot hold so many samples or state the rate.

    Example:
      >>> container_for("a.wav", 10), container_for("a.wav", 1 << 32)
      ('WAV', 'RF64')
    """
    path = Path(path)
    suffix = path.suffix.lower()
    expected = f"expected {' '.join(CONTAINERS)}"
    if suffix in LOSSY_SUFFIXES:
        raise AudioError(f"{path}: {suffix} files are lossy and would destroy the message, {expected}")
    if suffix not in CONTAINERS:
        raise AudioError(f"{path}: the suffix {suffix!r} is of no known sound file, {expected}")
    container = CONTAINERS[suffix]
    highest = _MAX_SAMPLE_RATES.get(container, (1 << 31) - 1)
    if not 1 <= sample_rate <= highest:
        raise AudioError(f"{path}: a sample rate of {sample_rate} Hz, expected 1 to {highest} in a {container} file")
    if 2 * samples > _MAX_32_BIT_FILE:
        if container == "WAV":
            return "RF64"
        if container == "AIFF":
            raise AudioError(f"{path}: {samples:,} samples exceed the 4 GiB of an AIFF file, expected .wav or .flac")
    return container


def write(
    path: str | os.PathLike,
    blocks: Iterable[np.ndarray],
    samples: int,
    *,
    sample_rate: int = 44100,
    channels: int = 1,
    depth: int = 16,
    tags: Mapping[str, str] = MappingProxyType({}),
    force: bool = False,
    check: Callable[[Reader], None] | None = None,
) -> Reader:
    """Writes a sound file, whole or not at all.

    Args:
      path: its suffix chooses the container, see `container_for`.
      blocks: int16[N] or int32[N, channels] arrays. Of int32, the upper `depth` bits count.
      samples: how many samples of a channel `blocks` holds in total.
      sample_rate, channels, depth: in Hz, number, and bits of a sample, 16 or 24.
      tags: libsndfile's strings; those that the container does not know are left out.
      force: whether an existing file is replaced.
      check: is called with what was written, before it gets its name.

    Returns:
      A closed reader, whose attributes say what was written.

    Raises:
      AudioError: the container, the sample rate, or the channels in this container are not possible.
      OutputError: `path` cannot be written, or exists and `force` is not set.
    """
    import soundfile  # noqa: PLC0415 (it loads a shared library: 45 ms that nobody should pay at import)

    path = Path(path)
    container = container_for(path, samples * channels * depth // 16, sample_rate=sample_rate)
    with outputs.replacing(path, force=force) as partial:
        try:
            name, subtype = native(partial), f"PCM_{depth}"
            with soundfile.SoundFile(name, "w", sample_rate, channels, subtype, format=container) as file:
                for tag, text in tags.items():
                    with contextlib.suppress(soundfile.LibsndfileError):
                        setattr(file, tag, text)
                for block in blocks:
                    file.write(block)
        except soundfile.LibsndfileError as error:
            if error.code == _IMPOSSIBLE_FORMAT:
                raise AudioError(f"{path}: {container} holds no {channels} channels of {depth} bits") from error
            raise unwritable(path, error) from error
        return _check_written(path, partial, samples, check)


def unwritable(path: Path, error) -> OutputError:
    """Returns what to raise when libsndfile could not write a file."""
    free = shutil.disk_usage(path.parent).free
    return OutputError(f"{path}: cannot be written: {reason(error)}, {free:,} bytes are free")


def _check_written(path: Path, partial: Path, frames: int, check: Callable[[Reader], None] | None) -> Reader:
    """Looks for the last sample: libsndfile says nothing when the last writes fail, those of closing a file."""
    with contextlib.ExitStack() as stack:
        try:
            reader = stack.enter_context(Reader(partial))
            reader.seek(frames - 1)
            complete = reader.frames == frames and len(next(reader.blocks(1))) == 1
        except AudioError:
            complete = False
        if not complete:
            raise OutputError(f"{path}: cannot be written: closing the file failed; is the disk full?")
        if check:
            check(reader)
    return reader


def write_recording(path: str | os.PathLike, recording: Recording, **options) -> Reader:
    """Writes a recording with its depth, rate, channels and tags, as `write` does; options: its force and check."""
    frames, channels = recording.samples.shape
    blocks = [recording.samples << (32 - recording.depth)]
    facts = {"sample_rate": recording.sample_rate, "depth": recording.depth, "tags": recording.tags}
    return write(path, blocks, frames, channels=channels, **facts, **options)
