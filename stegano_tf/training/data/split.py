"""Which pictures a run trains on and which it validates on."""

from absl import logging

from stegano_tf.errors import DataError
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
