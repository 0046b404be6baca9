"""The commands with bytes: as a user meets them."""

import io
import os
import re

import numpy as np
import pytest

from stegano_tf import images, metrics, sealing
from stegano_tf.message import ways
from stegano_tf.sealing import stretching


@pytest.fixture(scope="module")
def folder(tmp_path_factory, photograph):
    """cover.png, secret.png (too large to fit as it is), small.jpg, note.txt, and passphrases."""
    folder = tmp_path_factory.mktemp("bytes")
    noise = np.random.default_rng(0).normal(0, 9, (80, 90, 3))
    images.write(folder / "cover.png", np.clip(photograph(80, 90, 0) + noise, 0, 255).astype(np.uint8))
    images.write(folder / "secret.png", np.clip(photograph(40, 30, 1) + noise[:40, :30], 0, 255).astype(np.uint8))
    images.write(folder / "small.jpg", photograph(40, 30, 2), lossless=False)
    (folder / "note.txt").write_text("the note\n")
    (folder / "passphrase").write_text("correct horse\n")
    (folder / "other").write_text("battery staple\n")
    return folder


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    """Works in an empty folder, with links to what there is."""
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(sealing.PASSPHRASE_VARIABLE, raising=False)
    monkeypatch.setattr(stretching, "_FACTOR", 4)
    stretching.stretch.cache_clear()
    (tmp_path / "out").mkdir()
    yield tmp_path
    stretching.stretch.cache_clear()


def test_a_link_in_the_folder_is_not_followed(here, command):
    assert command("hide", "cover.png", "note.txt", "stego.png")[0] == 0
    (here / "out" / "note.txt").symlink_to(here / "elsewhere")
    status, _, error = command("reveal", "stego.png", "out", "--force")
    assert (status, error) == (1, "stegano-tf: out/note.txt: is a link, expected a file or nothing\n")
    assert not (here / "elsewhere").exists()


def test_a_cover_that_was_a_jpeg_file_is_warned_of_with_stealth(here, command):
    noise = np.random.default_rng(0).normal(0, 9, (200, 200, 1))
    images.write("cover.jpg", np.clip(128 + noise + np.zeros(3), 0, 255).astype(np.uint8), lossless=False)
    words = "hide", "cover.jpg", "note.txt"
    status, _, error = command(*words, "stego.png", "--stealth")
    assert status == 0
    assert error.startswith("stegano-tf: warning: cover.jpg: was a JPEG file")
    assert error.count("\n") == 1
    assert command(*words, "stego2.png", "--exact")[::2] == (0, "")


def test_any_file_comes_back_under_its_name(here, command):
    assert command("hide", "cover.png", "note.txt", "stego.png") == (
        0,
        "stego.png: a picture of 90x80\nholds note.txt: 9 bytes\n",
        "",
    )
    assert metrics.psnr(images.read("cover.png"), images.read("stego.png")) > 60
    assert command("reveal", "stego.png", "out") == (0, "out/note.txt: 9 bytes\n", "")
    assert (here / "out" / "note.txt").read_text() == "the note\n"
    assert command("reveal", "stego.png", "mine.txt")[1] == "mine.txt: 9 bytes, sent as note.txt\n"
    status, printed, _ = command("inspect", "stego.png")
    assert status == 0
    assert re.search(r"message +capacity, 61 bytes", printed)
    assert re.search(r"secret +note.txt, 9 bytes", printed)


def test_a_folder_that_is_missing_is_made(here, command):
    command("hide", "cover.png", "note.txt", "stego.png")
    assert command("reveal", "stego.png", "new/") == (0, "new/note.txt: 9 bytes\n", "")
    # What networks reveal has no name of its own.
    assert command("reveal", "cover.png", "new") == (0, "new/cover_secret.png: a picture of 90x80\n", "")
    for folder, words in ("none/new/", "the folder none does not exist"), ("note.txt/", "note.txt: is not a folder"):
        status, _, said = command("reveal", "stego.png", folder)
        assert (status, words in said, said.count("\n")) == (1, True, 1)


def test_an_identity_may_come_through_a_pipe(here, command):
    recipient = sealing.keygen("key.txt")
    command("hide", "cover.png", "note.txt", "stego.png", "--recipient", recipient)
    reading, writing = os.pipe()
    os.write(writing, (here / "key.txt").read_bytes())
    os.close(writing)
    status, printed, _ = command("reveal", "stego.png", "out", "--identity", f"/dev/fd/{reading}")
    os.close(reading)
    assert (status, printed) == (0, "out/note.txt: 9 bytes\n")


def test_two_secrets_and_two_keys(here, command):
    recipient = sealing.keygen("key.txt")
    options = ["--recipient", recipient, "--also", "note.txt", "--also-passphrase-file", "other"]
    status, printed, _ = command("hide", "cover.png", "small.jpg", "stego.png", *options)
    assert (status, printed.splitlines()[1:]) == (
        0,
        ["holds small.jpg: identical, sealed", "holds note.txt: 9 bytes, sealed"],
    )
    assert command("reveal", "stego.png", "out/a.jpg", "--identity", "key.txt")[0] == 0
    assert (here / "out" / "a.jpg").read_bytes() == (here / "small.jpg").read_bytes()
    assert command("reveal", "stego.png", "out", "--passphrase-file", "other")[1] == "out/note.txt: 9 bytes\n"
    wrong = command("reveal", "stego.png", "b.png", "--passphrase-file", "note.txt")
    none = command("reveal", "cover.png", "b.png", "--passphrase-file", "note.txt")
    said = "stegano-tf: {}: holds no message for this passphrase or identity, or none at all\n"
    assert wrong == (1, "", said.format("stego.png"))
    assert none == (1, "", said.format("cover.png"))
    assert sorted(path.name for path in (here / "out").iterdir()) == ["a.jpg", "note.txt"]
    assert not (here / "b.png").exists()


def test_a_way_that_is_not_installed_is_named(here, command, monkeypatch):
    monkeypatch.setattr(ways, "installed", lambda: ["capacity", "jpeg"])
    said = command("reveal", "cover.png", "a.png", "--passphrase-file", "passphrase")[2]
    assert said.endswith("none at all; stealth was not looked for: a package that it needs is not installed\n")


def test_a_recipient(here, command):
    recipient = sealing.keygen("key.txt")
    sealing.keygen("wrong.txt")
    assert command("hide", "cover.png", "note.txt", "stego.png", "--recipient", recipient)[0] == 0
    assert command("inspect", "stego.png")[1].endswith("none for everybody; one may be sealed, or hidden by networks\n")
    assert "sealed     opened\n" in command("inspect", "stego.png", "--identity", "key.txt")[1]
    assert command("inspect", "stego.png", "--identity", "wrong.txt")[0] == 1
    assert command("reveal", "stego.png", "out", "--identity", "key.txt")[1] == "out/note.txt: 9 bytes\n"
    twice = command("hide", "cover.png", "note.txt", "s.png", "--recipient", recipient, "--recipient", recipient)
    assert (twice[0], "2 recipients" in twice[2]) == (1, True)


def test_a_picture_as_good_as_the_room_allows(here, command):
    status, printed, _ = command("hide", "cover.png", "secret.png", "stego.png", "--exact", "--rate", "0.3", "--report")
    assert status == 0
    secret = float(re.search(r"secret.png: ([\d.]+) dB", printed)[1])
    assert re.search(r"cover +5[78].\d dB", printed)
    assert command("reveal", "stego.png", "out")[1] == "out/secret.png: a picture of 30x40\n"
    found = metrics.psnr(images.read("secret.png"), images.read("out/secret.png"))
    assert found == pytest.approx(secret, abs=0.06)
    assert found > 25
    assert command("hide", "cover.png", "small.jpg", "s.png", "--exact")[1].endswith("small.jpg: identical\n")
    assert command("reveal", "s.png", "small.png")[1] == "small.png: a picture of 30x40\n"
    assert np.array_equal(images.read("small.png"), images.read("small.jpg"))


@pytest.mark.parametrize(("name", "lines"), [("stego.jpg", 2), ("stego.png", 1)])
def test_a_report_says_what_jpeg_alone_costs(here, photograph, command, name, lines):
    images.write("large.png", photograph(256, 256, 5))
    status, printed, _ = command("hide", "large.png", "note.txt", name, "--survive", "jpeg:60", "--report")
    assert status == 0
    found = re.findall(r"^cover +([\d.]+) dB .*?(as this JPEG file)?$", printed, re.MULTILINE)
    assert [bool(after) for _, after in found] == [False, True][:lines]
    assert float(found[0][0]) >= float(found[-1][0])


def test_sound_brings_bytes_too(here, command):
    status, printed, _ = command("send", "cover.png", "note.txt", "message.wav", "--report")
    assert status == 0
    assert re.search(r"holds note.txt: 9 bytes\ncover +6\d.\d dB .*\nrate +0.02\d bits a sample\n$", printed)
    assert command("receive", "message.wav", "out", "--stego", "stego.png")[1].endswith("out/note.txt: 9 bytes\n")
    assert command("reveal", "stego.png", "again.txt")[0] == 0


def test_what_would_fit(here, command):
    status, printed, _ = command("inspect", "--capacity", "cover.png")
    assert status == 0
    first, *lines = printed.splitlines()
    assert first == "cover.png: 90x80, 21,600 samples"
    assert re.fullmatch(r"capacity, 2.5 bits a sample: 6,5\d\d bytes, cover 44.\d dB", lines[2])
    assert "secret identical" in command("inspect", "--capacity", "cover.png", "small.jpg")[1]
    (here / "large.bin").write_bytes(os.urandom(9000))
    lines = command("inspect", "--capacity", "cover.png", "large.bin")[1].splitlines()
    assert [line.endswith("does not fit") for line in lines[1:5]] == [False] * 4
    (here / "large.bin").write_bytes(os.urandom(9500))
    assert command("inspect", "--capacity", "cover.png", "large.bin")[1].count("does not fit") >= 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cover.png", "note.txt", "s.jpg"], "lossy"),
        (["cover.png", "empty", "s.png"], "empty: is empty"),
        (["cover.png", "none.txt", "s.png"], "none.txt: cannot be read: No such file or directory, expected a file"),
        (["cover.png", "huge", "s.png"], "room for 9,"),
        (["tiny.png", "note.txt", "s.png"], "tiny.png: has 100 pixels, expected at least 171"),
    ],
)
def test_bad_input(here, command, arguments, words):
    images.write("tiny.png", np.zeros((10, 10, 3), np.uint8))
    (here / "empty").touch()
    with (here / "huge").open("wb") as file:
        file.truncate(4 << 30)
    status, printed, said = command("hide", *arguments)
    assert (status, printed, said.count("\n")) == (1, "", 1)
    assert words in said
    assert not (here / "s.png").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--exact", "--stealth"], "--exact does not go with --stealth"),
        (["--rate", "1"], "--rate takes --stealth or --exact"),
        (["--survive", "jpeg:49"], "expected jpeg:N, N being the lowest quality, 50 to 99, or chat"),
        (["--exact", "--preset", "unet"], "--preset does not go with --exact"),
        (["--passphrase-file", "passphrase", "--refine", "3"], "--refine does not go with --passphrase-file"),
        (["--also", "note.txt"], "each --also takes an --also-passphrase-file"),
    ],
)
def test_bad_usage(here, command, options, words):
    status, _, said = command("hide", "cover.png", "secret.png", "s.png", *options)
    assert (status, words in said) == (2, True)


def test_the_environment_seals(here, command, monkeypatch):
    monkeypatch.setenv(sealing.PASSPHRASE_VARIABLE, "correct horse")
    assert command("hide", "cover.png", "note.txt", "stego.png")[1].endswith("note.txt: 9 bytes, sealed\n")
    monkeypatch.delenv(sealing.PASSPHRASE_VARIABLE)
    assert "none for everybody" in command("inspect", "stego.png")[1]


def test_from_python(here):
    import stegano_tf
    from stegano_tf.message import pictures

    stego = stegano_tf.hide("cover.png", b"bytes", way="capacity")
    assert pictures.find(stego).secret.data == b"bytes"
    with pytest.raises(stegano_tf.SteganoError, match="holds the file 'secret'"):
        stegano_tf.reveal(stego)
    small = images.read("small.jpg")
    assert np.array_equal(stegano_tf.reveal(stegano_tf.hide("cover.png", small, way="capacity")), small)
    file = io.BytesIO((here / "small.jpg").read_bytes())
    assert np.array_equal(stegano_tf.reveal(stegano_tf.hide("cover.png", file.getvalue(), way="capacity")), small)
