"""The golden pictures, through the package and through the verifier that shares no code with it."""

import hashlib
import importlib.util
import json
from pathlib import Path

import pytest

from stegano_tf import errors, images, sealing
from stegano_tf.message import contents, pictures
from stegano_tf.message.ways.way import DamagedError

FOLDER = Path(__file__).parent.parent / "vectors"
VERIFIER = Path(__file__).parent.parent.parent / "tools" / "verify_picture.py"
LIST = json.loads((FOLDER / "pictures.json").read_text(encoding="utf-8"))
ERRORS = {"FormatError": errors.FormatError, "DamagedError": DamagedError}


@pytest.mark.parametrize("vector", LIST["vectors"], ids=lambda vector: vector["file"])
def test_package(vector, tmp_path):
    (tmp_path / "key.txt").write_text(LIST["identity"])
    (tmp_path / "key.txt").chmod(0o600)
    passphrase = LIST["passphrase"] if vector.get("passphrase") else None
    identities = [tmp_path / "key.txt"] if vector.get("identity") else []
    key = sealing.Key(passphrase=passphrase, identities=identities) if passphrase or identities else None
    path = FOLDER / vector["file"]
    if "error" in vector:
        with pytest.raises(ERRORS[vector["error"]], match=vector["words"]) as error:
            pictures.find(path, key=key)
        assert str(error.value).startswith(f"{path}: ")
        return
    found = pictures.find(path, key=key)
    if vector["outcome"] == "no message":
        assert found is None
        return
    assert (found.secret.kind.name.lower(), found.secret.name) == (vector["outcome"], vector["name"])
    data = found.secret.data
    if vector["outcome"] == "picture":
        data = contents.picture(found.secret, max_pixels=images.MAX_PIXELS).tobytes()
    assert hashlib.sha256(data).hexdigest() == vector["sha256"]


def test_verifier(capsys):
    spec = importlib.util.spec_from_file_location("verify_picture", VERIFIER)
    verifier = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(verifier)
    assert verifier.check_vectors(FOLDER) == []
    assert capsys.readouterr().out.count("right") == len(LIST["vectors"])
