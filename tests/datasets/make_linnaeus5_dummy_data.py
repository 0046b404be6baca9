"""Writes `datasets/linnaeus5/dummy_data`: python tests/datasets/make_linnaeus5_dummy_data.py

The pictures are gradients of one colour a class, drawn here: nobody's photographs.
"""

from pathlib import Path

import numpy as np
import PIL.Image

CLASSES = ("berry", "bird", "dog", "flower", "other")
SPLITS = {"train": 2, "test": 1}  # pictures a class


def write_layout(folder: Path, size: int, splits: dict[str, int] | None = None):
    """Writes the layout of the archive of `size` into `folder`: `train/berry/1_256.jpg` and so on."""
    ramp = np.linspace(0, 255, size)
    for split, count in (splits or SPLITS).items():
        for label, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True)
            for number in range(1, count + 1):
                phase = (split == "test") * 32 + number * 64
                red, green = np.meshgrid((ramp + phase) % 256, ramp)
                picture = np.stack([red, green, np.full_like(red, label * 50)], axis=-1).astype(np.uint8)
                PIL.Image.fromarray(picture).save(folder / split / name / f"{number}_{size}.jpg", quality=50)


if __name__ == "__main__":
    data = Path(__file__).parents[2] / "datasets" / "linnaeus5" / "dummy_data"
    for side in (256, 128, 64, 32):
        write_layout(data / f"Linnaeus 5 {side}X{side}", side)
