import dataclasses
import functools
import multiprocessing
import os
import signal

import pyarrow.parquet as pq
import pytest

from stegano_tf.batch import job, local, rows
from stegano_tf.errors import BackendError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Deadly(rows.Work):
    """Work whose process is killed at one block, in the window between its outputs and its rows, so many times."""

    block_number: int = 1
    times: int = 1

    def block(self, number):
        killed = [name for name in self.results.files() if name.startswith("_killed/")]
        worker = multiprocessing.parent_process()  # the test has none
        if worker and number == self.block_number and len(killed) < self.times:
            self.results.write(f"_killed/{os.getpid()}", b"")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().block(number)


@pytest.fixture
def prepared(collection, tmp_path):
    """A job of four pairs whose work can be deadly, or have other changes."""

    def make(cls=rows.Work, **changes):
        places = {"results": str(tmp_path / "results"), "output_root": str(tmp_path / "out")}
        request = job.Request(operation="hide", manifest=str(collection(4)), networks={"threads": 1}, **places)
        ready = job.prepare(request, resume=True)
        fields = {field.name: getattr(ready.work, field.name) for field in dataclasses.fields(rows.Work)}
        return dataclasses.replace(ready, work=cls(**fields | changes))

    return make


def test_killed_between_outputs_and_rows(prepared, tmp_path):
    done = list(prepared(Deadly).run(functools.partial(local.run, workers=2), 2))
    assert done == [rows.Tally(2, 0)] * 2
    assert sorted(pq.read_table(tmp_path / "results")["id"].to_pylist()) == ["p0", "p1", "p2", "p3"]
    assert len(list((tmp_path / "out").rglob("*.png"))) == 4
    assert list(tmp_path.rglob(".*")) == []
    assert multiprocessing.active_children() == []


def test_a_block_that_always_kills_is_given_up(prepared, monkeypatch):
    monkeypatch.setattr(local, "TRIES", 2)
    ready = prepared(Deadly, times=9)
    done = []
    attempt = ready._attempt(ready.work, ready.left, 2, functools.partial(local.run, workers=1))
    with pytest.raises(StopIteration) as end:
        while True:
            done.append(next(attempt))
    assert done == [rows.Tally(2, 0)]
    assert end.value.value.to_pylist() == [2, 3]


def test_what_ends_the_job_is_raised_here(prepared):
    with pytest.raises(BackendError, match=r"the job was started with 0\.0\.1"):
        list(prepared(version="0.0.1").run(functools.partial(local.run, workers=1)))
    assert multiprocessing.active_children() == []
