"""Which pictures a run trains on and which it validates on; and the pairs of the latter, those of the scoreboard."""

import concurrent.futures
from typing import Any

import numpy as np
from absl import logging

from stegano_tf import images, pairing
from stegano_tf.errors import DataError, ImageError
from stegano_tf.training.data import sources
from stegano_tf.training.options import Options


def split(options: Options) -> tuple[list, list]:
    """Returns the training pictures and the validation pictures of complete options, opened as by `sources.opened`.

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
    chosen = _evenly(len(pool), count)
    if held_out:
        pictures = [picture for i, picture in enumerate(pictures) if i not in chosen]
        if len(pictures) < 2:
            source = options.data or options.dataset
            raise DataError(f"{source}: {len(pool)} pictures leave {len(pictures)} to train on, expected at least 2")
    if options.training_pictures is not None:
        pictures = [pictures[i] for i in _evenly(len(pictures), options.training_pictures)]
    for name, wanted, found in (
        ("training_pictures", options.training_pictures, len(pictures)),
        ("validation_pictures", options.validation_pictures, len(chosen)),
    ):
        if options.protocol is not None and found != wanted:
            logging.warning("%s is %d in protocol %s, there are %d", name, wanted, options.protocol, found)
    return pictures, [pool[i] for i in chosen]


def validation_pairs(
    source: Any, *, batch_size: int, size: int = 256, skip_bad_images: bool = False
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns (cover, secret) batches, each uint8[B, size, size, 3]; the last one may be smaller.

    Pictures stay in their order, are cut to `size` in the middle, and are paired by `pairing.pairs`. All are decoded
    here and stay in memory.

    Args:
      source: as in `sources`.
      skip_bad_images: leave out, log and count pictures that do not decode.

    Raises:
      DataError: fewer than two pictures, or one that is smaller than `size`.
      ImageError: a picture does not decode.
    """
    pictures = sources.opened(source)
    middles = []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for index, picture in sources.decode_all(pictures, pool, skip_bad_images=skip_bad_images):
            try:
                middles.append(images.centre_crop(picture, (size, size)))
            except ImageError as error:
                raise DataError(f"{sources.name(pictures[index], index)}: {error}") from error
    if len(middles) < 2:
        raise DataError(f"{len(middles)} pictures, expected at least 2 to make pairs")
    covers = np.stack(middles)
    secrets = covers[[secret for _, secret in pairing.pairs(len(covers))]]
    return [(covers[i : i + batch_size], secrets[i : i + batch_size]) for i in range(0, len(covers), batch_size)]


def _evenly(total: int, count: int) -> range:
    """At most `count` indexes below `total`, at equal distances."""
    return range(0, total, max(1, total // count))[:count]


def _open(options: Options, folder: str | None, name: str | None) -> list:
    """The files of a folder, or the examples of a data set's split with their pictures still encoded."""
    if folder is not None:
        return sources.opened(folder)
    try:
        from stegano_tf import datasets  # noqa: PLC0415  (TFDS takes seconds to import)

        source = datasets.load(options.dataset, split=name, data_dir=options.data_dir, manual_dir=options.manual_dir)
        return sources.opened(source)
    except ModuleNotFoundError as error:
        raise DataError(f"dataset {options.dataset} needs {error.name}, which cannot be imported") from error
