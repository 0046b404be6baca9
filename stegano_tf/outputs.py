"""Output files and folders that are either whole or absent.

An output is written beside its final name and renamed when it is complete. So a run that fails or is interrupted leaves
the old output or none. Limit: a process killed with SIGKILL leaves a hidden ``.*.partial.NAME``, never a half-written
NAME.
"""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from stegano_tf.errors import OutputError


def check(path: str | os.PathLike, *, force: bool = False) -> Path:
    """Returns `path` as a `Path` if an output may be written there; called before long work too.

    Raises:
      OutputError: the folder does not exist, `path` is no regular file, or it exists and `force` is not set.
    """
    path = Path(path)
    try:
        if not path.parent.is_dir():
            raise OutputError(f"{path}: the folder {path.parent} does not exist")
        if path.exists():
            # Renaming onto a device such as /dev/null would replace the device, so --force does not help either.
            if not path.is_file():
                raise OutputError(f"{path}: is a folder or a device, expected the name of a file to write")
            if not force:
                raise OutputError(f"{path}: exists already; --force (force=True) overwrites it")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    return path


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike, *, force: bool = False, mode: int = 0o666, durable: bool = False
) -> Iterator[Path]:
    """Yields an empty file in the folder of `path`, with its suffix, that becomes `path` if the block raises nothing.

    `mode` is the file's permissions, less the umask. A `durable` file is forced to the disk, which takes a while.

    Raises:
      OutputError: as `check`, or the operating system refuses a write (disk full, no permission). An OSError about
        another file, such as an input of the block, goes on as it is.

    Example:
      with outputs.replacing("figures.csv") as partial:
          partial.write_text("psnr,ssim\\n")
    """
    path = check(path, force=force)
    with _partial(path) as partial:
        partial.touch(mode, exist_ok=False)
        yield partial
        check(path, force=force)  # again: another run may have written it meanwhile
        if durable:
            _sync(partial)
        partial.replace(path)
        if durable:
            _sync(path.parent)


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yields an empty folder beside `path` that becomes `path` if the block raises nothing; raises as `replacing`.

    A folder `path` that exists is replaced; it is gone for as long as two renamings take. The folders above are made.
    """
    path = Path(path)
    with _partial(path) as partial:
        partial.mkdir(parents=True)
        yield partial
        with _partial(path) as old:
            if path.exists():
                path.rename(old)
            try:
                partial.rename(path)
            except OSError:
                old.rename(path)
                raise


def write_json(path: str | os.PathLike, value: object, *, force: bool = False) -> None:
    """Writes `value` as an indented JSON file; raises OutputError as `replacing`."""
    with replacing(path, force=force) as partial:
        partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """Yields a hidden name beside `path` and removes what has that name afterwards."""
    # A part of the name, so that a name of the greatest length that the file system allows works. The last part,
    # because libraries choose the format by the suffix.
    partial = path.with_name(f".{secrets.token_hex(6)}.partial.{path.name[-32:]}")
    try:
        yield partial
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(partial)):
            raise
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        shutil.rmtree(partial, ignore_errors=True)


def _sync(path: Path) -> None:
    """Forces a file, or a folder's names, to the disk, on systems that let a folder be opened for that."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
