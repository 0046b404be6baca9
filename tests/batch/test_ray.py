"""Ray, with nodes and drivers that are really killed. `.ci/run` runs this file; it needs the extra `cluster`."""

import hashlib
import itertools
import os
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
pytest.importorskip("ray")

import two_nodes  # noqa: E402

from stegano_tf.batch import job, ray, rows  # noqa: E402
from stegano_tf.errors import BackendError  # noqa: E402

PLACES = ("--results", "results", "--output-root", "out", "--rows-per-block", "4")


def check(folder, pairs):
    """Every pair has one row and one output, which is what the row says, and nothing else is there."""
    table = pq.read_table(folder / "results").to_pydict()
    assert sorted(table["id"]) == sorted(f"p{number}" for number in range(pairs))
    assert set(table["status"]) == {"ok"}
    outputs = [path for path in (folder / "out").rglob("*") if path.is_file()]
    digests = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in outputs}
    assert digests == dict(zip(table["output"], table["sha256"], strict=True))
    assert list(folder.glob("*/.*")) == []


def wait_for(condition, process, seconds=180):
    for _ in range(seconds * 5):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.2)
    raise AssertionError("it took too long")


def test_the_driver_and_then_a_node_are_killed(collection, tmp_path, tmp_path_factory):
    pairs = 400
    collection(pairs)
    words = (sys.executable, "-m", "stegano_tf", "batch", "hide", "pairs.csv", *PLACES, "--engine", "ray")
    root = os.path.dirname(os.path.dirname(two_nodes.__file__))  # noqa: PTH120
    environment = {"PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with two_nodes.cluster(f"/tmp/sg{os.getpid()}") as nodes:

            def start(*more):
                options = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
                return nodes.start(0, *words, "--address", nodes.address, *more, **options)

            def done():
                return len(list(tmp_path.glob("results/attempt=*/*.parquet")))

            driver = start()
            wait_for(lambda: done() >= 5, driver)
            driver.kill()
            driver.wait()
            first = done()
            assert 5 <= first < pairs // 4
            driver = start("--resume")
            wait_for(lambda: done() > first and nodes.workers(1), driver)
            nodes.kill(1)
            before = done()
            _, err = driver.communicate(timeout=300)
    assert driver.returncode == 0, err
    assert before < pairs // 4, "the node was killed too late"
    check(tmp_path, pairs)


def test_no_cluster_there(command, collection, tmp_path, monkeypatch):
    collection(1)
    monkeypatch.chdir(tmp_path)
    status, _, err = command("batch", "hide", "pairs.csv", *PLACES, "--engine", "ray", "--address", "127.0.0.1:9")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("stegano-tf: no Ray cluster at 127.0.0.1:9: ")


def test_a_cluster_of_another_version(monkeypatch):
    def init(**_):
        raise RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.9.0")

    monkeypatch.setattr(ray.ray, "init", init)
    with pytest.raises(BackendError, match=r"no Ray cluster at auto: Version mismatch: .* Ray: 2\.9\.0"):
        ray.cluster("auto", None).__enter__()


class Deadly(rows.Work):
    """Work whose process dies once at each block with an even number, between its outputs and its rows."""

    def block(self, number):
        if number % 2 == 0 and self.results.read(f"_killed/{number}") is None:
            self.results.write(f"_killed/{number}", b"")
            os._exit(9)
        return super().block(number)


@pytest.fixture(scope="module")
def on_this_machine():
    with ray.cluster(None, 2):
        import ray as library

        library.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not find tests
        yield


def prepared(collection, tmp_path, count, **changes):
    places = {"results": str(tmp_path / "results"), "output_root": str(tmp_path / "out")}
    return job.prepare(
        job.Request(operation="hide", manifest=str(collection(count)), networks={"threads": 1}, **places | changes)
    )


def test_killed_between_outputs_and_rows(on_this_machine, collection, tmp_path):
    ready = prepared(collection, tmp_path, 24)
    work = Deadly(**vars(ready.work))
    tallies = list(job.Job(work, ready.pairs, ready.left).run(ray.run, 8))
    assert tallies == [rows.Tally(8, 0)] * 3
    for path in (tmp_path / "results/_killed").iterdir():
        path.unlink()
    check(tmp_path, 24)


def test_what_ends_a_job_arrives_as_it_was_raised(on_this_machine, collection, tmp_path):
    ready = prepared(collection, tmp_path, 2)
    work = rows.Work(**vars(ready.work) | {"version": "0.0.1"})
    with pytest.raises(BackendError, match=r"has stegano_tf .*, the job was started with 0\.0\.1$"):
        list(job.Job(work, ready.pairs, ready.left).run(ray.run))


def test_waiting_for_a_larger_node_is_said(on_this_machine, recwarn):
    ray._look_for_room(2)
    assert list(recwarn) == []
    with pytest.warns(ray.ClusterWarning, match="no node of the cluster has 64 CPUs: waiting for one"):
        ray._look_for_room(64)


def test_blocks_run_once_each(on_this_machine, collection, tmp_path):
    ready = prepared(collection, tmp_path, 9)
    assert list(itertools.islice(ready.run(ray.run, 3), 9)) == [rows.Tally(3, 0)] * 3
    check(tmp_path, 9)
