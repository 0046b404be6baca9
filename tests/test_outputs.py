import ctypes
import fcntl
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from stegano_tf import images, outputs
from stegano_tf.audio import codec
from stegano_tf.audio.payloads import bmp
from stegano_tf.errors import OutputError


def test_output_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "out.txt"
    with outputs.replacing(path) as partial:
        assert partial.parent == tmp_path
        assert partial.read_bytes() == b""
        partial.write_bytes(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("force", [False, True])
def test_failure_leaves_the_old_file_or_none(tmp_path, error, force):
    path = tmp_path / "out.txt"
    if force:
        path.write_bytes(b"old")
    with pytest.raises(error), outputs.replacing(path, force=force) as partial:
        partial.write_bytes(b"half")
        raise error
    assert list(tmp_path.iterdir()) == ([path] if force else [])
    assert not force or path.read_bytes() == b"old"


def test_existing_file_is_replaced_only_by_force(tmp_path):
    path = tmp_path / "out.txt"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"out\.txt: exists already; force overwrites it"), outputs.replacing(path):
        pytest.fail("the block must not run")
    with outputs.replacing(path, force=True) as partial:
        partial.write_bytes(b"new")
    assert path.read_bytes() == b"new"


def test_file_that_appears_meanwhile_is_kept(tmp_path):
    path = tmp_path / "out.txt"
    with pytest.raises(OutputError, match="exists already"), outputs.replacing(path) as partial:
        partial.write_bytes(b"mine")
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_file_is_refused(tmp_path, force):
    for path, message in [
        (tmp_path, "is a folder or a device"),
        (f"{tmp_path}/new/", "new/: names a folder"),
        ("/dev/null", "is a folder or a device"),
        (tmp_path / "none" / "out.txt", "the folder .*none does not exist"),
        (tmp_path / ("a" * 300), "File name too long"),
    ]:
        with pytest.raises(OutputError, match=message):
            outputs.check(path, force=force)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_longest_name_works(tmp_path):
    path = tmp_path / ("ü" * 127)  # 254 bytes; the limit of most file systems is 255
    with outputs.replacing(path) as partial:
        partial.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"


@pytest.mark.parametrize("links", [True, False])
def test_a_file_of_the_last_moment_is_kept(tmp_path, monkeypatch, links):
    """Between the last look and the renaming; also on file systems without hard links."""
    path, link = tmp_path / "out.txt", Path.hardlink_to

    def late(self, target):
        path.write_bytes(b"theirs")
        if not links:
            raise PermissionError(1, "Operation not permitted")
        link(self, target)

    monkeypatch.setattr(Path, "hardlink_to", late)
    with pytest.raises(OutputError, match="exists already"), outputs.replacing(path) as partial:
        partial.write_bytes(b"mine")
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_without_hard_links_files_are_written_all_the_same(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    with outputs.replacing(tmp_path / "out.txt") as partial:
        partial.write_bytes(b"whole")
    (path,) = tmp_path.iterdir()
    assert (path.name, path.read_bytes()) == ("out.txt", b"whole")


def test_links_are_followed_by_force_alone(tmp_path):
    (tmp_path / "nas").mkdir()
    link, target = tmp_path / "link.txt", tmp_path / "nas" / "out.txt"
    link.symlink_to(target)
    with pytest.raises(
        OutputError, match=r"link\.txt: is a link to .*out\.txt, which does not exist; force writes there"
    ):
        outputs.check(link)
    for text in "first", "second":
        with outputs.replacing(link, force=True) as partial:
            partial.write_text(text)
        assert (link.is_symlink(), target.read_text()) == (True, text)
    assert list(target.parent.iterdir()) == [target]
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OutputError, match="loop: is a folder or a device"):
        outputs.check(loop, force=True)


@pytest.mark.parametrize(("given", "old", "new"), [(None, 0o600, 0o600), (None, 0o664, 0o664), (0o600, 0o644, 0o600)])
def test_an_overwritten_file_keeps_its_permissions(tmp_path, given, old, new):
    path = tmp_path / "out.txt"
    path.touch()
    path.chmod(old)
    previous = os.umask(0o022)
    try:
        with outputs.replacing(path, force=True, mode=given) as partial:
            assert stat.S_IMODE(partial.stat().st_mode) & ~new == 0  # at no moment more than in the end
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == new


def test_what_killed_runs_left_is_removed_and_nothing_else(tmp_path):
    dead, alive, weights = (tmp_path / f".0123456789ab.partial.{name}" for name in ("a", "b", "c.h5"))
    others = [tmp_path / name for name in (".0123456789ab.partial.", ".012345.partial.a", "0123456789ab.partial.a")]
    for path in (dead, alive, weights, *others):
        path.write_bytes(b"half")
    (tmp_path / ".0123456789ae.partial.folder").mkdir()
    (tmp_path / ".0123456789af.partial.link").symlink_to(dead)
    kept = {*tmp_path.iterdir()} - {dead}
    with alive.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as the process does that writes it
        with outputs.replacing(tmp_path / "out.txt"), outputs.replacing(tmp_path / "other.txt"):
            assert len({*tmp_path.iterdir()} - kept) == 2  # neither took the other for a dead one
        assert {*tmp_path.iterdir()} - {tmp_path / "out.txt", tmp_path / "other.txt"} == kept
    with outputs.replacing(tmp_path / "out.txt", force=True):
        pass
    assert not alive.exists()


def test_same_files(tmp_path):
    a, link, hard, b = (tmp_path / name for name in ("a.png", "link.png", "hard.png", "b.png"))
    a.touch()
    b.touch()
    link.symlink_to(a)
    hard.hardlink_to(a)
    for first, second in ((a, a), (a, link), (a, hard), (a, tmp_path / ".." / tmp_path.name / "a.png")):
        assert outputs.same(first, second)
    assert not outputs.same(a, b)
    assert not outputs.same(a, "ssh-rsa " + "A" * 500)  # no file name at all
    assert not outputs.same(a, tmp_path / "A.png")  # this system takes account of case, so the second is a new one
    for first, second, expected in (("x.png", "X.PNG", True), ("\u00fc", "u\u0308", True), ("x.png", "y.png", False)):
        assert outputs.same(tmp_path / first, tmp_path / second) == expected


def test_permissions_are_those_of_any_new_file(tmp_path):
    previous = os.umask(0o027)
    try:
        with outputs.replacing(tmp_path / "out.txt"):
            pass
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "out.txt").stat().st_mode) == 0o640


def test_errors_of_the_operating_system_name_the_output(tmp_path):
    with (
        pytest.raises(OutputError, match=r"out\.txt: cannot be written: No space left on device"),
        outputs.replacing(tmp_path / "out.txt"),
    ):
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("replace", [outputs.replacing, outputs.replacing_folder])
def test_an_input_that_vanished_is_called_no_output(tmp_path, replace):
    for vanished in (tmp_path / "input.bmp", tmp_path / "out"):  # the second may be an earlier output that is read
        with pytest.raises(FileNotFoundError) as error, replace(tmp_path / "out"):
            vanished.read_bytes()
        assert error.value.filename == str(vanished)
    with pytest.raises(OutputError, match="out: cannot be written: No"), replace(tmp_path / "out") as partial:
        (partial / "none" / "x").write_bytes(b"")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{}, {"parity": 0.1}])
def test_a_picture_that_vanishes_while_it_is_sent_is_named(tmp_path, options):
    images.write(tmp_path / "a.bmp", np.zeros((40, 50, 3), np.uint8))
    picture = bmp.File(tmp_path / "a.bmp")
    (tmp_path / "a.bmp").unlink()
    with pytest.raises(OSError, match=r"a\.bmp"):
        codec.encode(picture, tmp_path / "a.wav", **options)
    assert not list(tmp_path.iterdir())


def test_partial_files_have_the_suffix_and_the_mode(tmp_path):
    with outputs.replacing(tmp_path / ("long" * 20 + ".weights.h5"), mode=0o600, durable=True) as partial:
        assert partial.name.endswith(".weights.h5")
        assert stat.S_IMODE(partial.stat().st_mode) == 0o600
        partial.write_bytes(b"whole")
    (path,) = tmp_path.iterdir()
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"whole", 0o600)


def test_folders_are_whole_or_absent(tmp_path, monkeypatch):
    path = tmp_path / "models" / "1"
    renamings, rename = [], Path.rename

    def write(text, error=None):
        with outputs.replacing_folder(path, force=text != "first") as partial:
            (partial / "sub").mkdir()
            (partial / "sub" / "file").write_text(text)
            assert path.exists() == (text != "first")
            if error:
                raise error

    def found():
        return {file: file.read_text() for file in tmp_path.rglob("*") if file.is_file()}

    def watched(self, target):
        renamings.append(target)
        if target == path and (self / "sub" / "file").read_text() == "fifth":
            raise OSError(30, "Read-only file system")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    write("first")
    assert renamings == [path]
    with pytest.raises(KeyboardInterrupt):
        write("second", KeyboardInterrupt)
    assert found() == {path / "sub" / "file": "first"}
    write("third")
    assert found() == {path / "sub" / "file": "third"}
    if os.name == "posix" and hasattr(ctypes.CDLL(None), "renameat2"):
        assert renamings == [path]  # the two changed places in one step

    # Where the system cannot do that.
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    write("fourth")
    assert found() == {path / "sub" / "file": "fourth"}
    with pytest.raises(OutputError, match="1: cannot be written: Read-only"):
        write("fifth")
    assert found() == {path / "sub" / "file": "fourth"}


def test_a_folder_that_appears_meanwhile_is_kept(tmp_path):
    with (
        pytest.raises(OutputError, match="1: cannot be written: "),
        outputs.replacing_folder(tmp_path / "1") as partial,
    ):
        (partial / "mine").touch()
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "theirs").touch()
    assert [file.name for file in tmp_path.rglob("*")] == ["1", "theirs"]


def test_one_process_at_a_time_finds_no_leftovers(tmp_path):
    folder = tmp_path / "runs" / "1"
    (folder / "sub" / ".0123456789ab.partial.2").mkdir(parents=True)
    (folder / "sub" / ".0123456789ab.partial.2" / "half").touch()
    (folder / ".0123456789ab.partial.log").touch()
    # A process was killed between two renamings, and another one behind them.
    for name in (".0123456789ab.old.7", ".0123456789ab.old.8", "8"):
        (folder / name).mkdir()
        (folder / name / name[-1:]).touch()
    with outputs.alone(folder):
        (folder / "whole").touch()
        with pytest.raises(OutputError, match="1: another process writes to it, expected none"), outputs.alone(folder):
            pytest.fail("the block must not run")
    assert sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*")) == [
        "7",
        "7/7",
        "8",
        "8/8",
        "sub",
        "whole",
    ]
    with pytest.raises(KeyboardInterrupt), outputs.alone(tmp_path / "empty"):
        raise KeyboardInterrupt
    assert not (tmp_path / "empty").exists()
    with pytest.raises(OutputError, match="whole: cannot be written: File exists"), outputs.alone(folder / "whole"):
        pytest.fail("the block must not run")


def test_json_is_whole_or_absent(tmp_path):
    outputs.write_json(tmp_path / "a.json", {"é": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": [1, None]}
    with pytest.raises(OutputError, match=r"a\.json: exists already"):
        outputs.write_json(tmp_path / "a.json", {})
    with pytest.raises(TypeError):
        outputs.write_json(tmp_path / "a.json", {1, 2}, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").stat().st_size > 10
