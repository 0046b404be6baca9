"""Temporary files in place of memory."""

import io
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stegano_tf import images, metrics, scratch
from stegano_tf.errors import OutputError

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux states it")


def test_zeros_in_a_file_that_is_gone_at_once(on_disk):
    array = scratch.zeros(100_000)
    assert not array.any()
    array[5::1000] = 7
    scratch.release(array[10:].reshape(-1, 10)[::2])  # of a view of a view
    assert array[5::1000].tolist() == [7] * 100
    assert array.sum() == 700
    np.testing.assert_array_equal(
        scratch.take(array.reshape(100, 1000), np.array([3, 99, 3])), array[:3000].reshape(3, -1)
    )
    assert not list(on_disk.iterdir())


@needs_linux
def test_release_gives_memory_back():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    array = scratch.zeros(64 << 20)
    array[:] = 1
    full = resident()
    scratch.release(array)
    assert full - resident() > 60 << 20
    assert array[-1] == 1


def test_what_lies_in_memory_is_left_alone():
    array = scratch.zeros(10)
    scratch.release(array)
    scratch.release(np.frombuffer(b"abc", np.uint8))
    assert scratch.take(array.reshape(5, 2), np.array([1])).tolist() == [[0, 0]]


def test_no_room_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))  # as a full disk, a file ends there
    try:
        with pytest.raises(OutputError, match=rf"temporary files in {tmp_path} cannot be written: File too large"):
            scratch.zeros(20 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_a_secret_file_is_encrypted_and_reads_back(on_disk):
    file, data = scratch.SecretFile(), bytes(range(256)) * 40
    for start, stop in (0, 1), (1, 40), (40, 3000), (3000, len(data)):  # across blocks of the cipher
        assert file.write(data[start:stop]) == stop - start
    for start, size in (0, len(data)), (17, 30), (4095, 2), (len(data), 5):
        assert file.seek(start) == start
        assert file.read(size) == data[start : start + size]
    assert file.seek(0, 2) == len(data)
    file._file.seek(0)
    on_the_disk = np.frombuffer(file._file.read(), np.uint8)
    stream = on_the_disk ^ np.frombuffer(data, np.uint8)
    assert 100 < stream.mean() < 155  # of a key stream, 127.5
    assert len(np.unique(stream[:4096].reshape(-1, 16), axis=0)) == 256  # no piece of it is used twice


def test_a_secret_file_grows_at_its_end_alone():
    file = scratch.SecretFile()
    file.write(b"abc")
    file.seek(1)
    with pytest.raises(io.UnsupportedOperation, match="write at byte 1, expected 3"):
        file.write(b"x")


def test_off_disk(on_disk):
    assert scratch._owner(scratch.zeros(100_000)) is not None
    with scratch.off_disk():
        assert scratch._owner(scratch.zeros(100_000)) is None
        with scratch.off_disk(False):
            assert scratch._owner(scratch.picture(100, 100)) is None
    with scratch.off_disk(False):
        assert scratch._owner(scratch.zeros(100_000)) is not None


@given(st.lists(st.integers(0, 50), max_size=10), st.integers(1, 30))
@settings(max_examples=60)
def test_pieces(lengths, size):
    stream = np.arange(sum(lengths))
    found = list(scratch.pieces(np.split(stream, np.cumsum(lengths)[:-1]) if lengths else [], size))
    np.testing.assert_array_equal(np.concatenate([*found, stream[:0]]), stream)
    assert all(len(piece) == size for piece in found[:-1])
    assert all(0 < len(piece) <= size for piece in found)


def test_copies(on_disk):
    array = np.arange(24_000, dtype=np.uint8).reshape(40, 200, 3).swapaxes(0, 1)
    copied = scratch.copy(array)
    np.testing.assert_array_equal(copied, array)
    assert copied.flags.c_contiguous


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_pictures_are_the_same_on_disk(on_disk, tmp_path, photograph, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(photograph(90, 70, 0)).save(path)
    image = images.read(path)
    np.testing.assert_array_equal(image, np.asarray(Image.open(path)))
    smaller = images.resize(image, (60, 80))
    np.testing.assert_array_equal(smaller, np.asarray(Image.open(path).resize((80, 60), Image.Resampling.LANCZOS)))
    images.write(tmp_path / "b.png", smaller)
    assert metrics.psnr(images.read(tmp_path / "b.png"), smaller) == np.inf
    assert not list(on_disk.iterdir())
