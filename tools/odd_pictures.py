r"""Makes pictures that are unlike photographs, to see where networks fail that were trained on photographs.

    python tools/odd_pictures.py --out=DIR --side=256
    python -m stegano_tf.evaluate --data=DIR --side=256 --json=tools/results/codebook-odd-256.json

Ten are drawn here. Ten are photographs from scikit-image's wheel, scaled to --side. By the order of their names, the
scoreboard makes each drawn picture the cover of a photograph once, and the secret in one once.
"""

import importlib.resources
import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import app, flags
from PIL import Image, ImageDraw, ImageFont

from stegano_tf import images

_OUT = flags.DEFINE_string("out", None, "Folder to write to.", required=True)
_SIDE = flags.DEFINE_integer("side", 256, "Pixels each way.", lower_bound=64)
_FORCE = flags.DEFINE_boolean("force", False, "Replace existing pictures.")

_WORDS = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, "
    "it was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of "
    "Darkness, it was the spring of hope, it was the winter of despair, we had everything before us"
)

PHOTOGRAPHS = {
    "astronaut": "astronaut.png",
    "brick": "brick.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "moon": "moon.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
    "stars": "hubble_deep_field.jpg",
}


def photograph(file: str, side: int) -> np.ndarray:
    """Returns the middle square of a photograph in scikit-image's wheel, uint8[side, side, 3]."""
    picture = images.read(importlib.resources.files("skimage") / "data" / file)
    square = min(picture.shape[:2])
    return images.resize(images.centre_crop(picture, (square, square)), (side, side))


def text(side: int) -> np.ndarray:
    """A printed page: black letters of 14 pixels on white."""
    page = Image.new("RGB", (side, side), "white")
    _write(page, (12, 8, side - 24, side - 12), 14, "black")
    return np.asarray(page)


def screenshot(side: int) -> np.ndarray:
    """A desktop with two windows, a menu bar and a terminal: flat areas, one-pixel lines, small letters."""
    screen = Image.new("RGB", (side, side), (38, 84, 124))
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, side, 18), (236, 236, 236))
    draw.text((6, 2), "File   Edit   View   Help", (20, 20, 20), ImageFont.load_default(12))
    for left, top, paper, ink in ((0.05, 0.12, "white", "black"), (0.3, 0.45, (24, 24, 28), (120, 230, 120))):
        x, y, width, height = (int(share * side) for share in (left, top, 0.62, 0.48))
        draw.rectangle((x, y, x + width, y + height), paper, (90, 90, 90))
        draw.rectangle((x, y, x + width, y + 16), (205, 209, 214), (90, 90, 90))
        for i, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
            draw.ellipse((x + 5 + 14 * i, y + 4, x + 13 + 14 * i, y + 12), colour)
        _write(screen, (x + 6, y + 22, width - 12, height - 24), 11, ink)
    return np.asarray(screen)


def line_art(side: int) -> np.ndarray:
    """Black curves on white paper (Lissajous figures)."""
    paper = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(paper)
    angle = np.linspace(0, 2 * math.pi, 2000)
    for a, b, shift in ((3, 2, 0.3), (5, 4, 0.9), (1, 2, 0.0)):
        x, y = side / 2 * (1 + 0.9 * np.sin(a * angle + shift)), side / 2 * (1 + 0.9 * np.sin(b * angle))
        draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), "black", 2)
    return np.asarray(paper)


def colours(side: int) -> np.ndarray:
    """Eight bars of saturated colours: every value is 0 or 255."""
    bars = np.array([[i & 1, i >> 1 & 1, i >> 2] for i in range(8)], np.uint8) * 255
    return np.broadcast_to(bars[np.arange(side) * 8 // side], (side, side, 3)).copy()


def gradient(side: int) -> np.ndarray:
    """Smooth ramps, another one in each channel."""
    ramp = np.linspace(0, 255, side)
    y, x = np.meshgrid(ramp, ramp, indexing="ij")
    return np.stack([x, y, (x + y) / 2], axis=-1).astype(np.uint8)


def noise(side: int) -> np.ndarray:
    """Independent values, all equally likely: a picture without any redundancy."""
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def night(side: int) -> np.ndarray:
    """A photograph as a short exposure would have it: a tenth of the light, and the sensor's noise."""
    light = photograph(PHOTOGRAPHS["rocket"], side) * 0.1
    return np.clip(light + np.random.default_rng(0).normal(0, 2, light.shape), 0, 255).astype(np.uint8)


def flat(level: int) -> Callable[[int], np.ndarray]:
    """One grey everywhere."""
    return lambda side: np.full((side, side, 3), level, np.uint8)


ODD = {
    "black": flat(0),
    "colours": colours,
    "gradient": gradient,
    "grey": flat(128),
    "line_art": line_art,
    "night": night,
    "noise": noise,
    "screenshot": screenshot,
    "text": text,
    "white": flat(255),
}


def _write(picture: Image.Image, box: tuple[int, int, int, int], size: int, ink: str | tuple) -> None:
    """Fills a box (left, top, width, height) with words in letters of `size` pixels."""
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    left, top, width, height = box
    words = itertools.cycle(_WORDS.split())
    word = next(words)
    for y in range(top, top + height - size, size + 4):
        line, word = word, next(words)
        while font.getlength(f"{line} {word}") <= width:
            line, word = f"{line} {word}", next(words)
        draw.text((left, y), line, ink, font)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    folder, side = Path(_OUT.value), _SIDE.value
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in ODD.items():
        images.write(folder / f"odd-{name}.png", draw(side), force=_FORCE.value)
    for name, file in PHOTOGRAPHS.items():
        images.write(folder / f"photograph-{name}.png", photograph(file, side), force=_FORCE.value)
    print(f"{len(ODD) + len(PHOTOGRAPHS)} pictures of {side}x{side} in {folder}")


if __name__ == "__main__":
    app.run(main)
