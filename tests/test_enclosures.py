"""Any file as sound and back, under its name and nowhere else."""

import numpy as np
import pytest

from stegano_tf import enclosures, images, sealing
from stegano_tf.audio import codec, framing
from stegano_tf.audio.forms.modem import Modem
from stegano_tf.errors import FormatError, OutputError, SteganoError
from stegano_tf.message.frame import Secret
from stegano_tf.sealing import Key, Lock


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "Prüf bericht.pdf"
    path.write_bytes(bytes(range(256)))
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize(
    "options", [{}, {"survive": "robust"}, {"parity": 0.1}, {"lock": True}], ids=lambda options: str(*options)
)
def test_a_file_comes_back_under_its_name(report, folder, options):
    audio, identity = folder.parent / "m.wav", folder.parent / "id.txt"
    lock = Lock(recipients=[sealing.keygen(identity)])
    info = enclosures.encode(report, audio, **options | ({"lock": lock} if "lock" in options else {}))
    assert (info.payload, info.image_size) == ("file", None)
    path, found = enclosures.decode(audio, folder, key=Key(identities=[identity]))
    assert path == folder / report.name
    assert path.read_bytes() == report.read_bytes()
    assert (found.payload, found.sealed) == ("file", "lock" in options)
    with pytest.raises(OutputError, match="exists already"):
        enclosures.decode(audio, folder, key=Key(identities=[identity]))


@pytest.mark.parametrize(
    "name", ["../../up.txt", "/etc/up.txt", "..\\up.txt", "a/\0/../up.txt", "C:up.txt", ".", ".up.txt"]
)
def test_no_name_leads_out_of_the_folder(tmp_path, folder, name, monkeypatch):
    monkeypatch.setattr("stegano_tf.message.frame.safe", lambda name: name)  # a sender who does not keep to it
    frame = Secret(b"data", name).pack()
    monkeypatch.undo()
    codec.encode_file(frame, tmp_path / "m.wav")
    path, _ = enclosures.decode(tmp_path / "m.wav", folder)
    assert [path] == list(folder.iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"m.wav", "out"}


def test_a_link_in_the_folder_is_not_followed(report, folder):
    audio = folder.parent / "m.wav"
    enclosures.encode(report, audio)
    (folder / report.name).symlink_to(folder.parent / "elsewhere")
    for force in (False, True):
        with pytest.raises(OutputError, match="is a link, expected a file or nothing"):
            enclosures.decode(audio, folder, force=force)
    assert not (folder.parent / "elsewhere").exists()


def test_a_picture_is_written_as_its_file_is(folder):
    image = np.zeros((5, 7, 3), np.uint8)
    codec.encode(image, folder.parent / "m.wav", payload="png")
    path, info = enclosures.decode(folder.parent / "m.wav", folder)
    assert path == folder / "m.png"
    assert path.read_bytes() == codec.read_payload(folder.parent / "m.wav")
    assert info.payload == "png"


def test_what_is_refused(report, folder):
    audio = folder.parent / "m.wav"
    enclosures.encode(report, audio)
    with pytest.raises(FormatError, match=r"m\.wav: holds a file, expected a picture; decode --out FOLDER writes it"):
        codec.decode(audio)
    assert codec.inspect(audio, verify=True).payload == "file"
    for there, message in ("none/folder", "folder .*none does not exist"), ("m.wav", "is not a folder"):
        with pytest.raises(OutputError, match=message):
            enclosures.decode(audio, folder.parent / there)
    with pytest.raises(SteganoError, match="none: cannot be read: No such file"):
        enclosures.encode(folder / "none", folder / "n.wav")
    codec.encode_file(Secret(b"data", "a").pack()[:-1], folder.parent / "bad.wav")
    with pytest.raises(FormatError, match="damaged: its SHA-256 is wrong"):
        enclosures.decode(folder.parent / "bad.wav", folder.parent / "new")
    assert not (folder.parent / "new").exists()
    with pytest.raises(ValueError, match="takes pictures only"):
        enclosures.encode(report, folder / "r.wav", raw_bmp=True)
    codec.encode_file(b"\2\0 of a newer release", folder.parent / "new.wav")
    with pytest.raises(FormatError, match="holds neither a picture nor a file, but what begins with 02 00 20 6f"):
        enclosures.decode(folder.parent / "new.wav", folder)
    assert list(folder.iterdir()) == []


def test_the_command(report, folder, command, monkeypatch):
    monkeypatch.chdir(folder.parent)
    status, said, _ = command("encode", "--file", report.name, "m.wav", "--survive", "robust", "--split", "4s")
    announced, done = said.splitlines()
    assert (status, announced) == (0, "m.wav: will last 6 s")
    assert done == "m.001.wav to m.002.wav: WAV PCM_16, 6.0 s, holds a file with its name, 317 bytes"
    read = command("decode", "m.002.wav", "m.001.wav", "m.002.wav", "--out", folder)
    assert read[1] == f"{folder / report.name}: 256 bytes\n"
    assert (folder / report.name).read_bytes() == report.read_bytes()
    # Either file has enough of this message. It is no picture.
    assert "holds a file, expected a picture; decode --out" in command("decode", "m.002.wav", "a.png")[2]


def test_how_long_a_sound_will_be_is_said_before_it_is_made(tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images.write("a.png", np.zeros((16, 16, 3), np.uint8))
    form = Modem(survive="narrow")
    seconds = form.samples(54 + 768 + framing.OVERHEAD) / form.rate
    status, said, error = command("encode", "a.png", "m.wav", "--survive", "narrow")
    assert (status, error) == (0, "")
    announced, done = said.splitlines()
    assert announced.startswith(f"m.wav: will last {seconds:.0f} s as bmp, ")
    assert done == f"m.wav: WAV PCM_16, {seconds:.1f} s, holds a picture of 16x16"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["encode", "--file", "a", "m.wav", "--payload", "png"], "--file is sent as it is"),
        (["encode", "a.png", "--file", "a", "m.wav"], "expected IMAGE AUDIO, or --payload-in FILE AUDIO, or"),
        (["decode", "m.wav"], "expected IMAGE, --payload-out or --out"),
        (["decode", "m.wav", "--out", "d", "--payload-out", "p"], "expected one of IMAGE, --payload-out and --out"),
        (["decode", "m.wav", "n.wav", "a.png", "--listen", "3"], "--listen takes one AUDIO"),
        (["receive", "m.wav", "a.png", "--listen", "0"], "'0', expected seconds, such as 60s"),
        (["encode", "a.png", "m.wav", "--survive", "wide", "--split", "long"], "expected seconds, such as 60s"),
        (["encode", "a.png", "m.wav", "--survive", "wide", "--split", "inf"], "expected a number from 2 to 1000000"),
        (["encode", "a.png", "m.wav", "--split", "60s"], "--split takes --survive"),
    ],
)
def test_wrong_usage(words, message, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, error = command(*words)
    assert status == 2
    assert message in error
