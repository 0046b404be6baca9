"""Strategies: what they refuse, and that several devices train as one does."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest

from stegano_tf.errors import StrategyError
from stegano_tf.training import strategies

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "TF_CONFIG is not set"),
        ("{", "TF_CONFIG does not parse as JSON"),
        ("[]", "TF_CONFIG does not have the form"),
        ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG does not have the form"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "x"}}', "does not have the form"),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
            "names task worker 2, its cluster has worker 0 to 1",
        ),
        (
            '{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "ps", "index": 0}}',
            "names task ps 0, its cluster has chief 0 to 0, worker 0 to 0",
        ),
        ('{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}', "its cluster has no workers"),
    ],
)
def test_a_tf_config_that_makes_no_sense_is_refused(text, message):
    with pytest.raises(StrategyError, match=message):
        strategies.check_tf_config(text)


@pytest.mark.parametrize("index", [1, "1"])
def test_a_tf_config_that_does(index):
    task = {"type": "worker", "index": index}
    strategies.check_tf_config(json.dumps({"cluster": {"worker": ["a:1", "b:2"]}, "task": task}))


def test_unknown_and_impossible_strategies(monkeypatch):
    with pytest.raises(StrategyError, match="there is no strategy 'horovod', expected one of default, one_device, mir"):
        strategies.make("horovod")
    with pytest.raises(StrategyError, match="parameter_server is not offered: pairs are made by Python"):
        strategies.make("parameter_server")
    with pytest.raises(StrategyError, match="strategy tpu: no TPU can be reached"):
        strategies.make("tpu")
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(StrategyError, match="TF_CONFIG is not set"):
        strategies.make("multi_worker")


def test_other_back_ends_have_one_device(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert strategies.make("default") is None
    with pytest.raises(StrategyError, match="strategy mirrored needs TensorFlow"):
        strategies.make("mirrored")
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(StrategyError, match="back end is torch, expected tensorflow or jax"):
        strategies.make("default")


def test_mirrored_without_a_gpu_says_so(caplog):
    with caplog.at_level("WARNING"):
        assert strategies.make("mirrored").num_replicas_in_sync == 1
    assert "There is no GPU: strategy mirrored runs on the CPU alone" in caplog.text


EQUALITY = """
    import json
    import keras, numpy as np
    from stegano_tf.networks import build, family
    from stegano_tf.training import loop, run, strategies
    from stegano_tf.training.data.batches import PairBatches
    from stegano_tf.training.options import Options, complete

    # First of all: devices are split before their first use.
    mirrored = strategies.make("mirrored", logical_devices=2)
    assert mirrored.num_replicas_in_sync == 2
    pictures = list(np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8))

    def losses(strategy, steps, **options):
        chosen = Options(data=".", preset="tiny", epochs=1, batch_size=4, crop=32, **options)
        model, runner = run.model_and_steps(complete(chosen), strategy)
        batches = runner.batches(PairBatches(pictures, batch_size=4, crop=32), first=1)
        found = [runner.train(next(batches), 5.0) for _ in range(steps)]
        assert {clock for _, clock in found} == {5.0}
        return [loss for loss, _ in found], model, runner

    def all_figures(*arguments, **options):
        found, model, runner = losses(*arguments, **options)
        metrics = loop.results(model)
        # For two devices the batch of three pairs is filled up, which must not count.
        validation = [tuple(np.stack(pictures[i : i + n]) for i in (a, b)) for a, b, n in ((0, 3, 3), (4, 8, 4))]
        metrics |= {f"val_{name}": value for name, value in loop.evaluate(model, runner, validation).items()}
        weights = [keras.ops.convert_to_numpy(v).ravel() for v in model.trainable_variables]
        return found, metrics, np.concatenate(weights).tolist()

    one = strategies.make("default")
    figures = {"plain": [all_figures(s, 12, clip=1.01, ema=0.9, learning_rate=1e-3) for s in (one, mirrored)]}

    def normalised(preset):
        cover, secret, stego = (keras.Input((None, None, 3)) for _ in range(3))
        hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(3, 3, padding="same")(secret))
        return family.composed(keras.Model([cover, secret], cover + hidden), keras.Model(stego, 0.5 * stego))

    build.build = normalised
    figures["norm"] = [losses(s, 6, learning_rate=0.03)[0] for s in (one, mirrored)]
    figures["sync"] = losses(mirrored, 6, learning_rate=0.03, sync_batch_norm=True)[0]
    print(json.dumps(figures))
"""


def test_two_devices_train_as_one():
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(EQUALITY)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    (one, metrics, weights), (two, metrics_two, weights_two) = found["plain"]
    assert len(set(one)) == 12
    np.testing.assert_allclose(two, one, rtol=1e-4)
    np.testing.assert_allclose(weights_two, weights, atol=1e-5)
    assert metrics_two == pytest.approx(metrics, rel=1e-4)
    assert {"loss", "val_h_loss", "val_secret_psnr"} < metrics.keys()

    # With batch normalisation each device normalises its own half of the batch, unless asked to share moments.
    one, two = found["norm"]
    assert one != pytest.approx(two, rel=1e-4)
    assert one == pytest.approx(found["sync"], rel=1e-4)


def test_a_batch_that_the_devices_do_not_divide(start, tmp_path):
    process = start(tmp_path / "run", "--epochs=1", "--strategy=mirrored", "--logical_devices=2", "--batch_size=3")
    assert process.wait(120) == 1
    output = (tmp_path / "run.out").read_text()
    assert "stegano_tf.train: batch_size is 3, expected a multiple of the 2 replicas" in output
    assert "Traceback" not in output
    assert not (tmp_path / "run").exists()
