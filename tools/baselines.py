r"""Measures what classical coding reaches by the scoreboard's protocol, so that networks can be compared with it.

    pip install imagecodecs
    python tools/baselines.py --data=DIR --json=tools/results/baselines-test.json

`lsb-K`, `jxl-M` and `jp2-M` are the methods of `tools/classical.py`, K and M their strengths. Means leave out the pairs
whose secret comes back identical, because their PSNR is infinite; `secret_identical` says how many these are.
"""

import concurrent.futures
import math
import multiprocessing
import os
from pathlib import Path

import classical
import rich.console
import rich.progress
from absl import app, flags
from publishing import publish

from stegano_tf import provenance, scoreboard
from stegano_tf.pairing import list_pictures

_DATA = flags.DEFINE_string("data", None, "Folder of pictures, read with its subfolders.", required=True)
_LIMIT = flags.DEFINE_integer("limit", None, "Use the first so many pictures only.", lower_bound=2)
_JSON = flags.DEFINE_string("json", None, "File to write the figures to, replaced if it exists.")

METHODS = {f"lsb-{bits}": classical.LeastSignificantBits(bits) for bits in (2, 3, 4)}
METHODS |= {f"jxl-{modulus}": classical.ModuloJpegXl(modulus) for modulus in (3, 5, 9)}
METHODS["jp2-5"] = classical.ModuloJpeg2000(5)


def measure(name: str, files: list[Path]) -> dict:
    """Returns the scoreboard's figures of one method."""
    scores = list(scoreboard.scores(files, METHODS[name]))
    lossy = [score for score in scores if math.isfinite(score.secret_psnr)]
    return scoreboard.summary(lossy) | {"secret_identical": len(scores) - len(lossy)}


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    files = list_pictures(_DATA.value)[: _LIMIT.value]
    spawn = multiprocessing.get_context("spawn")  # a fork would copy the locks of threads that it does not copy
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), spawn) as pool:
        jobs = [pool.submit(measure, name, files) for name in METHODS]
        console = rich.console.Console(stderr=True)
        done = concurrent.futures.as_completed(jobs)
        for _ in rich.progress.track(done, "methods", len(jobs), console=console):
            pass
    result = {
        "pictures": len(files),
        "pictures_sha256": provenance.sha256(files),
        "methods": {name: job.result() for name, job in zip(METHODS, jobs, strict=True)},
    }
    publish(result, _JSON.value)


if __name__ == "__main__":
    app.run(main)
