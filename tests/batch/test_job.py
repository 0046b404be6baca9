import dataclasses
import errno

import pyarrow.parquet as pq
import pytest

from stegano_tf import images, sealing
from stegano_tf.batch import job, rows, store
from stegano_tf.errors import BackendError, DataError, OutputError
from stegano_tf.sealing import age


def here(work, numbers):
    """The simplest engine."""
    for number in numbers:
        yield number, rows.run(work, number)


@pytest.fixture
def request_of(collection, tmp_path):
    def make(count=5, operation="hide", columns=None, **changes):
        path = collection(count, **(columns or {}))
        places = {"manifest": str(path), "results": str(tmp_path / "results"), "output_root": str(tmp_path / "out")}
        return job.Request(operation=operation, **places | {"networks": {"threads": 1}} | changes)

    return make


def run(request, engine=here, size=2, **modes):
    """Runs a job; returns what each block came to."""
    return list(job.prepare(request, **modes).run(engine, size))


def stopped_after(count):
    """An engine that is killed after so many blocks."""

    def engine(work, numbers):
        for number in numbers[:count]:
            yield number, rows.run(work, number)
        raise KeyboardInterrupt

    return engine


def test_a_job_from_start_to_end(request_of, tmp_path):
    request = request_of(5)
    assert run(request) == [rows.Tally(2, 0), rows.Tally(2, 0), rows.Tally(1, 0)]
    table = pq.read_table(request.results)  # as any reader of Parquet does
    assert sorted(table["id"].to_pylist()) == ["p0", "p1", "p2", "p3", "p4"]
    assert set(table["attempt"].to_pylist()) == {1}
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")) == [
        *("0/0.png", "0/2.png", "0/4.png", "1/1.png", "1/3.png")
    ]
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["_job.json", "attempt=0001"]


def test_going_on_does_what_is_left_and_nothing_twice(request_of, tmp_path):
    request = request_of(5)
    with pytest.raises(KeyboardInterrupt):
        run(request, stopped_after(1))
    first = (tmp_path / "out/0/0.png").stat().st_ino
    assert run(request, resume=True, size=64) == [rows.Tally(3, 0)]
    assert run(request, resume=True) == []
    assert (tmp_path / "out/0/0.png").stat().st_ino == first
    ids = job.read(request.results, ("id", "attempt")).to_pylist()
    assert sorted((row["id"], row["attempt"]) for row in ids) == [("p0", 1), ("p1", 1), ("p2", 2), ("p3", 2), ("p4", 2)]
    assert pq.read_table(request.results).num_rows == 5


def test_a_block_that_was_killed_before_its_rows_is_done_again(request_of, tmp_path, monkeypatch):
    request = request_of(2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(rows, "commit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        run(request)
    written = (tmp_path / "out/0/0.png").read_bytes()
    assert run(request, resume=True) == [rows.Tally(2, 0)]
    assert (tmp_path / "out/0/0.png").read_bytes() == written
    assert pq.read_table(request.results)["id"].to_pylist() == ["p0", "p1"]


def test_killed_after_the_last_block_nothing_is_left_lying_about(request_of, tmp_path):
    request = request_of(2)
    with pytest.raises(KeyboardInterrupt):
        run(request, stopped_after(1))
    (tmp_path / f"out/.stegano_tf-{job.prepare(request, resume=True).work.settings_hash}/draft").mkdir(parents=True)
    assert run(request, resume=True) == []
    assert [path.name for path in tmp_path.glob("*/[._]*")] == ["_job.json"]


def test_errors_are_done_again_when_that_is_asked_for(request_of, tmp_path):
    request = request_of(3, columns={"cover": ["0.png", "later.png", "1.png"]})
    assert run(request) == [rows.Tally(2, 1), rows.Tally(1, 0)]
    assert run(request, resume=True) == []
    images.write(tmp_path / "later.png", images.read(tmp_path / "2.png"))
    assert run(request, retry_errors=True) == [rows.Tally(1, 0)]
    assert run(request, retry_errors=True) == []
    table = job.read(request.results)
    assert sorted(row["id"] + row["status"] for row in table.to_pylist()) == ["p0ok", "p1ok", "p2ok"]
    assert pq.read_table(request.results).num_rows == 4


def test_a_job_must_be_told_what_to_do_with_an_earlier_one(request_of, tmp_path):
    request = request_of(2)
    run(request)
    with pytest.raises(OutputError, match="results: holds a job already; --resume goes on, --retry-errors, --force"):
        job.prepare(request)
    assert run(request, force=True) == [rows.Tally(2, 0)]
    assert pq.read_table(request.results).num_rows == 2


def test_outputs_of_others_are_not_replaced(request_of, tmp_path):
    request = request_of(3)
    (tmp_path / "out/1").mkdir(parents=True)
    (tmp_path / "out/1/1.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"out/1/1\.png: exists already; --force replaces them"):
        job.prepare(request)
    assert not (tmp_path / "results").exists()
    assert (tmp_path / "out/1/1.png").read_bytes() == b"mine"
    run(request, force=True)
    assert images.read(tmp_path / "out/1/1.png").shape == (32, 32, 3)


def test_nothing_is_deleted_for_a_job_that_cannot_start(request_of, tmp_path):
    request = request_of(2)
    run(request)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: outputs cannot be kept there"):
        job.prepare(dataclasses.replace(request, output_root=str(tmp_path / "file")), force=True)
    assert run(request, resume=True) == []


@pytest.mark.parametrize("name", [".mine.png", ".mine/1.png"])
def test_hidden_outputs_of_others_are_not_replaced(request_of, tmp_path, name):
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"mine.*: exists already; --force replaces them"):
        job.prepare(request_of(1, columns={"output": [name]}))


@pytest.mark.parametrize("place", ["results", "results/out", "out/../results/out"])
def test_outputs_among_the_results_are_refused(request_of, tmp_path, place):
    request = request_of(1, output_root=str(tmp_path / place))
    with pytest.raises(OutputError, match="is in the folder of results, whose readers expect nothing else there"):
        job.prepare(request)
    assert not (tmp_path / "results").exists()


def test_a_full_disk_is_named(request_of, monkeypatch):
    ready = job.prepare(request_of(1))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.Folder, "write", full)
    with pytest.raises(OutputError, match=r"results/_plan/0001\.arrow: cannot be written: .*No space left on device"):
        list(ready.run(here))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": {"preset": "unet"}}, "preset was None, and is 'unet' now"),
        ({"options": {"way": "capacity", "way_options": {}}}, "way was None, and is 'capacity' now"),
        ({"options": {"max_pixels": 10**6}}, "max_pixels was None, and is 1000000 now"),
        ({"operation": "send"}, "operation was 'hide', and is 'send' now"),
        ({"output_root": "/elsewhere"}, "output_root was '.*', and is '/elsewhere' now"),
        ({"options": {"lock": sealing.Lock(passphrase="p")}}, "sealed was None, and is 'with a passphrase' now"),
    ],
)
def test_other_settings_are_another_job(request_of, changes, message):
    request = request_of(2)
    run(request)
    with pytest.raises(OutputError, match=message):
        job.prepare(dataclasses.replace(request, **changes), resume=True)


def test_another_manifest_is_another_job(request_of):
    run(request_of(2))
    with pytest.raises(OutputError, match=r"manifest was '.*', and is '.*' now"):
        job.prepare(request_of(3), resume=True)


def test_a_slash_at_the_end_changes_nothing(request_of):
    request = request_of(1)
    run(request)
    assert run(dataclasses.replace(request, output_root=f"{request.output_root}/"), resume=True) == []


def test_threads_and_block_sizes_may_change(request_of):
    request = request_of(4, networks={"threads": 1})
    with pytest.raises(KeyboardInterrupt):
        run(request, stopped_after(1))
    assert run(dataclasses.replace(request, networks={"threads": 2}), resume=True, size=1) == [rows.Tally(1, 0)] * 2


def test_a_passphrase_is_known_again_and_not_kept(request_of, tmp_path, monkeypatch):
    def unseal(sealed, _, key):
        if sealed.read() != key.passphrase[::-1].encode():
            raise sealing.SealingError("cannot be opened: wrong passphrase")

    # The real ones take seconds.
    monkeypatch.setattr(age, "seal", lambda _, sealed, lock: sealed.write(lock.passphrase[::-1].encode()))
    monkeypatch.setattr(age, "unseal", unseal)
    request = request_of(1, "send", {"output": ["0.wav"]}, options={"lock": sealing.Lock(passphrase="hunter2")})
    job.prepare(request)
    job.prepare(request, resume=True)
    other = dataclasses.replace(request, options={"lock": sealing.Lock(passphrase="wrong")})
    with pytest.raises(OutputError, match="what the job keeps sealed cannot be opened: wrong passphrase"):
        job.prepare(other, resume=True)
    assert "hunter2" not in (tmp_path / "results/_job.json").read_text()


def test_results_of_unknown_origin_are_not_added_to(request_of, tmp_path):
    request = request_of(2)
    run(request)
    (tmp_path / "results/_job.json").unlink()
    for mode in "resume", "retry_errors", "force":
        for asked in False, True:
            with pytest.raises(
                OutputError, match=r"results/attempt=0001: is there without _job\.json, expected no results"
            ):
                job.prepare(request, **{mode: asked})


def test_errors_of_no_job_cannot_be_done_again(request_of):
    with pytest.raises(OutputError, match="results: holds no job, expected one that was started"):
        job.prepare(request_of(1), retry_errors=True)


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff"])
def test_a_job_file_that_is_none(request_of, tmp_path, content):
    request = request_of(1)
    run(request)
    (tmp_path / "results/_job.json").write_bytes(content)
    with pytest.raises(OutputError, match=r"_job\.json: is not what a job was started with"):
        job.prepare(request, resume=True)


def test_a_file_of_results_that_is_none(request_of, tmp_path):
    request = request_of(1)
    run(request)
    (tmp_path / "results/attempt=0001/block-00000001.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"results: holds other files than results: .*Parquet"):
        job.prepare(request, resume=True)


def test_a_manifest_is_refused_before_anything_is_written(request_of, tmp_path):
    with pytest.raises(DataError, match="the id 'a' is there 2 times"):
        job.prepare(request_of(2, columns={"id": ["a", "a"]}))
    assert not (tmp_path / "results").exists()


def test_a_pair_that_kills_its_worker_is_found_and_becomes_an_error(request_of):
    def deadly(work, numbers):
        """Loses each block with pair p3 in it."""
        for number in numbers:
            pairs = rows._plan(work.results.path(work.plan())).get_batch(number)["id"].to_pylist()
            yield number, None if "p3" in pairs else rows.run(work, number)

    request = request_of(5)
    assert run(request, deadly, size=3) == [rows.Tally(3, 0), rows.Tally(1, 0), rows.Tally(1, 1)]
    table = pq.read_table(request.results, columns=["id", "status", "error_type", "attempt"]).to_pylist()
    assert len(table) == 5
    assert {row["id"]: row["error_type"] for row in table if row["status"] == "error"} == {"p3": "WorkerLost"}
    assert {row["id"]: row["attempt"] for row in table} == {"p0": 1, "p1": 1, "p2": 1, "p4": 2, "p3": 3}


def test_a_worker_that_dies_with_all_done_has_done_it(request_of):
    def silent(work, numbers):
        for number in numbers:
            rows.run(work, number)
            yield number, None

    request = request_of(3, columns={"cover": ["0.png", "missing.png", "1.png"]})
    assert run(request, silent) == [rows.Tally(2, 1), rows.Tally(1, 0)]
    assert pq.read_table(request.results).num_rows == 3


def test_workers_that_always_die_end_the_job(request_of):
    request = request_of(9)
    with pytest.raises(BackendError, match="results: all workers die before they have done anything"):
        run(request, lambda _, numbers: ((number, None) for number in numbers), size=1)
    assert run(request, resume=True, size=9) == [rows.Tally(9, 0)]


def test_blocks_of_a_killed_attempt_are_not_mistaken_for_those_of_the_next(request_of):
    request = request_of(5)
    with pytest.raises(KeyboardInterrupt):
        run(request, stopped_after(0))
    late = job.prepare(request, resume=True)
    assert late.work.attempt == 2
    run(request, resume=True, size=2)
    assert {row["attempt"] for row in job.read(request.results).to_pylist()} == {2}


def test_reading_results_that_are_not_there(tmp_path):
    assert job.read(str(tmp_path / "none"), ("id", "bytes")).to_pydict() == {"id": [], "bytes": []}
