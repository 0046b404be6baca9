"""Playing and recording, with a device that is made up."""

import sys
import types

import numpy as np
import pytest
import soundfile

from stegano_tf.audio import codec

RATE = 48_000


class Device(types.ModuleType):
    """What of sounddevice is used: plays into a list, and hears what was played."""

    class PortAudioError(Exception):
        pass

    def __init__(self):
        super().__init__("sounddevice")
        self.played, self.place, self.fails = [], 0, False

    def query_devices(self, kind):
        if self.fails is True:
            raise self.PortAudioError("Error querying device -1")

    def OutputStream(self, rate, channels):  # noqa: N802
        assert (rate, channels) == (RATE, 1)
        return self

    def InputStream(self, rate, channels, dtype):  # noqa: N802
        assert (rate, channels, dtype) == (RATE, 1, "int16")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, samples):
        if self.fails == "later":
            raise self.PortAudioError("Stream is stopped\n")
        self.played.append(samples)

    def read(self, count):
        heard = np.concatenate(self.played)[self.place : self.place + count]
        self.place += count
        return np.rint(32767 * np.resize(heard, (count, 1))).astype(np.int16), False


@pytest.fixture
def device(monkeypatch, tmp_path):
    found = Device()
    monkeypatch.setitem(sys.modules, "sounddevice", found)
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", np.zeros(100), RATE)
    return found


def test_what_is_played_is_heard(device, command, tmp_path):
    (tmp_path / "note.txt").write_text("hello")
    assert command("encode", "--file", "note.txt", "m.wav", "--survive", "wide", "--play")[0] == 0
    played = np.concatenate(device.played)
    assert len(played) == codec.inspect("m.wav").frames
    seconds = int(len(played) / RATE)
    status, said, _ = command("decode", "heard.wav", "--out", tmp_path, "--listen", f"{seconds}s", "--force")
    assert (status, said) == (0, f"{tmp_path / 'note.txt'}: 5 bytes\n")
    assert soundfile.info("heard.wav").frames == seconds * RATE


def test_without_a_device_nothing_is_done(device, command, tmp_path):
    device.fails = True
    (tmp_path / "note.txt").write_text("hello")
    status, _, error = command("encode", "--file", "note.txt", "m.wav", "--play")
    assert (status, error) == (1, "stegano-tf: --play found no output device, expected one that PortAudio knows\n")
    status, _, error = command("inspect", "heard.wav", "--listen", "3")
    assert (status, error) == (1, "stegano-tf: --listen found no input device, expected one that PortAudio knows\n")
    assert not (tmp_path / "m.wav").exists()
    assert not (tmp_path / "heard.wav").exists()


def test_a_device_that_fails_and_a_file_that_exists(device, command, tmp_path):
    (tmp_path / "note.txt").write_text("hello")
    device.fails = "later"
    error = command("encode", "--file", "note.txt", "m.wav", "--survive", "wide", "--play")[2]
    assert error == "stegano-tf: --play: the device fails: Stream is stopped\n"
    assert "a.wav: exists already; --force overwrites it" in command("inspect", "a.wav", "--listen", "3")[2]


def test_without_the_package_or_its_library(device, command, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert 'which is not installed: pip install "stegano_tf[device]"' in command("inspect", "b.wav", "--listen", "3")[2]
    monkeypatch.delitem(sys.modules, "sounddevice")
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    assert "needs the library PortAudio, which is not installed" in command("inspect", "b.wav", "--listen", "3")[2]
