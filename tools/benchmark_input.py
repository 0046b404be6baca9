"""Measures pictures per second out of the input pipeline, beside Keras's own and beside bare JPEG decoding.

    python tools/benchmark_input.py --data=../shared/data/linnaeus5_layout/train --json=FILE

Each pair of a batch counts as two pictures; the pipeline decodes one file for them, which is in two pairs. All take
turns within each repeat, so a busy machine slows all of them; medians and ratios of medians are reported. Beside them
stands the processor time that a picture takes, in all threads together, which a busy machine changes less.

* `bare_decode_*`: the files read and decoded on all cores and nothing else. `tensorflow` is `tf.io.decode_jpeg` at its
  default settings (fast, inexact arithmetic), `tensorflow_exact` with dct_method="INTEGER_ACCURATE", which gives the
  pipeline's pixels, `simplejpeg` the pipeline's own decoder. The ratio is to the fastest.
* `cold`: files in the system's cache, decoded in each epoch. `cached`: decoded before, kept in memory.
* `records`: as `cold`, from the records that TFDS built of --manual_dir; they are read into memory before.
* `image_dataset_from_directory`: batches of pictures, shuffled, that it resizes where the pipeline crops; no pairs.
"""

import concurrent.futures
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import keras
import simplejpeg
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import app, flags, logging
from publishing import publish

from stegano_tf import datasets, pairing
from stegano_tf.errors import DataError
from stegano_tf.training.data import tf_data
from stegano_tf.training.data.batches import PairBatches

_DATA = flags.DEFINE_string("data", None, "Folder of JPEG files, with its subfolders.", required=True)
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "Linnaeus 5 archive or layout for `records`; else left out.")
_CROPS = flags.DEFINE_multi_integer("crop", [256, 128], "Sides of the crops.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Pairs, or pictures, in a batch.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "How often everything is timed.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")


def tensorflow_decode(files: list[str], **options) -> Iterable:
    def decode(file):
        return tf.io.decode_jpeg(tf.io.read_file(file), channels=3, **options)

    return tf.data.Dataset.from_tensor_slices(files).map(decode, num_parallel_calls=tf.data.AUTOTUNE)


class SimplejpegDecode:
    """Yields how many files each thread has decoded, one thread a core."""

    def __init__(self, files: list[str]):
        self._shares = [files[i :: os.cpu_count()] for i in range(os.cpu_count())]

    def __iter__(self) -> Iterator[int]:
        with concurrent.futures.ThreadPoolExecutor(len(self._shares)) as pool:
            yield from pool.map(self._decode, self._shares)

    def _decode(self, files: list[str]) -> int:
        for file in files:
            simplejpeg.decode_jpeg(Path(file).read_bytes())
        return len(files)


def from_directory(folder: str, crop: int, batch_size: int) -> Iterable:
    return keras.utils.image_dataset_from_directory(
        folder, label_mode=None, image_size=(crop, crop), batch_size=batch_size, verbose=False
    )


def timed(batches: Iterable, pictures: Callable) -> tuple[float, float]:
    """Pictures per second of one pass, and microseconds of processor time a picture; `pictures` counts in a batch."""
    start, start_cpu = time.perf_counter(), time.process_time()
    count = sum(pictures(batch) for batch in batches)
    return count / (time.perf_counter() - start), (time.process_time() - start_cpu) / count * 1e6


def measure(data: str, manual_dir: str | None, crops: list[int], batch_size: int, repeats: int) -> dict:
    """Returns the median rates and processor times, and the ratios of the rates by crop.

    Raises:
      DataError: as `pairing.list_pictures` and `stegano_tf.datasets.load`.
    """
    files = [str(file) for file in pairing.list_pictures(data) if file.suffix.lower() in (".jpg", ".jpeg")]
    runs = {
        "bare_decode_tensorflow": (tensorflow_decode(files), lambda _: 1),
        "bare_decode_tensorflow_exact": (tensorflow_decode(files, dct_method="INTEGER_ACCURATE"), lambda _: 1),
        "bare_decode_simplejpeg": (SimplejpegDecode(files), lambda count: count),
    }
    bare = tuple(runs)
    with tempfile.TemporaryDirectory() as data_dir:
        records = manual_dir and datasets.load("linnaeus5", data_dir=data_dir, manual_dir=manual_dir)
        for crop in crops:
            sources = {"cold": (files, False, 1), "cached": (files, True, 10)}
            if records:
                sources["records"] = (records, False, 1)
            for name, (source, cache, epochs) in sources.items():
                batches = PairBatches(source, batch_size=batch_size, crop=crop, cache=cache)
                dataset = tf_data.dataset(batches, count=epochs * batches.plan.steps)
                runs[f"{name}_{crop}"] = dataset, lambda batch: 2 * len(batch[0])
            runs[f"image_dataset_from_directory_{crop}"] = from_directory(data, crop, batch_size), len
    found = {name: [] for name in runs}
    for turn in range(repeats + 1):
        logging.info("Turn %d of %d", turn, repeats)
        for name, (batches, pictures) in runs.items():
            result = timed(batches, pictures)
            if turn:  # the first one warms up
                found[name].append(result)
    rates = {name: statistics.median(rate for rate, _ in results) for name, results in found.items()}
    times = {name: statistics.median(cpu for _, cpu in results) for name, results in found.items()}
    return {
        "pictures": len(files),
        "batch_size": batch_size,
        "repeats": repeats,
        "cores": os.cpu_count(),
        "tensorflow": tf.__version__,
        "tensorflow_datasets": tfds.__version__,
        "simplejpeg": simplejpeg.__version__,
        "pictures_per_second": {name: round(value) for name, value in rates.items()},
        "processor_microseconds_per_picture": {name: round(value) for name, value in times.items()},
        "ratios": {
            str(crop): {
                "cold_to_bare_decode": rates[f"cold_{crop}"] / max(rates[name] for name in bare),
                "cached_to_cold": rates[f"cached_{crop}"] / rates[f"cold_{crop}"],
                "cold_to_image_dataset_from_directory": rates[f"cold_{crop}"]
                / rates[f"image_dataset_from_directory_{crop}"],
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
    publish(figures, _JSON.value)


if __name__ == "__main__":
    app.run(main)
