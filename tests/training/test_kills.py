"""Export that is stopped, and kills at random moments: 70 of training, 30 of export.

The kills take some minutes of CPU time: `pytest -m soak tests/training/test_kills.py -s`.
"""

import functools
import json
import shutil
import signal
import time
from pathlib import Path

import exported_networks
import forked
import numpy as np
import pytest
from test_resume import checkpoint_of, log_of

from stegano_tf.networks import build
from stegano_tf.runtime.exported import Exported, network_id

RUN = ("--epochs=2", "--steps_per_epoch=4", "--ema=0.9", "--checkpoint_minutes=0")
QUICK_EXPORT = Path(__file__).with_name("quick_export.py")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_export_that_is_stopped_leaves_the_old_version(tmp_path, number):
    (tmp_path / "tiny" / "1").mkdir(parents=True)
    (tmp_path / "tiny" / "1" / "old").touch()
    build.save_weights(build.build("tiny"), tmp_path / "mine.weights.h5")
    flags = ["--preset=tiny", f"--out={tmp_path}", "--version=1", "--force", f"--weights={tmp_path}/mine.weights.h5"]
    before = functools.partial(signal.signal, number, signal.SIG_DFL)  # a shell's background jobs ignore SIGINT
    environment = {"STOPPED_BY": number.name}
    out = tmp_path / "out"
    process = forked.Process(flags, out, environment=environment, before=before, script=QUICK_EXPORT)
    assert process.wait() == 128 + number
    assert out.read_text().splitlines()[-1] == f"stegano_tf.export: stopped by {number.name}"
    assert "Traceback" not in out.read_text()
    assert [file.name for file in (tmp_path / "tiny").rglob("*")] == ["1", "old"]


def report_seconds(file: Path):
    """As `before`: the process says in `file` how much CPU time it has used, again and again."""
    start = time.process_time()

    def report(*_):
        file.write_text(str(time.process_time() - start))

    signal.signal(signal.SIGPROF, report)
    signal.setitimer(signal.ITIMER_PROF, 0.05, 0.05)


def lives(start, seconds, kills, seed):
    """Yields after each life whether it was killed; there are so many kills, at moments drawn from `seconds`."""
    random = np.random.default_rng(seed)
    while kills:
        at = random.uniform(0.0, 1.2 * seconds)  # some live to the end
        status = start(functools.partial(forked.killed_after_seconds, at)).wait()
        assert status in (0, -signal.SIGPROF)
        kills -= status != 0
        yield status != 0


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_training_killed_at_random_moments(start, tmp_path):
    expected, run_dir, seconds = tmp_path / "expected", tmp_path / "run", tmp_path / "seconds"
    assert start(expected, *RUN, before=functools.partial(report_seconds, seconds)).wait() == 0

    def check():
        (arrays, state), (others, other_state) = checkpoint_of(expected, 8), checkpoint_of(run_dir, 8)
        assert arrays.keys() == others.keys()
        assert [name for name in arrays if arrays[name].tobytes() != others[name].tobytes()] == []
        assert state == other_state
        assert log_of(run_dir) == log_of(expected)
        assert {file.name for file in run_dir.iterdir()} == {file.name for file in expected.iterdir()}
        assert not list(run_dir.rglob(".*"))
        shutil.rmtree(run_dir)

    finished = 0
    for killed in lives(functools.partial(_life, start, run_dir), float(seconds.read_text()), 70, seed=0):
        if not killed:
            check()
            finished += 1
    assert start(run_dir, *RUN).wait() == 0
    check()
    print(json.dumps({"kills": 70, "runs": finished + 1}))


def _life(start, run_dir, before):
    return start(run_dir, *RUN, before=before)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_export_killed_at_random_moments(tmp_path):
    weights = [exported_networks.random_weights(tmp_path / "a.weights.h5"), tmp_path / "b.weights.h5"]
    build.save_weights(build.build("tiny"), weights[1])
    known = {network_id(file) for file in weights}
    home, seconds = tmp_path / "tiny", tmp_path / "seconds"
    calls = []

    def export(before=None):
        calls.append(weights[len(calls) % 2])
        flags = ["--preset=tiny", f"--out={tmp_path}", "--version=1", "--force", f"--weights={calls[-1]}"]
        return forked.Process(flags, tmp_path / "out", before=before, script=QUICK_EXPORT)

    assert export(functools.partial(report_seconds, seconds)).wait() == 0
    changes = 0
    last = Exported.read(home / "1").network
    for killed in lives(export, float(seconds.read_text()), 30, seed=1):
        found = Exported.read(home / "1")
        found.check()
        assert found.network in known
        assert killed or found.network == network_id(calls[-1])
        changes += found.network != last
        last = found.network
    assert export().wait() == 0
    assert sorted(file.name for file in home.iterdir()) == ["1", "README.md"]
    print(json.dumps({"kills": 30, "exports": len(calls), "changes": changes}))
