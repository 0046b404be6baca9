r"""Trains the networks of a preset on a folder of pictures.

    python -m stegano_tf.train --data=DIR --preset=codebook --epochs=100
    python -m stegano_tf.train --data=DIR --preset=codebook --minutes=30 --run_dir=runs/mine
    python -m stegano_tf.train --dataset=linnaeus5 --manual_dir=DIR --preset=paper --protocol=paper --strategy=mirrored
    KERAS_BACKEND=jax python -m stegano_tf.train --data=DIR --preset=unet --epochs=100

Writes into the run folder: best.weights.h5 (by validation loss), log.jsonl, contact_sheet.png, options.json,
starts.jsonl and checkpoints. A run that was stopped, in whatever way, goes on when the same command with the same
--run_dir is given again. --flagfile=FILE reads flags from a file.
"""

import os
import sys

from absl import app, flags

from stegano_tf import presets
from stegano_tf.errors import SteganoError, WorkerLostError

flags.DEFINE_string("data", None, "Folder of training pictures, read with its subfolders.")
flags.DEFINE_string(
    "validation_data", None, "Folder of validation pictures; by default some of the training pictures are held out."
)
flags.DEFINE_string("dataset", None, "TFDS data set to train on, such as linnaeus5, linnaeus5/128x128 or div2k.")
flags.DEFINE_string(
    "split", None, "Split of the data set to train on, such as paper_train or train[:90%]; train by default."
)
flags.DEFINE_string(
    "validation_split", None, "Split to validate on; by default some of the training pictures are held out."
)
flags.DEFINE_string("manual_dir", None, "Folder that holds the data set's archive, where it must be fetched by hand.")
flags.DEFINE_string("data_dir", None, "Folder in which TFDS keeps what it built (default: TFDS's own).")
flags.DEFINE_integer(
    "training_pictures", None, "Train on at most this many pictures, taken evenly (default: all).", lower_bound=2
)
flags.DEFINE_boolean("skip_bad_images", False, "Log and count pictures that do not decode instead of stopping.")
flags.DEFINE_enum("preset", presets.DEFAULT, list(presets.PRESETS), "Which networks to train.")
flags.DEFINE_enum(
    "protocol",
    None,
    ["paper"],
    "How to train them, where other flags say nothing: paper is the publication's (docs/REPRODUCTION.md).",
)
flags.DEFINE_integer("epochs", None, "Train for this many epochs.", lower_bound=1)
flags.DEFINE_float("minutes", None, "Train for this long, validation included.", lower_bound=0.0)
flags.DEFINE_integer(
    "steps_per_epoch", None, "Steps between validations; by default each picture is used once.", lower_bound=1
)
flags.DEFINE_float("beta", None, "Weight of the reveal loss beside the hide loss (default: 0.75).", lower_bound=0.0)
flags.DEFINE_float("learning_rate", None, "Peak learning rate (default: the preset's).", lower_bound=0.0)
flags.DEFINE_integer("warmup_steps", 300, "Steps in which a cosine schedule rises to its peak.", lower_bound=0)
flags.DEFINE_integer(
    "batch_size", None, "Pairs a step, of all devices together (default: the preset's).", lower_bound=1
)
flags.DEFINE_integer("crop", None, "Side of the training crops in pixels (default: the preset's).", lower_bound=16)
flags.DEFINE_boolean("flips", None, "Whether pictures are mirrored at random (default: yes).")
flags.DEFINE_float(
    "clip", None, "Clip gradients to this times the running geometric mean of their norm (default: the preset's)."
)
flags.DEFINE_integer(
    "validation_size", None, "Side of the validation pictures in pixels (default: 256).", lower_bound=16
)
flags.DEFINE_integer("validation_pictures", None, "How many pictures to validate on (default: 32).", lower_bound=2)
flags.DEFINE_integer(
    "early_stopping", None, "End after so many epochs without a better validation loss.", lower_bound=1
)
flags.DEFINE_float(
    "ema",
    None,
    "Momentum of a running mean of the weights that is validated and kept instead; 0.999 for thousands of steps.",
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_enum("dtype_policy", "float32", ["float32", "mixed_bfloat16"], "What convolutions compute in.")
flags.DEFINE_boolean("sync_batch_norm", False, "Take the moments of batch normalisation over all devices.")
flags.DEFINE_string("weights", None, "Weights file to start from.")
flags.DEFINE_integer("seed", 0, "Seed of weights and pairs.", lower_bound=0)
flags.DEFINE_boolean("deterministic", False, "Have TensorFlow use only ops that give the same bits each time.")
flags.DEFINE_enum(
    "strategy",
    "default",
    ["default", "one_device", "mirrored", "multi_worker", "parameter_server", "tpu"],
    "Where to train: mirrored uses all GPUs of this machine, multi_worker those of the workers in TF_CONFIG.",
)
flags.DEFINE_integer(
    "logical_devices", None, "Split the CPU in so many devices, to try a strategy without GPUs.", lower_bound=1
)
flags.DEFINE_boolean("xla", False, "Have XLA compile the training step (JAX always does).")
flags.DEFINE_boolean("tensorboard", False, "Write scalars and contact sheets for TensorBoard into the run folder.")
flags.DEFINE_float(
    "checkpoint_minutes", 10.0, "Time between checkpoints; there is one after each epoch.", lower_bound=0.0
)
flags.DEFINE_string("run_dir", None, "Folder to write to, or of the run to go on with (default: runs/PRESET-TIME).")
_DRY_RUN = flags.DEFINE_boolean("dry_run", False, "Print networks, memory and the cost of a step, and train nothing.")
_MAX_RESTARTS = flags.DEFINE_integer(
    "max_restarts", 20, "How often a worker starts again when another one was lost.", lower_bound=0
)

_RESTARTS = "STEGANO_TF_RESTARTS"  # in the environment: how often this worker has started again


@flags.multi_flags_validator(
    ["data", "dataset", "epochs", "minutes", "protocol", "dry_run"],
    message="expected exactly one of --data and --dataset, and exactly one of --epochs and --minutes",
)
def _data_and_length(values):
    data, dataset, epochs, minutes = (values[name] is not None for name in ("data", "dataset", "epochs", "minutes"))
    if data + dataset > 1 or epochs + minutes > 1:
        return False
    return values["dry_run"] or (data + dataset == 1 and (epochs + minutes == 1 or values["protocol"] is not None))


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    # Keras and TensorFlow take seconds to import: --help and wrong flags need not wait for them.
    from stegano_tf.training import run  # noqa: PLC0415

    values = {flag.name: flag.value for flag in flags.FLAGS.get_key_flags_for_module(__name__)}
    options = run.Options(**{name: values[name] for name in values if name not in (_DRY_RUN.name, _MAX_RESTARTS.name)})
    try:
        if _DRY_RUN.value:
            for part in run.dry_run(options):
                print(part, flush=True)  # a step takes long where networks are large
            return
        run_dir = run.train(options)
    except WorkerLostError as error:
        _start_again(error)
    except (SteganoError, FloatingPointError) as error:
        sys.exit(f"stegano_tf.train: {error}")
    print(f"The run is in {run_dir}")


def _start_again(error: WorkerLostError):
    """Becomes a new process that runs this command: TensorFlow's connections to other workers cannot be made anew."""
    restarts = int(os.environ.get(_RESTARTS, "0")) + 1
    if restarts > _MAX_RESTARTS.value:
        sys.exit(f"stegano_tf.train: {error}; gave up after {_MAX_RESTARTS.value} restarts")
    print(f"stegano_tf.train: {error}", file=sys.stderr)
    print(f"Starting again, time {restarts} of {_MAX_RESTARTS.value}: waiting for all workers.", flush=True)
    sys.stderr.flush()
    os.execve(sys.executable, sys.orig_argv, os.environ | {_RESTARTS: str(restarts)})


if __name__ == "__main__":
    app.run(main)
