"""Runs that are killed and started again: real processes, real signals, real sockets."""

import functools
import json
import shutil
import signal
import socket
import time
from pathlib import Path

import forked
import numpy as np
import pytest

LONG = ("--epochs=3", "--steps_per_epoch=6", "--ema=0.9", "--early_stopping=5", "--checkpoint_minutes=0")


def wait_for(condition, process, limit=240.0):
    end = time.monotonic() + limit
    while not condition():
        assert process.poll() is None, "ended early"
        assert time.monotonic() < end, "takes too long"
        time.sleep(0.1)


def checkpoint_of(run_dir, step):
    with np.load(run_dir / "checkpoints" / f"step-{step:09}.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    state = json.loads(str(arrays.pop("state")))
    del state["callbacks"]["0/Budget"]["seconds"]
    return arrays, state


def log_of(run_dir):
    records = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in r.items() if k not in ("seconds", "pairs_per_second")} for r in records]


def steps_in(run_dir):
    return [int(file.stem.split("-")[1]) for file in (run_dir / "checkpoints").glob("step-*.npz")]


@pytest.fixture(scope="module")
def uninterrupted(start, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "uninterrupted"
    assert start(run_dir, *LONG).wait(240) == 0, run_dir.with_suffix(".out").read_text()
    return run_dir


def test_a_killed_run_ends_with_the_bits_of_an_uninterrupted_one(uninterrupted, start, tmp_path):
    run_dir = tmp_path / "run"
    # Within the first epoch, and between the last step of all and its validation.
    for before in (
        functools.partial(forked.killed_after_checkpoint, 4),
        functools.partial(forked.killed_before_validation, 3),
    ):
        assert start(run_dir, *LONG, before=before).wait(240) == -signal.SIGKILL
    for name in (".0123456789ab.partial.log.jsonl", "checkpoints/.0123456789ab.partial.step-000000001.npz"):
        (run_dir / name).write_bytes(b"half")
    (run_dir / "checkpoints" / "step-000099999.npz").write_bytes(b"PK\x03\x04 torn")
    assert start(run_dir, *LONG).wait(240) == 0

    arrays, state = checkpoint_of(run_dir, 18)
    expected, expected_state = checkpoint_of(uninterrupted, 18)
    assert arrays.keys() == expected.keys()
    assert {name for name in expected if arrays[name].tobytes() != expected[name].tobytes()} == set()
    assert state == expected_state
    assert log_of(run_dir) == log_of(uninterrupted)
    assert [record["step"] for record in log_of(run_dir)] == [6, 12, 18]
    assert (run_dir / "best.weights.h5").stat().st_size == (uninterrupted / "best.weights.h5").stat().st_size

    output = (tmp_path / "run.out").read_text()
    assert [line[line.rindex(": epoch") :] for line in output.splitlines() if line.startswith("Going on from ")] == [
        ": epoch 1, step 4 of 6.",
        ": epoch 3, step 5 of 6.",
    ]
    assert "checkpoints/step-000099999.npz" in output  # is damaged
    files = {file.relative_to(run_dir).as_posix() for file in run_dir.rglob("*") if file.is_file()}
    assert files == {
        *("best.weights.h5", "contact_sheet.png", "log.jsonl", "options.json", "starts.jsonl"),
        *(f"checkpoints/step-{step:09}.npz" for step in (17, 18, 99999)),
    }


def test_a_complete_run_is_left_alone(uninterrupted, capsys):
    from stegano_tf.training.options import Options
    from stegano_tf.training.run import train

    before = {file: file.stat().st_mtime_ns for file in uninterrupted.rglob("*") if file.is_file()}
    train(Options(**json.loads((uninterrupted / "options.json").read_text())))
    assert "this run is complete, with step 18" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in uninterrupted.rglob("*") if file.is_file()} == before


def test_a_second_training_in_the_folder_is_refused(uninterrupted, start, tmp_path):
    run_dir = tmp_path / "run"
    # The first one stands still at its first checkpoint.
    first = start(run_dir, *LONG, before=forked.stopped_after_first_checkpoint)
    wait_for(lambda: steps_in(run_dir), first)
    second = start(run_dir, *LONG)
    assert second.wait(240) == 1
    last = (tmp_path / "run.out").read_text().splitlines()[-1]
    assert last == f"stegano_tf.train: {run_dir}: another process writes to it, expected none"
    first.send_signal(signal.SIGCONT)
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 128 + signal.SIGTERM
    output = (tmp_path / "run.out").read_text()
    assert output.splitlines()[-1] == (
        "stegano_tf.train: stopped by SIGTERM; the same command with the same --run_dir goes on"
    )
    assert "Traceback" not in output
    assert not list(run_dir.rglob(".*"))


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--preset=unet", "holds a run with preset tiny, given unet; expected the same or a new folder"),
        ("--seed=1", "holds a run with seed 0, given 1"),
        ("--batch_size=4", "holds a run with batch_size 2, given 4"),
    ],
)
def test_other_options_are_refused_by_name(uninterrupted, flag, message):
    from stegano_tf.errors import CheckpointError
    from stegano_tf.training.options import Options
    from stegano_tf.training.run import train

    found = json.loads((uninterrupted / "options.json").read_text())
    name, value = flag.removeprefix("--").split("=")
    with pytest.raises(CheckpointError, match=message):
        train(Options(**found | {name: type(found[name])(value)}))


def test_other_pictures_are_refused(uninterrupted, tmp_path):
    from stegano_tf.errors import CheckpointError
    from stegano_tf.training.options import Options
    from stegano_tf.training.run import train

    found = json.loads((uninterrupted / "options.json").read_text())
    run_dir = tmp_path / "run"
    data = tmp_path / "data"
    shutil.copytree(uninterrupted, run_dir)
    shutil.copytree(found["data"], data)
    next(data.rglob("*.png")).unlink()
    found["data"] = str(data)
    (run_dir / "options.json").write_text(json.dumps(found))
    checkpoint = max((run_dir / "checkpoints").iterdir())
    with np.load(checkpoint) as archive:
        arrays = dict(archive)
    arrays["state"] = np.array(str(arrays["state"]).replace('"complete": true', '"complete": false'))
    np.savez(checkpoint, **arrays)
    with pytest.raises(CheckpointError, match=r"of a run on .*10, .* found .*9"):
        train(Options(**found | {"run_dir": str(run_dir)}))


def test_a_full_disk_costs_checkpoints_and_not_the_run(start, tmp_path):
    run_dir = tmp_path / "run"
    process = start(run_dir, "--epochs=2", "--steps_per_epoch=3", before=forked.limited_to_small_files)
    assert process.wait(240) == 0
    output = (tmp_path / "run.out").read_text()
    assert "No checkpoint of step 3" in output
    assert "File too large" in output
    assert [record["step"] for record in log_of(run_dir)] == [3, 6]
    assert list((run_dir / "checkpoints").iterdir()) == []


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


@pytest.fixture
def start_worker(start, tmp_path):
    """Starts one of two workers that share the run folder `tmp_path / "run"`."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]

    def start_worker(index, **options):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        # One that has lost another starts anew, as a process of its own.
        environment = {"TF_CONFIG": json.dumps(task), "PYTHONPATH": str(Path(__file__).parents[2])}
        script = Path(__file__).with_name("worker.py")
        flags = (*LONG, "--strategy=multi_worker")
        return start(tmp_path / "run", *flags, script=script, environment=environment, **options)

    return start_worker


@pytest.mark.timeout(900)
def test_each_of_two_workers_is_killed_and_the_job_finishes(uninterrupted, start_worker, tmp_path):
    run_dir, out = tmp_path / "run", tmp_path / "run.out"
    workers = [start_worker(0), start_worker(1)]
    for times, (lost, after) in enumerate(((1, 3), (0, 8)), 1):  # worker 0 also coordinates, and writes
        wait_for(lambda after=after: any(step >= after for step in steps_in(run_dir)), workers[lost])
        workers[lost].send_signal(signal.SIGKILL)
        workers[lost].wait()
        workers[lost] = start_worker(lost)
        wait_for(lambda times=times: out.read_text().count("Going on from ") == times, workers[lost])
    assert [worker.wait(300) for worker in workers] == [0, 0], out.read_text()
    output = out.read_text()
    assert output.count("another worker was lost") == 2
    assert output.count("Starting again, time 1 of 20") == 2  # once for each: neither had lost the other before
    # The pairs are those of one device, dealt out: so are the weights, but for rounding.
    arrays, _ = checkpoint_of(run_dir, 18)
    expected, _ = checkpoint_of(uninterrupted, 18)
    for name in expected:
        if name.startswith("model/"):
            np.testing.assert_allclose(arrays[name], expected[name], atol=2e-3, err_msg=name)
    assert log_of(run_dir)[-1]["val_loss"] == pytest.approx(log_of(uninterrupted)[-1]["val_loss"], rel=0.01)


def test_a_worker_that_waits_for_another_one_says_so_and_can_be_stopped(start_worker, tmp_path):
    # Tests that run in the background of a shell have inherited that Ctrl-C is ignored.
    process = start_worker(0, before=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL))
    wait_for(lambda: "Waiting for all workers of TF_CONFIG." in (tmp_path / "run.out").read_text(), process)
    time.sleep(1)  # TensorFlow's own wait begins
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == -signal.SIGINT
