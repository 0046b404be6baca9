r"""Trains the networks of a preset on a folder of pictures.

    python -m stegano_tf.train --data=DIR --preset=invertible --epochs=100
    python -m stegano_tf.train --data=DIR --preset=invertible --minutes=30 --run_dir=runs/mine
    python -m stegano_tf.train --dataset=linnaeus5 --split=paper_train --manual_dir=DIR --epochs=100

Writes into the run folder: best.weights.h5 (by validation loss), log.jsonl, contact_sheet.png and options.json.
"""

import sys

from absl import app, flags

from stegano_tf import presets
from stegano_tf.errors import SteganoError

flags.DEFINE_string("data", None, "Folder of training pictures, read with its subfolders.")
flags.DEFINE_string(
    "validation_data", None, "Folder of validation pictures; by default some of the training pictures are held out."
)
flags.DEFINE_string("dataset", None, "TFDS data set to train on, such as linnaeus5, linnaeus5/128x128 or div2k.")
flags.DEFINE_string("split", "train", "Split of the data set to train on, such as paper_train or train[:90%].")
flags.DEFINE_string(
    "validation_split", None, "Split to validate on; by default some of the training pictures are held out."
)
flags.DEFINE_string("manual_dir", None, "Folder that holds the data set's archive, where it must be fetched by hand.")
flags.DEFINE_string("data_dir", None, "Folder in which TFDS keeps what it built (default: TFDS's own).")
flags.DEFINE_boolean("skip_bad_images", False, "Log and count pictures that do not decode instead of stopping.")
flags.DEFINE_enum("preset", presets.DEFAULT, list(presets.PRESETS), "Which networks to train.")
flags.DEFINE_integer("epochs", None, "Train for this many epochs.", lower_bound=1)
flags.DEFINE_float("minutes", None, "Train for this long, validation included.", lower_bound=0.0)
flags.DEFINE_integer(
    "steps_per_epoch", None, "Steps between validations; by default each picture is used once.", lower_bound=1
)
flags.DEFINE_float("beta", 0.75, "Weight of the reveal loss beside the hide loss.", lower_bound=0.0)
flags.DEFINE_float("learning_rate", None, "Peak learning rate (default: the preset's).", lower_bound=0.0)
flags.DEFINE_integer("batch_size", None, "Pairs a step (default: the preset's).", lower_bound=1)
flags.DEFINE_integer("crop", None, "Side of the training crops in pixels (default: the preset's).", lower_bound=16)
flags.DEFINE_float(
    "clip", None, "Clip gradients to this times the running geometric mean of their norm (default: the preset's)."
)
flags.DEFINE_integer("validation_size", 256, "Side of the validation pictures in pixels.", lower_bound=16)
flags.DEFINE_integer("validation_pictures", 32, "How many pictures to validate on.", lower_bound=2)
flags.DEFINE_float(
    "ema",
    None,
    "Momentum of a running mean of the weights that is validated and kept instead; 0.999 for thousands of steps.",
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_enum("dtype_policy", "float32", ["float32", "mixed_bfloat16"], "What convolutions compute in.")
flags.DEFINE_string("weights", None, "Weights file to start from.")
flags.DEFINE_integer("seed", 0, "Seed of weights and pairs.", lower_bound=0)
flags.DEFINE_string("run_dir", None, "Folder to write to (default: runs/PRESET-TIME).")
flags.mark_flags_as_mutual_exclusive(["data", "dataset"], required=True)
flags.mark_flags_as_mutual_exclusive(["epochs", "minutes"], required=True)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    # Keras and TensorFlow take seconds to import: --help and wrong flags need not wait for them.
    from stegano_tf.training.run import Options, train  # noqa: PLC0415

    options = {flag.name: flag.value for flag in flags.FLAGS.get_key_flags_for_module(__name__)}
    try:
        run_dir = train(Options(**options))
    except (SteganoError, FloatingPointError) as error:
        sys.exit(f"stegano_tf.train: {error}")
    print(f"The run is in {run_dir}")


if __name__ == "__main__":
    app.run(main)
