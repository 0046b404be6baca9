r"""Exports the networks of a preset: a SavedModel that TF Serving takes as it is, and TFLite files for apps.

    python -m stegano_tf.export --preset=codebook --data=PICTURES
    python -m stegano_tf.export --preset=codebook --weights=runs/mine/best.weights.h5 --out=models

Writes OUT/PRESET/VERSION, whole or not at all, and the model card OUT/PRESET/README.md. Pictures in --data, best those
of the scoreboard, are for measuring what int8 weights lose: without them, or from 0.5 dB on, no int8 file is written.
"""

import os
import sys

from absl import app, flags, logging

from stegano_tf import presets
from stegano_tf.errors import SteganoError

flags.DEFINE_enum("preset", presets.DEFAULT, list(presets.PRESETS), "Which networks to export.")
flags.DEFINE_string("weights", None, "Weights file to export instead of the installed one.")
flags.DEFINE_string("out", "savedmodels", "Folder of models: the version goes to OUT/PRESET/VERSION.")
flags.DEFINE_integer("version", None, "Number of the version (default: one above the highest there).", lower_bound=1)
flags.DEFINE_list(
    "tflite",
    ["float16", "int8", "float16-256x256"],
    "TFLite files to write beside float32 ones: how weights are stored, and -WIDTHxHEIGHT behind it to fix the size.",
)
flags.DEFINE_string("data", None, "Folder of pictures to measure float16 and int8 on.")
flags.DEFINE_integer("limit", None, "Use the first so many of them only.", lower_bound=2)
flags.DEFINE_boolean("force", False, "Replace a version that exists.")
flags.DEFINE_boolean("card_only", False, "Write just the model card anew, with figures that were measured since.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.set_verbosity(logging.WARNING)
    # TensorFlow takes seconds to import: --help and wrong flags need not wait for it.
    from stegano_tf.exporting.run import Options, export, write_card  # noqa: PLC0415

    options = Options(**{flag.name: flag.value for flag in flags.FLAGS.get_key_flags_for_module(__name__)})
    try:
        written = write_card(options) if options.card_only else export(options)
    except SteganoError as error:
        sys.exit(f"stegano_tf.export: {error}")
    print(f"Written: {written}")


if __name__ == "__main__":
    app.run(main)
