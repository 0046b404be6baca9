"""What tests of training share: a folder of small pictures, and the command as users run it."""

from pathlib import Path

import forked
import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of twelve smooth random pictures in two subfolders."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for i in range(12):
        (folder / str(i % 2)).mkdir(exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((64, 64), Image.Resampling.BICUBIC).save(folder / str(i % 2) / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def start(pictures):
    """Starts `python -m stegano_tf.train` on the smallest network; returns the process, output in its `run_dir`.out."""

    started = []

    def start(run_dir, *arguments, **options):
        flags = [
            f"--data={pictures}", f"--run_dir={run_dir}", "--preset=tiny",
            "--batch_size=2", "--crop=32", "--learning_rate=0.01", "--validation_pictures=3", "--validation_size=64",
            *arguments,
        ]  # fmt: skip
        process = forked.Process(flags, Path(f"{run_dir}.out"), **options)
        started.append(process)
        return process

    yield start
    for process in started:  # what a failed test left running
        process.kill()


@pytest.fixture
def float32_afterwards():
    import keras

    yield
    keras.config.set_dtype_policy("float32")
