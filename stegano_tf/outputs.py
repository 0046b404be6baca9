"""Output files that are either whole or absent.

An output is written beside its final name and renamed when it is complete, so a failed or interrupted run leaves the
old file or none. Limits: a process killed with SIGKILL leaves a hidden ``.NAME.*.partial`` file, never a
half-written NAME.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from stegano_tf.errors import OutputError


def check(path: str | os.PathLike, *, force: bool = False) -> Path:
    """Returns `path` as a `Path` if an output may be written there.

    Called before long work too, so that a refusal costs nothing.

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
def replacing(path: str | os.PathLike, *, force: bool = False) -> Iterator[Path]:
    """Yields a temporary path in the folder of `path` and renames it to `path` when the block ends without an error.

    The temporary file exists and is empty, with the permissions of any new file.

    Raises:
      OutputError: as `check`, or when the operating system refuses a write (disk full, no permission).
    """
    path = check(path, force=force)
    # A part of the name, so that a name of the longest length that the file system allows still works.
    partial = path.with_name(f".{path.name[:32]}.{secrets.token_hex(6)}.partial")
    try:
        partial.open("xb").close()  # a plain open, unlike tempfile's, honours the umask
        yield partial
        check(path, force=force)  # again: another run may have written it meanwhile
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_json(path: str | os.PathLike, value: object, *, force: bool = False) -> None:
    """Writes `value` as an indented JSON file; raises OutputError as `replacing`."""
    with replacing(path, force=force) as partial:
        partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
