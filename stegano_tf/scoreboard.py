"""The one protocol behind every figure of quality.

Take sorted picture files x[0..N) and crop their centres to 256x256. The cover is x[i], the secret x[(i + N // 2) % N].
Hide, write the WAV, read the WAV, reveal. PSNR, SSIM and APD are those of RGB uint8, averaged over pictures. Only the
sound file passes from the first half to the second.
"""

import dataclasses
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from stegano_tf import images, metrics, pairing
from stegano_tf.audio import codec
from stegano_tf.errors import ImageError
from stegano_tf.runtime import Runtime

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
    stego_identical: bool  # whether the WAV gave the stego image back byte for byte


def scores(
    files: list[Path], networks: Runtime, side: int = 256, *, refine: int = 0, balance: float = 0.0
) -> Iterator[Score]:
    """Yields the scores of all pairs of `files`, in order, cropped to `side` pixels each way.

    `refine` is the number of steps of `Runtime.refine`, and `balance` its weight; the protocol has none. Raises
    ImageError if a file is no picture, or a smaller one.
    """

    def picture(file: Path):
        try:
            return images.centre_crop(images.read(file), (side, side))
        except ImageError as error:
            raise ImageError(f"{file}: {error}") from error

    with tempfile.TemporaryDirectory() as folder:
        audio = Path(folder, "message.wav")
        for i, j in pairing.pairs(len(files)):
            cover, secret = picture(files[i]), picture(files[j])
            stego = networks.hide(cover, secret)
            if refine:
                stego = networks.refine(cover, secret, stego, steps=refine, balance=balance)
            codec.encode(stego, audio, force=True)
            decoded = codec.decode(audio).image
            of = {"cover": metrics.quality(cover, decoded), "secret": metrics.quality(secret, networks.reveal(decoded))}
            figures = {name: getattr(of[name.split("_")[0]], name.split("_")[1]) for name in FIGURES}
            figures["stego_identical"] = bool((decoded == stego).all())
            yield Score(cover=files[i].name, secret=files[j].name, **figures)


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
    """Returns the mean of each of `FIGURES`."""
    return {name: statistics.fmean(getattr(score, name) for score in results) for name in FIGURES}


def summary(results: list[Score]) -> dict[str, float]:
    """Returns `means`, and the lowest PSNR of all covers and of all secrets."""
    return means(results) | {f"worst_{name}": min(getattr(score, name) for score in results) for name in FIGURES[:2]}
