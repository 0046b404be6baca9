"""The golden files, through the package and through the verifier that shares no code with it."""

import ast
import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from stegano_tf import errors, sealing
from stegano_tf.audio import codec
from stegano_tf.message.frame import Secret

FOLDER = Path(__file__).parent.parent / "vectors"
VERIFIER = Path(__file__).parent.parent.parent / "tools" / "verify_sound.py"
LIST = json.loads((FOLDER / "vectors.json").read_text(encoding="utf-8"))
ERRORS = {"FormatError": errors.FormatError, "AudioError": errors.AudioError, "SealingError": sealing.SealingError}


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "identity.txt"
    path.write_text(LIST["identity"] + "\n")
    path.chmod(0o600)
    return path


def test_the_list_names_all_files():
    pictures = json.loads((FOLDER / "pictures.json").read_text(encoding="utf-8"))
    listed = [vector["file"] for vector in LIST["vectors"] + pictures["vectors"]]
    assert sorted(listed) == sorted(path.name for path in FOLDER.iterdir() if path.suffix != ".json")


@pytest.mark.parametrize("vector", LIST["vectors"], ids=lambda vector: vector["file"])
def test_package(vector, identity):
    path = FOLDER / vector["file"]
    key = sealing.Key(identities=[identity], passphrase=LIST["passphrase"], bare=vector.get("bare", False))
    if vector["outcome"] != "picture":
        with pytest.raises(ERRORS[vector["error"]], match=vector["words"]) as error:
            codec.decode(path, key=key)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)
        return
    decoded = codec.decode(path, key=key)
    assert list(decoded.image.shape[:2]) == vector["size"]
    assert hashlib.sha256(np.ascontiguousarray(decoded.image).tobytes()).hexdigest() == vector["rgb_sha256"]
    assert decoded.info.secret_size == (tuple(vector["secret_size"]) if vector["secret_size"] else None)
    assert decoded.info.network == (bytes.fromhex(vector["network"]) if vector["network"] else None)


def test_the_file_in_a_sound():
    data, info = codec.read_file(FOLDER / "file.wav")
    assert Secret.parse(data) == Secret(bytes(range(256)), "Prüfbericht 1.pdf")
    assert info.payload == "file"


def test_verifier(capsys, monkeypatch):
    monkeypatch.syspath_prepend(VERIFIER.parent)
    spec = importlib.util.spec_from_file_location("verify_sound", VERIFIER)
    verifier = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(verifier)
    assert verifier.check_vectors(FOLDER) == []
    assert capsys.readouterr().out.count("right") == sum(vector["file"].endswith(".wav") for vector in LIST["vectors"])


def test_the_verifier_shares_no_code():
    modules = set()
    text = "".join(path.read_text(encoding="utf-8") for path in VERIFIER.parent.glob("verify_*.py"))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module)
    assert not {name for name in modules if name.startswith("stegano_tf") or name in ("zfec", "soundfile")}
