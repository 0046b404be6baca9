"""Flags of sounds: sealing, parity, recordings, payloads."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stegano_tf import images, settings
from stegano_tf.audio import files, forms
from stegano_tf.audio.forms.form import Form
from stegano_tf.settings import setting


@pytest.fixture
def run(tmp_path, monkeypatch, command):
    """Runs a command in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STEGANO_TF_PASSPHRASE", raising=False)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    images.write(tmp_path / "a.png", pixels)
    (tmp_path / "p.txt").write_text("correct horse\n")
    time = np.arange(120_000)
    song = np.stack([9000 * np.sin(time / 37), 7000 * np.sin(time / 51)], axis=1).astype(np.int16)
    with soundfile.SoundFile("song.wav", "w", 48_000, 2, "PCM_16") as file:
        file.title = "A song"
        file.write(song)
    return command


def same(path):
    np.testing.assert_array_equal(images.read(path), images.read("a.png"))


def test_identity_and_recipient(run):
    status, recipient, _ = run("keygen", "id.txt")
    assert (status, recipient[:4]) == (0, "age1")
    assert Path("id.txt").stat().st_mode & 0o777 == 0o600
    status, said, _ = run("encode", "a.png", "a.wav", "--recipient", recipient.strip())
    assert (status, said) == (0, "a.wav: WAV PCM_16, 1.5 s, holds a sealed picture of 50x40\n")
    assert run("decode", "a.wav", "b.png", "--identity", "id.txt") == (0, "b.png: a picture of 50x40\n", "")
    same("b.png")
    status, _, error = run("decode", "a.wav", "c.png")
    assert (status, error) == (
        1,
        "stegano-tf: a.wav: cannot be opened: it is sealed for recipients, expected an identity file\n",
    )
    assert "sealed     with age; not opened" in run("inspect", "a.wav")[1]
    assert "picture    50x40" in run("inspect", "a.wav", "--identity", "id.txt")[1]


def test_passphrase_from_file_and_environment(run, monkeypatch):
    Path("windows.txt").write_bytes(b"\xef\xbb\xbfcorrect horse \r\n")
    monkeypatch.setenv("STEGANO_TF_PASSPHRASE", "correct horse")
    assert run("encode", "a.png", "a.wav", "--bare")[0] == 0  # which must be sealed: the variable does it
    monkeypatch.delenv("STEGANO_TF_PASSPHRASE")
    done = run("decode", "a.wav", "b.png", "--bare", "--passphrase-file", "windows.txt")
    assert done == (0, "b.png: a picture of 50x40\n", "")
    same("b.png")
    monkeypatch.setenv("STEGANO_TF_PASSPHRASE", "wrong")
    status, _, error = run("decode", "a.wav", "c.png", "--bare")
    assert status == 1
    assert error == "stegano-tf: a.wav: cannot be opened: wrong passphrase, damaged, or no message at all\n"


def test_the_variable_seals_or_says_why_not(run, monkeypatch):
    monkeypatch.setenv("STEGANO_TF_PASSPHRASE", "correct horse")
    status, _, error = run("encode", "a.png", "a.wav", "--raw-bmp")
    assert status == 2
    assert "--raw-bmp cannot be sealed; STEGANO_TF_PASSPHRASE is set" in error
    for blank in "", "  ":
        monkeypatch.setenv("STEGANO_TF_PASSPHRASE", blank)
        expected = "stegano-tf: STEGANO_TF_PASSPHRASE: the passphrase is empty, or of blanks alone\n"
        assert run("encode", "a.png", "a.wav") == (1, "", expected)


def test_what_opens_nothing_is_said(run):
    run("encode", "a.png", "a.wav")
    for options, names in (
        (["--passphrase-file", "p.txt"], "--passphrase-file"),
        (["--identity", "p.txt"], "--identity"),
        (["--bare", "--passphrase-file", "p.txt"], "--passphrase-file and --bare"),
    ):
        for line in ["decode", "a.wav", "b.png", "--force"], ["inspect", "a.wav"]:
            status, _, error = run(*line, *options)
            assert status == 0
            assert error == f"stegano-tf: warning: a.wav: is not sealed, so {names} opened nothing\n"
    assert run("inspect", "a.wav", "--identity", "none.txt")[::2] == (
        *(1, "stegano-tf: none.txt: does not exist, expected an identity file\n"),
    )
    for line, message in (
        (["inspect", "a.wav", "--bare", "--identity", "p.txt"], "--identity does not go with --bare"),
        (["decode", "a.wav", "--payload-out", "b", "--identity", "p.txt"], "--identity does not go with --payload-out"),
    ):
        status, _, error = run(*line)
        assert status == 2
        assert message in error


def test_without_a_terminal_nobody_is_asked(run):
    assert run("encode", "a.png", "a.wav", "--passphrase-file", "p.txt")[0] == 0
    done = subprocess.run(
        [sys.executable, "-m", "stegano_tf", "decode", "a.wav", "b.png"],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "stegano-tf: a.wav: no terminal to ask for the passphrase, expected --passphrase-file or "
        "STEGANO_TF_PASSPHRASE\n"
    )


def test_parity_repairs_and_says_so(run):
    status, said, _ = run("encode", "a.png", "a.flac", "--parity", "10%", "--payload", "webp")
    assert status == 0, said
    samples, rate = soundfile.read("a.flac", dtype="int16")
    samples[3000:3200] = 0
    soundfile.write("b.wav", samples, rate)
    status, _, error = run("decode", "b.wav", "b.png")
    assert status == 0
    assert error.startswith("b.wav: was damaged: ")
    assert "bytes repaired" in error
    same("b.png")
    report = run("inspect", "b.wav")[1]
    assert "parity     12 of 255, " in report
    assert "payload    webp" in report


def test_sealed_with_parity_in_a_recording_and_damaged(run):
    options = ["--passphrase-file", "p.txt"]
    status, said, error = run(
        "encode", "a.png", "a.wav", "--carrier", "song.wav", "--bits", "6", "--parity", "20", *options
    )
    assert status == 0, error
    assert "in 6 bits a sample" in said
    samples, rate = soundfile.read("a.wav", dtype="int16")
    assert (rate, samples.shape) == (48_000, (120_000, 2))
    with soundfile.SoundFile("a.wav") as file:
        assert file.title == "A song"
    samples[50_000:53_600] = 0  # 3 % of it
    soundfile.write("b.wav", samples, rate)
    status, _, error = run("decode", "b.wav", "b.png", *options)
    assert status == 0, error
    same("b.png")


def test_a_recording_from_standard_input(run, monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "STDIN", str(tmp_path / "song.wav"))  # "-" is opened by this name
    assert run("encode", "a.png", "a.wav", "--carrier", "-", "--payload", "png")[0] == 0
    assert run("decode", "a.wav", "b.png")[0] == 0
    same("b.png")


def test_a_pipe_is_not_drawn(run, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    expected = "stegano-tf: pipe: is a pipe, which can be read only once, expected a file\n"
    assert run("inspect", "pipe", "--plot", "a.svg.png") == (1, "", expected)


def test_payloads_in_and_out(run):
    recipient = run("keygen", "id.txt")[1].strip()
    assert (
        "error: expected IMAGE AUDIO, or --payload-in FILE AUDIO, or --file FILE AUDIO\n" in run("encode", "a.png")[2]
    )
    assert run("encode", "a.png", "a.wav", "--recipient", recipient)[0] == 0
    assert run("decode", "a.wav", "--payload-out", "a.age")[0] == 0
    status, said, _ = run("encode", "--payload-in", "a.age", "b.wav", "--parity", "5%")
    assert (status, said) == (0, "b.wav: WAV PCM_16, 1.7 s, holds a sealed message\n")
    assert run("decode", "b.wav", "b.png", "--identity", "id.txt")[0] == 0
    same("b.png")
    for options, message in (
        (["--bare"], "--bare must be sealed with a passphrase"),
        (["--passphrase-file", "p.txt"], "a passphrase only orders the samples of a --carrier"),
    ):
        status, _, error = run("encode", "--payload-in", "a.age", "c.wav", *options)
        assert status == 2
        assert message in error
    status, _, error = run("encode", "--payload-in", "a.png", "c.wav")
    assert status == 1
    assert error.startswith("stegano-tf: a.png: the payload starts with b'\\x89PNG")


def test_a_recording_is_read_once(run, monkeypatch):
    read, paths = files.read_recording, []
    monkeypatch.setattr(files, "read_recording", lambda path: paths.append(path) or read(path))
    assert run("encode", "a.png", "a.wav", "--carrier", "song.wav")[0] == 0
    assert paths == ["song.wav"]


def test_capacity(run):
    status, said, _ = run("inspect", "--capacity", "song.wav", "a.png")
    assert status == 0
    # 40 rows of 152 bytes and 54 of header, and 72 of frame.
    assert said.startswith("a.png: 6,206 bytes as bmp, ")
    assert "song.wav: 240,000 samples of 16 bits" in said
    assert "1 bits a sample: 29,999 bytes, fits bmp, png, webp" in said


def test_a_short_carrier_says_how_long_it_must_be(run):
    soundfile.write("short.wav", np.ones(1000, np.int16), 44100)
    status, _, error = run("encode", "a.png", "a.wav", "--carrier", "short.wav")
    assert status == 1
    assert (
        "short.wav: is too short to carry 6,206 bytes at 8 bits a sample: it lasts 0.0 s, expected at least 0.2 s"
        in error
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--depth", "4"],
        ["--bits", "2"],
        ["--bare"],
        ["--parity", "90%"],
        ["--parity", "ten"],
        ["--sample-rate", "0"],
        ["--parity", "10%", "--depth", "4", "--carrier", "song.wav"],
        ["--bare", "--parity", "5%", "--passphrase-file", "p.txt"],
        ["--raw-bmp", "--parity", "5%"],
        ["--recipient", "age1x", "--passphrase-file", "p.txt"],
        ["--payload", "jpeg"],
        ["--passphrase-file", ""],
        ["--payload-in", "a.png"],
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(run, options):
    status, _, error = run("encode", "a.png", "a.wav", *options)
    assert status == 2
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bits", "2"], "--bits takes --carrier"),
        (["--depth", "4"], "--depth takes --parity"),
        (["--carrier", "song.wav", "--sample-rate", "8000"], "--sample-rate does not go with --carrier"),
        (["--survive", "wide", "--sample-rate", "8000"], "--sample-rate does not go with --survive"),
        (["--parity", "0.1"], "argument --parity: '0.1': expected percent: 10% or 0.1%"),
        (["--raw-bmp", "--parity", "5%"], "--parity does not go with --raw-bmp"),
        (["--raw-bmp", "--recipient", "RECIPIENT"], "--raw-bmp cannot be sealed"),
        (["--bare"], "--bare must be sealed with a passphrase"),
        (["--balance", "3"], "--balance takes --refine"),
        (["--weights", "a.h5", "--runtime", "litert"], "--weights goes with --runtime keras only"),
        (["--refine", "1", "--runtime", "savedmodel"], "--refine does not go with --runtime savedmodel"),
        (["--passphrase-file", "p.txt", "--ask-passphrase"], "--passphrase-file does not go with --ask-passphrase"),
    ],
)
def test_wrong_usage_is_noticed_before_a_picture_is_read(run, options, message):
    recipient = run("keygen", "id.txt")[1].strip()
    options = [recipient if option == "RECIPIENT" else option for option in options]
    status, _, error = run("send", "none.png", "none.png", "a.wav", *options)
    assert status == 2
    assert message in error


def test_a_new_form_brings_its_options(run, monkeypatch):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Modem(Form):
        modem: bool = setting(dataclasses.MISSING, "survive a telephone")
        tones: int = setting(2, "at a time", low=1, high=8)
        name = "frame v1 in tones"

    monkeypatch.setattr(forms, "FORMS", (*forms.FORMS, Modem))
    for command in ("send", "encode"):
        said = run(command, "--help")[1]
        assert "--tones N" in said
        assert "at a time (default: 2)" in said
    assert run("encode", "a.png", "a.wav", "--modem", "--tones", "3")[0] == 0
    for options, message in (
        (["--tones", "3"], "--tones takes --modem"),
        (["--modem", "--tones", "9"], "argument --tones: '9': expected an integer from 1 to 8"),
        (["--modem", "--carrier", "song.wav"], "--carrier does not go with --modem"),
    ):
        status, _, error = run("encode", "a.png", "b.wav", *options)
        assert status == 2
        assert message in error


def test_inspect_takes_a_sound_for_bare_without_asking(run):
    assert run("encode", "a.png", "a.wav", "--passphrase-file", "p.txt", "--bare")[0] == 0
    status, said, error = run("inspect", "a.wav", "--bare")
    assert (status, error) == (0, "")
    assert "message    taken for a bare age file in channel 0" in said
    assert "sealed     with age; not opened" in said
    assert "integrity  not known: " in said
    opened = run("inspect", "a.wav", "--bare", "--passphrase-file", "p.txt")[1]
    assert "message    bare age file in channel 0" in opened
    assert "integrity  SHA-256 is right" in opened


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--recipient", "age1x"], "recipient 'age1x' is mistyped, expected age1"),
        (["--passphrase-file", "none.txt"], "none.txt: cannot be read: No such file"),
        (["--carrier", "none.wav"], "none.wav"),
        (["--carrier", "a.png"], "a.png: is a picture (PNG)"),
    ],
)
def test_bad_input_is_one_line(run, options, message):
    status, _, error = run("encode", "a.png", "a.wav", *options)
    assert status == 1
    assert message in error
    assert error.count("\n") == 1
