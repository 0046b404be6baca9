r"""Scores a preset on a folder of pictures, by the protocol of `stegano_tf.scoreboard`.

    python -m stegano_tf.evaluate --data=DIR --preset=codebook --json=FILE

The JSON holds the means at its top level, then what was scored and how, then each pair's figures. Whoever has pictures
of the same `pictures_sha256` and weights of the same `network` gets the same figures.
"""

import dataclasses
import sys
from pathlib import Path

import rich.console
import rich.progress
import rich.table

from stegano_tf import __version__, channels, outputs, presets, provenance, scoreboard, settings
from stegano_tf.errors import SteganoError
from stegano_tf.pairing import list_pictures
from stegano_tf.runtime import Runtime
from stegano_tf.settings import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What to score, and how."""

    data: str | None = setting(None, "folder of pictures, read with its subfolders")
    preset: str = setting(
        presets.DEFAULT, "which networks to score", choices=tuple(presets.PRESETS), parse=presets.current
    )
    weights: str | None = setting(None, "weights file to score instead of the installed one")
    side: int = setting(256, "pixels each way that pictures are cropped to; the scoreboard's is 256", low=16)
    refine: int = setting(0, "improve each stego image in so many steps, as `stegano-tf hide --refine`", low=0)
    balance: float = setting(0.0, "with --refine: dB by which the secret weighs more than the cover")
    channel: str | None = setting(None, "reveal from what arrives through it: jpeg:80, noise:2, resize:0.5, or several")
    unrounded: bool = setting(False, "also score stego images in floating point, as other projects do")
    limit: int | None = setting(None, "use the first so many pictures only", low=2)
    json: str | None = setting(None, "file to write the figures to")
    force: bool = setting(False, "overwrite an existing --json file")


settings.define_flags(Options)


def main(argv):
    options = settings.from_flags(Options)
    if len(argv) > 1 or not options.data:
        settings.usage_error(f"found {' '.join(argv[1:]) or 'nothing'}, expected --data=DIR and no arguments")
    try:
        evaluate(options)
    except SteganoError as error:
        sys.exit(f"stegano_tf.evaluate: {error.spelled(error.option and f'--{error.option}')}")


def evaluate(options: Options) -> dict:
    """Scores, prints a table, and returns (and with `options.json` writes) the figures."""
    if options.json:
        outputs.check(options.json, force=options.force)
    channel = channels.parse(options.channel) if options.channel else ()
    files = list_pictures(options.data)[: options.limit]
    networks = Runtime(options.preset, options.weights)
    console = rich.console.Console(stderr=True)
    scoring = scoreboard.scores(
        files, networks, options.side, refine=options.refine, balance=options.balance, channel=channel
    )
    scores = list(rich.progress.track(scoring, networks.preset.name, len(files), console=console))
    result = scoreboard.summary(scores) | {
        "stego_identical": all(score.stego_identical for score in scores),
        "data": Path(options.data).resolve().name,
        "pictures": len(scores),
        "pictures_sha256": provenance.sha256(files),
        "side": options.side,
        "refine": options.refine,
        "balance": options.balance,
        "channel": options.channel,
        "preset": networks.preset.name,
        "network": networks.network.hex(),
        "version": __version__,
        "commit": provenance.commit(),
        "packages": provenance.versions(),
        "machine": provenance.machine(),
        "pairs": [dataclasses.asdict(score) for score in scores],
    }
    if options.unrounded:
        from stegano_tf.networks import build  # noqa: PLC0415  (imports Keras)

        result["unrounded"] = scoreboard.unrounded(files, build.load(options.preset, options.weights), options.side)
    table = rich.table.Table(title=f"{result['preset']} on {result['pictures']} pictures of {result['data']}")
    for heading in ("", "PSNR", "SSIM", "APD", "worst PSNR"):
        table.add_column(heading, justify="right" if heading else "left")
    for name in ("cover", "secret"):
        psnr, ssim, apd, worst = (result[key.format(name)] for key in ("{}_psnr", "{}_ssim", "{}_apd", "worst_{}_psnr"))
        table.add_row(name, f"{psnr:.2f} dB", f"{ssim:.4f}", f"{apd:.2f}", f"{worst:.2f} dB")
    rich.console.Console().print(table)
    if options.json:
        outputs.write_json(options.json, result, force=options.force)
    return result


if __name__ == "__main__":
    settings.run(main)
