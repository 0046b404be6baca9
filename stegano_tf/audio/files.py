"""int16 samples to sound files and back, through libsndfile (python-soundfile), a block at a time.

Written are mono PCM_16 files of the lossless containers in `CONTAINERS`. Read is every file in which libsndfile finds
samples that survived exactly: PCM of 8 to 32 bits, float and double, FLAC and ALAC of 16 bits, at any rate, of any
number of channels; from a pipe, too, and if it was written to one (`headers`). Lossy files are refused by name, because
what they hold is no longer what was written, and so are files that libsndfile does not read.
"""

import contextlib
import dataclasses
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np

from stegano_tf import outputs, scratch
from stegano_tf.audio import headers, limits, pcm
from stegano_tf.errors import AudioError, OutputError

CONTAINERS = MappingProxyType(
    {".wav": "WAV", ".rf64": "RF64", ".flac": "FLAC", ".aiff": "AIFF", ".aif": "AIFF", ".caf": "CAF", ".w64": "W64"}
)
"""The container that a file name's suffix asks for, in libsndfile's terms."""

LOSSY_SUFFIXES = {".mp3", ".mp2", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".wma", ".amr", ".gsm"}
_FLOAT_SUBTYPES = frozenset({"FLOAT", "DOUBLE"})
# Of ALAC only 16 bits: libsndfile 1.2.2 does not return what it wrote as ALAC_20, ALAC_24 or ALAC_32.
_LOSSLESS_SUBTYPES = _FLOAT_SUBTYPES | {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ALAC_16"}
_BROKEN = frozenset({"SDS"})  # containers that libsndfile 1.2.2 does not read as it writes them
_LOSSY_SUBTYPES = (
    "ULAW",
    "ALAW",
    "IMA",
    "MS_",
    "GSM",
    "G72",
    "NMS",
    "VOX",
    "VORBIS",
    "OPUS",
    "MPEG",
    "DPCM_8",
    "DWVW_12",
)
_START_BYTES = 64  # enough to tell what a file is
_ADVICE = "ask for the WAV or FLAC file itself, sent as a file: a sound message or a converter loses samples"
_MAX_32_BIT_FILE = (1 << 32) - (1 << 16)  # WAV and AIFF count bytes in 32 bits; the rest is left for their headers
_HIGHEST_24 = 2.0**31 - 2.0**7  # of an integer of 24 bits in the upper bits of 32
_MAX_SAMPLES_A_BYTE = 65_535 // 10  # FLAC's largest block, constant, in its smallest frame; nothing compresses more
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
    check: Callable[["Reader"], None] | None = None,
) -> "Reader":
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
    return OutputError(f"{path}: cannot be written: {_reason(error)}, {free:,} bytes are free")


def _check_written(path: Path, partial: Path, frames: int, check: Callable[["Reader"], None] | None) -> "Reader":
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


class Reader(contextlib.AbstractContextManager):
    """A sound file whose samples are read in blocks, as int16.

    Float samples are multiplied by 32768, rounded and saturated (NaN becomes 0): libsndfile itself
    would return them unscaled, that is, as zeros.

    Attributes:
      container, subtype: libsndfile's names, such as "WAV" and "PCM_16".
      sample_rate: in Hz.
      channels: at least 1.
      lossy: what it holds is no longer what was written.
      frames: samples of each channel.
      size: of the file, in bytes.
    """

    def __init__(self, path: str | os.PathLike, *, lossy: bool = False):
        """Opens a sound file or a pipe that holds one; raises AudioError if it is none, or lossy and not asked for.

        What comes through a pipe, or has a header that libsndfile does not take, is copied into a temporary file.
        """
        import soundfile  # noqa: PLC0415

        self._path = path = Path(path)
        self._error = soundfile.LibsndfileError
        self._file = self._copy = None
        try:
            # libsndfile's own messages do not tell a missing file from a folder or from a forbidden one.
            mode = path.stat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
                raise AudioError(f"{path}: is not a regular file or a pipe, expected a sound file")
            with path.open("rb") as file:
                start = self._prepare(file, copy=stat.S_ISFIFO(mode))
        except OSError as error:
            raise AudioError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            self._file = self._open()
            if headers.flac_without_length(start):
                self._state_length(start)
        except self._error as error:
            self.close()
            kind = headers.other_kind(start)
            found = f"is not a sound file that can be read ({_reason(error)})"
            if kind:
                found = f"is {kind}, which is not supported"
            advice = _ADVICE if path.suffix.lower() in LOSSY_SUFFIXES else "expected a WAV, FLAC or other lossless one"
            raise AudioError(f"{path}: {found}; {advice}") from error
        except TypeError as error:  # soundfile asks for a sample rate when a name ends in .raw
            raise AudioError(f"{path}: is raw sound, without a header; expected WAV or FLAC") from error
        self.container, self.subtype = self._file.format, self._file.subtype
        self.sample_rate, self.channels = self._file.samplerate, self._file.channels
        self.lossy = self.subtype.startswith(_LOSSY_SUBTYPES)
        if self.lossy and not (lossy and self._file.seekable()):
            self.close()
            raise self.loses()
        if self.container in _BROKEN or not (self.lossy or self.subtype in _LOSSLESS_SUBTYPES):
            self.close()
            found = f"is {self.subtype} in {self.container}"
            raise AudioError(f"{path}: {found}, which is not supported, expected PCM or float")
        self._dtype = "float64" if self.subtype in _FLOAT_SUBTYPES else "int16"
        self._block_frames = max(1, pcm.BLOCK // self.channels)
        self.frames = self._file.frames
        if self.frames > self.size * _MAX_SAMPLES_A_BYTE:  # a false header
            self.close()
            raise AudioError(f"{path}: states no length that its {self.size:,} bytes could hold, expected a whole file")

    def _prepare(self, file: BinaryIO, *, copy: bool) -> bytes:
        """Notes the size, copies the file if that is needed, and returns its first bytes."""
        if copy:
            file = self._copied(file)
        self.size = os.fstat(file.fileno()).st_size
        if self.size == 0:
            self.close()
            raise AudioError(f"{self._path}: is empty, expected a sound file")
        values = headers.mended(file, self.size)
        if values:
            headers.overwrite(file if copy else self._copied(file), values)
        file.seek(0)
        return file.read(_START_BYTES)

    def _copied(self, file: BinaryIO) -> BinaryIO:
        """Returns a copy without a name, which is read instead."""
        try:
            self._copy = tempfile.TemporaryFile(prefix="stegano_tf_")  # noqa: SIM115 (`close` closes it)
            if file.seekable():
                file.seek(0)
            shutil.copyfileobj(file, self._copy, pcm.BLOCK)
            self._copy.flush()
        except OSError as error:
            self.close()
            raise scratch.no_room(error) from error
        return self._copy

    def _open(self):
        import soundfile  # noqa: PLC0415

        if self._copy is None:
            return soundfile.SoundFile(native(self._path))
        os.lseek(self._copy.fileno(), 0, os.SEEK_SET)
        return soundfile.SoundFile(self._copy.fileno(), closefd=False)

    def _state_length(self, start: bytes) -> None:
        """Finds out how long a FLAC is that does not say so: up to where libFLAC can seek."""
        low, high = -1, self.size * _MAX_SAMPLES_A_BYTE
        while high - low > 1:
            middle = (low + high) // 2
            try:
                self._file.seek(middle)
                low = middle
            except self._error:
                high = middle
                self._file.close()  # one that failed to seek stays at a loss
                self._file = self._open()
        self._file.close()
        if self._copy is None:
            with self._path.open("rb") as file:
                self._copied(file)
        headers.overwrite(self._copy, headers.flac_length(start, low + 1))
        self._file = self._open()

    def loses(self, why: str = "") -> AudioError:
        """Returns what to raise where a lossy file does not serve."""
        found = f"{self.subtype} in {self.container}"
        return AudioError(f"{self._path}: is {found}, which loses samples{why}, expected PCM; {_ADVICE}")

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; can be called more than once."""
        if self._file is not None:
            self._file.close()
        if self._copy is not None:
            self._copy.close()

    def seek(self, frame: int) -> None:
        """Moves to a frame, counted from 0."""
        with self._reading(f"no sample {frame}: "):
            self._file.seek(frame)

    def blocks(self, frames: int) -> Iterator[np.ndarray]:
        """Yields the next `frames` frames in blocks, int16[N, channels], each valid until the next one is taken.

        Raises AudioError if the file ends before that or cannot be decoded.
        """
        buffer = np.empty((min(frames, self._block_frames), self.channels), self._dtype)
        while frames:
            wanted = min(frames, len(buffer))
            block = self._read(buffer[:wanted])
            if len(block) < wanted:
                raise AudioError(f"{self._path}: is cut short: {frames - len(block):,} samples are missing")
            frames -= wanted
            yield block

    def channel(self, channel: int, frames: int) -> np.ndarray:
        """Returns the next `frames` samples of one channel, int16[frames]; raises AudioError as `blocks`."""
        return pcm.gather(self.channel_blocks(channel, frames), np.empty(frames, np.int16))

    def channel_blocks(self, channel: int, frames: int) -> Iterator[np.ndarray]:
        """Yields the next `frames` samples of one channel in blocks, int16[N], as `blocks` does."""
        return (block[:, channel] for block in self.blocks(frames))

    def floats(self, channel: int) -> np.ndarray:
        """Returns the rest of one channel, float32[N] in 16-bit steps, not rounded; raises AudioError as `blocks`."""
        samples, end = np.empty(self.frames, np.float32), 0
        with self._reading():
            while len(block := self._file.read(self._block_frames, "float32", always_2d=True)):
                part = samples[end : end + len(block)]
                np.multiply(block[: len(part), channel], np.float32(32768), out=part)
                # A gain beyond 16 is none that is undone; squares of larger values would overflow.
                np.clip(np.nan_to_num(part, copy=False), -(2**20), 2**20, out=part)
                end += len(part)
        return samples[:end]

    def integers(self) -> np.ndarray | None:
        """Returns the whole file as integers without the low bits that are 0 in all of it, int32[frames, channels].

        None if no message can lie in low bits, because they are integers of less than 9 or more than 24 bits, or none.
        Raises AudioError as `blocks`.
        """
        samples = np.empty((self.frames, self.channels), np.int32)
        self.seek(0)
        for start in range(0, self.frames, self._block_frames):
            part = samples[start : start + self._block_frames]
            with self._reading():
                if self._dtype == "int16":
                    found = self._file.read(out=part)
                else:
                    found = self._file.read(len(part), "float64", always_2d=True) * 2.0**31
                    if not (np.abs(found) <= _HIGHEST_24).all() or (found % 256).any():
                        return None
                    part[: len(found)] = found
            if len(found) < len(part):
                raise AudioError(f"{self._path}: is cut short: {len(part) - len(found):,} samples are missing")
        empty = empty_bits(samples)
        return samples >> empty if 8 <= empty < 24 else None

    def mono_blocks(self, channel: int | None = None) -> Iterator[np.ndarray]:
        """Yields the rest of one channel, or of the mean of all, in blocks, float32[N], full scale being 1.

        Raises AudioError as `blocks`, but not for a file that is shorter than it says.
        """
        with self._reading():
            while len(block := self._file.read(self._block_frames, "float32", always_2d=True)):
                samples = block.mean(axis=1) if channel is None else block[:, channel]
                yield np.clip(np.nan_to_num(samples, copy=False), -64, 64)

    def recording(self) -> "Recording":
        """Returns the whole file as its integers are; raises AudioError if they are not of 16 or 24 bits."""
        if self.subtype not in RECORDINGS:
            raise AudioError(f"{self._path}: is {self.subtype}, expected PCM of 16 or 24 bits")
        depth = RECORDINGS[self.subtype]
        self.seek(0)
        with self._reading():
            samples = self._file.read(dtype="int32", always_2d=True)
            tags = dict(self._file.copy_metadata())
        if len(samples) != self.frames:
            raise AudioError(f"{self._path}: is cut short: {self.frames - len(samples):,} samples are missing")
        samples >>= 32 - depth
        return Recording(samples, depth, self.sample_rate, tags)

    @contextlib.contextmanager
    def _reading(self, what: str = "") -> Iterator[None]:
        try:
            yield
        except self._error as error:
            raise AudioError(f"{self._path}: is damaged: {what}{_reason(error)}") from error

    def _read(self, buffer: np.ndarray) -> np.ndarray:
        with self._reading():
            block = self._file.read(out=buffer)
        if block.dtype == np.int16:
            return block
        block *= 32768
        np.nan_to_num(block, copy=False)
        np.clip(np.rint(block, out=block), -32768, 32767, out=block)
        return block.astype(np.int16)


def _reason(error) -> str:
    """Returns libsndfile's own words, as a part of a sentence."""
    return error.error_string.removeprefix("Error : ").rstrip(".")


def native(path: Path) -> str | bytes:
    """Returns `path` as soundfile opens it whatever its name: not "-" (standard input), and not only if it is UTF-8."""
    return str(path.absolute()) if os.name == "nt" else os.fsencode(path.absolute())


def read_channel(path: str | os.PathLike, channel: int) -> np.ndarray:
    """Returns a channel of a sound file, int16[N], as far as `limits` allow, in `scratch`; raises as `Reader`.

    It refuses a pipe, which was read already to find the channel.
    """
    if Path(path).is_fifo():
        raise AudioError(f"{path}: is a pipe, which can be read only once, expected a file")
    with Reader(path, lossy=True) as reader:
        frames = min(reader.frames, limits.streamed(reader.size) // reader.channels)
        return pcm.gather(reader.channel_blocks(channel, frames), scratch.zeros(2 * frames).view(np.int16))


def empty_bits(samples: np.ndarray) -> int:
    """Returns how many low bits are 0 in all of int32[...]; 16 if all bits are."""
    used = int(np.bitwise_or.reduce(samples, axis=None)) if samples.size else 0
    return (used & -used).bit_length() - 1 if used else 16


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """A whole 16- or 24-bit recording."""

    samples: np.ndarray  # int32[frames, channels], of `depth` bits
    depth: int  # 16 or 24
    sample_rate: int  # in Hz
    tags: dict[str, str]  # libsndfile's strings: title, artist, comment and so on


RECORDINGS = MappingProxyType({"PCM_16": 16, "ALAC_16": 16, "PCM_24": 24})
"""Bits of a sample of the recordings that are read as integers, by libsndfile's name of the sample format."""


def read_recording(path: str | os.PathLike) -> Recording:
    """Returns a recording as its integers are, for `write_recording`; raises AudioError as `Reader.recording`."""
    with Reader(path) as reader:
        return reader.recording()


def write_recording(path: str | os.PathLike, recording: Recording, **options) -> Reader:
    """Writes a recording with its depth, rate, channels and tags, as `write` does; options: its force and check."""
    frames, channels = recording.samples.shape
    blocks = [recording.samples << (32 - recording.depth)]
    facts = {"sample_rate": recording.sample_rate, "depth": recording.depth, "tags": recording.tags}
    return write(path, blocks, frames, channels=channels, **facts, **options)
