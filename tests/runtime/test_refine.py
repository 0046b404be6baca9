import os
import subprocess
import sys

import numpy as np
import pytest

from stegano_tf import images, metrics, presets, runtime
from stegano_tf.demo_pictures import pairs
from stegano_tf.errors import BackendError
from stegano_tf.networks import build, refine
from stegano_tf.networks.codebook.refine import TrialRefiner
from stegano_tf.networks.refine import GradientRefiner
from stegano_tf.runtime import backends, tiles


def test_rounding_by_hand():
    # One block whose first two values share an error: 0.4 and 0.4 are rounded down apart, but up once together.
    metric = np.eye(48)
    metric[:2, :2] = [[1, 0.99], [0.99, 1]]
    x = np.zeros((1, 4, 4, 3), np.float32)
    x.flat[:2] = 0.4 / 255
    rounded = np.rint(refine._round(x, metric) * 255).ravel()
    assert sorted(rounded[:2]) == [0, 1]
    assert not rounded[2:].any()
    np.testing.assert_array_equal(refine._round(x, np.eye(48)), np.zeros_like(x))


def test_rounding_stays_within_a_picture():
    random = np.random.default_rng(0)
    a = random.normal(size=(48, 48))
    x = random.choice([0.0, 0.5 / 255, 254.6 / 255, 1.0], (1, 8, 12, 3)).astype(np.float32)
    values = refine._round(x, a @ a.T + np.eye(48)) * 255
    np.testing.assert_allclose(values, np.rint(values), atol=1e-4)
    assert (values.min(), values.max()) == (0, 255)


def test_rounding_in_a_metric_costs_less_in_it():
    random = np.random.default_rng(0)
    a = random.normal(size=(48, 48))
    metric = a @ a.T + np.eye(48)
    x = random.uniform(0.2, 0.8, (1, 32, 32, 3)).astype(np.float32)

    def cost(rounded):
        errors = refine._blocks((rounded - x) * 255)
        return np.einsum("ni,ij,nj->", errors, metric, errors)

    # What Babai's method promises on average is the geometric mean of the factor's diagonal for its arithmetic mean.
    assert cost(refine._round(x, metric)) < 0.6 * cost(np.rint(x * 255) / 255)


def test_blocks_and_back():
    x = np.arange(8 * 12 * 3, dtype=np.float32).reshape(1, 8, 12, 3)
    blocks = refine._blocks(x)
    assert blocks.shape == (6, 48)
    np.testing.assert_array_equal(blocks[1].reshape(4, 4, 3), x[0, :4, 4:8])
    np.testing.assert_array_equal(refine._unblocks(blocks, x.shape), x)


def test_turns_take_every_block_once():
    shape = (1, 24, 16, 3)
    total = sum(refine._every_other(shape, turn) for turn in refine._TURNS)
    np.testing.assert_array_equal(total, np.ones((1, 24, 16, 1)))
    first = refine._every_other(shape, refine._TURNS[0])[0, ..., 0]
    assert first[:4, :4].all()
    assert not first[:4, 4:8].any()


def refined(refiner, cover, secret, stego, **options):
    """What `tiles.refine` makes of a copy."""
    found = stego.copy()
    tiles.refine(refiner, cover, secret, found, **options)
    return found


class Linear:
    """A reveal network whose best stego image is known: it takes the picture for the secret, twice as bright."""

    def __call__(self, x, training):
        return 2.0 * x - 0.5


def test_the_known_optimum_is_found():
    random = np.random.default_rng(0)
    cover, secret = (random.integers(90, 160, (16, 24, 3), dtype=np.uint8) for _ in range(2))
    # d/dx of (x - c)² + w (2x - 127.5 - s)²: x = (c + 2 w (s + 127.5)) / (1 + 4 w)
    for weight in (0.1, 1.0):
        best = (cover + 2 * weight * (secret + 127.5)) / (1 + 4 * weight)
        found = refined(GradientRefiner(Linear()), cover, secret, cover, steps=20, weight=weight)
        # Rounded plainly it would be within 0.5, and 0.25 on average; the estimated metric has some noise.
        assert np.abs(found - best).max() < 0.7
        assert np.abs(found - best).mean() < 0.27


def test_tiles_are_refined_without_seams(monkeypatch):
    random = np.random.default_rng(0)
    cover, secret = (random.integers(90, 160, (180, 200, 3), dtype=np.uint8) for _ in range(2))
    whole = refined(GradientRefiner(Linear()), cover, secret, cover, steps=12, weight=1.0)
    monkeypatch.setattr(GradientRefiner, "tile_pixels", ((2 * GradientRefiner.halo + 24) ** 2,) * 2)
    told = []
    tiled = refined(
        GradientRefiner(Linear()), cover, secret, cover, steps=12, weight=1.0, progress=lambda *now: told.append(now)
    )
    assert told[-1][2] > 12, "there was one tile only"
    assert told[-1][1] == told[-1][2]
    np.testing.assert_allclose(tiled.astype(int), whole, atol=1)


@pytest.fixture(scope="module")
def hidden():
    networks = runtime.load()
    _, cover, secret = pairs()[0]
    cover, secret = (images.centre_crop(picture, size) for picture, size in ((cover, (96, 98)), (secret, (96, 96))))
    return networks, cover, secret, networks.hide(cover, secret)


def quality(hidden, stego):
    """(PSNR of the cover, PSNR of the secret)."""
    networks, cover, secret, _ = hidden
    return metrics.psnr(cover, stego), metrics.psnr(secret, networks.reveal(stego, (96, 96)))


def objective(hidden, stego, weight=1.0):
    networks, cover, secret, _ = hidden
    of_secret = metrics.squared_error(secret, networks.reveal(stego, (96, 96)))
    return metrics.squared_error(cover, stego) + weight * of_secret


def test_the_sum_of_errors_falls(hidden):
    networks, cover, secret, stego = hidden
    better = networks.refine(cover, secret, stego, steps=20)
    assert better.shape == stego.shape
    assert objective(hidden, better) < 0.99 * objective(hidden, stego)
    np.testing.assert_array_equal(better[:, 96:], cover[:, 96:])


def test_balance_moves_quality_from_one_to_the_other(hidden):
    networks, cover, secret, stego = hidden
    for_cover, for_secret = (
        quality(hidden, networks.refine(cover, secret, stego, steps=20, balance=balance)) for balance in (-9, 9)
    )
    assert for_cover[0] > for_secret[0] + 1
    assert for_secret[1] > for_cover[1] + 1


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_few_steps_never_harm(hidden, steps):
    networks, cover, secret, stego = hidden
    assert objective(hidden, networks.refine(cover, secret, stego, steps=steps)) <= objective(hidden, stego)


def test_tiles_are_refined_as_the_whole(hidden, monkeypatch):
    networks, cover, secret, stego = hidden
    refiner = TrialRefiner(build.load(networks.preset.name))
    options = {"steps": 3, "weight": 1.0}
    parts = cover[:, :96], secret, stego[:, :96]
    whole = refined(refiner, *parts, **options)
    told = []
    monkeypatch.setattr(TrialRefiner, "tile_pixels", (64 * 64, 64 * 64))
    tiled = refined(refiner, *parts, **options, progress=lambda *now: told.append(now))
    assert told[-1][1:] == (9, 9)  # three tiles of 32 rows
    # Rounding decides where two classes are as good: in few blocks.
    assert np.mean(tiled != whole) < 0.05


def test_more_steps_than_classes_are_as_many(hidden):
    networks, _, secret, stego = hidden
    networks = build.build("tiny")
    found = [
        refined(TrialRefiner(networks), secret[:16, :16], secret[:16, :16], stego[:16, :16], steps=s, weight=1.0)
        for s in (8, 99)
    ]
    np.testing.assert_array_equal(*found)


def test_a_runtime_of_hiding_and_revealing_alone_is_refused_before_anything_runs():
    networks = runtime.Runtime(runtime="litert")
    picture = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(BackendError, match="refinement runs on the runtime 'keras' alone, 'litert' was asked for"):
        networks.refine(picture, picture, picture, steps=1)


@pytest.mark.parametrize("name", ["keras", "savedmodel"])
def test_a_fork_of_a_process_that_ran_tensorflow_is_refused(name, monkeypatch, photograph):
    """It would wait for ever: threads do not survive a fork. LiteRT does."""
    monkeypatch.setattr(backends, "_process", os.getppid())
    with pytest.raises(BackendError, match="this process was forked from one that has run TensorFlow or Keras"):
        runtime.Runtime(runtime=name)
    picture = photograph(16, 16, 0)
    networks = runtime.Runtime(runtime="litert")
    assert networks.hide(picture, picture).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("settings", "there"),
    [(None, True), ('{"backend": "tensorflow"}', True), ('{"backend": "jax"}', False), ("{", False)],
)
def test_keras_settings_are_read_before_anything_is_hidden(settings, there, tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if settings:
        (tmp_path / "keras.json").write_text(settings)
    assert backends.keras_is_there(presets.get("codebook")) == there


@pytest.mark.parametrize("package", ["keras", "tensorflow"])
def test_a_package_that_is_missing_is_named_before_anything_is_hidden(package):
    code = f"""
import sys
sys.modules[{package!r}] = None
import numpy as np
from stegano_tf import pipeline, runtime
from stegano_tf.errors import BackendError

networks, picture = runtime.load(), np.zeros((16, 16, 3), np.uint8)
networks.hide = None
for refine in (
    lambda: pipeline.hide(picture, picture, refine=1),
    lambda: networks.refine(picture, picture, picture, steps=1),
):
    try:
        refine()
    except BackendError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr
    for line in lines:
        assert line.startswith("refinement runs on the runtime 'keras' alone: ")
        assert "needs the packages keras and tensorflow" in line


def test_hiding_has_the_memory_that_keras_takes_later():
    code = """
import sys
import numpy as np
from stegano_tf import pipeline, runtime

picture, hide, called = np.zeros((16, 16, 3), np.uint8), runtime.Runtime.hide, []

def checked(*args, **options):
    called.append({"keras", "tensorflow"} & set(sys.modules))
    return hide(*args, **options)

runtime.Runtime.hide = checked
pipeline.hide(picture, picture, refine=1)
assert called == [set()]
assert {"keras", "tensorflow"} <= set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
