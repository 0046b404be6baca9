"""Strategies: what they refuse, and that several devices train as one does."""

import json
from pathlib import Path

import forked
import keras
import numpy as np
import pytest

from stegano_tf.errors import StrategyError
from stegano_tf.training import strategies


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


def test_two_devices_train_as_one(tmp_path):
    out = tmp_path / "figures.json"
    assert forked.Process([], out, script=Path(__file__).with_name("two_devices.py")).wait() == 0, out.read_text()
    found = json.loads(out.read_text().splitlines()[-1])

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
