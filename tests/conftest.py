"""Settings for all tests."""

import fcntl
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


def pytest_collection_modifyitems(items):
    """Lets the tests of training run first: they take longest, and a long one at the end keeps one process waiting."""
    items.sort(key=lambda item: "training" not in item.path.parts)


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
def tiny(worker_id, tmp_path_factory):
    """A folder with mine.weights.h5, of the preset `tiny`, and the networks that were exported from it, tiny/1."""
    import exported_networks

    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "exported"
    folder.mkdir(exist_ok=True)
    # An export takes 20 seconds: the first test process that needs it makes it, the others wait here.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "tiny" / "1").exists():
            weights = exported_networks.random_weights(folder / "mine.weights.h5")
            variants = ["float16", "float32-48x32"]
            exported_networks.export_quietly(weights=str(weights), out=str(folder), tflite=variants)
    return folder


@pytest.fixture(scope="session")
def tiny_weights(tiny):
    """A weights file of the preset `tiny`, other than fresh ones."""
    return tiny / "mine.weights.h5"


@pytest.fixture(scope="session")
def tiny_exported(tiny):
    """The folder tiny/1 of exported networks; not to be changed."""
    return tiny / "tiny" / "1"
