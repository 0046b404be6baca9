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
from absl import app, flags

from stegano_tf import __version__, outputs, presets, provenance
from stegano_tf.errors import SteganoError
from stegano_tf.pairing import list_pictures

_DATA = flags.DEFINE_string("data", None, "Folder of pictures, read with its subfolders.", required=True)
_PRESET = flags.DEFINE_enum("preset", presets.DEFAULT, list(presets.PRESETS), "Which networks to score.")
_WEIGHTS = flags.DEFINE_string("weights", None, "Weights file to score instead of the installed one.")
_SIDE = flags.DEFINE_integer(
    "side", 256, "Pixels each way that pictures are cropped to; the scoreboard's is 256.", lower_bound=16
)
_REFINE = flags.DEFINE_integer(
    "refine", 0, "Improve each stego image in so many steps, as `stegano-tf hide --refine`.", lower_bound=0
)
_BALANCE = flags.DEFINE_float("balance", 0.0, "With --refine: dB by which the secret weighs more than the cover.")
_LIMIT = flags.DEFINE_integer("limit", None, "Use the first so many pictures only.", lower_bound=2)
_JSON = flags.DEFINE_string("json", None, "File to write the figures to.")
_FORCE = flags.DEFINE_boolean("force", False, "Overwrite an existing --json file.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    try:
        evaluate()
    except SteganoError as error:
        sys.exit(f"stegano_tf.evaluate: {error}")


def evaluate() -> dict:
    """Scores as the flags say, prints a table, and returns (and with --json writes) the figures."""
    if _JSON.value:
        outputs.check(_JSON.value, force=_FORCE.value)
    from stegano_tf import scoreboard  # noqa: PLC0415  (--help need not wait for Keras)
    from stegano_tf.runtime import Runtime  # noqa: PLC0415

    files = list_pictures(_DATA.value)[: _LIMIT.value]
    networks = Runtime(_PRESET.value, _WEIGHTS.value)
    console = rich.console.Console(stderr=True)
    scoring = scoreboard.scores(files, networks, _SIDE.value, refine=_REFINE.value, balance=_BALANCE.value)
    scores = list(rich.progress.track(scoring, _PRESET.value, len(files), console=console))
    summary = scoreboard.summary(scores)
    print_table(summary, len(scores))
    result = summary | {
        "stego_identical": all(score.stego_identical for score in scores),
        "data": Path(_DATA.value).resolve().name,
        "pictures": len(scores),
        "pictures_sha256": provenance.sha256(files),
        "side": _SIDE.value,
        "refine": _REFINE.value,
        "balance": _BALANCE.value,
        "preset": _PRESET.value,
        "network": networks.network.hex(),
        "version": __version__,
        "commit": provenance.commit(),
        "packages": provenance.versions(),
        "pairs": [dataclasses.asdict(score) for score in scores],
    }
    if _JSON.value:
        outputs.write_json(_JSON.value, result, force=_FORCE.value)
    return result


def print_table(summary: dict, pictures: int) -> None:
    """Prints mean and worst figures to stdout."""
    table = rich.table.Table(title=f"{_PRESET.value} on {pictures} pictures of {_DATA.value}")
    for heading in ("", "PSNR", "SSIM", "APD", "worst PSNR"):
        table.add_column(heading, justify="right" if heading else "left")
    for name in ("cover", "secret"):
        psnr, ssim, apd, worst = (
            summary[key.format(name)] for key in ("{}_psnr", "{}_ssim", "{}_apd", "worst_{}_psnr")
        )
        table.add_row(name, f"{psnr:.2f} dB", f"{ssim:.4f}", f"{apd:.2f}", f"{worst:.2f} dB")
    rich.console.Console().print(table)


if __name__ == "__main__":
    app.run(main)
