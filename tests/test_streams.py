"""What the command writes, wherever that goes."""

import io
import sys
from pathlib import Path

import pytest

from stegano_tf import commands
from stegano_tf.commands import presets, streams, terminal
from stegano_tf.errors import OutputError


@pytest.fixture
def fill(monkeypatch):
    """Lets stdout be a full disk from now on: pytest puts its own in place before the test."""
    return lambda: monkeypatch.setattr(sys, "stdout", Path("/dev/full").open("w"))


def test_plain_text_by_hand():
    assert (
        streams.plain("gr\u00fc\u00dfe \u65e5\u672c\u3000\U0001f600 'a' \\")
        == "gr\u00fc\u00dfe \u65e5\u672c\u3000\U0001f600 'a' \\"
    )
    assert streams.plain("a\n\x1b[2J\x9b\u202e\udcff\x7f") == r"a\n\x1b[2J\x9b\u202e\udcff\x7f"


def test_what_an_encoding_lacks_is_written_by_its_number(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "latin-1"))
    streams.prepare()
    streams.say("\u00fc \U0001f600 \udcff")
    assert written.getvalue() == b"\xfc \\U0001f600 \\udcff\n"


def test_missing_streams_are_replaced(monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    streams.prepare()
    streams.say("nobody hears it")
    streams.complain("nor this")
    assert sys.stdin.read() == ""


def test_a_full_stdout_does_not_undo_what_was_written(fill, capfd):
    fill()
    streams.say("a.wav: is written")
    assert capfd.readouterr().err == (
        "stegano-tf: warning: standard output: cannot be written: No space left on device\n"
    )


def test_a_full_stdout_is_an_error_where_it_is_the_result(fill, capfd):
    fill()
    with pytest.raises(OutputError, match="standard output: cannot be written: No space left on device"):
        streams.show("the figures")
    fill()
    with pytest.raises(OutputError, match="standard output: cannot be written: No space left on device"):
        presets.run(None)
    fill()
    with pytest.raises(SystemExit) as ended:
        commands.parse(["stegano-tf", "hide", "--help"])
    assert ended.value.code == 2
    assert "standard output: cannot be written" in capfd.readouterr().err


def test_a_reader_who_goes_away_is_no_error(monkeypatch, capfd):
    class Closed(io.StringIO):
        def flush(self):
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(SystemExit) as ended:
        streams.show("the figures")
    assert ended.value.code == 141
    streams.say("a.wav: is written")
    assert capfd.readouterr().err == ""


def test_the_bar_waits_for_its_first_report(monkeypatch):
    """It hides the cursor and erases its line, where a passphrase may be asked for."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    args = commands.parse(["stegano-tf", "reveal", "a.png", "b.png", "--debug"])
    with terminal.working(args) as progress:
        assert sys.stderr.getvalue() == ""
        progress("revealing", 1, 2)
        assert "revealing" in sys.stderr.getvalue()
    assert sys.stderr.getvalue().endswith("\x1b[2K") or "\x1b[?25h" in sys.stderr.getvalue()  # the cursor is back
