"""Output files and folders that are either whole or absent.

An output is written beside its final name and gets that name when it is complete. So a run that fails or is interrupted
leaves the old output or none. A process that is killed with SIGKILL leaves a hidden ``.*.partial.NAME``, never a
half-written NAME. The next output in the same folder removes it: a file that no living process has locked, of the same
user. Limit: that needs locks, so not on Windows, and not for HDF5 files, which HDF5 locks itself.
"""

import contextlib
import ctypes
import json
import os
import re
import secrets
import shutil
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from stegano_tf.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_PARTIAL = re.compile(r"\.[0-9a-f]{12}\.partial\..+", re.DOTALL)


def is_folder(path: str | os.PathLike) -> bool:
    """Returns whether a name means a folder: it is one, or it ends in a slash."""
    return Path(path).is_dir() or os.fspath(path).endswith(("/", os.sep))


def check_folder(path: str | os.PathLike) -> Path:
    """Returns a folder, which `inside` makes if it is missing; called before long work.

    Raises:
      OutputError: `path` is something else, or lies in a folder that is missing.
    """
    path = Path(path)
    if os.path.lexists(path) and not path.is_dir():
        raise OutputError(f"{path}: is not a folder, expected one or a new name")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist")
    return path


def inside(folder: str | os.PathLike, name: str) -> Path:
    """Returns the path of an output in a folder, of which a message says the name; makes the folder if it is missing.

    Raises OutputError as `check_folder`, and for a link: `force` would follow it out of the folder.
    """
    folder = check_folder(folder)
    path = folder / name
    if path.is_symlink():
        raise OutputError(f"{path}: is a link, expected a file or nothing")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}") from error
    return path


def check(path: str | os.PathLike, *, force: bool = False) -> Path:
    """Returns `path` as a `Path` if an output may be written there; called before long work too.

    Raises:
      OutputError: the folder does not exist, `path` is no regular file or ends in a slash, or it exists and `force` is
        not set. A link that leads nowhere exists.
    """
    if os.fspath(path).endswith(("/", os.sep)):
        raise OutputError(f"{path}: names a folder, expected the name of a file to write")
    path = Path(path)
    try:
        target = _target(path)
        if not target.parent.is_dir():
            raise OutputError(f"{path}: the folder {target.parent} does not exist")
        if os.path.lexists(path):
            # Renaming onto a device such as /dev/null would replace the device, so --force does not help either.
            if os.path.lexists(target) and not target.is_file():
                raise OutputError(f"{path}: is a folder or a device, expected the name of a file to write")
            if not force:
                raise _exists(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def same(first: str | os.PathLike, second: str | os.PathLike) -> bool:
    """Returns whether two names lead to one file; of two that do not exist yet, whether they might on any system."""
    paths = [Path(os.path.realpath(name)) for name in (first, second)]
    there = [os.path.exists(path) for path in paths]  # noqa: PTH110  (Path's raises an error if a name is too long)
    if all(there):
        return paths[0].samefile(paths[1])
    # Some systems take no account of case, or of how an accent is composed.
    names = {(path.parent, unicodedata.normalize("NFC", path.name).casefold()) for path in paths}
    return not any(there) and len(names) == 1


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike, *, force: bool = False, mode: int | None = None, durable: bool = False
) -> Iterator[Path]:
    """Yields an empty file in the folder of `path`, with its suffix, that becomes `path` if the block raises nothing.

    With `force`, what a link leads to is replaced, and the link stays. Without it nothing is, not even a file that
    another process writes at the same moment. `mode` is the file's permissions, less the umask; by default those of
    the file that is replaced, or of any new file. A `durable` file is forced to the disk, which takes a while.

    Raises:
      OutputError: as `check`, or the operating system refuses a write (disk full, no permission). An OSError about
        another file, such as an input of the block, goes on as it is.

    Example:
      with outputs.replacing("figures.csv") as partial:
          partial.write_text("psnr,ssim\n")
    """
    path = check(path, force=force)
    target = _target(path)
    _sweep(target.parent)
    old = target.stat() if mode is None and target.exists() else None
    kept = None if old is None else stat.S_IMODE(old.st_mode) & 0o777
    # Writable, so that `_sweep` can lock it, and not readable by more people than the old one at any time.
    with (
        _partial(target.parent / path.name) as partial,
        _claimed(partial, 0o600 | kept if old else mode or 0o666) as file,
    ):
        yield partial
        if old:
            with contextlib.suppress(OSError, AttributeError):  # for root alone, and not on Windows
                os.chown(partial, old.st_uid, old.st_gid)
            partial.chmod(kept)
        if durable:
            os.fsync(file)
        if force:
            partial.replace(target)
        else:
            _link(partial, path)
        if durable:
            _sync(target.parent)


def _target(path: Path) -> Path:
    """Returns what a link leads to, and any other path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _exists(path: Path) -> OutputError:
    if path.is_symlink() and not path.exists():
        return OutputError(
            f"{path}: is a link to {path.readlink()}, which does not exist", option="force", effect="writes there"
        )
    return OutputError(f"{path}: exists already", option="force", effect="overwrites it")


def _link(partial: Path, path: Path) -> None:
    """Gives a file the name `path` too, in one step that fails if there is such a file."""
    try:
        try:
            path.hardlink_to(partial)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links: an empty file takes the name
            path.touch(exist_ok=False)
            partial.replace(path)
    except FileExistsError as error:
        raise _exists(path) from error


@contextlib.contextmanager
def _claimed(partial: Path, mode: int) -> Iterator[BinaryIO]:
    """Makes a file and yields it open, locked for as long as this process works on it."""
    while True:
        with open(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), "rb") as file:  # noqa: PTH123
            if _locked(partial, file, wait=True):
                yield file
                return


def _sweep(folder: Path) -> None:
    """Removes the files of this user that killed processes left half-written in a folder."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not _PARTIAL.fullmatch(entry.name) or not entry.is_file(follow_symlinks=False) or not fcntl:
                continue
            path = Path(entry.path)
            with contextlib.suppress(OSError), path.open("r+b") as file:
                if os.fstat(file.fileno()).st_uid == os.geteuid() and _locked(path, file, wait=False):
                    path.unlink()


def _locked(path: Path, file: BinaryIO, *, wait: bool) -> bool:
    """Locks an open file, and returns whether `path` is its name still; raises OSError if it cannot `wait` for that.

    What makes a file waits for whoever locks it in the moment before, and goes on without a lock where there are none.
    """
    if not fcntl or path.suffix == ".h5":
        return wait
    with contextlib.suppress(OSError) if wait else contextlib.nullcontext():
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    return path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike, *, force: bool = False) -> Iterator[Path]:
    """Yields an empty folder beside `path` that becomes `path` if the block raises nothing; raises as `replacing`.

    Its files are forced to the disk first. With `force`, a folder `path` that exists changes places with the new one in
    one step of the system, so that there is a whole one at any time. The folders above are made. Limit: a system or
    file system that cannot do this (macOS, Windows, NFS) has no `path` for as long as two renamings take.
    """
    path = Path(path)
    with _partial(path) as partial:
        partial.mkdir(parents=True)
        yield partial
        for found in (*partial.rglob("*"), partial):
            _sync(found)
        if force and path.exists():
            _exchange(partial, path)
        else:
            partial.rename(path)  # the system refuses one that another process has made meanwhile
        _sync(path.parent)


def _exchange(new: Path, old: Path) -> None:
    """Gives two folders each other's names."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of <fcntl.h> and <stdio.h>
    if function and function(here, os.fsencode(new), here, os.fsencode(old), exchange) == 0:
        return
    aside = old.with_name(f".{secrets.token_hex(6)}.old.{old.name}")
    old.rename(aside)
    try:
        new.rename(old)
    finally:
        if not old.exists():
            aside.rename(old)
        _remove(aside)


@contextlib.contextmanager
def alone(folder: str | os.PathLike) -> Iterator[None]:
    """Makes a folder and lets no other process in here while the block runs.

    Removes what killed processes left half-written in it, puts back what they had put aside, and removes the folder if
    it is empty in the end. Limit: Windows, and file systems without locks (some of clusters), keep nobody out.

    Raises:
      OutputError: another process is in here, or the folder cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _lock(folder / ".lock")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error
    with lock:
        for leftover in [*folder.rglob("." + "[0-9a-f]" * 12 + ".partial.*")]:
            _remove(leftover)
        for aside in [*folder.glob("." + "[0-9a-f]" * 12 + ".old.*")]:
            old = aside.with_name(aside.name.partition(".old.")[2])
            if not old.exists():
                aside.rename(old)
            _remove(aside)
        try:
            yield
        finally:
            Path(lock.name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                folder.rmdir()


def _lock(path: Path) -> BinaryIO:
    """Returns an open file that is locked; the system frees it when the process ends, in whatever way."""
    while True:
        file = path.open("ab")
        try:
            if not fcntl or _locked(path, file, wait=False):
                return file
        except BlockingIOError as error:
            file.close()
            raise OutputError(f"{path.parent}: another process writes to it, expected none") from error
        except OSError:  # no locks here
            return file
        file.close()  # whoever had the lock before removed the file after it was opened here


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
        _remove(partial)


def _remove(path: Path) -> None:
    """Removes a file or a folder, if it exists and can be removed."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def _sync(path: Path) -> None:
    """Forces a file, or a folder's names, to the disk, on systems that let a folder be opened for that."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
