"""Training on JAX without TensorFlow, and its weights under TensorFlow."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import blocks
import numpy as np
import pytest

from stegano_tf import images, metrics, pairing
from stegano_tf.networks import build
from stegano_tf.networks import pictures as pictures_of

ROOT = Path(__file__).parents[2]

SCRIPT = """
    import runpy, sys

    class Missing:
        names = {"tensorflow", "psutil", "simplejpeg", "imagecodecs", "tifffile", "skimage"}

        def find_spec(name, path=None, target=None):
            if name.split(".")[0] in Missing.names:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Missing)
    folder, data, tool = sys.argv[1:]
    import numpy as np
    from absl import flags
    from stegano_tf.networks import build

    # The tool, on pictures in the device's memory, with all that a machine may lack: it pauses, and goes on.
    main = runpy.run_path(tool)["main"]
    flags.FLAGS([
        tool, "--preset=tiny", f"--pictures={data}", f"--resume={folder}/stored", "--side=64", "--batch_size=2",
        "--crop=32", "--steps_per_epoch=4", "--steps_per_call=2", "--validation_size=64", "--epochs=2",
        f"--copy={folder}/copied", "--pause_after=0",
    ])
    main([tool])
    flags.FLAGS.pause_after = None
    main([tool])

    Missing.names = {"tensorflow"}
    from stegano_tf.training import loop, session, strategies
    from stegano_tf.training.data.batches import PairBatches
    from stegano_tf.training.data.stored import StoredPairs
    from stegano_tf.training.options import Options, complete

    # What is assigned between steps counts at once: the guard against divergence, schedules and checkpoints rely on it.
    options = complete(Options(data="-", preset="tiny", batch_size=2, crop=32, epochs=1, learning_rate=0.01))
    model, steps = session.model_and_steps(options, strategies.make("default"))
    variables = model.trainable_variables + model.optimizer.variables
    before = [np.array(variable) for variable in variables]

    def again():
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)

    pictures = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), dtype=np.uint8)
    pairs = PairBatches(list(pictures), batch_size=2, crop=32)
    batches = steps.batches(pairs, 3)
    first = [steps.train(next(batches), 7.0) for _ in range(2)]
    assert [clock for _, clock in first] == [7.0, 7.0]
    after = [np.array(variable) for variable in variables]
    again()
    assert [steps.train(pairs.batch(number), 7.0) for number in (3, 4)] == first
    assert all(np.array_equal(v, value) for v, value in zip(variables, after, strict=True))

    # Two steps at once, on pictures that the device cuts, are the same two steps.
    again()
    stored = loop.StoredJaxSteps(model, 2)
    both, _ = stored.train(next(stored.batches(StoredPairs(pictures, batch_size=2, crop=32), 3)), 0.0)
    np.testing.assert_allclose(both, np.sqrt(first[0][0] * first[1][0]), rtol=1e-5)
    for variable, value in zip(variables, after, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-6)

    weights = [np.array(v) for v in model.trainable_variables]
    model.optimizer.learning_rate = 0.0
    steps.train(pairs.batch(0), 0.0)
    assert all(np.array_equal(v, value) for v, value in zip(model.trainable_variables, weights, strict=True))

    build.load_weights(model.networks, f"{folder}/stored/best.weights.h5")
    pictures = np.random.default_rng(1).integers(0, 256, (2, 2, 64, 64, 3), dtype=np.uint8)
    stego, revealed = steps.predict(tuple(pictures))
    np.savez(f"{folder}/outputs.npz", pictures=pictures, stego=stego, revealed=revealed)
    assert "tensorflow" not in sys.modules
"""


def test_jax_trains_without_tensorflow_and_tensorflow_runs_its_weights(pictures, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(pictures, data / "train")
    shutil.copytree(pictures / "0", data / "test")
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tools'}", "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu",
        # The script compiles some steps twice.
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }  # fmt: skip
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), tmp_path, data, ROOT / "tools" / "train_presets.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr

    networks = build.load("tiny", tmp_path / "copied" / "best.weights.h5")
    with np.load(tmp_path / "outputs.npz") as jax:
        cover, secret = jax["pictures"].astype(np.float32) / 255.0
        # Noise, in a codebook for smooth pictures.
        assert np.corrcoef(jax["revealed"].ravel(), secret.ravel())[0, 1] > 0.3
        stego = np.rint(255 * np.asarray(networks.hide([cover, secret]))).astype(int)
        blocks.assert_same_but_for_rare_ones(np.rint(255 * jax["stego"]).astype(int), stego)
        np.testing.assert_allclose(np.asarray(networks.reveal(jax["stego"])), jax["revealed"], atol=1e-4)

    assert "Paused: the same command goes on" in done.stdout
    assert f"Going on from {tmp_path}/stored/checkpoints/step-000000002.npz: epoch 1, step 2 of 4." in done.stdout
    log = [json.loads(line) for line in (tmp_path / "copied" / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in log] == [4, 8]
    assert {path.name for path in (tmp_path / "copied").iterdir()} == {
        *("best.weights.h5", "contact_sheet.png", "log.jsonl", "options.json", "score.json", "starts.jsonl")
    }
    scores = json.loads((tmp_path / "copied" / "score.json").read_text())["scores"]
    assert scores == {"data": pytest.approx(scored(networks, pairing.list_pictures(data / "test")), rel=1e-3)}


def scored(networks, files):
    """The figures of the scoreboard, by the functions that the scoreboard uses."""
    pairs = [(images.read(files[i]), images.read(files[j])) for i, j in pairing.pairs(len(files))]
    found = {"cover": [], "secret": []}
    for cover, secret in pairs:
        stego = np.asarray(pictures_of.hide(networks, (8, 8), cover[None], secret[None]))
        revealed = np.asarray(pictures_of.reveal(networks, (8, 8), stego))
        found["cover"].append(metrics.quality(cover, stego[0]))
        found["secret"].append(metrics.quality(secret, revealed[0]))
    means = {
        f"{name}_{figure}": np.mean([getattr(quality, figure) for quality in qualities])
        for name, qualities in found.items()
        for figure in ("psnr", "ssim", "apd")
    }
    worst = {f"worst_{name}_psnr": min(quality.psnr for quality in qualities) for name, qualities in found.items()}
    return means | worst | {"pictures": len(files)}
