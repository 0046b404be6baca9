"""Training as a user runs it: the real command on real files, with the smallest networks."""

import dataclasses
import json
import math
import subprocess
import sys

import forked
import keras
import pytest
from PIL import Image

from stegano_tf.errors import CheckpointError, DataError
from stegano_tf.networks import build
from stegano_tf.training import run_folder
from stegano_tf.training.options import Options, complete
from stegano_tf.training.run import train


@pytest.fixture(scope="module")
def run_dir(pictures, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "first"
    command = [
        sys.executable, "-m", "stegano_tf.train", f"--data={pictures}", "--preset=tiny", "--epochs=3",
        "--steps_per_epoch=30", "--batch_size=2", "--crop=32", "--validation_pictures=3", "--validation_size=64",
        "--learning_rate=0.01", f"--run_dir={run_dir}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(f"The run is in {run_dir}")
    return run_dir


def test_log_has_an_epoch_a_line(run_dir):
    log = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in log] == [1, 2, 3]
    assert [record["step"] for record in log] == [30, 60, 90]
    for record in log:
        assert record["val_loss"] == pytest.approx(record["val_h_loss"] + 0.75 * record["val_r_loss"], rel=1e-4)
        assert all(math.isfinite(value) for value in record.values())


def validated(networks, pictures):
    """The figures of networks on the pairs that `run_dir` is validated on."""
    from stegano_tf import pairing
    from stegano_tf.training.data.sources import validation_pairs
    from stegano_tf.training.model import SteganoModel

    model = SteganoModel(networks)
    model.compile()
    files = pairing.list_pictures(pictures)
    validation = validation_pairs(files[::6], batch_size=2, size=64)  # a fifth of 12, evenly
    ((cover, secret),) = validation
    return model.test_on_batch((cover, secret), return_dict=True)


def test_a_codebook_is_made_of_the_pictures_before_the_first_step(run_dir, pictures):
    log = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    fresh = validated(build.build("tiny"), pictures)
    assert log[0]["val_secret_psnr"] > fresh["secret_psnr"] + 10
    # What training does besides is little, and nothing to the cover: a lattice of scale 4 leaves 44.5 dB.
    assert log[-1]["val_loss"] < 1.1 * log[0]["val_loss"]
    assert log[-1]["val_cover_psnr"] == pytest.approx(44.5, abs=0.5)


def test_weights_are_those_of_the_best_epoch(run_dir, pictures):
    log = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    logs = validated(build.load("tiny", run_dir / "best.weights.h5"), pictures)
    assert logs["loss"] == pytest.approx(min(record["val_loss"] for record in log), rel=1e-3)


def test_contact_sheet_is_a_picture(run_dir):
    with Image.open(run_dir / "contact_sheet.png") as sheet:
        assert sheet.width > 6 * 64
        assert len(sheet.getcolors(1 << 24)) > 1000


def test_options_and_origin_are_recorded(run_dir, pictures):
    (start,) = map(json.loads, (run_dir / "starts.jsonl").read_text().splitlines())
    assert start["packages"]["keras"]
    assert start["seed"] == 0
    assert start["replicas"] == 1
    assert "--preset=tiny" in start["command"]
    options = json.loads((run_dir / "options.json").read_text())
    assert Options(**options) == Options(
        data=str(pictures), preset="tiny", epochs=3, steps_per_epoch=30, batch_size=2, crop=32,
        validation_pictures=3, validation_size=64, learning_rate=0.01, run_dir=str(run_dir),
    )  # fmt: skip


def test_a_run_is_not_overwritten(run_dir, pictures):
    with pytest.raises(CheckpointError, match=r"holds a run with .*; expected the same or a new folder"):
        train(Options(data=str(pictures), preset="tiny", epochs=1, run_dir=str(run_dir)))


def test_a_run_of_an_older_version_is_not_overwritten(run_dir, tmp_path):
    options = json.loads((run_dir / "options.json").read_text())
    del options["strategy"]
    (tmp_path / "options.json").write_text(json.dumps(options))
    with pytest.raises(CheckpointError, match="holds a run of another version, without strategy"):
        train(Options(**options | {"run_dir": str(tmp_path)}))


def test_a_run_of_a_preset_that_was_renamed_goes_on(run_dir, tmp_path):
    options = json.loads((run_dir / "options.json").read_text())
    (tmp_path / "options.json").write_text(json.dumps(options | {"preset": "invertible"}))
    asked = Options(**options | {"preset": "codebook", "run_dir": str(tmp_path)})
    assert run_folder.choose(asked) == tmp_path


@pytest.mark.parametrize("content", [b"", b"7", b"[1]", b'{"data": "\xff"}', b'{"data": '])
def test_options_that_were_damaged_are_named(tmp_path, content):
    (tmp_path / "options.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"options\.json: cannot be read: "):
        train(Options(data=".", preset="tiny", epochs=1, run_dir=str(tmp_path)))


def test_minutes_end_a_run_and_weights_start_one(run_dir, pictures, tmp_path):
    train(
        Options(
            data=str(pictures),
            preset="tiny",
            minutes=0.05,
            batch_size=2,
            crop=32,
            validation_pictures=3,
            validation_size=64,
            weights=str(run_dir / "best.weights.h5"),
            run_dir=str(tmp_path / "run"),
            learning_rate=1e-4,
            ema=0.9,
            dtype_policy="mixed_bfloat16",
        )
    )
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    before = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    assert log[-1]["val_loss"] < 1.1 * min(record["val_loss"] for record in before)


pytestmark = pytest.mark.usefixtures("float32_afterwards")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": 33}, "crop is 33, expected a multiple of 8 for preset tiny"),
        ({"validation_size": 255}, "validation_size is 255, expected a multiple of 8"),
        ({"validation_size": 512}, r"0\.png: the picture is 64x64, expected at least 512x512"),
        ({"batch_size": 100}, "10 pictures cannot make a batch of 100 pairs"),
    ],
)
def test_sizes_that_do_not_suit_are_refused(pictures, tmp_path, options, message):
    options = {"validation_size": 64, "validation_pictures": 4, "crop": 32} | options
    with pytest.raises(DataError, match=message):
        train(Options(data=str(pictures), preset="tiny", epochs=1, run_dir=str(tmp_path / "run"), **options))


def test_the_running_mean_is_what_is_validated_and_kept(pictures, tmp_path):
    # A mean that never moves: every epoch validates the weights of the first step, though training goes on.
    # Weights that are given are trained as they are: fresh ones have much to learn.
    build.save_weights(build.build("tiny"), tmp_path / "fresh.weights.h5")
    options = {"preset": "tiny", "batch_size": 2, "crop": 32, "validation_size": 64, "validation_pictures": 2}
    train(
        Options(
            data=str(pictures),
            epochs=2,
            steps_per_epoch=40,
            learning_rate=0.01,
            ema=1.0,
            weights=str(tmp_path / "fresh.weights.h5"),
            run_dir=str(tmp_path / "run"),
            **options,
        )
    )
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[0]["val_loss"] == pytest.approx(log[1]["val_loss"], rel=1e-5)
    assert log[0]["loss"] > log[1]["loss"] * 1.05


def test_too_few_pictures_are_refused(tmp_path):
    for i in range(3):
        Image.new("RGB", (64, 64), (i, 0, 0)).save(tmp_path / f"{i}.png")
    with pytest.raises(DataError, match="3 pictures leave 1 to train on, expected at least 2"):
        train(Options(data=str(tmp_path), preset="tiny", epochs=1, run_dir=str(tmp_path / "run")))


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(DataError, match="/nonexistent: does not exist"):
        train(Options(data="/nonexistent", preset="tiny", epochs=1, run_dir=str(tmp_path / "run")))


def test_the_rates_of_the_paper_fall_one_by_one(monkeypatch):
    from stegano_tf import presets
    from stegano_tf.networks.paper import PaperConfig
    from stegano_tf.training import session
    from stegano_tf.training.callbacks.steering import Budget

    tiny = complete(Options(data=".", preset="tiny", protocol="paper", crop=32))
    assert not hasattr(session.compiled(tiny).optimizer, "reveal_rate")  # one network: one rate

    small = PaperConfig(downsamplings=2, base_filters=2, reveal_filters=(2,))
    monkeypatch.setitem(
        presets.PRESETS, "small", dataclasses.replace(presets.get("paper"), name="small", networks=small)
    )
    options = complete(Options(data=".", preset="small", protocol="paper"))
    model = session.compiled(options)
    hide, reveal = session.rate_schedules(options, Budget(steps=1), model)
    for epoch in range(11):
        for schedule in (hide, reveal):
            schedule.set_model(model)
            schedule.on_epoch_end(epoch, {"val_loss": 1.0, "val_r_loss": 1.0})
            schedule.on_train_batch_begin(0)
        rates = [float(rate.numpy()) for rate in (model.optimizer.learning_rate, model.optimizer.reveal_rate)]
        assert rates == pytest.approx([1e-3 if epoch < 6 else 2e-4, 1e-3 if epoch < 9 else 2e-4])
    # Bias and weights of each convolution, gamma and beta of each normalisation, of the reveal network alone.
    model.optimizer.learning_rate = 0.0
    before = [variable.numpy() for variable in model.trainable_variables]
    model.optimizer.apply([keras.ops.ones(variable.shape) for variable in model.trainable_variables])
    changed = [v for v, old in zip(model.trainable_variables, before, strict=True) if (v.numpy() != old).any()]
    assert {id(v) for v in changed} == {id(v) for v in model.reveal.trainable_variables}


def test_dry_run_trains_nothing(tmp_path):
    run_dir, out = tmp_path / "run", tmp_path / "out"
    flags = ["--preset=tiny", "--crop=32", "--batch_size=2", "--dry_run", f"--run_dir={run_dir}"]
    assert forked.Process(flags, out).wait() == 0, out.read_text()
    assert "parameters: 4,608" in out.read_text()
    assert "a step on each device: 2 pairs of 32x32" in out.read_text()
    assert not run_dir.exists()


def test_tensorboard_early_stopping_and_flagfile(pictures, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    flagfile, out = tmp_path / "flags", tmp_path / "out"
    flagfile.write_text("--preset=tiny\n--crop=32\n--batch_size=2\n--validation_size=64\n--validation_pictures=2\n")
    # A rate of zero: the loss never falls, and training ends after the first epoch and two more.
    flags = [
        f"--flagfile={flagfile}", f"--data={pictures}", "--epochs=9", "--steps_per_epoch=20", "--learning_rate=0",
        "--early_stopping=2", "--tensorboard", f"--run_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    assert forked.Process(flags, out).wait() == 0, out.read_text()
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [scalar.step for scalar in events.Scalars("val_loss")] == [20, 40, 60]
    assert [scalar.step for scalar in events.Scalars("step_loss")] == [20, 40, 60]
    assert {"learning_rate", "pairs_per_second", "val_secret_psnr"} < set(events.Tags()["scalars"])
    assert [image.step for image in events.Images("contact_sheet")] == [20, 40, 60]
    assert "pairs/s" in out.read_text()


def test_batch_normalisation_is_synchronised_if_asked():
    from stegano_tf.training import session

    for synchronised in (False, True):
        model = session.compiled(complete(Options(data=".", preset="unet", epochs=1, sync_batch_norm=synchronised)))
        layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
        assert layers
        assert {layer.synchronized for layer in layers} == {synchronised}
