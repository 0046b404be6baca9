"""Bytes and pictures that may be larger than memory: large ones lie in a temporary file without a name.

The file is deleted when it is made (POSIX), so nothing is left of it however the process ends. Its pages count as the
process's memory while they are mapped. `release` unmaps them; the system reads a page again when it is next used.

A deleted file can still be found on the disk. So `SecretFile` writes ciphertext only, and `off_disk` keeps arrays in
memory.
"""

import contextlib
import contextvars
import io
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from stegano_tf.errors import OutputError

IN_MEMORY = 16 << 20  # bytes; larger arrays lie in a file
PICTURE_IN_MEMORY = 64 << 20  # the same for pictures: they are used often, and most are smaller than this
PART = 4 << 20  # bytes to work on before `release` is called again

_off_disk = contextvars.ContextVar("off_disk", default=False)


class _Map(mmap.mmap):
    descriptor = None

    def __del__(self):
        if self.descriptor is not None:
            os.close(self.descriptor)


@contextlib.contextmanager
def off_disk(secret: bool = True) -> Iterator[None]:
    """Keeps in memory, whatever their size, the arrays that are made in the block, if what they hold is `secret`."""
    token = _off_disk.set(secret or _off_disk.get())
    try:
        yield
    finally:
        _off_disk.reset(token)


def zeros(size: int, in_memory: int | None = None) -> np.ndarray:
    """Returns uint8[size], all 0, in memory up to `in_memory` bytes; raises OutputError if the disk has no room."""
    if _off_disk.get() or size <= (IN_MEMORY if in_memory is None else in_memory):
        return np.zeros(size, np.uint8)
    try:
        with tempfile.TemporaryFile(prefix="stegano_tf_") as file:
            file.truncate(size)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # without room later, SIGBUS would end the process
            mapped = _Map(file.fileno(), size)
            mapped.descriptor = os.dup(file.fileno())
            return np.frombuffer(mapped, np.uint8)
    except OSError as error:
        raise no_room(error) from error


def picture(height: int, width: int) -> np.ndarray:
    """Returns uint8[height, width, 3], all 0, in memory up to `PICTURE_IN_MEMORY` bytes; raises as `zeros`."""
    return zeros(3 * height * width, PICTURE_IN_MEMORY).reshape(height, width, 3)


def copy(image: np.ndarray) -> np.ndarray:
    """Returns a C-contiguous copy of a picture, uint8[H, W, 3], made a part at a time; raises as `zeros`."""
    height, width, _ = image.shape
    copied = picture(height, width)
    for rows in parts(height, 3 * width):
        copied[rows] = image[rows]
        release(image, copied)
    return copied


def no_room(error: OSError) -> OutputError:
    """Returns what to raise when a temporary file cannot be written."""
    return OutputError(f"temporary files in {tempfile.gettempdir()} cannot be written: {error.strerror or error}")


def file() -> BinaryIO:
    """Returns a file object for writing and reading, in memory while it is small or while `off_disk` says so."""
    return io.BytesIO() if _off_disk.get() else tempfile.SpooledTemporaryFile(IN_MEMORY, prefix="stegano_tf_")


class SecretFile:
    """A file object for what no one else may read, in memory while it is small, and encrypted on the disk.

    AES-256 in counter mode, under a key that only this process has. It takes more at its end alone: what is encrypted
    twice with the same piece of key stream shows how the two differ.
    """

    def __init__(self):
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY, prefix="stegano_tf_")  # noqa: SIM115
        self._key = os.urandom(32)
        self._size = 0

    def __enter__(self) -> "SecretFile":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def write(self, data) -> int:
        """Appends a contiguous bytes-like object; raises io.UnsupportedOperation anywhere but at the end."""
        place, data = self._file.tell(), memoryview(data).cast("B")
        if place != self._size:
            raise io.UnsupportedOperation(f"write at byte {place}, expected {self._size}, the end")
        cipher = self._cipher(place)
        for part in parts(len(data), 1):
            self._file.write(cipher.update(data[part]))
        self._size += len(data)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Returns the next `size` bytes, or fewer at the end; all that are left if it is negative."""
        cipher = self._cipher(self._file.tell())
        return cipher.update(self._file.read(size))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As other file objects; returns the new position."""
        return self._file.seek(offset, whence)

    def flush(self) -> None:
        """As other file objects."""
        self._file.flush()

    def _cipher(self, place: int):
        """Returns what encrypts, or decrypts, from byte `place` on."""
        # A shared library that only sealed messages need.
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

        block, skipped = divmod(place, algorithms.AES.block_size // 8)
        counter = block.to_bytes(algorithms.AES.block_size // 8, "big")
        cipher = Cipher(algorithms.AES(self._key), modes.CTR(counter)).encryptor()
        cipher.update(bytes(skipped))
        return cipher


def release(*arrays: np.ndarray) -> None:
    """Frees the memory of arrays, or views of arrays, that `zeros` or `picture` put into a file."""
    for owner in map(_owner, arrays):
        if owner is not None and hasattr(owner, "madvise"):
            owner.madvise(mmap.MADV_DONTNEED)


def take(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Returns `rows[places]`, uint8[N, M], without mapping other rows; `rows` is a whole array of `zeros`, reshaped."""
    owner = _owner(rows)
    if owner is None or not hasattr(os, "preadv"):
        return rows[places]
    taken = np.empty((len(places), rows.shape[1]), np.uint8)
    for row, place in zip(taken, places.tolist(), strict=True):
        os.preadv(owner.descriptor, [row], place * rows.shape[1])
    return taken


def _owner(array: np.ndarray) -> _Map | None:
    while isinstance(array, np.ndarray | memoryview):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return array if isinstance(array, _Map) else None


def parts(size: int, row: int) -> Iterator[slice]:
    """Yields slices that cover `size` rows of `row` bytes each, of about `PART` bytes."""
    count = max(1, PART // max(1, row))
    for start in range(0, size, count):
        yield slice(start, min(start + count, size))


def pieces(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Yields what one-dimensional `blocks` hold in pieces of `size`; the last piece may be shorter.

    Example:
      >>> [piece.tolist() for piece in pieces([np.arange(3), np.arange(4)], 5)]
      [[0, 1, 2, 0, 1], [2, 3]]
    """
    rest = ()
    for block in blocks:
        rest = np.concatenate([rest, block]) if len(rest) > 0 else block
        whole = len(rest) // size * size
        for start in range(0, whole, size):
            yield rest[start : start + size]
        rest = rest[whole:].copy()  # the caller may overwrite the block
    if len(rest):
        yield rest
