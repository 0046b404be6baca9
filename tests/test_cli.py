"""The command as users meet it. Most of it runs in this process.

A process of its own is for what only the system sees: how the program starts and ends, signals, and its whole stderr.
"""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time

import numpy as np
import processes
import pytest
import soundfile
from PIL import Image

from stegano_tf import __version__, commands, images, metrics, presets
from stegano_tf.commands import terminal
from stegano_tf.errors import ImageError


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
    done = processes.run("send", "cover.png", "secret.jpg", "message.wav", cwd=folder)
    assert done == (0, "message.wav: WAV PCM_16, 0.4 s, holds a picture of 83x61\n", "")
    return folder


def test_receive_needs_the_sound_only(folder, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("receive", folder / "message.wav", "secret.png", "--stego", "stego.png")
    assert done == (0, "stego.png: a picture of 83x61\nsecret.png: a picture of 70x90\n", "")
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
    (tmp_path / "file").touch()
    assert "file: is not a folder" in fails("demo", "--out", tmp_path / "file", "--force")


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
    status, _, said = command(*line, "invertible")
    assert (status, said) == (0, "stegano-tf: warning: the preset 'invertible' is called 'codebook' now\n")
    assert command(*line, "codebook", "--force") == (0, f"{tmp_path}/a.png: a picture of 83x61\n", "")
    assert commands.parse(["stegano-tf", "serve", "--preset", "invertible"]).preset == ["codebook"]


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
    assert "secret.txt" in fails("send", _text(tmp_path / "secret.txt"), secret, out)
    Image.new("RGB", (15, 40)).save(tmp_path / "small.png")
    for options in [], ["--report"]:
        said = fails("send", tmp_path / "small.png", secret, out, *options)
        assert said.endswith("small.png: the cover has 15x40 pixels, expected at least 16x16\n")
    assert "small.png: the stego image has 15x40" in fails("reveal", tmp_path / "small.png", tmp_path / "a.png")
    assert fails("send", cover, secret, message).endswith("message.wav: exists already; --force overwrites it\n")
    assert "lossy" in fails("send", cover, secret, tmp_path / "a.wma")
    assert "does not exist" in fails("send", cover, secret, tmp_path / "no" / "a.wav")
    assert "lossy" in fails("hide", cover, secret, tmp_path / "stego.jpg")
    assert "lossy" in fails("receive", message, tmp_path / "a.png", "--stego", tmp_path / "stego.jpg")
    said = fails("hide", cover, secret, tmp_path / "a.png", "--preset", "tiny")
    assert "'tiny' is not shipped with weights: train it; --weights names the file then" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.txt", "small.png"]


def _text(path):
    path.write_text("not a picture")
    return path


def test_debug_shows_the_traceback(tmp_path):
    status, _, said = processes.run("decode", tmp_path / "no.wav", tmp_path / "a.png", "--debug")
    assert status == 1
    assert "Traceback" in said


def test_force_overwrites_and_warnings_take_one_line(folder, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGBA", (20, 20), (255, 0, 0, 100)).save(tmp_path / "ghost.png")
    (tmp_path / "a.wav").write_text("old")
    status, _, said = command("encode", "ghost.png", "a.wav", "--force")
    assert status == 0
    assert said == "stegano-tf: warning: ghost.png: has transparent pixels, they are composited on white\n"
    assert command("decode", "a.wav", "b.png") == (0, "b.png: a picture of 20x20\n", "")
    assert images.read(tmp_path / "b.png")[0, 0].tolist() == [255, 155, 155]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_stopped_run_leaves_nothing(tmp_path, number, status):
    random = np.random.default_rng(0).integers(0, 256, (4000, 6000, 3), dtype=np.uint8)
    Image.fromarray(random).save(tmp_path / "large.bmp")
    process = processes.start("encode", "large.bmp", "a.flac", cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*.partial.*")):  # FLAC of noise takes a second or more from here
        assert time.monotonic() < deadline
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.005)
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == status
    assert [path.name for path in tmp_path.iterdir()] == ["large.bmp"]


def test_a_full_disk_leaves_nothing(folder, tmp_path):
    status, _, said = processes.run("encode", folder / "cover.png", tmp_path / "a.wav", file_size=8192)
    assert (status, said.count("\n")) == (1, 1)
    assert "a.wav: " in said
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
        written, *report = printed.splitlines()
        assert written == f"{tmp_path / name}: a picture of 83x61"
        report = {line.split()[0]: line.split() for line in report}
        cover, stego = images.read(folder / "cover.png"), images.read(tmp_path / name)
        quality = metrics.quality(cover, stego)
        assert report["cover"][1:] == [
            f"{quality.psnr:.1f}", "dB", "SSIM", f"{quality.ssim:.3f}", "APD", f"{quality.apd:.2f}"
        ]  # fmt: skip
        assert command("reveal", tmp_path / name, tmp_path / f"of_{name}", "--size", "70x90")[::2] == (0, "")
        secret = metrics.psnr(images.read(folder / "secret.jpg"), images.read(tmp_path / f"of_{name}"))
        assert report["secret"][1] == f"{secret:.1f}"
        figures.append(quality.psnr + secret)
    assert figures[1] > figures[0]


@pytest.mark.parametrize(
    "line",
    [
        "receive message.wav x.png --stego x.png",
        "receive message.wav x.png --stego ./x.png",
        "receive message.wav x.png --stego X.png",
        "receive message.wav link.png --stego cover.png",
        "hide cover.png secret.jpg link.png",
        "hide cover.png secret.jpg hard.png",
        "send sound.wav secret.jpg sound.wav",  # the cover may be called so
        "encode cover.png sound.wav --carrier sound.wav",
        "decode sound.wav sound.wav",
        "decode sound.wav --payload-out id.txt --passphrase-file id.txt",
        "reveal cover.png cover.png",
        "inspect message.wav --plot message.wav",
    ],
)
def test_an_output_has_a_name_of_its_own(folder, tmp_path, command, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    for name, source in ("cover.png",) * 2, ("secret.jpg",) * 2, ("message.wav",) * 2, ("sound.wav", "cover.png"):
        (tmp_path / name).write_bytes((folder / source).read_bytes())
    (tmp_path / "id.txt").write_text("hunter2")
    (tmp_path / "link.png").symlink_to("cover.png")
    (tmp_path / "hard.png").hardlink_to("cover.png")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for force in [], ["--force"]:
        status, printed, said = command(*line.split(), *force)
        assert (status, printed) == (2, "")
        assert "expected another name for an output" in said
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


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


def test_a_pipe_is_read_once(folder, tmp_path, command):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[(folder / "cover.png").read_bytes()])
    writer.start()
    assert command("encode", pipe, tmp_path / "a.wav")[0] == 0
    writer.join(10)
    assert command("decode", tmp_path / "a.wav", tmp_path / "a.png")[0] == 0
    np.testing.assert_array_equal(images.read(tmp_path / "a.png"), images.read(folder / "cover.png"))


def test_standard_input_is_read_and_standard_output_is_not_written(folder, tmp_path, command):
    with (folder / "cover.png").open("rb") as file:
        done = processes.run("encode", "-", "a.wav", cwd=tmp_path, stdin=file)
    assert done == (0, "a.wav: WAV PCM_16, 0.4 s, holds a picture of 83x61\n", "")
    for line, message in (
        ("encode a.png -", "argument AUDIO: '-' is no file"),
        ("decode a.wav -", "argument IMAGE: '-' is no file"),
        ("receive a.wav a.png --stego -", "argument --stego: '-' is no file"),
        ("hide - - a.png", "standard input can be read once only"),
    ):
        status, _, said = command(*line.split())
        assert status == 2
        assert message in said


def test_without_standard_streams_the_work_is_done(folder, tmp_path):
    line = [*processes.COMMAND, "send", folder / "cover.png", folder / "secret.jpg", tmp_path / "a.wav"]
    done = subprocess.run(["sh", "-c", '"$@" <&- >&- 2>&-', "sh", *map(str, line)], check=False)
    assert done.returncode == 0
    assert (tmp_path / "a.wav").read_bytes() == (folder / "message.wav").read_bytes()


def test_names_are_shown_as_text_in_one_line(tmp_path, fails, command):
    said = fails("decode", tmp_path / "a\nb\x1b[31m\u202e\udcff.wav", tmp_path / "a.png")
    assert "a\\nb\\x1b[31m\\u202e\\udcff.wav: cannot be read" in said
    status, _, said = command("no\x1b[31m", "a\rb")
    assert status == 2
    assert "invalid choice: 'no\\x1b[31m'" in said


def test_help_is_of_letters_that_every_encoding_has(command):
    for name in commands.COMMANDS:
        status, text, said = command(name, "--help")
        assert (status, said, text.isascii()) == (0, "", True)


@pytest.mark.parametrize("columns", ["20", "1"])
def test_narrow_terminals(columns, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    for line in ["hide", "--help"], ["presets"]:
        assert command(*line)[::2] == (0, "")


def test_wrong_flags_of_absl_are_wrong_usage(command):
    for line, message in (
        (["--verbosity=x", "presets"], "flag --verbosity=x: invalid literal"),
        (["--flagfile=none", "presets"], "Unable to open flagfile"),
    ):
        status, _, said = command(*line)
        assert status == 2
        assert message in said.splitlines()[-1]


def test_what_inspect_would_not_use_is_wrong_usage(folder, command):
    message = folder / "message.wav"
    for line, expected in (
        (["--force"], "--force takes --plot"),
        (["--max-pixels", "9"], "--max-pixels takes --capacity"),
        *(([folder / "cover.png", "--capacity", *option], f"{option[0]} does not go with --capacity")
          for option in (["--bare"], ["--plot", "a.png"], ["--identity", "a"], ["--passphrase-file", "a"])),
    ):  # fmt: skip
        status, _, said = command("inspect", message, *line)
        assert status == 2
        assert expected in said


def test_the_size_of_a_secret_is_limited(folder, tmp_path, command):
    status, _, said = command("receive", folder / "message.wav", tmp_path / "a.png", "--max-pixels", "6299")
    assert status == 0
    assert said.endswith("has 5063; it is scaled to 69x89, as the limit of pixels allows\n")
    assert images.read(tmp_path / "a.png").shape == (89, 69, 3)


def test_a_sound_that_names_no_networks_is_said(folder, tmp_path, command):
    command("encode", folder / "cover.png", tmp_path / "a.wav", "--raw-bmp")
    status, _, said = command("receive", tmp_path / "a.wav", tmp_path / "a.png")
    assert status == 0
    assert said.endswith("does not say which networks hid its secret, so it is revealed by the default, 'codebook'\n")
    assert command("receive", tmp_path / "a.wav", tmp_path / "b.png", "--preset", "codebook")[2] == ""


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
