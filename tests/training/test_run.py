"""Training as a user runs it: the real command on real files, with the smallest networks."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stegano_tf.errors import DataError, ImageError, OutputError
from stegano_tf.networks import build
from stegano_tf.training.run import Options, train


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of smooth random pictures in two subfolders."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for i in range(12):
        (folder / str(i % 2)).mkdir(exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((64, 64), Image.Resampling.BICUBIC).save(folder / str(i % 2) / f"{i}.png")
    return folder


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "stegano_tf.train", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def run_dir(pictures, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "first"
    done = command(
        f"--data={pictures}", "--preset=tiny", "--epochs=3", "--steps_per_epoch=30", "--batch_size=2", "--crop=32",
        "--validation_pictures=3", "--validation_size=64", "--learning_rate=0.01", f"--run_dir={run_dir}",
    )  # fmt: skip
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
    # It learns: mid-grey instead of the secret is where it starts.
    assert log[-1]["val_secret_psnr"] > log[0]["val_secret_psnr"] + 0.5


def test_weights_are_those_of_the_best_epoch(run_dir, pictures):
    from stegano_tf.training import pairs
    from stegano_tf.training.model import SteganoModel

    log = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    networks = build.load("tiny", run_dir / "best.weights.h5")
    model = SteganoModel(networks)
    model.compile()
    files = pairs.list_pictures(pictures)
    validation = pairs.validation_pairs(files[::6], batch_size=2, size=64)  # a fifth of 12, evenly
    logs = model.evaluate(validation.map(lambda c, s: ((c, s),)), return_dict=True, verbose=0)
    assert logs["loss"] == pytest.approx(min(record["val_loss"] for record in log), rel=1e-3)


def test_contact_sheet_is_a_picture(run_dir):
    with Image.open(run_dir / "contact_sheet.png") as sheet:
        assert sheet.width > 6 * 64
        assert len(sheet.getcolors(1 << 24)) > 1000


def test_options_are_recorded(run_dir, pictures):
    options = json.loads((run_dir / "options.json").read_text())
    assert Options(**options) == Options(
        data=str(pictures), preset="tiny", epochs=3, steps_per_epoch=30, batch_size=2, crop=32,
        validation_pictures=3, validation_size=64, learning_rate=0.01, run_dir=str(run_dir),
    )  # fmt: skip


def test_bad_pictures_are_left_out_of_both_sets(tmp_path, caplog):
    random = np.random.default_rng(0)
    for i in range(16):
        Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(tmp_path / f"{i:02}.png")
    for i in (5, 6):  # 0, 5 and 10 are held out
        (tmp_path / f"{i:02}.png").write_bytes(b"no picture")
    options = Options(
        data=str(tmp_path), preset="tiny", epochs=1, steps_per_epoch=1, batch_size=2, crop=32, validation_size=32,
        validation_pictures=3, run_dir=str(tmp_path / "run"),
    )  # fmt: skip
    with pytest.raises(ImageError, match=r"06\.png: starts with b'no pictu'"):
        train(options)
    with caplog.at_level("WARNING"):
        train(dataclasses.replace(options, skip_bad_images=True))
    assert f"Left out: {tmp_path}/06.png" in caplog.text
    assert "Left out 1 of 13 pictures" in caplog.text
    assert f"Left out: {tmp_path}/05.png" in caplog.text
    assert "Left out 1 of 3 pictures" in caplog.text
    assert (tmp_path / "run" / "best.weights.h5").exists()


def test_a_run_is_not_overwritten(run_dir, pictures):
    with pytest.raises(OutputError, match="holds a run already"):
        train(Options(data=str(pictures), preset="tiny", epochs=1, run_dir=str(run_dir)))


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


@pytest.fixture(autouse=True)
def float32_afterwards():
    import keras

    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": 33}, "crop is 33, expected a multiple of 2 for preset tiny"),
        ({"validation_size": 255}, "validation_size is 255, expected a multiple of 2"),
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
    options = {"preset": "tiny", "batch_size": 2, "crop": 32, "validation_size": 64, "validation_pictures": 2}
    train(
        Options(
            data=str(pictures),
            epochs=2,
            steps_per_epoch=40,
            learning_rate=0.01,
            ema=1.0,
            run_dir=str(tmp_path),
            **options,
        )
    )
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[0]["val_loss"] == pytest.approx(log[1]["val_loss"], rel=1e-5)
    assert log[0]["loss"] > log[1]["loss"] * 1.05


def test_too_few_pictures_are_refused(tmp_path):
    for i in range(3):
        Image.new("RGB", (64, 64), (i, 0, 0)).save(tmp_path / f"{i}.png")
    with pytest.raises(DataError, match="3 pictures leave 1 to train on, expected at least 2"):
        train(Options(data=str(tmp_path), preset="tiny", epochs=1, run_dir=str(tmp_path / "run")))


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--preset=tiny", "--epochs=1"], 1, "data, dataset"),
        (["--data=.", "--preset=huge", "--epochs=1"], 1, "invertible|unet|paper|tiny"),
        (["--data=.", "--preset=tiny"], 1, "epochs, minutes"),
        (["--data=/nonexistent", "--preset=tiny", "--epochs=1"], 1, "stegano_tf.train: /nonexistent: does not exist"),
    ],
)
def test_wrong_flags_and_folders(arguments, status, message):
    done = command(*arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
