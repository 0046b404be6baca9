"""Several sound files that hold one message: they are searched as one sound, one after the other."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from stegano_tf.audio.files.reading import Reader
from stegano_tf.errors import AudioError


class Several:
    """Readers as one; what is in them, only `search` of a lossy form looks for. Attributes as those of `Reader`."""

    lossy = True

    def __init__(self, readers: Sequence[Reader]):
        """Raises AudioError if their sample rates differ."""
        self._readers, first = readers, readers[0]
        for reader in readers:
            if reader.sample_rate != first.sample_rate:
                found = f"{reader.paths[0]}: has {reader.sample_rate} Hz"
                raise AudioError(f"{found}, expected {first.sample_rate} as {first.paths[0]}")
        self.container, self.subtype, self.sample_rate = first.container, first.subtype, first.sample_rate
        self.paths = [path for reader in readers for path in reader.paths]
        self.channels = min(reader.channels for reader in readers)
        self.frames = sum(reader.frames for reader in readers)
        self.size = sum(reader.size for reader in readers)

    def seek(self, frame: int) -> None:
        """Moves to the start of all."""
        for reader in self._readers:
            reader.seek(frame)

    def blocks(self, frames: int) -> Iterator[np.ndarray]:
        """Yields blocks of the first file, as `Reader.blocks`."""
        return self._readers[0].blocks(min(frames, self._readers[0].frames))

    def mono_blocks(self, channel: int | None = None) -> Iterator[np.ndarray]:
        """Yields one channel, or the mean of all, of each file in turn, as `Reader.mono_blocks`."""
        for reader in self._readers:
            yield from reader.mono_blocks(channel)

    def loses(self, why: str = "") -> AudioError:
        """Returns what to raise where the files do not serve."""
        return AudioError(f"{label(self.paths)}: hold no message that is spread over several files")


Paths = str | os.PathLike | Sequence[str | os.PathLike]


def listed(paths: Paths) -> list[Path]:
    """Returns the names of one file or of several."""
    return [Path(paths)] if isinstance(paths, (str, os.PathLike)) else [Path(path) for path in paths]


def label(paths: Paths) -> str:
    """Returns how errors call one file or several."""
    names = listed(paths)
    return f"{names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


@contextlib.contextmanager
def opened(paths: Paths) -> Iterator[Reader | Several]:
    """Opens what may be lossy: one file, or several as one sound; raises AudioError as `Reader`."""
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(Reader(path, lossy=True)) for path in listed(paths)]
        yield readers[0] if len(readers) == 1 else Several(readers)
