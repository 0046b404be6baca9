"""One export: what is written, what is refused, and what a failure leaves."""

import hashlib
import json
import shutil
import subprocess
import sys

import exported_networks
import pytest
from PIL import Image

from stegano_tf import presets, savedmodels
from stegano_tf.errors import OutputError, PresetError
from stegano_tf.exporting import card, run, signatures, tflite
from stegano_tf.runtime.exported import Exported


@pytest.fixture
def quick(monkeypatch):
    """Everything of an export but TensorFlow's part, which the other files of this folder test."""
    monkeypatch.setattr(signatures, "save", lambda networks, multiples, folder: (folder / "saved_model.pb").touch())
    monkeypatch.setattr(signatures, "write_warmup", lambda folder, preset: None)
    monkeypatch.setattr(tflite, "convert", lambda *arguments, scratch: " ".join(map(str, arguments[1:])).encode())


@pytest.fixture
def export(quick, tiny_weights, tmp_path):
    def export(**changes):
        return exported_networks.export_quietly(**{"weights": str(tiny_weights), "out": str(tmp_path)} | changes)

    return export


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_versions_count_up(export, tmp_path):
    assert [export().name for _ in range(2)] == ["1", "2"]
    assert export(version=7).name == "7"
    assert export() == tmp_path / "tiny" / "8"
    assert names(tmp_path / "tiny") == ["1", "2", "7", "8", "README.md"]
    assert Exported.read(tmp_path / "tiny" / "8").version == 8


def test_a_version_is_replaced_only_by_force(export, tmp_path):
    (export(tflite=["float16"]) / "mine").touch()
    with pytest.raises(OutputError, match="tiny/1: exists already; --force replaces it"):
        export(version=1)
    assert (tmp_path / "tiny" / "1" / "mine").exists()
    export(version=1, force=True)
    assert names(tmp_path / "tiny" / "1") == ["manifest.json", "saved_model.pb", "tflite"]
    assert names(tmp_path / "tiny" / "1" / "tflite") == ["tiny-hide.tflite", "tiny-reveal.tflite"]
    assert names(tmp_path / "tiny") == ["1", "README.md"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there(export, tmp_path, monkeypatch, error):
    export()
    before = (tmp_path / "tiny" / "README.md").read_text()

    def fail(*_):
        raise error

    monkeypatch.setattr(card, "text", fail)
    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt) as raised:
        export(version=1, force=True)
    if isinstance(error, OSError):
        assert str(raised.value) == f"{tmp_path / 'tiny' / '1'}: cannot be written: No space left on device"
    assert names(tmp_path / "tiny") == ["1", "README.md"]
    Exported.read(tmp_path / "tiny" / "1").check()
    assert (tmp_path / "tiny" / "README.md").read_text() == before


@pytest.mark.parametrize(
    ("losses", "kept"),
    [
        ({"int8": {"cover": 0.1, "secret": 0.49}}, True),
        ({"int8": {"cover": -0.1, "secret": 0.5}}, False),
        ({"int8": {"cover": 8.0, "secret": 0.0}}, False),
        ({}, False),
    ],
)
def test_int8_is_written_only_if_it_loses_little(export, tmp_path, monkeypatch, losses, kept):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (256, 256)).save(tmp_path / name)
    monkeypatch.setattr(run, "_losses", lambda *_: losses)
    folder = export(tflite=["float16", "int8"], data=str(tmp_path) if losses else None)
    written = names(folder / "tflite")
    assert ("tiny-hide-int8.tflite" in written, "tiny-reveal-int8.tflite" in written) == (kept, kept)
    assert {"tiny-hide.tflite", "tiny-hide-float16.tflite"} < set(written)
    said = (tmp_path / "tiny" / "README.md").read_text()
    assert (f"| int8 | {losses['int8']['cover']:.2f} dB" if losses else "no int8 file is written") in said


def test_losses_are_those_of_the_scoreboard(tiny_exported, tmp_path, photograph):
    """float32 files under the name of int8 ones lose nothing; float16 ones a little."""
    for name in ("a.png", "b.png"):
        Image.fromarray(photograph(256, 256, ord(name[0]))).save(tmp_path / name)
    folder = shutil.copytree(tiny_exported, tmp_path / "1")
    for name in ("hide", "reveal"):
        shutil.copy(folder / f"tflite/tiny-{name}.tflite", folder / f"tflite/tiny-{name}-int8.tflite")
    variants = [tflite.Variant(precision) for precision in ("float32", "float16", "int8")]
    losses = run._losses(Exported.read(folder), variants, sorted(tmp_path.glob("*.png")))
    assert set(losses) == {"float16", "int8"}
    assert losses["int8"] == {"cover": 0, "secret": 0}
    assert all(0 < abs(loss) < 0.5 for loss in losses["float16"].values())


def test_the_card_has_what_stands_beside_the_weights(export, tiny_weights, tmp_path):
    weights = tmp_path / "mine.weights.h5"
    shutil.copy(tiny_weights, weights)
    export(weights=str(weights))
    network = Exported.read(tmp_path / "tiny" / "1").network.hex()
    bare = (tmp_path / "tiny" / "README.md").read_text()
    assert "Not recorded." in bare
    assert "These weights have not been scored." in bare

    (tmp_path / "mine.md").write_text("On three photographs of a cat.\n")
    figures = {f"{name}_{figure}": 1.5 for name in ("cover", "secret") for figure in ("psnr", "ssim", "apd")}
    for owner in ("0" * 16, network):
        (tmp_path / "mine.json").write_text(json.dumps(figures | {"network": owner}))
        export(weights=str(weights))
        text = (tmp_path / "tiny" / "README.md").read_text()
        assert "## Data and training\n\nOn three photographs of a cat.\n" in text
        # Figures of other weights are no figures of these.
        assert ("| cover | 1.50 dB | 1.5000 | 1.50 |" in text) == (owner == network)
    assert f"Network `{network}`" in text
    assert "# tiny, version 3" in text


def test_the_card_alone_is_written_anew(export, tiny_weights, tmp_path, monkeypatch):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (256, 256)).save(tmp_path / name)
    monkeypatch.setattr(run, "_losses", lambda *_: {"int8": {"cover": 0.25, "secret": 7.0}})
    weights = shutil.copy(tiny_weights, tmp_path / "mine.weights.h5")
    folder = export(weights=str(weights), tflite=["int8"], data=str(tmp_path))
    before = (folder / "manifest.json").read_bytes()
    (tmp_path / "mine.md").write_text("On cats.")
    changes = {"weights": str(weights), "out": str(tmp_path)}
    assert run.write_card(exported_networks.options(**changes)) == tmp_path / "tiny" / "README.md"
    text = (tmp_path / "tiny" / "README.md").read_text()
    assert "On cats." in text
    assert "on 2 photographs" in text
    assert "| int8 | 0.25 dB | 7.00 dB |" in text
    assert ((folder / "manifest.json").read_bytes(), names(folder.parent)) == (before, ["1", "README.md"])

    weights.write_bytes(b"others")
    with pytest.raises(PresetError, match=r"tiny/1: was not made from .*mine\.weights\.h5; export anew"):
        run.write_card(exported_networks.options(**changes))
    with pytest.raises(PresetError, match="tiny: holds no version"):
        run.write_card(exported_networks.options(out=str(tmp_path / "no")))


def test_the_card_lists_every_file_with_its_hash(tiny_exported):
    text = (tiny_exported.parent / "README.md").read_text()
    found = Exported.read(tiny_exported)
    for name, digest in found.files.items():
        assert f"| `1/{name}` | {(tiny_exported / name).stat().st_size:,} | `{digest}` |" in text
    for word in ("## Use", "## Data and training", "## Quality", "## Limits", "## Licence", "blocks of 8x8 pixels"):
        assert word in text


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"weights": None}, PresetError, "preset 'tiny' is not shipped with weights"),
        ({"weights": "no.weights.h5"}, PresetError, "no.weights.h5: does not exist"),
        ({"tflite": ["float64"]}, PresetError, "there is no variant 'float64'"),
    ],
)
def test_impossible_exports_are_refused(export, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        export(**changes)
    assert names(tmp_path) == []


def test_the_command_says_what_is_wrong_in_one_line(tmp_path):
    command = [sys.executable, "-m", "stegano_tf.export", "--preset=tiny", f"--out={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("stegano_tf.export: preset 'tiny' is not shipped with weights")
    assert "Traceback" not in done.stderr


class TestInstalled:
    """The exported networks that this repository ships."""

    def test_they_are_whole_and_made_from_the_shipped_weights(self):
        folders = [folder for name in presets.PRESETS for folder in savedmodels.versions(name)]
        assert folders
        for folder in folders:
            found = Exported.read(folder)
            found.check()
            files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
            assert files == {*found.files, "manifest.json"}
            weights = savedmodels.weights_file(found.preset)
            assert json.loads((folder / "manifest.json").read_text())["weights_sha256"] == sha256(weights)
            assert (folder.parent / "README.md").is_file()

    def test_they_are_small(self):
        assert sum(path.stat().st_size for path in savedmodels.FOLDER.rglob("*") if path.is_file()) < 40e6
