r"""Trains the networks of a preset on a folder of pictures.

    python -m stegano_tf.train --data=DIR --preset=invertible --epochs=100
    python -m stegano_tf.train --data=DIR --preset=invertible --minutes=30 --run_dir=runs/mine

Writes into the run folder: best.weights.h5 (by validation loss), log.jsonl, contact_sheet.png and flags.txt, a --flagfile that
repeats the run.
"""

import datetime
from pathlib import Path

from absl import app, flags, logging

from stegano_tf import presets
from stegano_tf.errors import DataError, OutputError, SteganoError

_DATA = flags.DEFINE_string("data", None, "Folder of training pictures, read with its subfolders.", required=True)
_VALIDATION_DATA = flags.DEFINE_string(
    "validation_data", None, "Folder of validation pictures; by default some of the training pictures are held out."
)
_PRESET = flags.DEFINE_enum("preset", presets.DEFAULT, list(presets.PRESETS), "Which networks to train.")
_EPOCHS = flags.DEFINE_integer("epochs", None, "Train for this many epochs.", lower_bound=1)
_MINUTES = flags.DEFINE_float("minutes", None, "Train for this long, validation included.", lower_bound=0.0)
_STEPS_PER_EPOCH = flags.DEFINE_integer(
    "steps_per_epoch", None, "Steps between validations; by default each picture is used once.", lower_bound=1
)
_BETA = flags.DEFINE_float("beta", 0.75, "Weight of the reveal loss beside the hide loss.", lower_bound=0.0)
_LEARNING_RATE = flags.DEFINE_float("learning_rate", None, "Peak learning rate (default: the preset's).")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", None, "Pairs a step (default: the preset's).", lower_bound=1)
_CROP = flags.DEFINE_integer("crop", None, "Side of the training crops in pixels (default: the preset's).", lower_bound=16)
_VALIDATION_SIZE = flags.DEFINE_integer("validation_size", 256, "Side of the validation pictures.", lower_bound=16)
_VALIDATION_PICTURES = flags.DEFINE_integer("validation_pictures", 32, "How many to validate on.", lower_bound=2)
_DTYPE_POLICY = flags.DEFINE_enum(
    "dtype_policy", "float32", ["float32", "mixed_bfloat16"], "What convolutions compute in."
)
_WEIGHTS = flags.DEFINE_string("weights", None, "Weights file to start from.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of weights and pairs.", lower_bound=0)
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder to write to (default: runs/PRESET-TIME).")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    if (_EPOCHS.value is None) == (_MINUTES.value is None):
        raise app.UsageError("expected one of --epochs and --minutes")
    try:
        train()
    except SteganoError as error:
        raise SystemExit(f"stegano_tf.train: {error}") from error


def train() -> Path:
    """Trains as the flags say and returns the run folder.

    Raises:
      DataError: too few pictures, or pictures that are too small.
      OutputError: the run folder holds a run already.
      PresetError: --weights do not fit the preset.
    """
    # Keras and TensorFlow take seconds to import: --help and wrong flags need not wait for them.
    import keras  # noqa: PLC0415

    from stegano_tf.networks import build  # noqa: PLC0415
    from stegano_tf.training import callbacks, pairs  # noqa: PLC0415
    from stegano_tf.training.model import SteganoModel  # noqa: PLC0415
    from stegano_tf.training.optimizer import ClippedAdam  # noqa: PLC0415

    preset = presets.get(_PRESET.value)
    options = preset.training
    batch_size = _BATCH_SIZE.value or options.batch_size
    crop = _CROP.value or options.crop
    learning_rate = _LEARNING_RATE.value or options.learning_rate
    for name, side in (("crop", crop), ("validation_size", _VALIDATION_SIZE.value)):
        if side % preset.multiple:
            raise DataError(f"--{name}={side}: preset {preset.name} needs a multiple of {preset.multiple}")

    files = pairs.list_pictures(_DATA.value)
    if _VALIDATION_DATA.value is None:
        stride = max(2, len(files) // _VALIDATION_PICTURES.value)
        validation_files = files[::stride][: _VALIDATION_PICTURES.value]
        files = [file for i, file in enumerate(files) if i % stride or i // stride >= _VALIDATION_PICTURES.value]
    else:
        validation_files = pairs.list_pictures(_VALIDATION_DATA.value)
        stride = max(1, len(validation_files) // _VALIDATION_PICTURES.value)
        validation_files = validation_files[::stride][: _VALIDATION_PICTURES.value]

    keras.utils.set_random_seed(_SEED.value)
    keras.config.set_dtype_policy(_DTYPE_POLICY.value)
    training = pairs.training_pairs(files, batch_size=batch_size, crop=crop, seed=_SEED.value)
    validation = pairs.validation_pairs(validation_files, batch_size=min(8, batch_size), size=_VALIDATION_SIZE.value)
    steps_per_epoch = _STEPS_PER_EPOCH.value or pairs.steps_per_epoch(len(files), batch_size)
    epochs = _EPOCHS.value or 1_000_000  # --minutes ends the run

    networks = build.build(preset)
    if _WEIGHTS.value:
        build.load_weights(networks, _WEIGHTS.value)
    model = SteganoModel(networks, beta=_BETA.value)
    if options.clip:
        optimizer = ClippedAdam(learning_rate, beta_1=options.adam_beta_1, clip=options.clip)
    else:
        optimizer = keras.optimizers.Adam(learning_rate, beta_1=options.adam_beta_1)
    model.compile(optimizer=optimizer)

    run_dir = Path(_RUN_DIR.value or f"runs/{preset.name}-{datetime.datetime.now():%Y%m%d-%H%M%S}")
    log = run_dir / "log.jsonl"
    if log.exists():
        raise OutputError(f"{run_dir}: holds a run already, expected a new folder")
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "flags.txt").write_text(flags.FLAGS.flags_into_string())

    budget = callbacks.Budget(steps=epochs * steps_per_epoch, minutes=_MINUTES.value)
    if options.schedule == "cosine":
        schedule = callbacks.CosineSchedule(budget, peak=learning_rate)
    else:
        schedule = callbacks.PlateauSchedule(monitor="val_loss", factor=0.2, patience=5, verbose=1)
    guard = callbacks.DivergenceGuard(schedule.halve)
    cover, secret = next(iter(validation.unbatch().batch(4)))
    logging.info("%d training and %d validation pictures, into %s", len(files), len(validation_files), run_dir)
    model.fit(
        training.map(lambda cover, secret: ((cover, secret),)),
        validation_data=validation.map(lambda cover, secret: ((cover, secret),)),
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        shuffle=False,  # it is already
        callbacks=[
            budget,
            schedule,
            guard,
            callbacks.BestWeights(run_dir / "best.weights.h5"),
            callbacks.JsonLines(log, budget),
            callbacks.ContactSheet(run_dir / "contact_sheet.png", cover.numpy(), secret.numpy()),
        ],
    )
    return run_dir


if __name__ == "__main__":
    app.run(main)
