import os
import stat

import fsspec.implementations.memory
import pytest
from pyarrow import fs

from stegano_tf.batch import store
from stegano_tf.errors import DataError, OutputError


@pytest.fixture(params=["local", "remote"])
def folder(request, tmp_path, monkeypatch):
    """A folder on the disk, and one in memory, where there are names and no folders, as in an object store."""
    if request.param == "local":
        return store.Folder(str(tmp_path / "root"), "token")
    memory = fs.PyFileSystem(fs.FSSpecHandler(fsspec.implementations.memory.MemoryFileSystem(skip_instance_cache=True)))
    monkeypatch.setattr(fsspec.implementations.memory.MemoryFileSystem, "store", {})
    monkeypatch.setattr(store, "_filesystem", lambda root: (memory, root.partition(":/")[2]))
    return store.Folder("mem://bucket/root", "token")


@pytest.mark.parametrize(
    ("uri", "base", "resolved"),
    [
        ("a/b.png", "/data", "/data/a/b.png"),
        ("a b.png", "s3://bucket/x/", "s3://bucket/x/a b.png"),
        ("../a.png", "/data", "/data/../a.png"),
        ("/a.png", "s3://bucket", "/a.png"),
        ("gs://b/50%25.png", "/data", "gs://b/50%25.png"),
        ("file:///a%20b.png", "/data", "/a b.png"),
    ],
)
def test_resolve(uri, base, resolved):
    assert store.resolve(uri, base) == resolved


def test_resolve_without_a_base_is_relative_to_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert store.resolve("a.png") == str(tmp_path / "a.png")


def test_what_is_written_is_there(folder):
    folder.write("a/b c.txt", b"one")
    folder.write("a/b c.txt", b"two")
    folder.write("d.txt", b"")
    assert folder.read("a/b c.txt") == store.read(folder.path("a/b c.txt")) == b"two"
    assert sorted(folder.files()) == ["a/b c.txt", "d.txt"]
    assert folder.read("a/e.txt") is None
    folder.delete("a")
    folder.delete("d.txt")
    folder.delete("never.txt")
    assert folder.files() == []


def test_a_draft_keeps_the_suffix_and_is_gone_afterwards(folder):
    with folder.draft("x/y.png") as draft:
        draft.write_bytes(b"one")
        assert draft.suffix == ".png"
        assert folder.files() == []
        folder.publish(draft, "x/y.png")
    assert folder.read("x/y.png") == b"one"
    assert not draft.parent.exists()


def test_a_block_that_fails_leaves_the_old_file(folder):
    folder.write("a.txt", b"old")
    with pytest.raises(RuntimeError), folder.draft("a.txt") as draft:
        draft.write_bytes(b"new")
        raise RuntimeError
    assert folder.read("a.txt") == b"old"
    assert folder.files() == ["a.txt"]


def test_a_copy_of_a_remote_file_lasts_as_long_as_the_block(folder):
    folder.write("a/sound.wav", b"RIFF")
    with store.local(folder.path("a/sound.wav")) as path:
        assert (path.name, path.read_bytes()) == ("sound.wav", b"RIFF")
    assert path.exists() == store.is_local(folder.uri)


def test_sweeping_removes_what_a_killed_worker_left_of_this_job_alone(tmp_path):
    mine, other = store.Folder(str(tmp_path), "mine"), store.Folder(str(tmp_path), "other")
    killed = [folder.draft("a.png") for folder in (mine, other)]
    drafts = [draft.__enter__() for draft in killed]
    for draft in drafts:
        draft.write_bytes(b"half")
    mine.write("a.png", b"whole")
    mine.sweep()
    assert [draft.exists() for draft in drafts] == [False, True]
    assert mine.files() == ["a.png"]


def test_local_files_have_the_usual_mode(tmp_path):
    folder = store.Folder(str(tmp_path), "token")
    folder.write("a.txt", b"one")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~umask


def test_probing_leaves_nothing(folder, tmp_path):
    folder.probe()
    assert folder.files() == []
    folder.sweep()
    assert list(tmp_path.glob("root/*")) == []


@pytest.mark.parametrize("folder", ["remote"], indirect=True)
def test_an_object_that_did_not_arrive_whole_is_an_error(folder, monkeypatch, tmp_path):
    draft = tmp_path / "draft.txt"
    draft.write_bytes(b"four")
    monkeypatch.setattr(type(draft), "read_bytes", lambda _: b"one")
    with pytest.raises(OutputError, match=r"mem://bucket/root/a\.txt: has 3 bytes after it was written, expected 4"):
        folder.publish(draft, "a.txt")


@pytest.mark.parametrize("uri", ["http://example.org/a.png", "nothing://b/a.png"])
def test_places_that_there_are_not(uri):
    with pytest.raises(DataError, match="is no place for files, expected a path, s3://… or gs://…"):
        store.read(uri)
