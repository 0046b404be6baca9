"""One training run: data, model, callbacks and `fit`, put together from plain options."""

import dataclasses
import datetime
import json
from pathlib import Path

import keras
from absl import logging

from stegano_tf import presets
from stegano_tf.errors import DataError, OutputError
from stegano_tf.networks import build
from stegano_tf.training import callbacks, pairs
from stegano_tf.training.model import SteganoModel
from stegano_tf.training.optimizer import ClippedAdam


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What `train` is told; None means the preset's own choice unless another meaning stands beside it."""

    data: str  # folder of training pictures
    validation_data: str | None = None  # folder; None: some of the training pictures are held out
    preset: str = presets.DEFAULT
    epochs: int | None = None  # exactly one of epochs and minutes
    minutes: float | None = None  # validation included
    steps_per_epoch: int | None = None  # None: as many as use each picture once
    beta: float = 0.75  # weight of the reveal loss
    learning_rate: float | None = None  # its peak
    batch_size: int | None = None  # pairs a step
    crop: int | None = None  # side of the training crops in pixels
    validation_size: int = 256  # side of the validation pictures in pixels
    validation_pictures: int = 32
    ema: float | None = None  # momentum of the running mean of the weights that is then validated and kept
    dtype_policy: str = "float32"
    weights: str | None = None  # file to start from; None: fresh weights
    seed: int = 0  # of weights and pairs
    run_dir: str | None = None  # None: runs/PRESET-TIME


def train(options: Options) -> Path:
    """Trains a preset's networks and returns the run folder.

    It holds best.weights.h5 (by validation loss), log.jsonl (one object an epoch), contact_sheet.png and options.json.

    Raises:
      DataError: too few pictures, or a size that does not suit the networks.
      OutputError: the run folder holds a run already.
      PresetError: there is no such preset, or `weights` do not fit it.
      FloatingPointError: training diverged again and again; the best weights so far are in the run folder.
    """
    preset = presets.get(options.preset)
    # The preset's choices where the options leave them open.
    chosen = dataclasses.replace(
        preset.training,
        **{
            name: getattr(options, name)
            for name in ("learning_rate", "batch_size", "crop")
            if getattr(options, name) is not None
        },
    )
    multiple = max(preset.networks.multiples)
    for name, side in (("crop", chosen.crop), ("validation_size", options.validation_size)):
        if side % multiple:
            raise DataError(f"{name} is {side}, expected a multiple of {multiple} for preset {preset.name}")
    files, validation_files = _split(options)
    run_dir = _make_run_dir(options)

    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(options.dtype_policy)
    training = pairs.training_pairs(files, batch_size=chosen.batch_size, crop=chosen.crop, seed=options.seed)
    validation = pairs.validation_pairs(validation_files, batch_size=4, size=options.validation_size)
    networks = build.build(preset)
    if options.weights:
        build.load_weights(networks, options.weights)
    model = SteganoModel(networks, beta=options.beta)
    model.compile(optimizer=_optimizer(chosen, options.ema))

    steps_per_epoch = options.steps_per_epoch or pairs.steps_per_epoch(len(files), chosen.batch_size)
    epochs = options.epochs or 1_000_000  # the budget ends a run that has minutes instead
    budget = callbacks.Budget(steps=epochs * steps_per_epoch, minutes=options.minutes)
    if chosen.schedule == "cosine":
        schedule = callbacks.CosineSchedule(budget, peak=chosen.learning_rate)
    else:
        schedule = callbacks.PlateauSchedule(monitor="val_loss", factor=0.2, patience=5, verbose=1)
    logging.info("%d training and %d validation pictures, into %s", len(files), len(validation_files), run_dir)
    model.fit(
        training.map(_as_input),
        validation_data=validation.map(_as_input),
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        shuffle=False,  # it is already
        callbacks=[
            budget,
            schedule,
            callbacks.DivergenceGuard(schedule.halve),
            # First of those that look at the weights at an epoch's end: they are to see the means.
            *([keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if options.ema is not None else []),
            callbacks.BestWeights(run_dir / "best.weights.h5"),
            callbacks.JsonLines(run_dir / "log.jsonl", budget),
            callbacks.ContactSheet(run_dir / "contact_sheet.png", *next(validation.as_numpy_iterator())),
        ],
    )
    return run_dir


def _split(options: Options) -> tuple[list[Path], list[Path]]:
    """The training files and the validation files, the latter taken evenly from all there are."""
    files = pairs.list_pictures(options.data)
    pool, count = files, options.validation_pictures
    if options.validation_data is None:
        count = min(count, max(2, len(pool) // 5))  # of a small folder, most is left to train on
    else:
        pool = pairs.list_pictures(options.validation_data)
    validation = pool[:: max(1, len(pool) // count)][:count]
    if options.validation_data is None:
        held_out = set(validation)
        files = [file for file in files if file not in held_out]
        if len(files) < 2:
            raise DataError(f"{options.data}: {len(pool)} pictures leave {len(files)} to train on, expected at least 2")
    return files, validation


def _make_run_dir(options: Options) -> Path:
    run_dir = Path(options.run_dir or f"runs/{options.preset}-{datetime.datetime.now():%Y%m%d-%H%M%S}")
    record = run_dir / "options.json"
    if record.exists():
        raise OutputError(f"{run_dir}: holds a run already, expected a new folder")
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(dataclasses.asdict(options), indent=1) + "\n")
    except OSError as error:
        raise OutputError(f"{run_dir}: cannot be written: {error.strerror}") from error
    return run_dir


def _optimizer(training: presets.Training, ema: float | None) -> keras.optimizers.Optimizer:
    options = {"learning_rate": training.learning_rate, "beta_1": training.adam_beta_1}
    if ema is not None:
        options |= {"use_ema": True, "ema_momentum": ema}
    if training.clip is None:
        return keras.optimizers.Adam(**options)
    return ClippedAdam(clip=training.clip, **options)


def _as_input(cover, secret):
    """A pair as the model's one input: a bare tuple of two would be taken for input and target."""
    return ((cover, secret),)
