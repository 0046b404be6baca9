"""Feeds damaged picture files to the reader of pictures, and stops at the first crash, hang or odd error.

    python tools/fuzz_pictures.py --inputs=1000000

Atheris (libFuzzer) chooses the inputs by what code of stegano_tf.images and of Pillow's parsers they reach, beginning
with a small picture in each of some formats and modes. Allowed is a picture, or an error of one line that names the
file. Time is processor time. What stops a run is left in --folder, as crash-….
"""

import collections
import json
import os
import time
import warnings
from pathlib import Path

import atheris
import numpy as np
from absl import app, flags

with atheris.instrument_imports(include=["stegano_tf.images", "PIL"]):
    from PIL import Image

    from stegano_tf import images
from stegano_tf.errors import SteganoError

_INPUTS = flags.DEFINE_integer("inputs", 1_000_000, "How many.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 1, "Of the choices.", lower_bound=1)
_FOLDER = flags.DEFINE_string("folder", "/tmp", "Where the seeds, and what stops a run, are written.")
_LARGEST = 4_000  # bytes of an input
_PIXELS = 1 << 16
_LONGEST = 2.0  # seconds
_KINDS = {
    "png": ("RGB", "RGBA", "P", "L", "LA", "1"),
    "jpeg": ("RGB", "L", "CMYK"),
    "webp": ("RGB", "RGBA"),
    "gif": ("P", "L"),
    "bmp": ("RGB", "L", "1"),
    "tiff": ("RGB", "L", "CMYK", "F"),
}


def seeds(folder: Path) -> list[Path]:
    """Writes a picture of each kind and returns the files."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8))
    files = []
    for kind, modes in _KINDS.items():
        for mode in modes:
            files.append(folder / f"seed.{mode}.{kind}")
            picture.convert(mode).save(files[-1], kind)
    return files


def main(argv):
    folder = Path(_FOLDER.value, f"fuzz_pictures_{_SEED.value}")
    folder.mkdir(exist_ok=True)
    warnings.simplefilter("ignore")
    outcomes, slowest = collections.Counter(), 0.0

    def one(data: bytes) -> None:
        nonlocal slowest
        start = time.process_time()
        try:
            shape = images.decode(data, "picture", max_pixels=_PIXELS).shape
            outcomes["picture"] += 1
            assert len(shape) == 3, shape
        except SteganoError as error:
            outcomes[type(error).__name__] += 1
            if "\n" in str(error) or not str(error).startswith("picture: "):
                raise AssertionError(repr(error)) from error
        taken = time.process_time() - start
        slowest = max(slowest, taken)
        assert taken <= _LONGEST, taken
        if outcomes.total() == _INPUTS.value:
            print(json.dumps({"inputs": outcomes.total(), "outcomes": outcomes, "slowest_s": slowest}), flush=True)
            os._exit(0)  # libFuzzer has no other end

    options = [f"-max_len={_LARGEST}", "-timeout=60", "-rss_limit_mb=0", f"-artifact_prefix={folder}/"]
    corpus = ",".join(map(str, seeds(folder)))
    atheris.Setup([argv[0], *options, f"-seed={_SEED.value}", f"-seed_inputs={corpus}"], one)
    atheris.Fuzz()


if __name__ == "__main__":
    app.run(main)
