"""Measures pictures per second out of the input pipeline, beside Keras's own and beside bare JPEG decoding.

    python tools/benchmark_input.py --data=../shared/data/linnaeus5_layout/train --json=FILE

Each pair of a batch counts as two pictures. All take turns within each repeat, so a busy machine slows all of them;
medians and ratios of medians are reported.

* `bare_decode`: `tf.io.decode_jpeg` on all cores and nothing else, at TensorFlow's default settings (fast, inexact
  arithmetic). `bare_decode_exact`: the same with dct_method="INTEGER_ACCURATE", which gives the pipeline's pixels.
* `cold`: files in the system's cache, decoded in each epoch. `cached`: decoded before, kept in memory.
* `records`: as `cold`, from the records that TFDS built of --manual_dir; they are read into memory before.
* `image_dataset_from_directory`: batches of pictures, shuffled, that it resizes where the pipeline crops; no pairs.
"""

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import keras
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import app, flags, logging

from stegano_tf import datasets
from stegano_tf.errors import DataError
from stegano_tf.training import pairs

_DATA = flags.DEFINE_string("data", None, "Folder of JPEG files, with its subfolders.", required=True)
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "Linnaeus 5 archive or layout for `records`; else left out.")
_CROPS = flags.DEFINE_multi_integer("crop", [256, 128], "Sides of the crops.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Pairs, or pictures, in a batch.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "How often everything is timed.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")


def bare_decode(files: list[str], **options) -> Iterable:
    def decode(file):
        return tf.io.decode_jpeg(tf.io.read_file(file), channels=3, **options)

    return tf.data.Dataset.from_tensor_slices(files).map(decode, num_parallel_calls=tf.data.AUTOTUNE)


def from_directory(folder: str, crop: int, batch_size: int) -> Iterable:
    return keras.utils.image_dataset_from_directory(
        folder, label_mode=None, image_size=(crop, crop), batch_size=batch_size, verbose=False
    )


def rate(batches: Iterable, pictures: Callable) -> float:
    """Pictures per second of one pass, which `pictures` counts in a batch."""
    start = time.perf_counter()
    count = sum(pictures(batch) for batch in batches)
    return count / (time.perf_counter() - start)


def measure(data: str, manual_dir: str | None, crops: list[int], batch_size: int, repeats: int) -> dict:
    """Returns the median rates and their ratios, by crop.

    Raises:
      DataError: as `pairs.list_pictures` and `stegano_tf.datasets.load`.
    """
    files = [str(file) for file in pairs.list_pictures(data) if file.suffix.lower() in (".jpg", ".jpeg")]
    runs = {
        "bare_decode": (bare_decode(files), lambda _: 1),
        "bare_decode_exact": (bare_decode(files, dct_method="INTEGER_ACCURATE"), lambda _: 1),
    }
    with tempfile.TemporaryDirectory() as data_dir:
        records = manual_dir and datasets.load("linnaeus5", data_dir=data_dir, manual_dir=manual_dir)
        for crop in crops:
            options = {"batch_size": batch_size, "crop": crop}
            sources = {"cold": (files, False, 1), "cached": (files, True, 10)}
            if records:
                sources["records"] = (records, False, 1)
            for name, (source, cache, epochs) in sources.items():
                dataset = pairs.training_pairs(source, epochs=epochs, cache=cache, **options)
                runs[f"{name}_{crop}"] = dataset, lambda batch: 2 * len(batch[0])
            runs[f"image_dataset_from_directory_{crop}"] = from_directory(data, crop, batch_size), len
    rates = {name: [] for name in runs}
    for turn in range(repeats + 1):
        logging.info("Turn %d of %d", turn, repeats)
        for name, (batches, pictures) in runs.items():
            found = rate(batches, pictures)
            if turn:  # the first one warms up
                rates[name].append(found)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "pictures": len(files),
        "batch_size": batch_size,
        "repeats": repeats,
        "cores": os.cpu_count(),
        "machine": platform.platform(),
        "tensorflow": tf.__version__,
        "tensorflow_datasets": tfds.__version__,
        "pictures_per_second": {name: round(value) for name, value in medians.items()},
        "ratios": {
            str(crop): {
                "cold_to_bare_decode": medians[f"cold_{crop}"] / medians["bare_decode"],
                "cached_to_cold": medians[f"cached_{crop}"] / medians[f"cold_{crop}"],
                "cold_to_image_dataset_from_directory": medians[f"cold_{crop}"]
                / medians[f"image_dataset_from_directory_{crop}"],
            }
            for crop in crops
        },
    }


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    try:
        figures = measure(_DATA.value, _MANUAL_DIR.value, _CROPS.value, _BATCH_SIZE.value, _REPEATS.value)
    except DataError as error:
        raise SystemExit(f"benchmark_input: {error}") from error
    text = json.dumps(figures, indent=2)
    print(text)
    if _JSON.value:
        Path(_JSON.value).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    app.run(main)
