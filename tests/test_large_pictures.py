"""The real command on pictures that are hidden in tiles and kept in temporary files."""

import os
import pty
import re
import select
import signal
import sys
import time

import processes
import pytest
from processes import COMMAND

from stegano_tf import images


@pytest.fixture(scope="module")
def large(photograph, tmp_path_factory):
    """A folder with small.bmp and, more than is kept in memory, large.bmp: of 0.8 and 24 megapixels."""
    folder = tmp_path_factory.mktemp("large")
    images.write(folder / "small.bmp", photograph(800, 1000, 0))
    images.write(folder / "large.bmp", photograph(4000, 6000, 0))
    return folder


def read(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux's way to say that the other side is gone
        return b""


def test_ctrl_c_at_the_terminal_leaves_nothing(large, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    child, terminal = pty.fork()
    if child == 0:
        command = [*COMMAND, "hide", "large.bmp", "large.bmp", str(tmp_path / "stego.png"), "--memory-limit=400MB"]
        os.chdir(large)
        # Tests that run in the background of a shell have inherited that Ctrl-C is ignored.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execve(sys.executable, command, os.environ | {"TMPDIR": str(temporary), "TERM": "xterm"})
    said, deadline = b"", time.monotonic() + 120
    while not re.search(rb"hiding.*\d:\d\d:\d\d", said):  # the bar with its estimate
        assert time.monotonic() < deadline, said
        if select.select([terminal], [], [], 1)[0]:
            said += read(terminal)
    os.write(terminal, b"\x03")
    while more := read(terminal):
        said += more
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"Traceback" not in said
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("large.bmp", r"^stegano-tf: temporary files in .*temporary cannot be written: "),
        ("small.bmp", r"^stegano-tf: .*message\.wav: "),
    ],
)
def test_a_full_disk_leaves_nothing(large, tmp_path, picture, message):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    line = "send", large / picture, large / picture, tmp_path / "message.wav"
    status, _, said = processes.run(*line, env=os.environ | {"TMPDIR": str(temporary)}, file_size=4 << 20)
    assert (status, said.count("\n")) == (1, 1)
    assert re.search(message, said)
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]
