r"""What classical coding reaches on the scoreboard's protocol: where networks stand, and where they do not.

    pip install imagecodecs
    python tools/baselines.py --data=DIR --json=tools/results/baselines.json

`lsb-K` and `jxl-M` are the methods of `tools/classical.py`, each over a range of strengths. On a channel that is
perfect, as a sound file is, they set the mark; whoever looks for them finds them. Means leave out the pairs whose
secret comes back identical; `secret_identical` says how many.
"""

import math

import classical
import imagecodecs
import rich.console
import rich.progress
from absl import app, flags
from publishing import publish

from stegano_tf import provenance, scoreboard
from stegano_tf.pairing import list_pictures

_DATA = flags.DEFINE_string("data", None, "Folder of pictures, read with its subfolders.", required=True)
_LIMIT = flags.DEFINE_integer("limit", None, "Use the first so many pictures only.", lower_bound=2)
_JSON = flags.DEFINE_string("json", None, "File to write the figures to, replaced if it exists.")

LSB_BITS = (2, 3, 4, 5)
MODULI = (3, 4, 5, 7, 9, 16)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    files = list_pictures(_DATA.value)[: _LIMIT.value]
    methods = {f"lsb-{bits}": classical.LeastSignificantBits(bits) for bits in LSB_BITS}
    methods |= {f"jxl-{modulus}": classical.ModuloJpegXl(modulus) for modulus in MODULI}
    result = {
        "data": files[0].parents[1].name,
        "pictures": len(files),
        "pictures_sha256": provenance.sha256(files),
        "commit": provenance.commit(),
        "imagecodecs": imagecodecs.__version__,
        "methods": {},
    }
    console = rich.console.Console(stderr=True)
    for name, method in methods.items():
        scores = list(rich.progress.track(scoreboard.scores(files, method), name, len(files), console=console))
        # A secret that comes back identical has an infinite PSNR, which no mean survives: those pairs are counted.
        lossy = [score for score in scores if math.isfinite(score.secret_psnr)]
        result["methods"][name] = scoreboard.summary(lossy) | {"secret_identical": len(scores) - len(lossy)}
    publish(result, _JSON.value)


if __name__ == "__main__":
    app.run(main)
