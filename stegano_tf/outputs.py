"""Output files that are either whole or absent.

An output is written beside its final name and renamed when it is complete, so a failed or interrupted run leaves the old
file or none. Limits: a process killed with SIGKILL leaves a hidden ``.NAME.*.partial`` file, never a half-written NAME.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stegano_tf.errors import OutputError


def check(path: str | os.PathLike, *, force: bool = False) -> Path:
    """Returns `path` as a `Path` if an output may be written there.

    Called before long work too, so that a refusal costs nothing.

    Raises:
      OutputError: the folder does not exist, `path` is a folder, or it exists and `force` is not set.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected the name of a file to write")
    if path.exists() and not force:
        raise OutputError(f"{path}: exists already; --force (force=True) overwrites it")
    return path


@contextlib.contextmanager
def replacing(path: str | os.PathLike, *, force: bool = False) -> Iterator[Path]:
    """Yields a temporary path in the folder of `path` and renames it to `path` when the block ends without an error.

    Raises:
      OutputError: as `check`, or when the operating system refuses a write (disk full, no permission).
    """
    path = check(path, force=force)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    partial = Path(name)
    try:
        yield partial
        # mkstemp makes private files; an output gets the permissions that a plain open() would have given it.
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
