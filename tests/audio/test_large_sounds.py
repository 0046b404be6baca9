"""Sounds that are larger than memory, and what they may cost the real command."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import processes
import pytest
from processes import COMMAND

from stegano_tf import scratch, sealing
from stegano_tf.audio import codec, parity
from stegano_tf.audio.payloads import bmp
from stegano_tf.errors import FormatError

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux states it")


def test_parity_is_the_same_on_disk(on_disk):
    message = np.random.default_rng(0).integers(0, 256, 150_000, dtype=np.uint8)
    shape = parity.Shape(len(message), 12)
    blocks = list(parity.encode(message, 12))
    assert len(blocks) > 100
    scratch.IN_MEMORY = 1 << 30  # monkeypatch puts it back
    np.testing.assert_array_equal(np.concatenate(blocks), np.concatenate(list(parity.encode(message, 12))))
    scratch.IN_MEMORY = 1
    np.testing.assert_array_equal(parity.read_message(blocks, shape), message)


@pytest.mark.parametrize(("options", "checks"), [({}, None), ({"parity": 0.1}, 12), ({"parity": 0, "depth": 4}, 0)])
@pytest.mark.parametrize("sealed", [False, True])
def test_sounds_are_the_same_on_disk(on_disk, tmp_path, options, checks, sealed):
    image = np.random.default_rng(1).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    recipient = sealing.keygen(tmp_path / "identity.txt")
    lock, key = sealing.Lock(recipients=[recipient]), sealing.Key(identities=[tmp_path / "identity.txt"])
    codec.encode(image, tmp_path / "a.wav", lock=lock if sealed else None, **options)
    np.testing.assert_array_equal(codec.decode(tmp_path / "a.wav", key=key).image, image)
    info = codec.decode_file(tmp_path / "a.wav", tmp_path / "a.bmp", key=key)
    assert (info.sealed, info.parity) == (sealed, checks)
    assert (tmp_path / "a.bmp").read_bytes() == b"".join(map(bytes, bmp.encode(image)[1]))
    codec.encode(bmp.File(tmp_path / "a.bmp"), tmp_path / "b.wav", **options)
    np.testing.assert_array_equal(codec.decode(tmp_path / "b.wav").image, image)
    assert not list(on_disk.iterdir())


@pytest.mark.parametrize("where", [201, -39])  # high bytes of a sample of the payload and of its digest
def test_damage_leaves_no_picture(tmp_path, where, image):
    codec.encode(image, tmp_path / "a.wav")
    with (tmp_path / "a.wav").open("r+b") as file:
        file.seek(where, os.SEEK_SET if where > 0 else os.SEEK_END)
        file.write(b"\x55")
    with pytest.raises(FormatError, match="is damaged"):
        codec.decode_file(tmp_path / "a.wav", tmp_path / "a.bmp")
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A BMP file of 20 megapixels."""
    path = tmp_path_factory.mktemp("large") / "a.bmp"
    image = np.random.default_rng(0).integers(0, 256, (4000, 5000, 3), dtype=np.uint8)
    with path.open("wb") as file:
        file.writelines(bmp.encode(image)[1])
    return path


def peak(folder, *arguments):
    """Runs the real command and returns the highest resident memory of its process, in MB."""
    # A process begins with the peak of the one that started it, so a small one stands in between.
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6)"
    )
    command = [sys.executable, "-c", script, *COMMAND, *map(str, arguments)]
    return float(subprocess.check_output(command, cwd=folder, text=True))


@needs_linux
def test_memory_of_the_real_command(large, tmp_path):
    (recipient,) = subprocess.check_output([*COMMAND, "keygen", "id.txt"], cwd=tmp_path, text=True).split()
    plain = peak(tmp_path, "encode", large, "a.wav"), peak(tmp_path, "decode", "a.wav", "a.bmp")
    options = ["--parity", "10%", "--recipient", recipient]
    most = (
        peak(tmp_path, "encode", large, "b.wav", *options),
        peak(tmp_path, "decode", "b.wav", "b.bmp", "--identity", "id.txt"),
    )
    for name in ("a.bmp", "b.bmp"):
        assert (tmp_path / name).read_bytes() == large.read_bytes()
    # The picture alone is 60 MB, and with parity a second copy of 68 MB is needed somewhere.
    assert max(plain) < 75, plain
    assert max(most) < 140


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(large, tmp_path, stop):
    folder, temporary = tmp_path / "out", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    env = os.environ | {"TMPDIR": str(temporary)}
    process = processes.start("encode", large, "a.wav", "--parity", "50%", cwd=folder, env=env)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in folder.iterdir()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(stop)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 128 + stop
    assert not list(folder.iterdir())
    assert not list(temporary.iterdir())


def test_a_full_disk_leaves_nothing(large, tmp_path):
    """A limit on the size of files stands for the disk: writing fails just there, in the same way."""
    folder, temporary = tmp_path / "out", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    for options, megabytes, message in (
        ([], 50, "a.wav: cannot be written: "),
        (["--parity", "10%"], 30, f"temporary files in {temporary} cannot be written: File too large"),
        (["--parity", "10%"], 100, "a.wav: cannot be written: "),
    ):
        env = os.environ | {"TMPDIR": str(temporary)}
        line = "encode", large, "a.wav", *options
        status, _, said = processes.run(*line, cwd=folder, env=env, file_size=megabytes << 20)
        assert (status, said.count("\n")) == (1, 1)
        assert said.startswith(f"stegano-tf: {message}")
        assert not [*folder.iterdir(), *temporary.iterdir()]
