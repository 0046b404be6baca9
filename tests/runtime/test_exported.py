"""Exported folders: what is loaded is what was exported, or it is refused by name."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest

from stegano_tf import commands, presets, runtime, savedmodels
from stegano_tf.errors import BackendError, PresetError
from stegano_tf.runtime import backends, exported
from stegano_tf.runtime.backends import LitertBackend, SavedModelBackend
from stegano_tf.runtime.exported import Exported

PICTURE = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(1, 16, 16, 3)
HIDE, REVEAL = "tflite/tiny-hide.tflite", "tflite/tiny-reveal.tflite"


@pytest.fixture
def folder(tiny_exported, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(tiny_exported, tmp_path / "tiny" / "1")


@pytest.fixture
def installed(tiny_exported, monkeypatch):
    """The exported networks of `tiny` as the only installed ones."""
    home = tiny_exported.parent.parent
    monkeypatch.setattr(savedmodels, "versions", lambda preset, _=None: sorted(home.glob(f"{preset}/*[0-9]")))


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_the_manifest_names_every_file_by_its_hash(tiny_exported, tiny_weights):
    found = Exported.read(tiny_exported)
    files = {path.relative_to(tiny_exported).as_posix() for path in tiny_exported.rglob("*") if path.is_file()}
    assert set(found.files) == files - {"manifest.json"}
    for name, digest in found.files.items():
        assert hashlib.sha256((tiny_exported / name).read_bytes()).hexdigest() == digest
    assert {HIDE, REVEAL, "saved_model.pb", "assets.extra/tf_serving_warmup_requests"} < files
    assert found.network == hashlib.sha256(tiny_weights.read_bytes()).digest()[:8]
    assert (found.preset, found.version) == ("tiny", 1)


@pytest.mark.parametrize(
    "damage", [flip_a_bit, lambda file: file.write_bytes(b""), lambda file: file.write_bytes(file.read_bytes() + b"0")]
)
@pytest.mark.parametrize(
    ("name", "use"),
    [
        (HIDE, lambda found: LitertBackend(found).hide(PICTURE, PICTURE)),
        (REVEAL, lambda found: LitertBackend(found).reveal(PICTURE)),
        ("saved_model.pb", SavedModelBackend),
        ("variables/variables.data-00000-of-00001", SavedModelBackend),
        ("variables/variables.index", SavedModelBackend),
    ],
)
def test_an_altered_file_is_refused_by_name(folder, name, use, damage):
    damage(folder / name)
    with pytest.raises(PresetError, match=rf"1/{name}: was altered: its SHA-256 is [0-9a-f]{{64}}, expected"):
        use(Exported.read(folder))


@pytest.mark.parametrize(
    ("name", "use"),
    [
        (REVEAL, lambda found: LitertBackend(found).reveal(PICTURE)),
        ("saved_model.pb", SavedModelBackend),
        ("variables/variables.index", SavedModelBackend),
    ],
)
def test_a_missing_file_is_refused_by_name(folder, name, use):
    (folder / name).unlink()
    with pytest.raises(PresetError, match=f"1/{name}: does not exist"):
        use(Exported.read(folder))


def test_only_what_is_loaded_is_checked(folder):
    flip_a_bit(folder / HIDE)
    flip_a_bit(folder / "saved_model.pb")
    assert LitertBackend(Exported.read(folder)).reveal(PICTURE).shape == PICTURE.shape


def test_a_file_that_was_not_exported_is_refused(folder):
    shutil.copy(folder / HIDE, folder / "tflite" / "tiny-hide-int4.tflite")
    with pytest.raises(PresetError, match=r"tiny-hide-int4\.tflite: is not among the exported files"):
        LitertBackend(Exported.read(folder), "int4").hide(PICTURE, PICTURE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist, expected the manifest"),
        (b"", "is no manifest"),
        (b"\xff\xfe", "is no manifest"),
        (b"[]", "is no manifest"),
        (b'{"format": 1}', "is no manifest"),
        (b'{"format": 2}', "has format 2, expected 1"),
    ],
)
def test_a_folder_without_a_readable_manifest_is_refused(folder, content, message):
    file = folder / "manifest.json"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(PresetError, match=rf"1/manifest\.json: {message}"):
        Exported.read(folder)


def test_a_damaged_installation_is_one_line_on_the_command_line(folder, monkeypatch, capsys, tmp_path, photograph):
    from stegano_tf import images

    monkeypatch.setattr(savedmodels, "versions", lambda *_: [folder])
    images.write(tmp_path / "stego.png", photograph(16, 16, 0))
    flip_a_bit(folder / REVEAL)
    runtime._load.cache_clear()
    arguments = ["reveal", str(tmp_path / "stego.png"), str(tmp_path / "secret.png"), "--preset", "tiny"]
    with pytest.raises(SystemExit) as exit_:
        commands.main(commands.parse(["stegano-tf", *arguments]))
    runtime._load.cache_clear()
    assert exit_.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(f"stegano-tf: {folder / REVEAL}: was altered")
    assert said.count("\n") == 1
    assert not (tmp_path / "secret.png").exists()


def test_the_highest_version_is_the_installed_one(tmp_path, tiny_exported, monkeypatch):
    for name in ("2", "10", "9"):
        shutil.copytree(tiny_exported, tmp_path / "tiny" / name)
        manifest = json.loads((tmp_path / "tiny" / name / "manifest.json").read_text())
        (tmp_path / "tiny" / name / "manifest.json").write_text(json.dumps(manifest | {"version": int(name)}))
    (tmp_path / "tiny" / ".11.abc.partial").mkdir()
    (tmp_path / "tiny" / "README.md").write_text("")
    found = savedmodels.versions("tiny", tmp_path)
    assert [folder.name for folder in found] == ["2", "9", "10"]
    monkeypatch.setattr(savedmodels, "versions", lambda *_: found)
    assert exported.installed("tiny").version == 10
    monkeypatch.undo()
    assert savedmodels.versions("tiny", tmp_path / "no") == []


class TestChoice:
    """Which backend `backends.make` takes."""

    def test_exported_networks_run_on_litert_by_default(self, installed):
        backend = backends.make(presets.get("tiny"))
        assert isinstance(backend, LitertBackend)
        assert runtime.preset_of(backend.network) == "tiny"
        assert "tiny" in runtime.installed_presets()

    def test_weights_run_on_keras(self, installed, tiny_weights):
        backend = backends.make(presets.get("tiny"), tiny_weights)
        assert isinstance(backend, backends.KerasBackend)
        assert backend.network == backends.make(presets.get("tiny")).network

    def test_without_exported_networks_it_is_keras(self, monkeypatch):
        monkeypatch.setattr(savedmodels, "versions", lambda *_: [])
        assert isinstance(backends.make(presets.get(presets.DEFAULT)), backends.KerasBackend)
        with pytest.raises(PresetError, match="'tiny' is not shipped with weights"):
            backends.make(presets.get("tiny"))
        for name in ("litert", "savedmodel"):
            with pytest.raises(BackendError, match=f"preset 'tiny' has no exported networks for '{name}'"):
                backends.make(presets.get("tiny"), name=name)

    @pytest.mark.parametrize("name", ["litert", "savedmodel"])
    def test_weights_on_another_runtime_are_refused(self, installed, tiny_weights, name):
        with pytest.raises(BackendError, match=r"mine\.weights\.h5: a weights file is run by .*'keras', not by"):
            backends.make(presets.get("tiny"), tiny_weights, name)

    def test_weights_on_another_runtime_are_bad_usage(self, capsys):
        arguments = ["hide", "a.png", "b.png", "c.png", "--weights", "mine.weights.h5", "--runtime", "litert"]
        with pytest.raises(SystemExit) as exit_:
            commands.main(commands.parse(["stegano-tf", *arguments]))
        assert exit_.value.code == 2
        assert "--weights goes with --runtime keras only" in capsys.readouterr().err

    def test_other_names_are_refused(self):
        with pytest.raises(BackendError, match="no runtime 'onnx', expected one of litert, savedmodel, keras"):
            backends.make(presets.get("tiny"), name="onnx")

    @pytest.mark.parametrize(("name", "package"), [("litert", "ai_edge_litert"), ("savedmodel", "tensorflow")])
    def test_a_package_that_is_missing_is_named(self, installed, monkeypatch, name, package):
        import sys

        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(BackendError, match=f"'{name}' needs the package {package.replace('_', '-')}"):
            backends.make(presets.get("tiny"), name=name)


def test_a_number_of_threads():
    by_tiles, by_network = (runtime.load(preset, threads=3)._backend for preset in ("codebook", "unet"))
    assert (by_tiles.workers, by_tiles._threads) == (3, 1)
    assert (by_network.workers, by_network._threads) == (1, 3)


def test_tensorflow_cannot_change_its_threads_later():
    import tensorflow as tf

    tf.constant(0)
    with pytest.raises(BackendError, match="TensorFlow has begun with another number of threads than 97"):
        backends.make(presets.get("codebook"), name="savedmodel", threads=97)


def test_weights_are_loaded_once_until_they_change(tiny_weights, tmp_path):
    weights = tmp_path / "my.weights.h5"
    weights.write_bytes(tiny_weights.read_bytes())
    first = runtime.load("tiny", weights=weights)
    assert runtime.load("tiny", weights=weights) is first
    os.utime(weights, ns=(0, 0))
    assert runtime.load("tiny", weights=weights) is not first
