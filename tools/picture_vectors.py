"""Makes the pictures of tests/vectors/ that hold bytes, and their list, pictures.json; `make_vectors.py` calls this.

    python tools/picture_vectors.py [--pictures=tests/vectors]

The list says what a reader must find in each: a file or a picture (its name, and the SHA-256 of the file or of the RGB
bytes), or the class of failure that tools/verify_picture.py names, with the exception and the words of the package's
own. Sealed vectors differ each time they are made.
"""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pyrage
from absl import app, flags

from stegano_tf import images, sealing
from stegano_tf.message import code, hiding, keys, ways
from stegano_tf.message.frame import Kind, Secret

_FOLDER = flags.DEFINE_string("pictures", "tests/vectors", "Where to write.")
PASSPHRASE = "vectors are no secret"


def make(folder: Path) -> None:
    """Writes all vectors and their list into `folder`."""
    identity = pyrage.x25519.Identity.generate()
    lock, owner = sealing.Lock(passphrase=PASSPHRASE), sealing.Lock(recipients=[str(identity.to_public())])
    random = np.random.default_rng(7)
    cover = random.integers(0, 256, (32, 32, 3), np.uint8)
    cover[:8] = 255  # saturated
    picture = (np.arange(7 * 9 * 3, dtype=np.uint8) * 5).reshape(7, 9, 3)
    note = Secret(b"a note\n", "note.txt")
    way = ways.make("capacity")
    vectors = []

    def save(file: str, stego: np.ndarray, **facts) -> None:
        images.write(folder / file, stego, force=True)
        vectors.append({"file": file, **facts})

    def hidden(file: str, secrets: list, **facts) -> None:
        secret = secrets[0][0]
        content = code.decoded(secret.data, 10**6).tobytes() if secret.kind else secret.data
        found = {"outcome": "picture" if secret.kind else "file", "name": secret.name}
        found["sha256"] = hashlib.sha256(content).hexdigest()
        save(file, hiding.hide(way, cover, secrets).stego, **found, **facts)

    save("picture_none.png", cover, outcome="no message")
    hidden("picture_file.png", [(note, None)])
    hidden("picture_exact.png", [(Secret(code.lossless(picture), "p.png", Kind.PICTURE), None)])
    fitted = code.fitted(random.integers(0, 256, (20, 24, 3), np.uint8), 1050, 10**6)
    if fitted[10:12] != b"\xff\x0a":
        raise AssertionError("expected JPEG XL of fewer levels: AVIF's colours depend on the library")
    hidden("picture_fitted.png", [(Secret(fitted, "p.png", Kind.PICTURE), None)])
    for rate, size in (("1_2", 500), ("2_3", 1000)):
        hidden(f"picture_depths_{rate}.png", [(Secret(random.bytes(size), "noise"), None)])
    hidden("picture_passphrase.png", [(note, lock)], passphrase=True)
    hidden("picture_recipient.png", [(note, owner)], identity=True)
    hidden("picture_two.png", [(note, owner), (Secret(b"another", "other.txt"), None)], identity=True)
    changed = hiding.hide(way, cover, [(Secret(random.bytes(1000), "noise"), None)]).stego.copy()
    places = np.random.default_rng(0).integers(0, 32, 2)
    changed[tuple(places)] ^= 1
    save("picture_changed.png", changed, outcome="damaged", error="DamagedError", words="pixels have changed")
    for name, outcome, words, frame in (
        ("version", "version", "version 2", b"\2" + note.pack()[1:]),
        ("checksum", "checksum", "SHA-256 is wrong", note.pack()[:-1] + b"!"),
        ("length", "checksum", "SHA-256 is wrong", note.pack()[:4] + struct.pack("<Q", 1 << 60) + note.pack()[12:]),
    ):
        stego = way.embed(cover, {keys.anybody(way): frame})
        save(f"picture_{name}.png", stego, outcome=outcome, error="FormatError", words=words)
    text = {"identity": str(identity), "passphrase": PASSPHRASE, "vectors": vectors}
    (folder / "pictures.json").write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")


def main(_):
    make(Path(_FOLDER.value))


if __name__ == "__main__":
    app.run(main)
