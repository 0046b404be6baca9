"""Measures time and peak memory of the command on large pictures.

    python tools/benchmark_scale.py --data=../shared/data/linnaeus5_layout/train --json=tools/results/scale.json

Pictures are mosaics of photographs of --data, each scaled to 500 pixels. The peak resident memory is that of the whole
process: Python, the engine, the pictures.
"""

import filecmp
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from absl import app, flags
from PIL import Image
from publishing import publish

from stegano_tf import images, presets, sealing
from stegano_tf.audio.payloads import bmp
from stegano_tf.errors import SteganoError
from stegano_tf.pairing import list_pictures

_DATA = flags.DEFINE_string("data", None, "Folder of photographs, read with its subfolders.", required=True)
_SENT = flags.DEFINE_list("send", ["12", "48"], "Sizes of pictures to send and receive, in megapixels.")
_ENCODED = flags.DEFINE_float("encode", 100.0, "Size of the BMP file to encode and decode, in megapixels.")
_PRESET = flags.DEFINE_enum("preset", presets.DEFAULT, list(presets.PRESETS), "Which networks to measure.")
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")

_PHOTOGRAPH = 500  # pixels each way

# Linux counts the peak of a process from before it became another program, so the one that starts it must be small.
_WAIT = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps({"s": time.perf_counter() - start, "peak_mb": usage.ru_maxrss * 1024 / 1e6}))
sys.exit(bool(status))
"""


def mosaic(files: list[Path], megapixels: float, seed: int) -> np.ndarray:
    """Returns uint8[H, W, 3] with sides of 3 to 4 that holds as many photographs as it takes."""
    width = round((megapixels * 4e6 / 3) ** 0.5)
    height = round(megapixels * 1e6 / width)
    order = np.random.default_rng(seed).permutation(len(files))
    picture = np.empty((height, width, 3), np.uint8)
    places = ((top, left) for top in range(0, height, _PHOTOGRAPH) for left in range(0, width, _PHOTOGRAPH))
    for count, (top, left) in enumerate(places):
        photograph = Image.fromarray(images.read(files[order[count % len(files)]]))
        place = picture[top : top + _PHOTOGRAPH, left : left + _PHOTOGRAPH]
        place[...] = np.asarray(photograph.resize((_PHOTOGRAPH, _PHOTOGRAPH)))[: place.shape[0], : place.shape[1]]
    return picture


def measure_command(*arguments: str | Path) -> dict[str, float]:
    """Returns seconds and peak memory of the command with `arguments`."""
    command = [sys.executable, "-c", _WAIT, sys.executable, "-m", "stegano_tf", *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_pictures(folder: Path, files: list[Path], megapixels: float) -> dict:
    """Returns what it takes to send a picture in another one of its size, and to receive it."""
    cover, secret, sound, revealed = (folder / name for name in ("cover.png", "secret.png", "m.wav", "revealed.png"))
    for seed, picture in enumerate((cover, secret)):
        images.write(picture, mosaic(files, megapixels, seed), force=True)
    preset = f"--preset={_PRESET.value}"
    return {
        "megapixels": megapixels,
        "send": measure_command("send", cover, secret, sound, "--force", preset),
        "receive": measure_command("receive", sound, revealed, "--force"),
    }


def measure_sounds(folder: Path, files: list[Path], megapixels: float) -> dict:
    """Returns what it takes to turn a BMP file into a sound and back, in several forms of the sound.

    Raises:
      AssertionError: the picture that comes back is another one.
    """
    cover, sound, back, identity = (folder / name for name in ("cover.bmp", "sound.wav", "back.bmp", "identity"))
    with cover.open("wb") as file:
        file.writelines(bmp.encode(mosaic(files, megapixels, 0))[1])  # to the byte what decoding writes
    sealed, parity, forms = f"--recipient={sealing.keygen(identity)}", "--parity=10%", {}
    for options in [], [parity], [sealed], [sealed, parity]:
        form = " and ".join({sealed: "sealed", parity: "with parity 10 %"}[option] for option in options) or "plain"
        opened = [f"--identity={identity}"] if sealed in options else []
        encoding = measure_command("encode", cover, sound, "--force", *options)
        forms[form] = {"encode": encoding, "decode": measure_command("decode", sound, back, "--force", *opened)}
        if not filecmp.cmp(cover, back, shallow=False):
            raise AssertionError(f"{form}: another picture came back")
    return {"megapixels": megapixels, "forms": forms}


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    try:
        files = list_pictures(_DATA.value)
    except SteganoError as error:
        raise SystemExit(f"benchmark_scale: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            "preset": _PRESET.value,
            "sent": [measure_pictures(Path(folder), files, float(size)) for size in _SENT.value],
            "encoded": measure_sounds(Path(folder), files, _ENCODED.value),
        }
    publish(figures, _JSON.value, presets=[_PRESET.value])


if __name__ == "__main__":
    app.run(main)
