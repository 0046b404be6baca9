"""Pictures by number out of whatever holds them, which of them a run trains and validates on, and validation pairs.

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
from absl import logging

from stegano_tf import images, pairing
from stegano_tf.errors import DataError, ImageError
from stegano_tf.training.options import Options

WORKERS = (os.cpu_count() or 1) + 4  # some always wait: for files, for each other, for the interpreter


def opened(source: Any) -> Sequence[Any]:
    """Returns the pictures of a source by index, still encoded, for `decode`.

    Raises:
      DataError: a folder has too few pictures, or a data set takes more than half of the free memory.
    """
    if isinstance(source, str | os.PathLike):
        return pairing.list_pictures(source)
    if not hasattr(source, "as_numpy_iterator"):  # a tf.data.Dataset, recognised without importing TensorFlow
        return source
    import psutil  # noqa: PLC0415

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
    for _, picture in decode_all(chosen, skip_bad_images=skip_bad_images):
        yield picture


def decode(element: Any, index: int) -> np.ndarray:
    """Returns uint8[H, W, 3] of element `index` of an opened source, or raises an `ImageError`."""
    picture = _picture(element)
    if isinstance(picture, str | os.PathLike):
        return images.read(picture)
    if isinstance(picture, np.ndarray):
        images.check_rgb(picture)
        return picture
    return images.decode(picture, _name(element, index))


def try_decode(pictures: Sequence[Any], index: int) -> np.ndarray | ImageError:
    """Returns what `decode` returns or raises."""
    try:
        return decode(pictures[index], index)
    except ImageError as error:
        return error


def decode_all(pictures: Sequence[Any], *, skip_bad_images: bool) -> Iterator[tuple[int, np.ndarray]]:
    """Yields index and pixels of each picture; a bad one raises an `ImageError`, or is left out, logged and counted."""
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
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


def _name(element: Any, index: int) -> str:
    """How messages name element `index` of an opened source."""
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


def split(options: Options) -> tuple[list, list]:
    """Returns the training pictures and the validation pictures of complete options, opened as by `opened`.

    Raises:
      DataError: there is no such folder or data set, or there are too few pictures.
    """
    pictures = list(_open(options, options.data, options.split))
    pool, count = pictures, options.validation_pictures
    held_out = options.validation_data is None and options.validation_split is None
    if held_out:
        count = min(count, max(2, len(pool) // 5))  # of a small collection, most is left to train on
    else:
        pool = _open(options, options.validation_data, options.validation_split)
    chosen = evenly(len(pool), count)
    if held_out:
        pictures = [picture for i, picture in enumerate(pictures) if i not in chosen]
        if len(pictures) < 2:
            source = options.data or options.dataset
            raise DataError(f"{source}: {len(pool)} pictures leave {len(pictures)} to train on, expected at least 2")
    if options.training_pictures is not None:
        pictures = [pictures[i] for i in evenly(len(pictures), options.training_pictures)]
    for name, found in (("training_pictures", len(pictures)), ("validation_pictures", len(chosen))):
        wanted = getattr(options, name)
        if options.protocol is not None and found != wanted:
            logging.warning("%s is %d in protocol %s, there are %d", name, wanted, options.protocol, found)
    return pictures, [pool[i] for i in chosen]


def validation_pairs(
    source: Any, *, batch_size: int, size: int = 256, skip_bad_images: bool = False
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns (cover, secret) batches, each uint8[B, size, size, 3]; the last one may be smaller.

    Pictures stay in their order, are cut to `size` in the middle, and are paired by `pairing.pairs`. All are decoded
    here and stay in memory.

    Raises:
      DataError: fewer than two pictures, or one that is smaller than `size`.
      ImageError: a picture does not decode, and `skip_bad_images` is not set.
    """
    pictures = opened(source)
    middles = []
    for index, picture in decode_all(pictures, skip_bad_images=skip_bad_images):
        try:
            middles.append(images.centre_crop(picture, (size, size)))
        except ImageError as error:
            raise DataError(f"{_name(pictures[index], index)}: {error}") from error
    if len(middles) < 2:
        raise DataError(f"{len(middles)} pictures, expected at least 2 to make pairs")
    covers = np.stack(middles)
    secrets = covers[[secret for _, secret in pairing.pairs(len(covers))]]
    return [(covers[i : i + batch_size], secrets[i : i + batch_size]) for i in range(0, len(covers), batch_size)]


def evenly(total: int, count: int) -> range:
    """Returns at most `count` indexes below `total`, at equal distances."""
    return range(0, total, max(1, total // count))[:count]


def _open(options: Options, folder: str | None, name: str | None) -> list:
    """The files of a folder, or the examples of a data set's split with their pictures still encoded."""
    if folder is not None:
        return opened(folder)
    try:
        from stegano_tf import datasets  # noqa: PLC0415  (TFDS takes seconds to import)

        source = datasets.load(options.dataset, split=name, data_dir=options.data_dir, manual_dir=options.manual_dir)
        return opened(source)
    except ModuleNotFoundError as error:
        raise DataError(f"dataset {options.dataset} needs {error.name}, which cannot be imported") from error
