"""Settings for all tests."""

import os

import hypothesis
import numpy as np
import pytest
from PIL import Image

from stegano_tf import scratch

# Machines that run tests are shared: how long one example takes says nothing. The same examples everywhere, every time.
hypothesis.settings.register_profile("shared", deadline=None, derandomize=True)
hypothesis.settings.load_profile("shared")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture
def on_disk(monkeypatch, tmp_path):
    """Lets everything go through temporary files, in many parts; returns the folder where they lie."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(scratch, "IN_MEMORY", 1)
    monkeypatch.setattr(scratch, "PICTURE_IN_MEMORY", 1)
    monkeypatch.setattr(scratch, "PART", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def command(capfd):
    """Runs `stegano-tf` in this process; returns its status, what it printed, and what it said on stderr."""
    from stegano_tf import commands

    def run(*arguments):
        status = 0
        try:
            commands.main(commands.parse(["stegano-tf", *map(str, arguments)]))
        except SystemExit as exit_:
            status = exit_.code
        said = capfd.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture(scope="session")
def photograph():
    """Makes smooth pictures, as photographs are: noise of 1/16 of the size, enlarged."""

    def make(height, width, seed):
        random = np.random.default_rng(seed)
        coarse = random.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), dtype=np.uint8)
        return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))

    return make


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    """A weights file of the preset `tiny`, other than fresh ones."""
    import exported_networks

    return exported_networks.random_weights(tmp_path_factory.mktemp("weights") / "mine.weights.h5")


@pytest.fixture(scope="session")
def tiny_exported(tiny_weights, tmp_path_factory):
    """The folder tiny/1 of exported networks; not to be changed."""
    import exported_networks

    folder = tmp_path_factory.mktemp("models")
    return exported_networks.export_quietly(
        weights=str(tiny_weights), out=str(folder), tflite=["float16", "float32-48x32"]
    )
