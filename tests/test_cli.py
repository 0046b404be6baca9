"""The command as users meet it. Most of it runs in this process.

A process of its own is for what only the system sees: how the program starts and ends, signals, and its whole stderr.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from PIL import Image

from stegano_tf import __version__, commands, images, metrics, presets
from stegano_tf.commands import terminal
from stegano_tf.errors import ImageError

COMMAND = [sys.executable, "-m", "stegano_tf"]


def stegano_tf(*arguments, cwd=None, **options):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd, **options
    )


@pytest.fixture
def fails(command):
    """Runs a command that must fail for bad input, and returns what it said."""

    def run(*arguments):
        status, printed, said = command(*arguments)
        assert (status, printed) == (1, "")
        assert said.startswith("stegano-tf: ")
        assert said.count("\n") == 1, "expected one line"
        return said

    return run


@pytest.fixture(scope="module")
def folder(photograph, tmp_path_factory):
    """cover.png, secret.jpg (of another size), and message.wav, sent by the real command."""
    folder = tmp_path_factory.mktemp("cli")
    images.write(folder / "cover.png", photograph(61, 83, 0))
    images.write(folder / "secret.jpg", photograph(90, 70, 1), lossless=False)
    done = stegano_tf("send", "cover.png", "secret.jpg", "message.wav", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == "message.wav: WAV PCM_16, 0.4 s, holds a picture of 83x61\n"
    return folder


def test_receive_needs_the_sound_only(folder, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command("receive", folder / "message.wav", "secret.png", "--stego", "stego.png") == (0, "", "")
    secret = images.read(folder / "secret.jpg")
    assert metrics.psnr(secret, images.read(tmp_path / "secret.png")) > 20
    assert metrics.psnr(images.read(folder / "cover.png"), images.read(tmp_path / "stego.png")) > 25
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.png", "stego.png"]


def test_hide_encode_decode_reveal(folder, tmp_path, command):
    def run(*arguments):
        status, printed, said = command(*arguments)
        assert (status, said) == (0, "")
        return printed

    stego, secret = tmp_path / "stego.webp", tmp_path / "secret.jpg"
    run("hide", folder / "cover.png", folder / "secret.jpg", stego)
    assert "AIFF PCM_16" in run("encode", stego, tmp_path / "a.aiff", "--raw-bmp", "--sample-rate", "8000")
    run("decode", tmp_path / "a.aiff", tmp_path / "b.bmp")
    np.testing.assert_array_equal(images.read(tmp_path / "b.bmp"), images.read(stego))
    run("reveal", tmp_path / "b.bmp", secret, "--size", "70x90")
    assert images.read(secret).shape == (90, 70, 3)
    assert metrics.psnr(images.read(folder / "secret.jpg"), images.read(secret)) > 20


def test_inspect_tells_and_draws(folder, tmp_path, command):
    status, printed, said = command("inspect", folder / "message.wav", "--plot", tmp_path / "sound.png")
    assert (status, said) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in printed.splitlines())
    # 54 bytes of header, 61 rows of 83 * 3 = 249 bytes padded to 252; around it 40 bytes of frame header and a digest
    # of 32.
    assert lines["message"] == "frame v1 in channel 0, 15,426 bytes, 0 samples after it"
    assert lines["sound"].startswith("WAV PCM_16, 1 channel(s), 15,498 samples, 0.35 s at 44100 Hz")
    assert (lines["picture"], lines["secret"], lines["integrity"]) == ("83x61", "70x90", "SHA-256 is right")
    assert len(np.unique(images.read(tmp_path / "sound.png"))) > 50


def test_presets_lists_all(command):
    table = command("presets")[1]
    assert all(word in table for word in ("codebook", "unet", "paper", "tiny", "42,583,814", "installed", "dB"))


def test_demo_in_an_empty_folder(tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, printed, said = command("demo")
    assert (status, said) == (0, "")
    assert printed.count("stego image from the sound: identical") == 4
    out = tmp_path / "stegano_tf_demo"
    assert len(list(out.glob("*.wav"))) == 4
    assert images.read(out / "contact_sheet.png").shape[1] > 6 * 256


def test_demo_asks_before_it_overwrites(tmp_path, fails):
    assert "exists already; --force writes into it" in fails("demo", "--out", tmp_path)
    assert "folder" in fails("demo", "--out", tmp_path / "no" / "demo")


def test_version(command):
    assert command("--version") == (0, f"stegano-tf {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sing"],
        ["send", "a.png"],
        ["send", "a.png", "b.png", "c.wav", "--preset", "best"],
        ["send", "a.png", "b.png", "c.wav", "--sample-rate", "high"],
        ["reveal", "a.png", "b.png", "--size", "70"],
        ["reveal", "a.png", "b.png", "--size", "0x5"],
        ["decode", "", "b.png"],
    ],
)
def test_wrong_usage_is_status_2(command, arguments):
    status, printed, said = command(*arguments)
    assert (status, printed) == (2, "")
    assert said.startswith("usage: stegano-tf")
    assert "Traceback" not in said


def test_options_stand_anywhere(folder, tmp_path, command):
    """Behind the files, between them, and before them; also where a file may be left out."""
    cover, sound = folder / "cover.png", tmp_path / "a.wav"
    for line in ([cover, sound, "--force"], [cover, "--force", sound], ["--force", cover, sound]):
        assert command("encode", *line)[0] == 0
    for line in (["--capacity", sound, cover], [sound, "--capacity", cover], [sound, cover, "--capacity"]):
        status, printed, said = command("inspect", *line)
        assert (status, said) == (0, "")
        assert printed.startswith(f"{cover}: 15,498 bytes as bmp")
    assert "--balance takes --refine" in command("hide", "a.png", "--balance", "-3", "b.png", "c.png")[2]


def test_the_default_preset_has_its_old_name_too(folder, tmp_path, command):
    presets.current.cache_clear()  # it is said once a process
    line = "hide", folder / "cover.png", folder / "secret.jpg", tmp_path / "a.png", "--preset"
    assert command(*line, "invertible") == (
        *(0, ""),
        "stegano-tf: warning: the preset 'invertible' is called 'codebook' now\n",
    )
    assert command(*line, "codebook", "--force") == (0, "", "")


def test_names_that_look_like_options_follow_two_dashes(folder, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images.write("--cover_.png", images.read(folder / "cover.png"))
    assert command("encode", "--payload=png", "--", "--cover_.png", "-a.wav")[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["--cover_.png", "-a.wav"]


def test_flags_may_have_underscores_but_are_not_cut_short(folder, tmp_path, command):
    line = "encode", folder / "cover.png", tmp_path / "a.wav"
    assert command(*line, "--sample_rate=8000")[0] == 0
    assert "--max-pixels: '0'" in command("hide", "a", "b", "c", "--max_pixels", "0")[2]
    status, _, said = command(*line, "--forc")
    assert status == 2
    assert "unrecognized arguments: --forc" in said


def bad_sounds(folder):
    """(file name, bytes or None, what the error says)"""
    message = (folder / "message.wav").read_bytes()
    flipped = bytearray(message)
    flipped[20_001] ^= 0x40
    return {
        "missing.wav": (None, "missing.wav"),
        "empty.wav": (b"", "empty"),
        "truncated.wav": (message[:20_000], "samples are missing"),
        "header.wav": (message[:50], "message|missing|short"),
        "flipped.wav": (bytes(flipped), "is damaged"),
        "text.wav": (b"no sound at all", "text.wav"),
        "picture.wav": ((folder / "cover.png").read_bytes(), "picture.wav"),
    }


@pytest.mark.parametrize("name", ["missing", "empty", "truncated", "header", "flipped", "text", "picture"])
def test_bad_sounds_get_one_line(folder, tmp_path, fails, name):
    content, expected = bad_sounds(folder)[f"{name}.wav"]
    path = tmp_path / f"{name}.wav"
    if content is not None:
        path.write_bytes(content)
    for subcommand in ("receive", "decode"):
        said = fails(subcommand, path, tmp_path / "out.png")
        assert str(path) in said
        assert re.search(expected, said)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(("suffix", "subtype"), [("mp3", "MPEG_LAYER_III"), ("ogg", "VORBIS"), ("opus", "OPUS")])
def test_lossy_sounds_are_refused_by_name(tmp_path, fails, suffix, subtype):
    path = tmp_path / f"song.{suffix}"
    container = "MP3" if suffix == "mp3" else "OGG"
    soundfile.write(path, np.zeros(4800, np.int16), 48000, subtype, format=container)
    assert "lossy" in fails("decode", path, tmp_path / "out.png")


def test_a_song_holds_no_message(tmp_path, fails):
    soundfile.write(tmp_path / "song.wav", (np.sin(np.arange(9999) / 9) * 9999).astype(np.int16), 44100)
    assert "holds no message" in fails("receive", tmp_path / "song.wav", tmp_path / "out.png")


def test_pictures_and_outputs_that_cannot_be(folder, tmp_path, fails):
    cover, secret, message = folder / "cover.png", folder / "secret.jpg", folder / "message.wav"
    out = tmp_path / "out.wav"
    assert "nothing.png" in fails("send", tmp_path / "nothing.png", secret, out)
    assert "secret.txt" in fails("send", cover, _text(tmp_path / "secret.txt"), out)
    Image.new("RGB", (15, 40)).save(tmp_path / "small.png")
    assert "15x40 pixels, expected at least 16x16" in fails("send", tmp_path / "small.png", secret, out)
    assert "exists already; --force" in fails("send", cover, secret, message)
    assert "lossy" in fails("send", cover, secret, tmp_path / "a.mp3")
    assert "does not exist" in fails("send", cover, secret, tmp_path / "no" / "a.wav")
    assert "lossy" in fails("hide", cover, secret, tmp_path / "stego.jpg")
    assert "lossy" in fails("receive", message, tmp_path / "a.png", "--stego", tmp_path / "stego.jpg")
    assert "not shipped with weights" in fails("hide", cover, secret, tmp_path / "a.png", "--preset", "tiny")
    assert "sample rate" in fails("encode", cover, out, "--sample-rate", "0")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.txt", "small.png"]


def _text(path):
    path.write_text("not a picture")
    return path


def test_debug_shows_the_traceback(tmp_path):
    done = stegano_tf("decode", tmp_path / "no.wav", tmp_path / "a.png", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_force_overwrites_and_warnings_take_one_line(folder, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGBA", (20, 20), (255, 0, 0, 100)).save(tmp_path / "ghost.png")
    (tmp_path / "a.wav").write_text("old")
    status, _, said = command("encode", "ghost.png", "a.wav", "--force")
    assert status == 0
    assert said == "stegano-tf: warning: ghost.png: has transparent pixels, they are composited on white\n"
    assert command("decode", "a.wav", "b.png") == (0, "", "")
    assert images.read(tmp_path / "b.png")[0, 0].tolist() == [255, 155, 155]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_leaves_nothing(tmp_path, number, status):
    random = np.random.default_rng(0).integers(0, 256, (4000, 6000, 3), dtype=np.uint8)
    Image.fromarray(random).save(tmp_path / "large.bmp")
    process = subprocess.Popen(
        [*COMMAND, "encode", "large.bmp", "a.flac"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        # Tests that run in the background of a shell have inherited that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*.partial.*")):  # FLAC of noise takes a second or more from here
        assert time.monotonic() < deadline
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.005)
    process.send_signal(number)
    assert process.wait(timeout=60) == status
    assert b"Traceback" not in process.stderr.read()
    assert [path.name for path in tmp_path.iterdir()] == ["large.bmp"]


def test_a_full_disk_leaves_nothing(folder, tmp_path):
    # The limit on a file's size is what a full disk is to the writer, and needs no disk of its own.
    script = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)); "
        "sys.argv = ['stegano-tf', 'encode', *sys.argv[1:]]; runpy.run_module('stegano_tf', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, folder / "cover.png", tmp_path / "a.wav"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "a.wav: " in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_hide_refines_and_reports(folder, tmp_path, command):
    arguments = ["hide", folder / "cover.png", folder / "secret.jpg", "--report"]
    done = {
        "plain.png": command(*arguments, tmp_path / "plain.png"),
        "refined.png": command(*arguments, tmp_path / "refined.png", "--refine", "12"),
    }
    figures = []
    for name, (status, printed, said) in done.items():
        assert (status, said) == (0, "")
        report = {line.split()[0]: line.split() for line in printed.splitlines()}
        cover, stego = images.read(folder / "cover.png"), images.read(tmp_path / name)
        quality = metrics.quality(cover, stego)
        assert report["cover"][1:] == [
            f"{quality.psnr:.1f}", "dB", "SSIM", f"{quality.ssim:.3f}", "APD", f"{quality.apd:.2f}"
        ]  # fmt: skip
        assert command("reveal", tmp_path / name, tmp_path / f"of_{name}", "--size", "70x90") == (0, "", "")
        secret = metrics.psnr(images.read(folder / "secret.jpg"), images.read(tmp_path / f"of_{name}"))
        assert report["secret"][1] == f"{secret:.1f}"
        figures.append(quality.psnr + secret)
    assert figures[1] > figures[0]


@pytest.mark.parametrize(("name", "output"), [("hide", "cover.png"), ("send", "cover.wav"), ("send", "secret.wav")])
def test_the_report_is_about_the_pictures_that_were_there(folder, tmp_path, command, name, output):
    """Also when the output replaces one of them: a picture may have the suffix of a sound."""
    pictures = [tmp_path / output if output.startswith(name) else tmp_path / name for name in ("cover", "secret")]
    for path, original in zip(pictures, ("cover.png", "secret.jpg"), strict=True):
        path.write_bytes((folder / original).read_bytes())
    expected = command(name, folder / "cover.png", folder / "secret.jpg", tmp_path / f"b{output[-4:]}", "--report")
    replaced = command(name, *pictures, tmp_path / output, "--report", "--force")
    assert replaced[0] == expected[0] == 0
    assert replaced[1].splitlines()[-2:] == expected[1].splitlines()[-2:]
    assert "inf" not in replaced[1]


def test_wrong_uses_of_size_and_refinement(folder, tmp_path, fails, command):
    pictures = folder / "cover.png", folder / "secret.jpg", tmp_path / "a.png"
    for arguments, expected in (
        (["--balance", "3"], "--balance takes --refine"),
        (["--balance", "nan", "--refine", "1"], "expected a number from"),
        (["--memory-limit", "12"], "expected megabytes or gigabytes"),
        (["--memory-limit", "-1GB"], "expected"),
        (["--memory-limit", "0.0GB"], "expected megabytes"),
        (["--max-pixels", "0"], "expected an integer from 1"),
        (["--refine", "many"], "expected an integer from 0"),
        (["--refine", "1", "--runtime", "litert"], "--refine does not go with --runtime litert"),
    ):
        status, _, said = command("hide", *pictures, *arguments)
        assert status == 2
        assert expected in said
    assert "memory limit of 20 MB is too low" in fails("hide", *pictures, "--memory-limit", "20MB")
    assert "expected at most 5000" in fails("hide", *pictures, "--max-pixels", "5000")
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_system_name_the_file(fails, tmp_path):
    assert fails("encode", "--payload-in", "none.age", tmp_path / "a.wav") == (
        "stegano-tf: none.age: No such file or directory\n"
    )


GREETING = b"written in C++"


@pytest.mark.parametrize(
    ("error", "options", "shown"),
    [
        (None, [], False),
        (None, ["--debug"], True),
        (ImageError("bad input"), [], False),
        (RuntimeError("unforeseen"), [], True),
    ],
)
def test_what_libraries_write_is_shown_if_something_unforeseen_happens(capfd, error, options, shown):
    args = commands.parse(["stegano-tf", "reveal", "a.png", "b.png", *options])

    def work(args):
        with terminal.working(args):
            os.write(2, GREETING)
            if error:
                raise error

    args.run = work
    with contextlib.suppress(RuntimeError, SystemExit):
        commands.main(args)
    assert capfd.readouterr().err.encode().count(GREETING) == shown
