"""The pictures of a folder, and which secret goes with which cover where nothing is drawn at random."""

import os
from pathlib import Path

from stegano_tf.errors import DataError

PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


def list_pictures(folder: str | os.PathLike) -> list[Path]:
    """Returns the picture files below `folder`, sorted by their POSIX path relative to it, without hidden files.

    Raises DataError if `folder` is not a folder, or holds fewer than two pictures.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder}: {found}, expected a folder of pictures")
    files = [file for file in folder.rglob("*") if file.is_file()]
    pictures = [file for file in files if file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".")]
    if len(pictures) < 2:
        raise DataError(
            f"{folder}: {len(pictures)} pictures among {len(files)} files, expected at least 2 "
            f"({', '.join(PICTURE_SUFFIXES)}) in it or in folders below it"
        )
    return sorted(pictures, key=lambda file: file.relative_to(folder).as_posix())


def pairs(count: int) -> list[tuple[int, int]]:
    """Returns the (cover, secret) indexes for `count` pictures in their order: i and (i + count // 2) % count.

    Example:
      >>> pairs(3)
      [(0, 1), (1, 2), (2, 0)]
    """
    return [(i, (i + count // 2) % count) for i in range(count)]
