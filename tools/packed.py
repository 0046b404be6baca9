"""Pictures in one file for a machine that has nothing else: a zip file of COLLECTION/train/... and COLLECTION/test/...

`read` takes such a file, or a folder that is one collection, with folders train and test in it. Training pictures are
cut into whole squares, test pictures in the middle, as the scoreboard does. Needs Pillow, and no TensorFlow.
"""

import concurrent.futures
import io
import itertools
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from stegano_tf import images, outputs, pairing
from stegano_tf.errors import DataError, ImageError

LIMIT = 50_000_000
"""Bytes of a file that travels with the code."""


class Squares(NamedTuple):
    """The pictures of a collection, uint8[N, S, S, 3], to train on and to score, in the scoreboard's order."""

    train: np.ndarray
    test: np.ndarray


def pack(folders: list[str | Path], out: str | Path, *, quality: int | None, force: bool = False) -> int:
    """Writes the collections in `folders` to the file `out`, and returns its bytes.

    Test pictures stay the files that they are. With a `quality`, 1 to 100, training pictures become AVIF files of that
    quality, without chroma subsampling (JPEG files of the same size have many times their error); else they stay, too.

    Raises:
      DataError: a folder has no pictures, two have the same name, or `LIMIT` is exceeded.
      ImageError: a picture cannot be read.
      OutputError: `out` exists and `force` is not set, or it cannot be written.
    """
    collections = {Path(folder).resolve().name: Path(folder) for folder in folders}
    if len(collections) < len(folders):
        raise DataError(f"{', '.join(map(str, folders))}: expected folders of different names")

    def content(file: Path, part: str) -> bytes:
        data = file.read_bytes()
        return _avif(decode(data, str(file)), quality) if part == "train" and quality else data

    with outputs.replacing(out, force=force) as partial:
        # Stored, since pictures are compressed already.
        with zipfile.ZipFile(partial, "w") as archive, concurrent.futures.ThreadPoolExecutor() as pool:
            for name, part in itertools.product(collections, Squares._fields):
                home = collections[name] / part
                files = pairing.list_pictures(home)
                for file, data in zip(files, pool.map(content, files, itertools.repeat(part)), strict=True):
                    archive.writestr(f"{name}/{part}/{file.relative_to(home).as_posix()}", data)
        size = partial.stat().st_size
        if size > LIMIT:
            raise DataError(f"{out}: would have {size:,} bytes, expected at most {LIMIT:,}; a lower quality takes less")
    return size


def read(source: str | Path, side: int) -> dict[str, Squares]:
    """Returns the collections of a packed file, or of a folder, by name.

    Raises:
      DataError: there is no such file or folder, or it has no training or test pictures.
      ImageError: a picture cannot be read, or is smaller than `side`.
    """
    path = Path(source)
    if path.is_dir():
        names = {part: pairing.list_pictures(path / part) for part in Squares._fields}
        return {path.resolve().name: _squares({part: _files(files) for part, files in names.items()}, side)}
    try:
        with zipfile.ZipFile(path) as archive:
            found = sorted(archive.namelist())
            collections = dict.fromkeys(name.split("/")[0] for name in found)
            members = {
                collection: {
                    part: [(name, archive.read(name)) for name in found if name.startswith(f"{collection}/{part}/")]
                    for part in Squares._fields
                }
                for collection in collections
            }
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{source}: is no folder and no packed file: {error}") from error
    return {collection: _squares(parts, side) for collection, parts in members.items()}


def decode(data: bytes, name: str) -> np.ndarray:
    """Returns uint8[H, W, 3] of a picture file's bytes."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.array(picture.convert("RGB"))
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: is no picture: {error}") from error


def _files(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    return ((str(file), file.read_bytes()) for file in files)


def _avif(picture: np.ndarray, quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "AVIF", quality=quality, subsampling="4:4:4", speed=8)
    return file.getvalue()


def _squares(parts: dict[str, Iterable[tuple[str, bytes]]], side: int) -> Squares:
    found = {}
    for part, named in parts.items():
        with concurrent.futures.ThreadPoolExecutor() as pool:
            cut = pool.map(lambda item, part=part: _cut(*item, side, whole=part == "train"), named)
            found[part] = [square for squares in cut for square in squares]
        if len(found[part]) < 2:
            raise DataError(f"{len(found[part])} {part} pictures, expected at least 2")
    return Squares(*(np.stack(found[part]) for part in Squares._fields))


def _cut(name: str, data: bytes, side: int, *, whole: bool) -> list[np.ndarray]:
    """Returns the squares around the middle of a picture, as many as there are room for if `whole`, else one."""
    picture = decode(data, name)
    rows, columns = (max(1, length // side if whole else 1) for length in picture.shape[:2])
    try:
        middle = images.centre_crop(picture, (rows * side, columns * side))
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    return [square for row in np.split(middle, rows) for square in np.split(row, columns, axis=1)]
