"""The command as users meet it: real processes for what works, in-process calls for the many ways to fail."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from PIL import Image

from stegano_tf import __version__, commands, images, metrics

COMMAND = [sys.executable, "-m", "stegano_tf"]


def stegano_tf(*arguments, cwd=None, **options):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd, **options
    )


def fails(capsys, *arguments):
    """Runs a command that must fail for bad input, and returns what it said."""
    with pytest.raises(SystemExit) as exit_:
        commands.main(commands.parse(["stegano-tf", *map(str, arguments)]))
    assert exit_.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("stegano-tf: ")
    assert said.err.count("\n") == 1, "expected one line"
    return said.err


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


def test_receive_needs_the_sound_only(folder, tmp_path):
    done = stegano_tf("receive", folder / "message.wav", "secret.png", "--stego", "stego.png", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    secret = images.read(folder / "secret.jpg")
    assert metrics.psnr(secret, images.read(tmp_path / "secret.png")) > 20
    assert metrics.psnr(images.read(folder / "cover.png"), images.read(tmp_path / "stego.png")) > 25
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.png", "stego.png"]


def test_hide_encode_decode_reveal(folder, tmp_path, capsys):
    def run(*arguments):
        commands.main(commands.parse(["stegano-tf", *map(str, arguments)]))
        return capsys.readouterr().out

    stego, secret = tmp_path / "stego.webp", tmp_path / "secret.jpg"
    run("hide", folder / "cover.png", folder / "secret.jpg", stego)
    assert "AIFF PCM_16" in run("encode", stego, tmp_path / "a.aiff", "--raw-bmp", "--sample-rate", "8000")
    run("decode", tmp_path / "a.aiff", tmp_path / "b.bmp")
    np.testing.assert_array_equal(images.read(tmp_path / "b.bmp"), images.read(stego))
    run("reveal", tmp_path / "b.bmp", secret, "--size", "70x90")
    assert images.read(secret).shape == (90, 70, 3)
    assert metrics.psnr(images.read(folder / "secret.jpg"), images.read(secret)) > 20


def test_inspect_tells_and_draws(folder, tmp_path):
    done = stegano_tf("inspect", folder / "message.wav", "--plot", tmp_path / "sound.png")
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    # 54 bytes of header, 61 rows of 83 * 3 = 249 bytes padded to 252; around it 40 bytes of frame header and a digest
    # of 32.
    assert lines["message"] == "frame v1 in channel 0, 15,426 bytes, 0 samples after it"
    assert lines["sound"].startswith("WAV PCM_16, 1 channel(s), 15,498 samples, 0.35 s at 44100 Hz")
    assert (lines["picture"], lines["secret"], lines["integrity"]) == ("83x61", "70x90", "SHA-256 is right")
    assert len(np.unique(images.read(tmp_path / "sound.png"))) > 50


def test_presets_lists_all(capsys):
    commands.main(commands.parse(["stegano-tf", "presets"]))
    table = capsys.readouterr().out
    assert all(word in table for word in ("codebook", "unet", "paper", "tiny", "42,583,814", "installed", "dB"))


def test_demo_in_an_empty_folder(tmp_path):
    done = stegano_tf("demo", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("stego image from the sound: identical") == 4
    out = tmp_path / "stegano_tf_demo"
    assert len(list(out.glob("*.wav"))) == 4
    assert images.read(out / "contact_sheet.png").shape[1] > 6 * 256


def test_demo_asks_before_it_overwrites(tmp_path, capsys):
    assert "exists already; --force writes into it" in fails(capsys, "demo", "--out", tmp_path)
    assert "folder" in fails(capsys, "demo", "--out", tmp_path / "no" / "demo")


def test_version():
    assert stegano_tf("--version").stdout == f"stegano-tf {__version__}\n"


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
def test_wrong_usage_is_status_2(arguments):
    done = stegano_tf(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: stegano-tf")
    assert "Traceback" not in done.stderr


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
def test_bad_sounds_get_one_line(folder, tmp_path, capsys, name):
    import re

    content, expected = bad_sounds(folder)[f"{name}.wav"]
    path = tmp_path / f"{name}.wav"
    if content is not None:
        path.write_bytes(content)
    for command in ("receive", "decode"):
        said = fails(capsys, command, path, tmp_path / "out.png")
        assert str(path) in said
        assert re.search(expected, said)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(("suffix", "subtype"), [("mp3", "MPEG_LAYER_III"), ("ogg", "VORBIS"), ("opus", "OPUS")])
def test_lossy_sounds_are_refused_by_name(tmp_path, capsys, suffix, subtype):
    path = tmp_path / f"song.{suffix}"
    container = "MP3" if suffix == "mp3" else "OGG"
    soundfile.write(path, np.zeros(4800, np.int16), 48000, subtype, format=container)
    assert "lossy" in fails(capsys, "decode", path, tmp_path / "out.png")


def test_a_song_holds_no_message(tmp_path, capsys):
    soundfile.write(tmp_path / "song.wav", (np.sin(np.arange(9999) / 9) * 9999).astype(np.int16), 44100)
    assert "holds no message" in fails(capsys, "receive", tmp_path / "song.wav", tmp_path / "out.png")


def test_pictures_and_outputs_that_cannot_be(folder, tmp_path, capsys):
    cover, secret, message = folder / "cover.png", folder / "secret.jpg", folder / "message.wav"
    out = tmp_path / "out.wav"
    assert "nothing.png" in fails(capsys, "send", tmp_path / "nothing.png", secret, out)
    assert "secret.txt" in fails(capsys, "send", cover, _text(tmp_path / "secret.txt"), out)
    Image.new("RGB", (15, 40)).save(tmp_path / "small.png")
    assert "15x40 pixels, expected at least 16x16" in fails(capsys, "send", tmp_path / "small.png", secret, out)
    assert "exists already; --force" in fails(capsys, "send", cover, secret, message)
    assert "lossy" in fails(capsys, "send", cover, secret, tmp_path / "a.mp3")
    assert "does not exist" in fails(capsys, "send", cover, secret, tmp_path / "no" / "a.wav")
    assert "lossy" in fails(capsys, "hide", cover, secret, tmp_path / "stego.jpg")
    assert "lossy" in fails(capsys, "receive", message, tmp_path / "a.png", "--stego", tmp_path / "stego.jpg")
    assert "not shipped with weights" in fails(capsys, "hide", cover, secret, tmp_path / "a.png", "--preset", "tiny")
    assert "sample rate" in fails(capsys, "encode", cover, out, "--sample-rate", "0")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.txt", "small.png"]


def _text(path):
    path.write_text("not a picture")
    return path


def test_debug_shows_the_traceback(tmp_path):
    done = stegano_tf("decode", tmp_path / "no.wav", tmp_path / "a.png", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_force_overwrites_and_warnings_take_one_line(folder, tmp_path):
    Image.new("RGBA", (20, 20), (255, 0, 0, 100)).save(tmp_path / "ghost.png")
    (tmp_path / "a.wav").write_text("old")
    done = stegano_tf("encode", "ghost.png", "a.wav", "--force", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == "stegano-tf: warning: ghost.png: has transparent pixels, they are composited on white\n"
    done = stegano_tf("decode", "a.wav", "b.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
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


def test_hide_refines_and_reports(folder, tmp_path):
    arguments = ["hide", folder / "cover.png", folder / "secret.jpg", "--report"]
    plain = stegano_tf(*arguments, tmp_path / "plain.png")
    refined = stegano_tf(*arguments, tmp_path / "refined.png", "--refine", "12")
    figures = []
    for done, name in ((plain, "plain.png"), (refined, "refined.png")):
        assert (done.returncode, done.stderr) == (0, "")
        report = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
        cover, stego = images.read(folder / "cover.png"), images.read(tmp_path / name)
        quality = metrics.quality(cover, stego)
        assert report["cover"][1:] == [
            f"{quality.psnr:.1f}", "dB", "SSIM", f"{quality.ssim:.3f}", "APD", f"{quality.apd:.2f}"
        ]  # fmt: skip
        revealed = stegano_tf("reveal", tmp_path / name, tmp_path / f"of_{name}", "--size", "70x90")
        assert revealed.returncode == 0, revealed.stderr
        secret = metrics.psnr(images.read(folder / "secret.jpg"), images.read(tmp_path / f"of_{name}"))
        assert report["secret"][1] == f"{secret:.1f}"
        figures.append(quality.psnr + secret)
    assert figures[1] > figures[0]


def test_wrong_uses_of_size_and_refinement(folder, tmp_path, capsys):
    pictures = folder / "cover.png", folder / "secret.jpg", tmp_path / "a.png"
    for arguments, said in (
        (["--balance", "3"], "--balance takes --refine"),
        (["--memory-limit", "12"], "expected megabytes or gigabytes"),
        (["--memory-limit", "-1GB"], "expected"),
        (["--max-pixels", "0"], "expected an integer from 1"),
        (["--refine", "many"], "expected an integer from 0"),
    ):
        with pytest.raises(SystemExit) as exit_:
            commands.main(commands.parse(["stegano-tf", "hide", *map(str, pictures), *arguments]))
        assert exit_.value.code == 2
        assert said in capsys.readouterr().err
    assert "memory limit of 20 MB is too low" in fails(capsys, "hide", *pictures, "--memory-limit", "20MB")
    assert "expected at most 5000" in fails(capsys, "hide", *pictures, "--max-pixels", "5000")
    assert "refinement runs on the runtime 'keras' alone" in fails(
        capsys, "hide", *pictures, "--refine", "1", "--runtime", "litert"
    )
    assert list(tmp_path.iterdir()) == []
