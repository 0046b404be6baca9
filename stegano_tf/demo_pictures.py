"""The pictures of `stegano-tf demo`: four photographs that scikit-image's wheel ships, so nothing is downloaded.

All may be redistributed freely. Sources and licences are taken from the docstrings of `skimage.data` (0.26).
"""

import dataclasses
import importlib.resources

import numpy as np

from stegano_tf import images, pairing


@dataclasses.dataclass(frozen=True)
class DemoPicture:
    """One bundled photograph."""

    name: str
    file: str  # below skimage/data
    subject: str
    source: str
    licence: str


PICTURES = (
    DemoPicture(
        *("astronaut", "astronaut.png", "Eileen Collins, astronaut", "NASA Great Images, https://flic.kr/p/r9qvLn"),
        "public domain (no known copyright restrictions)",
    ),
    DemoPicture("chelsea", "chelsea.png", "Chelsea the cat", "Stefan van der Walt", "CC0"),
    DemoPicture("coffee", "coffee.png", "a cup of coffee, courtesy of Pikolo Espresso Bar", "Rachel Michetti", "CC0"),
    DemoPicture(
        *("rocket", "rocket.jpg", "Falcon 9 carries DSCOVR off Cape Canaveral"),
        "SpaceX, https://www.flickr.com/photos/spacexphotos/16511594820",
        "public domain (released by SpaceX)",
    ),
)


def pairs(side: int = 256) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Returns (name, cover, secret) for each picture as the cover, both `uint8[side, side, 3]` RGB: `pairing.pairs`.

    They are the photographs' middle squares, scaled. Raises ImageError if the installed scikit-image has no such file.
    """
    squares = []
    for picture in PICTURES:
        image = images.read(importlib.resources.files("skimage") / "data" / picture.file)
        square = min(image.shape[:2])
        squares.append(images.resize(images.centre_crop(image, (square, square)), (side, side)))
    names = [picture.name for picture in PICTURES]
    return [(f"{names[j]} in {names[i]}", squares[i], squares[j]) for i, j in pairing.pairs(len(names))]
