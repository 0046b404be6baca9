"""The builder on TFDS's own test case: each config, each split, from dummy_data."""

import tensorflow_datasets as tfds

from . import linnaeus5_dataset_builder


class Linnaeus5Test(tfds.testing.DatasetBuilderTestCase):
    """dummy_data has too few pictures for the splits paper_train and paper_validation."""

    DATASET_CLASS = linnaeus5_dataset_builder.Builder
    EXAMPLE_DIR = linnaeus5_dataset_builder.Builder.pkg_dir_path / "dummy_data"
    SPLITS = {"train": 10, "test": 5}  # noqa: RUF012  (as TFDS declares it)
