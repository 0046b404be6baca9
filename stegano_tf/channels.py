"""What happens to a picture on its way: JPEG, noise and resizing, as data and as it really is.

A channel is written as its steps in order: "jpeg:75-95,resize:0.5". `stegano_tf.networks.channel` has the same steps as
Keras layers, to train through.
"""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING

from stegano_tf.errors import ChannelError

if TYPE_CHECKING:
    import numpy as np

# What a step's numbers may be, and how the number is explained.
_RANGES = {
    "jpeg": (1, 100, "a quality"),
    "jpeg444": (1, 100, "a quality"),
    "noise": (0, 255, "a deviation in levels"),
    "resize": (0.1, 1, "a factor"),
}


@dataclasses.dataclass(frozen=True)
class Step:
    """One step: the number of each picture is drawn evenly between `low` and `high`.

    The number of `jpeg` (4:2:0) and `jpeg444` is libjpeg's quality, a whole one; that of `noise` is the standard
    deviation of Gaussian noise in levels of 255; that of `resize` the factor by which a picture is made smaller, before
    it is made as large again.
    """

    kind: str
    low: float
    high: float


def parse(text: str) -> tuple[Step, ...]:
    """Returns the steps that a text describes; raises ChannelError if it describes none.

    Example:
      >>> parse("jpeg:75-95,noise:2")
      (Step(kind='jpeg', low=75.0, high=95.0), Step(kind='noise', low=2.0, high=2.0))
    """
    return tuple(_step(part.strip()) for part in text.split(","))


def _step(text: str) -> Step:
    kind, _, numbers = text.partition(":")
    if kind not in _RANGES:
        raise ChannelError(f"found {text!r} in a channel, expected steps such as jpeg:75-95, noise:2 or resize:0.5")
    least, most, what = _RANGES[kind]
    low, _, high = numbers.partition("-")
    try:
        step = Step(kind, float(low), float(high or low))
    except ValueError:
        step = Step(kind, 0.0, -1.0)
    if not least <= step.low <= step.high <= most:
        raise ChannelError(f"found {text!r} in a channel, expected {what} from {least} to {most}, or a range of them")
    return step


def send(picture: np.ndarray, steps: tuple[Step, ...], random: np.random.Generator) -> np.ndarray:
    """Returns what arrives of a picture, uint8[H, W, 3], through libjpeg and Pillow's bilinear resizing.

    Example:
      received = send(stego, parse("jpeg:80"), np.random.default_rng(0))
    """
    import numpy as np  # noqa: PLC0415  (options are parsed without it)
    from PIL import Image  # noqa: PLC0415

    for step in steps:
        number = random.uniform(step.low, step.high)
        if step.kind == "noise":
            noisy = picture + random.normal(0.0, number, picture.shape)
            picture = np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)
        elif step.kind == "resize":
            height, width, _ = picture.shape
            smaller = Image.fromarray(picture).resize(smaller_size((width, height), number), Image.Resampling.BILINEAR)
            picture = np.asarray(smaller.resize((width, height), Image.Resampling.BILINEAR))
        else:
            picture = jpeg(picture, round(number), "4:4:4" if step.kind == "jpeg444" else "4:2:0")
    return picture


def jpeg(picture: np.ndarray, quality: int, subsampling: str = "4:2:0") -> np.ndarray:
    """Returns a picture, uint8[H, W, 3], after libjpeg of a quality, 1 to 100."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file))


def smaller_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Returns the sides that `resize` makes, at least one pixel each."""
    return tuple(max(1, round(side * factor)) for side in size)
