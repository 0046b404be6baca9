import hashlib
import subprocess
import sys

import numpy as np
import pytest

from stegano_tf import provenance


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A git repository in which the package seems to lie."""

    def git(*arguments):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "docs").mkdir()
    (tmp_path / "tools").mkdir()
    for name in ("a", "README.md", "docs/plot.png", "tools/result.json"):
        (tmp_path / name).write_text("1")
    git("add", ".")
    git("commit", "-m", "One")
    (tmp_path / "stegano_tf").mkdir()
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "stegano_tf/provenance.py"))
    return tmp_path


def test_commit_and_whether_files_were_changed(checkout):
    head = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert provenance.commit() == head.stdout[:12]
    (checkout / "a").write_text("2")
    assert provenance.commit() == f"{head.stdout[:12]}-dirty"


def test_documents_and_results_may_change(checkout):
    for name in ("README.md", "docs/plot.png", "tools/result.json", "untracked"):
        (checkout / name).write_text("2")
    assert not provenance.commit().endswith("-dirty")


def test_no_commit_outside_of_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "stegano_tf/provenance.py"))
    assert provenance.commit() is None


def test_no_commit_without_git(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() is None


def test_versions_are_those_installed():
    assert provenance.versions()["numpy"] == np.__version__


def test_machine():
    found = provenance.machine()
    assert found["cores"] >= 1
    assert found["python"].split(".") == [str(part) for part in sys.version_info[:3]]


def test_hash_by_hand(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    one, two = (hashlib.sha256(text).digest() for text in (b"one", b"two"))
    assert provenance.sha256([tmp_path / "a", tmp_path / "b"]) == hashlib.sha256(one + two).hexdigest()
    assert provenance.sha256([tmp_path / "b", tmp_path / "a"]) == hashlib.sha256(two + one).hexdigest()
