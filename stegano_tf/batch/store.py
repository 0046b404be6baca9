"""Files of a batch: on this machine's disks, or in an object store (s3://, gs://, …), through `pyarrow.fs`.

A file is whole or absent. A local one is written in a hidden folder below the root, forced to the disk and renamed.
An object store shows an object once all of it has arrived; the size that it then states is compared.

Credentials and endpoints come from where the stores' own tools look for them, such as AWS_ACCESS_KEY_ID or
AWS_ENDPOINT_URL. An object's key is taken as it is, without percent encoding.
"""

import contextlib
import dataclasses
import functools
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pyarrow import fs

from stegano_tf import outputs
from stegano_tf.errors import DataError, OutputError

_DRAFTS = ".stegano_tf-"  # how the hidden folder of unfinished files begins


@functools.lru_cache(maxsize=64)
def _filesystem(root: str) -> tuple[fs.FileSystem, str]:
    """Returns the file system of "s3://bucket" and the path of that root in it."""
    # Without this, Arrow takes three requests to write the smallest object.
    options = "?allow_delayed_open=true" if root.startswith("s3://") else ""
    try:
        return fs.FileSystem.from_uri(root + options)
    except (ValueError, NotImplementedError) as error:
        raise DataError(f"{root}: is no place for files, expected a path, s3://… or gs://… ({error})") from error


def resolve(uri: str | os.PathLike, base: str = "") -> str:
    """Returns a URI with a scheme, or an absolute path; what is relative is taken below the folder `base`.

    Example:
      >>> resolve("a/b.png", "s3://bucket/pictures"), resolve("/a.png", "s3://bucket")
      ('s3://bucket/pictures/a/b.png', '/a.png')
    """
    uri = os.fspath(uri)
    if uri.startswith("file://"):
        return _filesystem(uri)[1]
    if uri.endswith("://"):
        raise DataError(f"{uri}: names no place, expected one as s3://bucket/…")
    if "://" in uri or Path(uri).is_absolute():
        return uri
    return f"{base.rstrip('/')}/{uri}" if base else str(Path(uri).absolute())


def is_local(uri: str) -> bool:
    """Returns whether a resolved URI is a path on this machine."""
    return "://" not in uri


def locate(uri: str) -> tuple[fs.FileSystem, str]:
    """Returns the file system of a resolved URI, and the path in it; DataError if there is no such scheme."""
    if is_local(uri):
        return fs.LocalFileSystem(), uri
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    filesystem, root = _filesystem(f"{scheme}://{bucket}")
    return filesystem, f"{root.rstrip('/')}/{key}" if key else root


def read(uri: str) -> bytes:
    """Returns the bytes of a file; OSError if there is none or it cannot be read."""
    filesystem, path = locate(uri)
    with filesystem.open_input_file(path) as file:
        return file.read()


@contextlib.contextmanager
def local(uri: str) -> Iterator[Path]:
    """Yields the path of a file on this machine: itself, or a copy for as long as the block runs."""
    if is_local(uri):
        yield Path(uri)
        return
    with tempfile.TemporaryDirectory(prefix="stegano_tf_") as folder:
        path = Path(folder, uri.rpartition("/")[2])
        path.write_bytes(read(uri))
        yield path


@contextlib.contextmanager
def alone(uri: str) -> Iterator[None]:
    """Lets no other driver work with a folder of results while the block runs.

    Limit: as `outputs.alone`. An object store has no locks: there nobody is kept out.

    Raises OutputError if another driver works with it, or it cannot be written.
    """
    with outputs.alone(uri) if is_local(uri := resolve(uri)) else contextlib.nullcontext():
        yield


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder in which files are published whole, by one job, whose `token` tells its unfinished files from others.

    Example:
      folder = Folder("s3://bucket/stego", "3f2a")
      with folder.draft("1.png") as draft:
          images.write(draft, stego)
          folder.publish(draft, "1.png")
    """

    uri: str  # resolved
    token: str

    @contextlib.contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """Yields a name with the suffix of `name`, on this machine, for a file that `publish` then takes."""
        folder = self._drafts / secrets.token_hex(6) if is_local(self.uri) else Path(tempfile.mkdtemp())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            yield folder / f"draft{Path(name).suffix}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, draft: Path, name: str) -> None:
        """Makes a draft the file `name`, in place of one that exists; OSError or OutputError if that fails."""
        if is_local(self.uri):
            path = Path(self.uri, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("r+b") as file:
                os.fsync(file.fileno())
            draft.replace(path)
            return
        filesystem, path = locate(self.path(name))
        size = draft.stat().st_size
        with filesystem.open_output_stream(path) as file:
            file.write(draft.read_bytes())
        if (found := filesystem.get_file_info(path).size) != size:
            raise OutputError(f"{self.path(name)}: has {found} bytes after it was written, expected {size}")

    def write(self, name: str, content: bytes) -> None:
        """Publishes `content` as the file `name`."""
        with self.draft(name) as draft:
            draft.write_bytes(content)
            self.publish(draft, name)

    def probe(self) -> None:
        """Raises OSError if files cannot be written and deleted here, before there is anything to write."""
        name = f"{self._drafts.name}/probe"
        self.write(name, b"")
        self.delete(name)
        self.sweep()

    def path(self, name: str) -> str:
        """Returns the resolved URI of a file."""
        return f"{self.uri.rstrip('/')}/{name}"

    def read(self, name: str) -> bytes | None:
        """Returns the bytes of a file, None if there is none."""
        with contextlib.suppress(FileNotFoundError):
            return read(self.path(name))
        return None

    def files(self) -> list[str]:
        """Returns the names of all files below the folder, without drafts; none if there is no such folder."""
        filesystem, root = locate(self.uri)
        found = filesystem.get_file_info(fs.FileSelector(root, allow_not_found=True, recursive=True))
        names = (info.path[len(root.rstrip("/")) + 1 :] for info in found if info.type != fs.FileType.Directory)
        return [name for name in names if not name.startswith(_DRAFTS)]

    def delete(self, name: str) -> None:
        """Deletes a file, or a folder with all that is in it; nothing if there is none."""
        filesystem, path = locate(self.path(name))
        with contextlib.suppress(FileNotFoundError):
            if filesystem.get_file_info(path).type == fs.FileType.File:
                filesystem.delete_file(path)
            else:
                filesystem.delete_dir(path)

    def sweep(self) -> None:
        """Deletes what killed workers left of drafts."""
        if is_local(self.uri):
            shutil.rmtree(self._drafts, ignore_errors=True)

    @property
    def _drafts(self) -> Path:
        return Path(self.uri, f"{_DRAFTS}{self.token}")
