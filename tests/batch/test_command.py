import builtins
import pickle
import re
import sys

import pyarrow.parquet as pq
import pytest

from stegano_tf import images, metrics, sealing
from stegano_tf.audio import codec
from stegano_tf.batch import local, rows, store
from stegano_tf.message import pictures
from stegano_tf.sealing import stretching


@pytest.fixture
def batch(command, monkeypatch, tmp_path):
    """Runs `stegano-tf batch` with an engine in this process; returns what `command` does."""

    def here(work, numbers, *, workers):
        assert workers >= 1
        work = pickle.loads(pickle.dumps(work))
        for number in numbers:
            yield number, rows.run(work, number)

    monkeypatch.setattr(local, "run", here)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: command("batch", *arguments)


PLACES = ("--results", "results", "--output-root", "out")


def test_there_and_back(batch, collection, tmp_path):
    collection(3, output=["0.wav", "1.flac", "2.wav"])
    identity = tmp_path / "identity"
    recipient = sealing.keygen(identity)
    status, out, err = batch("send", "pairs.csv", *PLACES, "--recipient", recipient, "--rows-per-block", "2")
    assert (status, err.splitlines()[-1].startswith("3 of 3 pairs, ")) == (0, True)
    assert re.search(r"done +│ +3 ", out)
    (tmp_path / "back.csv").write_text("id,audio,output\na,out/0.wav,a.png\nb,out/1.flac,b.jpg\n")
    status, out, _ = batch(
        "receive", "back.csv", "--results", "back", "--output-root", "secrets", "--identity", identity
    )
    assert status == 0
    assert sorted(path.name for path in (tmp_path / "secrets").iterdir()) == ["a.png", "b.jpg"]


def test_errors_below_the_limit_and_above(batch, collection, tmp_path):
    collection(4, cover=["0.png", "missing.png", "1.png", "2.png"])
    status, out, err = batch("hide", "pairs.csv", *PLACES)
    assert status == 1
    expected = "1 of 4 pairs failed, expected at most 1.00% of them (--max-errors)"
    assert err.splitlines()[-1] == f"stegano-tf: results: {expected}"
    assert re.search(r"failed: ImageError +│ +1 ", out)
    assert batch("hide", "pairs.csv", *PLACES, "--resume", "--max-errors", "25%")[0] == 0
    assert batch("hide", "pairs.csv", *PLACES, "--retry-errors", "--max-errors", "24.9%")[0] == 1


def test_each_kind_of_error_is_shown(batch, collection, tmp_path):
    collection(4, cover=["0.png", "missing.png", "gone.png", "2.png"])
    out = batch("hide", "pairs.csv", *PLACES)[1]
    shown = [line for line in out.splitlines() if "for instance" in line]
    assert [line.partition(":")[0] for line in shown] == ["ImageError, for instance p1"]
    assert shown[0].endswith(
        f"{tmp_path}/missing.png: cannot be opened (No such file or directory), expected a picture file"
    )


def test_a_second_driver_is_refused(batch, collection, tmp_path):
    collection(2)
    with store.alone("results"):
        expected = f"stegano-tf: {tmp_path}/results: another process writes to it, expected none\n"
        assert batch("hide", "pairs.csv", *PLACES)[::2] == (1, expected)
        assert batch("hide", "pairs.csv", "--results", "others", "--output-root", "elsewhere")[0] == 0
    assert batch("hide", "pairs.csv", *PLACES, "--resume")[0] == 0
    with store.alone("s3://bucket/results"):  # no locks, and nothing is asked of the store
        pass


def test_the_options_of_the_single_command_are_there(batch, collection):
    collection(1, output=["0.wav"])
    options = ("--parity", "10%", "--depth", "4", "--payload", "png", "--sample-rate", "8000", "--max-pixels", "2000")
    assert batch("send", "pairs.csv", *PLACES, *options)[0] == 0
    info = codec.inspect("out/0.wav")
    assert (info.sample_rate, info.payload, info.bits) == (8000, "png", 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hide", *PLACES, "--parity", "10%"), "--parity is not for hide"),
        (("score", "--results", "r", "--recipient", "age1x"), "--recipient is not for score"),
        (("reveal", *PLACES, "--refine", "2"), "--refine is not for reveal"),
        (("receive", *PLACES, "--refine", "9"), "--refine is not for receive"),
        (("send", *PLACES, "--size", "2x2"), "--size is not for send"),
        (("hide", *PLACES, "--balance", "2"), "--balance takes --refine"),
        (("send", *PLACES, "--bare", "--parity", "1%"), "--parity does not go with --bare"),
        (("hide", "--results", "r"), "hide takes --output-root"),
        (("score", *PLACES), "score writes no outputs"),
        (("hide", *PLACES, "--address", "auto"), "--address goes with --engine ray"),
        (("hide", *PLACES, "--force", "--resume"), "expected one of --resume, --retry-errors and --force"),
        (("hide", *PLACES, "--max-errors", "101%"), "'101%': expected 0% to 100%"),
        (("send", *PLACES, "--carrier", "-"), "--carrier is read by each worker, expected a file"),
        (("reveal", *PLACES, "--identity", "-"), "--identity is read by each worker, expected a file"),
        (("hide", *PLACES, "--rows-per-block", "0"), "'0': expected an integer from 1"),
        (("watermark", *PLACES), "invalid choice: 'watermark'"),
    ],
)
def test_wrong_usage(batch, arguments, message, tmp_path):
    (operation, *options) = arguments
    status, _, err = batch(operation, "pairs.csv", *options)
    assert (status, message in err) == (2, True), err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("manifest", "options", "message"),
    [
        ("missing.csv", (), r"/missing\.csv: does not exist, expected a .parquet or .csv file"),
        ("pairs.csv", ("--results", "s3://"), r"s3://: names no place, expected one as s3://bucket/"),
        ("pairs.csv", ("--results", "nothing://x"), r"nothing://x: is no place for files"),
        ("pairs.csv", ("--output-root", "pairs.csv"), r"outputs cannot be kept there: "),
    ],
)
def test_bad_input(batch, collection, manifest, options, message):
    collection(1)
    status, _, err = batch("hide", manifest, *PLACES, *options)
    assert (status, err.count("\n")) == (1, 1)
    assert re.match(f"stegano-tf: .*{message}", err), err


def test_without_ray_the_extra_is_named(batch, collection, monkeypatch, tmp_path):
    collection(1)
    import_ = builtins.__import__

    def without_ray(name, *rest):
        if name == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")
        return import_(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    monkeypatch.delitem(sys.modules, "stegano_tf.batch.ray", raising=False)
    monkeypatch.delattr("stegano_tf.batch.ray", raising=False)
    status, _, err = batch("hide", "pairs.csv", *PLACES, "--engine", "ray")
    said = "stegano-tf: --engine ray needs ray, which is not installed: pip install 'stegano_tf[distributed]'\n"
    assert (status, err) == (1, said)
    assert not (tmp_path / "results").exists()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(stretching, "_FACTOR", 4)
    stretching.stretch.cache_clear()
    yield
    stretching.stretch.cache_clear()


def test_bytes_there_and_back(batch, collection, tmp_path):
    recipient = sealing.keygen(tmp_path / "identity")
    collection(2, secret=["1.png", "note.txt"], output=["0.png", "1.png"])
    (tmp_path / "note.txt").write_text("the note\n")
    status, out, _ = batch("hide", "pairs.csv", *PLACES, "--recipient", recipient)
    assert status == 0
    assert re.search(r"cover, mean PSNR +│ +\d\d\.\d dB", out)
    (tmp_path / "back.csv").write_text("id,stego,output\na,out/0.png,a.png\nb,out/1.png,b.txt\nc,2.png,c.png\n")
    back = "reveal", "back.csv", "--results", "back", "--output-root", "secrets", "--identity", "identity"
    status, out, _ = batch(*back)
    assert status == 1
    assert "c: " in out
    assert "holds no message for this passphrase or identity" in out
    assert (tmp_path / "secrets/b.txt").read_text() == "the note\n"
    assert metrics.psnr(images.read("secrets/a.png"), images.read("1.png")) > 35


def test_a_passphrase_seals_pictures(batch, collection, tmp_path, quick):
    collection(1, secret=["1.png"], output=["0.png"])
    (tmp_path / "words").write_text("correct horse\n")
    assert batch("hide", "pairs.csv", *PLACES, "--exact", "--passphrase-file", "words")[0] == 0
    found = pictures.find("out/0.png", key=sealing.Key(passphrase="correct horse"))
    assert (found.sealed, found.secret.name) == (True, "1.png")
    assert pictures.find("out/0.png") is None


def test_networks_reveal_where_there_are_no_bytes(batch, collection, tmp_path):
    collection(1, output=["0.png"])
    assert batch("hide", "pairs.csv", *PLACES)[0] == 0
    (tmp_path / "note.txt").write_text("the note\n")
    collection(1, secret=["note.txt"], output=["1.png"])
    assert batch("hide", "pairs.csv", "--results", "more", "--output-root", "out", "--exact")[0] == 0
    (tmp_path / "back.csv").write_text("id,stego,output\na,out/0.png,a.png\nb,out/1.png,b.txt\n")
    assert batch("reveal", "back.csv", "--results", "back", "--output-root", "secrets")[0] == 0
    assert images.read("secrets/a.png").shape == (32, 32, 3)
    assert (tmp_path / "secrets/b.txt").read_text() == "the note\n"


def test_bytes_in_sound_and_in_jpeg_files(batch, collection, tmp_path, photograph):
    (tmp_path / "note.txt").write_text("the note\n")
    collection(1, secret=["note.txt"], output=["0.wav"])
    assert batch("send", "pairs.csv", *PLACES, "--exact")[0] == 0
    (tmp_path / "back.csv").write_text("id,audio,output\na,out/0.wav,a.txt\n")
    assert batch("receive", "back.csv", "--results", "back", "--output-root", "secrets")[0] == 0
    assert (tmp_path / "secrets/a.txt").read_text() == "the note\n"
    images.write("large.png", photograph(256, 256, 4))
    collection(1, cover=["large.png"], secret=["note.txt"], output=["0.jpg"])
    options = "--results", "survived", "--output-root", "jpeg", "--survive", "jpeg:60"
    assert batch("hide", "pairs.csv", *options)[0] == 0
    (row,) = pq.read_table("survived").to_pylist()
    assert (row["status"], row["secret_psnr"], row["network"]) == ("ok", None, None)
    assert row["cover_psnr"] > 25
    assert batch("score", "pairs.csv", "--results", "scores", "--exact")[0] == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("hide", "--survive", "wide"), "--survive wide is not for hide, expected jpeg:N or chat"),
        (("send", "--survive", "chat"), "--survive chat is not for send, expected hifi to robust"),
        (("hide", "--stealth", "--preset", "unet"), "--preset does not go with --stealth: no network is used"),
        (("reveal", "--exact"), "--exact is not for reveal"),
        (("hide", "--exact", "--stealth"), "--exact does not go with --stealth"),
    ],
)
def test_bytes_are_asked_for_in_one_way(batch, collection, words, expected):
    collection(1)
    operation, *options = words
    status, _, error = batch(operation, "pairs.csv", *PLACES, *options)
    assert (status, expected in error) == (2, True)
