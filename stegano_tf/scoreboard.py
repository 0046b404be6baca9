"""The one protocol behind every figure of quality.

Take sorted picture files x[0..N) and crop their centres to 256x256. The cover is x[i], the secret x[(i + N // 2) % N].
Hide, write the WAV, read the WAV, reveal. PSNR, SSIM and APD are those of RGB uint8, averaged over pictures. Only the
sound file passes from the first half to the second.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from stegano_tf import channels, images, metrics, pairing
from stegano_tf.audio import codec
from stegano_tf.errors import ImageError, PresetError
from stegano_tf.runtime import Runtime

if TYPE_CHECKING:
    from stegano_tf.networks.family import Networks

FIGURES = ("cover_psnr", "secret_psnr", "cover_ssim", "secret_ssim", "cover_apd", "secret_apd")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """The figures of one pair, by the names of its files: PSNR in dB, SSIM -1 to 1, APD 0 to 255."""

    cover: str
    secret: str
    cover_psnr: float
    secret_psnr: float
    cover_ssim: float
    secret_ssim: float
    cover_apd: float
    secret_apd: float
    cover_luma_psnr: float  # as other projects state it, see `metrics.luma_psnr`
    secret_luma_psnr: float
    stego_identical: bool  # whether the WAV gave the stego image back byte for byte


def scores(
    files: list[Path],
    networks: Runtime,
    side: int = 256,
    *,
    refine: int = 0,
    balance: float = 0.0,
    channel: tuple[channels.Step, ...] = (),
) -> Iterator[Score]:
    """Yields the scores of all pairs of `files`, in order, cropped to `side` pixels each way.

    `refine` is the number of steps of `Runtime.refine`, and `balance` its weight; the protocol has none. Nor has it a
    `channel`: where there is one, the secret is revealed from what arrives through it, and the cover's figures are
    still those of the stego image that was sent. Raises ImageError if a file is no picture, or a smaller one.
    """
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        audio = Path(folder, "message.wav")
        for i, j in pairing.pairs(len(files)):
            cover, secret = square(files[i], side), square(files[j], side)
            stego = networks.hide(cover, secret)
            if refine:
                stego = networks.refine(cover, secret, stego, steps=refine, balance=balance)
            codec.encode(stego, audio, force=True)
            decoded = codec.decode(audio).image
            revealed = networks.reveal(channels.send(decoded, channel, random))
            of = {"cover": metrics.quality(cover, decoded), "secret": metrics.quality(secret, revealed)}
            figures = {name: getattr(of[name.split("_")[0]], name.split("_")[1]) for name in FIGURES}
            figures["cover_luma_psnr"] = metrics.luma_psnr(cover, decoded)
            figures["secret_luma_psnr"] = metrics.luma_psnr(secret, revealed)
            figures["stego_identical"] = bool((decoded == stego).all())
            yield Score(cover=files[i].name, secret=files[j].name, **figures)


def square(file: Path, side: int) -> np.ndarray:
    """Returns the centre of a picture, uint8[side, side, 3]; raises an ImageError that names the file."""
    try:
        return images.centre_crop(images.read(file), (side, side))
    except ImageError as error:
        raise ImageError(f"{file}: {error}") from error


def unrounded(files: list[Path], networks: Networks, side: int = 256) -> dict[str, float]:
    """Returns the figures that other projects state: of stego images in floating point, which no file holds.

    The secret is revealed from these. Nothing is rounded, and nothing cut off below black or above white. Means over
    pairs, in dB: RGB as `metrics.psnr`, luma as `metrics.luma_psnr`. PresetError if no last layer "stego" rounds.
    """
    import keras  # noqa: PLC0415  (takes seconds)

    if networks.hide.layers[-1].name != "stego":
        raise PresetError("these networks hide in whole numbers: no stego image of theirs is in floating point")
    hide = keras.Model(networks.hide.inputs, networks.hide.layers[-1].input)
    found = []
    for i, j in pairing.pairs(len(files)):
        cover, secret = (square(files[k], side)[None].astype(np.float32) for k in (i, j))
        stego = hide([cover / 255, secret / 255], training=False)
        revealed = networks.reveal(stego, training=False)
        both = {"cover": (cover, 255.0 * np.asarray(stego)), "secret": (secret, 255.0 * np.asarray(revealed))}
        found.append(
            {f"{name}_psnr": 10 * math.log10(255**2 / np.mean(np.square(b - a))) for name, (a, b) in both.items()}
            | {f"{name}_luma_psnr": metrics.luma_psnr(a[0], b[0]) for name, (a, b) in both.items()}
        )
    return {name: statistics.fmean(pair[name] for pair in found) for name in found[0]}


def check(files: list[Path], side: int = 256) -> None:
    """Raises ImageError if the header of a picture says that it is smaller than `scores` needs."""
    for file in files:
        try:
            with Image.open(file) as picture:
                width, height = picture.size
        except Exception:  # what cannot be read by its header alone is found out by reading it
            continue
        if min(width, height) < side:
            raise ImageError(f"{file}: has {width}x{height} pixels, expected at least {side}x{side}")


def means(results: list[Score]) -> dict[str, float]:
    """Returns the mean of each of `FIGURES`, and of the PSNR of luma."""
    names = (*FIGURES, "cover_luma_psnr", "secret_luma_psnr")
    return {name: statistics.fmean(getattr(score, name) for score in results) for name in names}


def summary(results: list[Score]) -> dict[str, float]:
    """Returns `means`, and the lowest PSNR of all covers and of all secrets."""
    return means(results) | {f"worst_{name}": min(getattr(score, name) for score in results) for name in FIGURES[:2]}
