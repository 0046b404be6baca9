r"""Trains the networks of a preset on a folder of pictures.

    python -m stegano_tf.train --data=DIR --preset=codebook --epochs=100
    python -m stegano_tf.train --data=DIR --preset=codebook --minutes=30 --run_dir=runs/mine
    python -m stegano_tf.train --dataset=linnaeus5 --manual_dir=DIR --preset=paper --protocol=paper --strategy=mirrored
    KERAS_BACKEND=jax python -m stegano_tf.train --data=DIR --preset=unet --epochs=100

Writes into the run folder: best.weights.h5 (by validation loss), log.jsonl, contact_sheet.png, options.json,
starts.jsonl and checkpoints. A run that was stopped, in whatever way, goes on when the same command with the same
--run_dir is given again. --flagfile=FILE reads flags from a file. Flags may be written with dashes: --run-dir.
"""

import os
import sys

from absl import flags

from stegano_tf import settings, stopping
from stegano_tf.errors import SteganoError, WorkerLostError
from stegano_tf.training.options import Options, complete

settings.define_flags(Options)
_DRY_RUN = flags.DEFINE_boolean("dry_run", False, "print networks, memory and the cost of a step, and train nothing")
_MAX_RESTARTS = flags.DEFINE_integer(
    "max_restarts", 20, "how often a worker starts again when another one was lost", lower_bound=0
)

_RESTARTS = "STEGANO_TF_RESTARTS"  # in the environment: how often this worker has started again


def main(argv):
    if len(argv) > 1:
        settings.usage_error(f"unexpected arguments: {' '.join(argv[1:])}")
    options = settings.from_flags(Options)
    with stopping.noticed("stegano_tf.train", "; the same command with the same --run_dir goes on"):
        _run(options)


def _run(options: Options):
    try:
        complete(options, dry=_DRY_RUN.value)
    except SteganoError as error:
        settings.usage_error(str(error))
    try:
        # Keras and TensorFlow take seconds to import: wrong options need not wait for them.
        from stegano_tf.training import run  # noqa: PLC0415

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
    settings.run(main)
