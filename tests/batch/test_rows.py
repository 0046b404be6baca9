import hashlib
import io
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stegano_tf import __version__, images, metrics, pipeline, runtime, sealing
from stegano_tf.batch import rows, store
from stegano_tf.errors import BackendError, OutputError

NETWORK = runtime.load().network.hex()


@pytest.fixture
def work(tmp_path, photograph):
    """Makes the work of a job with pictures 0.png to 2.png of 32x32 as inputs."""
    for seed in range(3):
        images.write(tmp_path / f"{seed}.png", photograph(32, 32, seed))

    def make(operation, **changes):
        return rows.Work(
            **{
                "operation": operation,
                "networks": {"threads": 1},
                "options": {},
                "inputs": str(tmp_path),
                "outputs": store.Folder(str(tmp_path / "out"), "t"),
                "results": store.Folder(str(tmp_path / "results"), "t"),
                "attempt": 1,
                "settings_hash": "0f",
                "network": NETWORK,
                "version": __version__,
                **changes,
            }
        )

    return make


def results(work, *pairs, number=0):
    """The rows of one block, as they are in its file, and its tally."""
    plan = io.BytesIO()
    table = pa.Table.from_pylist(list(pairs))
    with pa.ipc.new_file(plan, table.schema) as file:
        file.write_table(table)
    work.results.write(work.plan(), plan.getvalue())
    rows._plan.cache_clear()
    tally = rows.run(work, 0)
    return pq.read_table(io.BytesIO(work.results.read(work.block(number)))).to_pylist(), tally


def pair(number=0, **columns):
    return {"id": str(number), "cover": "0.png", "secret": "1.png", "output": f"{number}.png"} | columns


def test_hiding(work, tmp_path):
    (row,), tally = results(work("hide"), pair(output="a/b.png"))
    stego = pipeline.hide(tmp_path / "0.png", tmp_path / "1.png")
    found = images.read(tmp_path / "out/a/b.png")
    assert tally == rows.Tally(1, 0)
    np.testing.assert_array_equal(found, stego)
    secret = images.read(tmp_path / "1.png")
    content = (tmp_path / "out/a/b.png").read_bytes()
    assert row.pop("seconds") > 0
    assert row.pop("host")
    assert row == {
        "id": "0",
        "status": "ok",
        "output": str(tmp_path / "out/a/b.png"),
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "cover_psnr": metrics.psnr(images.read(tmp_path / "0.png"), stego),
        "secret_psnr": metrics.psnr(secret, pipeline.reveal(stego)),
        "error_type": None,
        "error": None,
        "network": NETWORK,
        "version": __version__,
        "settings_hash": "0f",
    }


def test_a_second_time_gives_the_same_bytes(work, tmp_path):
    for operation, name in ("hide", "0.png"), ("send", "0.wav"):
        contents = []
        for _ in range(2):
            assert results(work(operation), pair(output=name))[1] == rows.Tally(1, 0)
            contents.append((tmp_path / "out" / name).read_bytes())
        assert contents[0] == contents[1]


def test_sending_and_receiving(work, tmp_path):
    (sent,), _ = results(work("send", options={"parity": 0.1}), pair(output="0.flac"))
    (received,), _ = results(
        work("receive", options={"key": None}, network=None), {"id": "0", "audio": "out/0.flac", "output": "0.png"}
    )
    assert (sent["status"], received["status"], received["network"]) == ("ok", "ok", NETWORK)
    revealed = images.read(tmp_path / "out/0.png")
    assert metrics.psnr(images.read(tmp_path / "1.png"), revealed) == sent["secret_psnr"]
    assert received["cover_psnr"] is received["secret_psnr"] is None


def test_sealed_messages(work, tmp_path):
    identity = tmp_path / "identity"
    lock = sealing.Lock(recipients=[sealing.keygen(identity)])
    (sent,), _ = results(work("send", options={"lock": lock}), pair(output="0.wav"))
    receive = {"id": "0", "audio": "out/0.wav", "output": "0.png"}
    (closed,), _ = results(work("receive", options={"key": sealing.Key()}), receive)
    key = sealing.Key(identities=[str(identity)])
    (opened,), _ = results(work("receive", options={"key": key}), receive)
    assert (sent["status"], closed["status"], opened["status"]) == ("ok", "error", "ok")
    assert closed["error_type"] == "SealingError"


def test_revealing_in_another_size(work, tmp_path):
    results(work("hide"), pair())
    (row,), _ = results(
        work("reveal", options={"size": (20, 30)}), {"id": "0", "stego": "out/0.png", "output": "revealed.jpg"}
    )
    assert row["status"] == "ok"
    assert images.read(tmp_path / "out/revealed.jpg").shape == (20, 30, 3)


def test_scoring_writes_nothing(work, tmp_path):
    (hidden,), _ = results(work("hide"), pair())
    (row,), _ = results(work("score", outputs=None), {name: pair()[name] for name in ("id", "cover", "secret")})
    assert [row[name] for name in ("cover_psnr", "secret_psnr")] == [
        hidden[name] for name in ("cover_psnr", "secret_psnr")
    ]
    assert row["output"] is row["sha256"] is row["bytes"] is None


def test_bad_input_is_a_row_and_the_others_go_on(work, tmp_path):
    (tmp_path / "broken.png").write_bytes((tmp_path / "0.png").read_bytes()[:200])
    (tmp_path / "empty.png").touch()
    images.write(tmp_path / "small.png", np.zeros((8, 8, 3), np.uint8))
    images.write(tmp_path / "large.png", np.zeros((40, 40, 3), np.uint8))
    os.mkfifo(tmp_path / "pipe")
    bad = {
        "pipe": ("DataError", f"{tmp_path}/pipe: is a pipe"),
        "missing.png": ("ImageError", f"{tmp_path}/missing.png: cannot be opened"),
        "broken.png": ("ImageError", f"{tmp_path}/broken.png: is a PNG file that cannot be decoded"),
        "empty.png": ("ImageError", f"{tmp_path}/empty.png: is empty"),
        "small.png": ("ImageError", "the cover has 8x8 pixels, expected at least 16x16"),
        "large.png": ("ImageError", f"{tmp_path}/large.png: has 40x40 = 1600 pixels"),
        "http://host/a.png": ("DataError", "http://host: is no place for files"),
    }
    pairs = [pair(number, cover=name) for number, name in enumerate(bad)]
    pairs += [pair(7, output="6.jpg"), pair(8, output="7"), pair(9)]
    found, tally = results(work("hide", options={"max_pixels": 1500}), *pairs)
    assert tally == rows.Tally(10, 9)
    for row, (kind, text) in zip(found, bad.values(), strict=False):
        assert (row["status"], row["error_type"]) == ("error", kind)
        assert row["error"].startswith(text)
        assert row["output"] is row["sha256"] is None
    assert found[7]["error"].startswith("6.jpg: .jpg is lossy")
    assert found[8]["error"].startswith("7: a name without suffix is not a format")
    assert found[9]["status"] == "ok"
    assert work("hide").outputs.files() == ["9.png"]
    assert list((tmp_path / "out").glob(".*/*")) == []


def test_any_exception_is_a_row(work, monkeypatch):
    monkeypatch.setattr(pipeline, "hide", lambda *_, **__: 1 // 0)
    (row,), _ = results(work("hide"), pair())
    assert (row["error_type"], row["error"]) == ("ZeroDivisionError", "integer division or modulo by zero")


def test_what_is_not_read_back_as_it_was_written_is_an_error(work, monkeypatch):
    write = images.write
    monkeypatch.setattr(images, "write", lambda path, image, **options: write(path, image ^ 1, **options))
    (row,), _ = results(work("hide"), pair())
    assert row["error"] == "0.png: what is read back is not what was written"
    assert work("hide").outputs.files() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "0.0.1"}, f"has stegano_tf {__version__}, the job was started with 0.0.1"),
        ({"network": "00" * 8}, f"has network {NETWORK}, the job was started with {'00' * 8}"),
    ],
)
def test_a_machine_that_would_do_something_else_ends_the_job(work, changes, message):
    with pytest.raises(BackendError, match=message):
        results(work("hide", **changes), pair())


def test_results_that_cannot_be_written_end_the_job(work, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results/attempt=0001").touch()
    with pytest.raises(OutputError, match=r"attempt=0001/block-00000000\.parquet: cannot be written: .*attempt=0001"):
        results(work("hide"), pair())
