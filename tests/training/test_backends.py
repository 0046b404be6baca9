"""Training on JAX without TensorFlow, and its weights under TensorFlow."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import blocks
import numpy as np

from stegano_tf.networks import build

ROOT = Path(__file__).parents[2]

SCRIPT = """
    import sys

    class NoTensorFlow:
        def find_spec(name, path=None, target=None):
            if name.split(".")[0] == "tensorflow":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, NoTensorFlow)
    run_dir, data = sys.argv[1:]
    import numpy as np
    from stegano_tf.networks import build
    from stegano_tf.training import run
    from stegano_tf.training.options import Options, complete

    options = {
        "data": data, "preset": "tiny", "batch_size": 2, "crop": 32, "steps_per_epoch": 30, "validation_size": 64,
        "validation_pictures": 3, "learning_rate": 0.01, "ema": 0.9, "epochs": 2, "run_dir": run_dir,
    }
    run.train(Options(**options))

    # What is assigned between steps counts at once: the guard against divergence, schedules and checkpoints rely on it.
    model, steps = run.model_and_steps(complete(Options(**options)), None)
    variables = model.trainable_variables + model.optimizer.variables
    before = [np.array(variable) for variable in variables]
    picture = np.random.default_rng(0).integers(0, 256, (2, 2, 32, 32, 3), dtype=np.uint8)
    first = steps.train(tuple(picture), 0.0)
    after = [np.array(variable) for variable in variables]
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    assert steps.train(tuple(picture), 0.0) == first
    assert all(np.array_equal(v, value) for v, value in zip(variables, after, strict=True))
    weights = [np.array(v) for v in model.trainable_variables]
    model.optimizer.learning_rate = 0.0
    steps.train(tuple(picture), 0.0)
    assert all(np.array_equal(v, value) for v, value in zip(model.trainable_variables, weights, strict=True))

    networks = build.load("tiny", f"{run_dir}/best.weights.h5")
    cover, secret = np.random.default_rng(1).random((2, 1, 64, 64, 3), dtype=np.float32)
    stego = np.asarray(networks.hide([cover, secret]))
    np.savez(f"{run_dir}/outputs.npz", stego=stego, revealed=np.asarray(networks.reveal(stego)))
    assert "tensorflow" not in sys.modules
"""


def test_jax_trains_without_tensorflow_and_tensorflow_runs_its_weights(pictures, tmp_path):
    run_dir = tmp_path / "run"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(run_dir), str(pictures)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len((run_dir / "log.jsonl").read_text().splitlines()) == 2

    networks = build.load("tiny", run_dir / "best.weights.h5")
    cover, secret = np.random.default_rng(1).random((2, 1, 64, 64, 3), dtype=np.float32)
    with np.load(run_dir / "outputs.npz") as jax:
        # Noise, in a codebook for smooth pictures.
        assert np.corrcoef(jax["revealed"].ravel(), secret.ravel())[0, 1] > 0.3
        stego = np.rint(255 * np.asarray(networks.hide([cover, secret]))).astype(int)
        blocks.assert_same_but_for_rare_ones(np.rint(255 * jax["stego"]).astype(int), stego)
        np.testing.assert_allclose(np.asarray(networks.reveal(jax["stego"])), jax["revealed"], atol=1e-4)
