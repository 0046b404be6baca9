"""Data sets as TensorFlow Datasets (TFDS) builders, and the way from any TFDS data set to training pairs."""

from typing import Any


def load(name: str, *, split: str = "train", data_dir: str | None = None, manual_dir: str | None = None) -> Any:
    """Builds a data set unless it is there, and returns a split as a `tf.data.Dataset` of TFDS examples.

    The pictures stay encoded, "image" is a string of JPEG or PNG bytes, as `PairBatches` takes them.

    Args:
      name, split: any of TFDS, such as "linnaeus5/128x128" and "train[:90%]".
      data_dir: where TFDS keeps what it built; ~/tensorflow_datasets by default.
      manual_dir: where the archive lies that the user has fetched, for data sets that need that.

    Raises:
      DataError: there is no such data set or split, it has no "image", or what it is built from is not as expected.
    """
    import stegano_tf.datasets.linnaeus5  # noqa: F401, PLC0415  (registers it)
    import tensorflow_datasets as tfds  # noqa: PLC0415

    from stegano_tf.errors import DataError  # noqa: PLC0415

    try:
        builder = tfds.builder(name, data_dir=data_dir)
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual_dir))
    except tfds.core.DatasetNotFoundError as error:  # its message lists the thousand that there are
        raise DataError(f"data set {name}: TFDS knows none of this name") from error
    except (AssertionError, ValueError) as error:
        raise DataError(f"data set {name}: {str(error).splitlines()[0]}") from error
    if "image" not in builder.info.features:
        raise DataError(f"data set {name}: has the features {', '.join(builder.info.features)}, expected an image")
    try:
        encoded, uncached = {"image": tfds.decode.SkipDecoding()}, tfds.ReadConfig(try_autocache=False)
        return builder.as_dataset(split=split, decoders=encoded, read_config=uncached)
    except (KeyError, ValueError) as error:
        splits = ", ".join(builder.info.splits)
        raise DataError(f"data set {name}: split {split} cannot be read ({error}), there are {splits}") from error
