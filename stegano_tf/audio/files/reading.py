"""Sound files to int16 samples, a block at a time.

Read is every file in which libsndfile finds samples that survived exactly: PCM of 8 to 32 bits, float and double, FLAC
and ALAC of 16 bits, at any rate, of any number of channels; from a pipe, too, and if it was written to one (`headers`).
Lossy files are read where something may survive that: those of libsndfile and, through `media`, others. What is left is
refused by name.
"""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stegano_tf import scratch
from stegano_tf.audio import headers, limits, pcm
from stegano_tf.audio.files import media
from stegano_tf.audio.files.recordings import RECORDINGS, Recording, empty_bits, refuse_pipe
from stegano_tf.errors import AudioError, BackendError, FormatError

LOSSY_SUFFIXES = {".mp3", ".mp2", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".wma", ".amr", ".gsm"}
_FLOAT_SUBTYPES = frozenset({"FLOAT", "DOUBLE"})
# Of ALAC only 16 bits: libsndfile 1.2.2 does not return what it wrote as ALAC_20, ALAC_24 or ALAC_32.
_LOSSLESS_SUBTYPES = _FLOAT_SUBTYPES | {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ALAC_16"}
_BROKEN = frozenset({"SDS"})  # containers that libsndfile 1.2.2 does not read as it writes them
_LOSSY = ("ULAW", "ALAW", "IMA", "MS_", "GSM", "G72", "NMS", "VOX", "VORBIS", "OPUS", "MPEG", "DPCM_8", "DWVW_12")
_START_BYTES = 64  # enough to tell what a file is
_ADVICE = "ask for the WAV or FLAC file itself, sent as a file: a sound message or a converter loses samples"
_EXPECTED = "expected a WAV, FLAC or other lossless one"
_HIGHEST_24 = 2.0**31 - 2.0**7  # of an integer of 24 bits in the upper bits of 32
_MAX_SAMPLES_A_BYTE = 65_535 // 10  # FLAC's largest block, constant, in its smallest frame; nothing compresses more


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
        self._file, self._copy, self._error = None, None, soundfile.LibsndfileError
        try:
            # libsndfile's own messages do not tell a missing file from a folder or from a forbidden one.
            mode = path.stat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
                raise AudioError(f"{path}: is not a regular file or a pipe, expected a sound file")
            with path.open("rb") as file:
                start = self._prepare(file, copy=stat.S_ISFIFO(mode))
        except OSError as error:
            raise AudioError(f"{path}: cannot be read: {error.strerror}, expected a sound file") from error
        try:
            self._file = self._open()
            kind, decoded = self._corrected(start, lossy=lossy)
        except self._error as error:
            picture, (kind, container) = headers.picture_kind(start), headers.other_kind(start)
            if picture or not (lossy and container):
                self.close()
                found = f"is not a sound file that can be read ({reason(error)})"
                found = f"is {kind}, which is not supported" if kind else found
                found = f"is a picture ({picture}), which `reveal` reads" if picture else found
                advice = _ADVICE if path.suffix.lower() in LOSSY_SUFFIXES else _EXPECTED
                raise AudioError(f"{path}: {found}; {advice}") from error
            decoded = self._decode(kind, container)
        except TypeError as error:  # soundfile asks for a sample rate when a name ends in .raw
            raise AudioError(f"{path}: is raw sound, without a header; expected WAV or FLAC") from error
        self.container, self.subtype = self._file.format, self._file.subtype
        self.sample_rate, self.channels = self._file.samplerate, self._file.channels
        self.lossy = self.subtype.startswith(_LOSSY)
        if decoded:
            self.container, self.subtype, self.lossy = kind, *decoded
        if self.lossy and not (lossy and self._file.seekable()):
            self.close()
            raise self.loses()
        lossless = decoded or self.lossy or self.subtype in _LOSSLESS_SUBTYPES
        if self.container in _BROKEN or self._parts > 1 or not lossless:
            self.close()
            found = f"is {self.subtype} in {self.container}{' of several blocks' if self._parts > 1 else ''}"
            raise AudioError(f"{path}: {found}, which is not supported, expected PCM or float in one piece")
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
        self._parts = headers.voc_blocks(file, self.size)
        if values := headers.mended(file, self.size):
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

    def _corrected(self, start: bytes, *, lossy: bool) -> tuple[str, tuple[str, bool] | None]:
        """Sets right what libsndfile takes wrongly; returns what the file is, and what `_decode` says if asked."""
        if headers.flac_without_length(start):
            self._state_length(start)
        if not lossy or self._file.subtype != "GSM610":  # in which it does not seek, and for which it takes any .gsm
            return self._file.format, None
        name = self._file.format
        kind, container = headers.other_kind(start) if name == "RAW" else (name, name.lower())
        self._file.close()
        codec, loses = self._decode(kind or "GSM", container or "gsm")
        return kind or "GSM", ("GSM610" if codec.startswith("GSM") else codec, loses)

    def _decode(self, kind: str, container: str) -> tuple[str, bool]:
        """Has `media` decode the file into a temporary one, which is read instead; returns what that does."""
        try:
            with self._copy or self._path.open("rb") as source:
                source.seek(0, os.SEEK_END)  # empties its buffer: libsndfile has moved the file
                source.seek(0)
                self._copy = tempfile.TemporaryFile(prefix="stegano_tf_")  # noqa: SIM115 (`close` closes it)
                found = media.decode(source, container, self._copy, limits.heard(self.size))
            self._file = self._open()
            return found
        except (FormatError, BackendError) as error:
            self.close()
            raise AudioError(f"{self._path}: is {kind}: {error}") from error
        except OSError as error:
            self.close()
            raise scratch.no_room(error) from error

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

    @property
    def paths(self) -> list[Path]:
        """The file's name, as `Several` has several."""
        return [self._path]

    def loses(self, why: str = "") -> AudioError:
        """Returns what to raise where a lossy file does not serve."""
        found = f"is {self.subtype} in {self.container}, which loses samples{why}"
        return AudioError(f"{self._path}: {found}, expected PCM; {_ADVICE}")

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

    def recording(self) -> Recording:
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
            raise AudioError(f"{self._path}: is damaged: {what}{reason(error)}") from error

    def _read(self, buffer: np.ndarray) -> np.ndarray:
        with self._reading():
            block = self._file.read(out=buffer)
        if block.dtype == np.int16:
            return block
        block *= 32768
        np.nan_to_num(block, copy=False)
        np.clip(np.rint(block, out=block), -32768, 32767, out=block)
        return block.astype(np.int16)


def reason(error) -> str:
    """Returns libsndfile's own words, as a part of a sentence."""
    return error.error_string.removeprefix("Error : ").rstrip(".")


def native(path: Path) -> str | bytes:
    """Returns `path` as soundfile opens it whatever its name: not "-" (standard input), and not only if it is UTF-8."""
    return str(path.absolute()) if os.name == "nt" else os.fsencode(path.absolute())


def read_channel(path: str | os.PathLike, channel: int) -> np.ndarray:
    """Returns a channel of a sound file, int16[N], as far as `limits` allow, in `scratch`; a pipe is refused."""
    refuse_pipe(path)
    with Reader(path, lossy=True) as reader:
        frames = min(reader.frames, limits.streamed(reader.size) // reader.channels)
        return pcm.gather(reader.channel_blocks(channel, frames), scratch.zeros(2 * frames).view(np.int16))


def read_recording(path: str | os.PathLike) -> Recording:
    """Returns a recording as its integers are, for `write_recording`; raises AudioError as `Reader.recording`."""
    with Reader(path) as reader:
        return reader.recording()
