"""A bucket on a server on loopback, in place of an object store. `.ci/run` runs this file; it needs `cluster`."""

import hashlib
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import s3_server
from pyarrow import fs

from stegano_tf.batch import job, rows, store

pytestmark = pytest.mark.cluster
pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The variables that lead to an S3 server."""
    log = tmp_path_factory.mktemp("s3") / "log"
    with s3_server.run(log) as environment:
        yield environment | {"LOG": str(log)}


@pytest.fixture
def endpoint(server, monkeypatch):
    """Lets s3:// lead to a URL, by default to the server."""

    def use(url=server["AWS_ENDPOINT_URL"]):
        store._filesystem.cache_clear()
        for name, value in (server | {"AWS_ENDPOINT_URL": url}).items():
            monkeypatch.setenv(name, value)
        return fs.S3FileSystem(endpoint_override=url, allow_bucket_creation=True, allow_bucket_deletion=True)

    yield use
    store._filesystem.cache_clear()


def here(work, numbers):
    for number in numbers:
        yield number, rows.run(work, number)


def test_the_same_hashes_as_on_the_disk(endpoint, collection, tmp_path):
    manifest = collection(6, cover=["0.png", "1.png", "2.png", "0.png", "1.png", "missing.png"])
    bucket = endpoint()
    bucket.create_dir("bucket")
    fs.copy_files(str(tmp_path), "bucket/in here", destination_filesystem=bucket)
    tables = []
    for source, root in (str(manifest), str(tmp_path)), ("s3://bucket/in here/pairs.csv", "s3://bucket"):
        request = job.Request(operation="hide", manifest=source, results=f"{root}/results", output_root=f"{root}/out")
        assert list(job.prepare(request).run(here, 4)) == [rows.Tally(4, 0), rows.Tally(2, 1)]
        assert list(job.prepare(request, resume=True).run(here)) == []
        tables.append(job.read(f"{root}/results", ("id", "sha256", "bytes")).sort_by("id"))
    assert tables[0] == tables[1]
    assert pq.read_table("bucket/results", filesystem=bucket).num_rows == 6
    for row in tables[1].to_pylist()[:5]:
        content = store.read(f"s3://bucket/out/{int(row['id'][1:]) % 2}/{row['id'][1:]}.png")
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (row["sha256"], row["bytes"])
    bucket.delete_dir("bucket")


def test_a_small_file_is_one_put_and_one_look_at_its_size(endpoint, server):
    endpoint().create_dir("small")
    folder = store.Folder("s3://small", "token")
    before = Path(server["LOG"]).read_text()
    folder.write("a.txt", b"one")
    log = Path(server["LOG"]).read_text()[len(before) :]
    assert re.findall(r"([A-Z]+) /small", log) == ["PUT", "HEAD"]


def test_sound_is_read_from_a_bucket(endpoint, collection, tmp_path):
    manifest = collection(1, output=["0.wav"])
    endpoint().create_dir("sound")
    places = {"results": "s3://sound/results", "output_root": "s3://sound/out"}
    assert list(job.prepare(job.Request(operation="send", manifest=str(manifest), **places)).run(here)) == [
        rows.Tally(1, 0)
    ]
    (tmp_path / "back.csv").write_text("id,audio,output\n0,s3://sound/out/0.wav,0.png\n1,s3://sound/out/1.wav,1.png\n")
    request = job.Request(
        operation="receive",
        manifest=str(tmp_path / "back.csv"),
        results="s3://sound/back",
        output_root=str(tmp_path / "secrets"),
        options={"key": None},
    )
    assert list(job.prepare(request).run(here)) == [rows.Tally(2, 1)]
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["0.png"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", None])
def test_a_store_that_cannot_be_reached_or_a_bucket_that_is_not_there(endpoint, command, collection, tmp_path, url):
    endpoint(*[url] if url else [])
    manifest = collection(1)
    for place in "--results", "--output-root":
        places = {name: str(tmp_path / name) for name in ("--results", "--output-root")} | {place: "s3://nowhere/x"}
        status, _, err = command("batch", "hide", manifest, *[word for item in places.items() for word in item])
        assert (status, err.count("\n")) == (1, 1), err
        assert re.match(r"stegano-tf: s3://nowhere/x: (results|outputs) cannot be kept there: ", err), err
