"""Scores the installed networks on ten photographs that come with scikit-image and scikit-learn.

    python tools/bundled.py

Nobody trained on them, and whoever has installed this package has them: `tests/test_results.py` compares each figure of
tools/results/PRESET-bundled.json with what the installed networks reach. The contact sheet of the README,
docs/contact_sheet.jpg, is drawn anew as well.
"""

import dataclasses
import importlib.resources
import subprocess
import sys
import tempfile
from pathlib import Path

import rich.progress
from absl import app
from PIL import Image
from publishing import installed, publish

import stegano_tf
from stegano_tf import presets, runtime, scoreboard

RESULTS = Path(__file__).parent / "results"
SHEET = Path(__file__).parent.parent / "docs/contact_sheet.jpg"

_PHOTOGRAPHS = {
    "skimage/data": (
        *("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png"),
        *("motorcycle_left.png", "retina.jpg", "rocket.jpg"),
    ),
    "sklearn/datasets/images": ("china.jpg", "flower.jpg"),
}


def files() -> list[Path]:
    """Returns the ten files, in the order in which they are paired."""
    folders = {name: importlib.resources.files(name.split("/")[0]) / name.partition("/")[2] for name in _PHOTOGRAPHS}
    return [Path(folders[name], file) for name, photographs in _PHOTOGRAPHS.items() for file in photographs]


def scores(preset: str) -> list[scoreboard.Score]:
    """Returns the scores of the ten pairs, by the scoreboard's protocol."""
    return list(scoreboard.scores(files(), stegano_tf.load(preset)))


def draw_sheet() -> None:
    """Writes what `stegano-tf demo` draws as a JPEG file whose comment names the network."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "stegano_tf", "demo", f"--out={folder}/demo"], check=True)
        with Image.open(f"{folder}/demo/contact_sheet.png") as sheet:
            sheet.convert("RGB").save(SHEET, quality=88, comment=installed(presets.DEFAULT))


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    for preset in rich.progress.track(runtime.installed_presets()):
        found = scores(preset)
        pairs = {"pairs": [dataclasses.asdict(score) for score in found]}
        figures = scoreboard.summary(found) | {"pictures": len(found)} | pairs
        publish(figures, RESULTS / f"{preset}-bundled.json", presets=[preset])
    draw_sheet()


if __name__ == "__main__":
    app.run(main)
