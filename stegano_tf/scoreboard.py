"""The one protocol behind every quality figure that this project quotes.

Sorted picture files x[0..N), centre-cropped to 256x256; cover x[i], secret x[(i + N // 2) % N]; hide; write the WAV;
read the WAV; reveal; RGB PSNR, SSIM and APD on uint8, averaged over pictures. Nothing but the sound file gets from the
first half to the second.
"""

import dataclasses
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stegano_tf import images, metrics, pairing
from stegano_tf.audio import codec
from stegano_tf.errors import ImageError
from stegano_tf.runtime import Runtime

SIDE = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """The figures of one pair: PSNR in dB, SSIM -1 to 1, APD 0 to 255."""

    cover: str
    secret: str
    cover_psnr: float
    secret_psnr: float
    cover_ssim: float
    secret_ssim: float
    cover_apd: float
    secret_apd: float
    stego_identical: bool  # whether the stego image from the WAV is that which was written, byte for byte


FIGURES = ("cover_psnr", "secret_psnr", "cover_ssim", "secret_ssim", "cover_apd", "secret_apd")


def scores(
    files: list[Path], networks: Runtime, side: int = SIDE, *, refine: int = 0, balance: float = 0.0
) -> Iterator[Score]:
    """Yields the scores of all pairs of `files`, in order, centre-cropped to `side` pixels each way.

    With `refine`, after so many steps of `Runtime.refine`, which the protocol above leaves out.

    Raises:
      ImageError: a file is no picture, or smaller than that.
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
            of_cover, of_secret = metrics.quality(cover, decoded), metrics.quality(secret, networks.reveal(decoded))
            yield Score(
                cover=files[i].name,
                secret=files[j].name,
                cover_psnr=of_cover.psnr,
                secret_psnr=of_secret.psnr,
                cover_ssim=of_cover.ssim,
                secret_ssim=of_secret.ssim,
                cover_apd=of_cover.apd,
                secret_apd=of_secret.apd,
                stego_identical=bool((decoded == stego).all()),
            )


def summary(results: list[Score]) -> dict[str, float]:
    """Returns `means`, and as worst_cover_psnr and worst_secret_psnr the lowest of either."""
    return means(results) | {
        f"worst_{name}": min(getattr(score, name) for score in results) for name in ("cover_psnr", "secret_psnr")
    }


def means(results: list[Score]) -> dict[str, float]:
    """Returns the mean of each of `FIGURES`."""
    return {name: statistics.fmean(getattr(score, name) for score in results) for name in FIGURES}
