r"""Exports the networks of a preset: a SavedModel that TF Serving takes as it is, and TFLite files for apps.

    python -m stegano_tf.export --preset=codebook --data=PICTURES
    python -m stegano_tf.export --preset=codebook --weights=runs/mine/best.weights.h5 --out=models

Writes OUT/PRESET/VERSION, whole or not at all, and the model card OUT/PRESET/README.md. The pictures in --data measure
what int8 weights lose; take those of the scoreboard. Without them, or from 0.5 dB on, no int8 file is written.
"""

import os
import sys

from absl import logging

from stegano_tf import settings, stopping
from stegano_tf.errors import SteganoError
from stegano_tf.exporting import Options

settings.define_flags(Options)


def main(argv):
    if len(argv) > 1:
        settings.usage_error(f"unexpected arguments: {' '.join(argv[1:])}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.set_verbosity(logging.WARNING)
    options = settings.from_flags(Options)
    with stopping.noticed("stegano_tf.export"):
        # TensorFlow takes seconds to import: --help and wrong flags need not wait for it.
        from stegano_tf.exporting.run import export, write_card  # noqa: PLC0415

        try:
            written = write_card(options) if options.card_only else export(options)
        except SteganoError as error:
            sys.exit(f"stegano_tf.export: {error}")
    print(f"Written: {written}")


if __name__ == "__main__":
    settings.run(main)
