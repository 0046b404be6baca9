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

_OPTIONS_FILE = "options.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What `train` is told; None means the preset's own choice unless another meaning stands beside it."""

    data: str | None = None  # folder of training pictures; exactly one of data and dataset
    validation_data: str | None = None  # folder; None: some of the training pictures are held out
    dataset: str | None = None  # name of a TFDS data set
    split: str = "train"  # of the data set
    validation_split: str | None = None  # None: some of the training pictures are held out
    manual_dir: str | None = None  # where the data set's archive lies
    data_dir: str | None = None  # where TFDS keeps data sets; None: its default
    skip_bad_images: bool = False  # log and count pictures that don't decode instead of ending
    preset: str = presets.DEFAULT
    epochs: int | None = None  # exactly one of epochs and minutes
    minutes: float | None = None  # validation included
    steps_per_epoch: int | None = None  # None: as many as use each picture once
    beta: float = 0.75  # weight of the reveal loss
    learning_rate: float | None = None  # its peak
    batch_size: int | None = None  # pairs a step
    clip: float | None = None  # gradients are clipped to this times the running geometric mean of their norm
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
      ImageError: a picture does not decode, and `skip_bad_images` is not set.
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
            for name in ("learning_rate", "batch_size", "crop", "clip")
            if getattr(options, name) is not None
        },
    )
    multiple = max(preset.networks.multiples)
    for name, side in (("crop", chosen.crop), ("validation_size", options.validation_size)):
        if side % multiple:
            raise DataError(f"{name} is {side}, expected a multiple of {multiple} for preset {preset.name}")
    run_dir = _new_run_dir(options)
    pictures, validation_pictures = _split(options)

    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(options.dtype_policy)
    training = pairs.PairBatches(
        pictures,
        batch_size=chosen.batch_size,
        crop=chosen.crop,
        seed=options.seed,
        skip_bad_images=options.skip_bad_images,
    )
    validation = pairs.validation_pairs(
        validation_pictures,
        batch_size=4,
        size=options.validation_size,
        skip_bad_images=options.skip_bad_images,
    )
    _record(options, run_dir)
    networks = build.build(preset)
    if options.weights:
        build.load_weights(networks, options.weights)
    model = SteganoModel(networks, beta=options.beta)
    model.compile(optimizer=_optimizer(chosen, options.ema))

    steps_per_epoch = options.steps_per_epoch or training.steps_per_epoch
    epochs = options.epochs or 1_000_000  # the budget ends a run that has minutes instead
    budget = callbacks.Budget(steps=epochs * steps_per_epoch, minutes=options.minutes)
    if chosen.schedule == "cosine":
        schedule = callbacks.CosineSchedule(budget, peak=chosen.learning_rate)
    else:
        schedule = callbacks.PlateauSchedule(monitor="val_loss", factor=0.2, patience=5, verbose=1)
    counts = training.plan.pictures, len(validation_pictures)
    logging.info("%d training and %d validation pictures, into %s", *counts, run_dir)
    model.fit(
        training.dataset().map(_as_input),
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


def _split(options: Options) -> tuple[list, list]:
    """The training pictures and the validation pictures, the latter taken evenly from all there are."""
    pictures = _open(options, options.data, options.split)
    pool, count = pictures, options.validation_pictures
    held_out = options.validation_data is None and options.validation_split is None
    if held_out:
        count = min(count, max(2, len(pool) // 5))  # of a small collection, most is left to train on
    else:
        pool = _open(options, options.validation_data, options.validation_split)
    chosen = range(0, len(pool), max(1, len(pool) // count))[:count]
    if held_out:
        pictures = [picture for i, picture in enumerate(pictures) if i not in chosen]
        if len(pictures) < 2:
            source = options.data or options.dataset
            raise DataError(f"{source}: {len(pool)} pictures leave {len(pictures)} to train on, expected at least 2")
    return pictures, [pool[i] for i in chosen]


def _open(options: Options, folder: str | None, split: str | None) -> list:
    """The files of a folder, or the examples of a data set's split with their pictures still encoded."""
    if (options.data is None) == (options.dataset is None):
        raise DataError(f"data is {options.data}, dataset is {options.dataset}, expected exactly one of them")
    if folder is not None:
        return pairs.list_pictures(folder)
    from stegano_tf import datasets  # noqa: PLC0415  (TFDS takes seconds to import)

    source = datasets.load(options.dataset, split=split, data_dir=options.data_dir, manual_dir=options.manual_dir)
    return list(source.as_numpy_iterator())


def _new_run_dir(options: Options) -> Path:
    run_dir = Path(options.run_dir or f"runs/{options.preset}-{datetime.datetime.now():%Y%m%d-%H%M%S}")
    if (run_dir / _OPTIONS_FILE).exists():
        raise OutputError(f"{run_dir}: holds a run already, expected a new folder")
    return run_dir


def _record(options: Options, run_dir: Path) -> None:
    """Makes the run folder, once the data has proved usable."""
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / _OPTIONS_FILE).write_text(json.dumps(dataclasses.asdict(options), indent=1) + "\n")
    except OSError as error:
        raise OutputError(f"{run_dir}: cannot be written: {error.strerror}") from error


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
