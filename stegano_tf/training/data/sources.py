"""Pictures by number out of whatever holds them, decoded one by one or in threads.

A source is a folder; a list of files, of encoded pictures or of uint8[H, W, 3] arrays; a `tfds.data_source`; or a
finite `tf.data.Dataset`, which is read into memory. Elements of the last two are encoded pictures (from TFDS with
`decoders={"image": tfds.decode.SkipDecoding()}`), arrays, dicts with either as "image", or tuples that start with
either.
"""

import concurrent.futures
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import psutil
from absl import logging

from stegano_tf import images, pairing
from stegano_tf.errors import DataError, ImageError


def opened(source: Any) -> Sequence[Any]:
    """Returns the pictures of a source by index, still encoded, for `decode`.

    Raises:
      DataError: a folder has too few pictures, or a data set takes more than half of the free memory.
    """
    if isinstance(source, str | os.PathLike):
        return pairing.list_pictures(source)
    if not hasattr(source, "as_numpy_iterator"):  # a tf.data.Dataset, recognised without importing TensorFlow
        return source
    pictures = []
    budget = psutil.virtual_memory().available / 2
    for element in source.as_numpy_iterator():
        pictures.append(element)
        picture = _picture(element)
        budget -= picture.nbytes if isinstance(picture, np.ndarray) else len(picture)
        if budget < 0:
            raise DataError(
                f"{source}: takes more than half of the free memory after {len(pictures)} pictures; expected a folder, "
                "a list of files or a tfds.data_source, which are read as they are needed"
            )
    return pictures


def some(pictures: Sequence[Any], count: int, *, skip_bad_images: bool = False) -> Iterator[np.ndarray]:
    """Yields at most `count` of the opened pictures, taken evenly and decoded: uint8[H, W, 3]."""
    chosen = [pictures[i * len(pictures) // count] for i in range(count)] if count < len(pictures) else pictures
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for _, picture in decode_all(chosen, pool, skip_bad_images=skip_bad_images):
            yield picture


def decode(element: Any, index: int) -> np.ndarray:
    """Returns uint8[H, W, 3] of element `index` of an opened source.

    Raises:
      ImageError: it does not decode.
    """
    picture = _picture(element)
    if isinstance(picture, str | os.PathLike):
        return images.read(picture)
    if isinstance(picture, np.ndarray):
        images.check_rgb(picture)
        return picture
    return images.decode(picture, name(element, index))


def try_decode(pictures: Sequence[Any], index: int) -> np.ndarray | ImageError:
    """Returns what `decode` returns or raises."""
    try:
        return decode(pictures[index], index)
    except ImageError as error:
        return error


def decode_all(
    pictures: Sequence[Any], pool: concurrent.futures.Executor, *, skip_bad_images: bool
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields index and pixels of each picture; a bad one raises an `ImageError`, or is left out, logged and counted."""
    bad = 0
    for index, found in enumerate(pool.map(functools.partial(try_decode, pictures), range(len(pictures)))):
        if isinstance(found, np.ndarray):
            yield index, found
        elif skip_bad_images:
            logging.warning("Left out: %s", found)
            bad += 1
        else:
            raise found
    if bad:
        logging.warning("Left out %d of %d pictures", bad, len(pictures))


def name(element: Any, index: int) -> str:
    """Returns how messages name element `index` of an opened source."""
    if isinstance(element, str | os.PathLike):
        return os.fspath(element)
    if isinstance(element, dict) and "filename" in element:
        return f"picture {index} ({element['filename'].decode()})"
    return f"picture {index}"


def _picture(element: Any) -> Any:
    """The picture in a TFDS example or an (image, label) tuple."""
    if isinstance(element, dict):
        return element["image"]
    return element[0] if isinstance(element, tuple) else element
