"""One training run: data, model, callbacks and the loop, put together from plain options; and going on with it."""

import dataclasses
import datetime
import functools
import importlib.util
import json
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from absl import logging

from stegano_tf import outputs, presets, provenance
from stegano_tf.errors import BackendError, CheckpointError, DataError, OutputError, StrategyError
from stegano_tf.networks import build
from stegano_tf.training import callbacks, checkpoints, cost, loop, pairs, strategies
from stegano_tf.training.model import SteganoModel
from stegano_tf.training.optimizer import ClippedAdam

_OPTIONS_FILE = "options.json"
_STARTS_FILE = "starts.jsonl"
_TIMED_STEPS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What `train` is told; None means the protocol's choice, or else the preset's, unless it says otherwise here."""

    data: str | None = None  # folder of training pictures; exactly one of data and dataset
    validation_data: str | None = None  # folder; None: some of the training pictures are held out
    dataset: str | None = None  # name of a TFDS data set
    split: str | None = None  # of the data set; None: train
    validation_split: str | None = None  # None: some of the training pictures are held out
    manual_dir: str | None = None  # where the data set's archive lies
    data_dir: str | None = None  # where TFDS keeps data sets; None: its default
    training_pictures: int | None = None  # at most, taken evenly; None: all
    skip_bad_images: bool = False  # log and count pictures that don't decode instead of ending
    preset: str = presets.DEFAULT
    protocol: str | None = None  # name in PROTOCOLS
    epochs: int | None = None  # exactly one of epochs and minutes
    minutes: float | None = None  # validation included
    steps_per_epoch: int | None = None  # None: as many as use each picture once
    beta: float | None = None  # weight of the reveal loss; None: 0.75
    learning_rate: float | None = None  # its peak
    warmup_steps: int = 300  # of the cosine schedule
    batch_size: int | None = None  # pairs a step, of all replicas together
    clip: float | None = None  # gradients are clipped to this times the running geometric mean of their norm
    crop: int | None = None  # side of the training crops in pixels
    flips: bool | None = None  # None: yes
    validation_size: int | None = None  # side of the validation pictures in pixels; None: 256
    validation_pictures: int | None = None  # None: 32
    early_stopping: int | None = None  # after so many epochs without a better validation loss; None: never
    ema: float | None = None  # momentum of the running mean of the weights that is then validated and kept
    dtype_policy: str = "float32"
    sync_batch_norm: bool = False  # whether batch normalisation takes its moments over all replicas
    weights: str | None = None  # file to start from; None: fresh weights
    seed: int = 0  # of weights and pairs
    deterministic: bool = False  # whether TensorFlow may only use ops that give the same bits each time
    strategy: str = "default"  # name in strategies.NAMES
    logical_devices: int | None = None  # split the CPU in as many
    xla: bool = False
    tensorboard: bool = False
    checkpoint_minutes: float = 10.0  # at most between two checkpoints; there is one after each epoch, too
    run_dir: str | None = None  # None: runs/PRESET-TIME


# What may differ when a run is gone on with: it changes where and how fast, not what is computed but for rounding.
_FREE = {"data_dir", "manual_dir", "strategy", "logical_devices", "xla", "tensorboard", "checkpoint_minutes", "run_dir"}

PROTOCOLS = {
    # A. Chennupati et al. (ICCCNT 2024): docs/REPRODUCTION.md has the source of each choice.
    "paper": {
        "split": "paper_train",
        "validation_split": "paper_validation",
        "training_pictures": 1800,
        "validation_pictures": 400,
        "validation_size": 256,
        "crop": 256,
        "flips": False,
        "epochs": 100,
        "batch_size": 2,
        "steps_per_epoch": 450,
        "learning_rate": 1e-3,
        "beta": 0.75,
    }
}
_DEFAULTS = {"split": "train", "beta": 0.75, "flips": True, "validation_size": 256, "validation_pictures": 32}


@dataclasses.dataclass(frozen=True)
class _Plan:
    """Options with all choices made."""

    options: Options
    preset: presets.Preset
    training: presets.Training

    @property
    def epochs(self) -> int:
        return self.options.epochs or 1_000_000  # the time ends a run that has minutes instead


def _plan(options: Options) -> _Plan:
    """Options first, then the protocol, then the preset and the defaults."""
    if options.protocol is not None and options.protocol not in PROTOCOLS:
        raise DataError(f"there is no protocol {options.protocol!r}, expected one of {', '.join(PROTOCOLS)}")
    preset = presets.get(options.preset)
    chosen = PROTOCOLS.get(options.protocol, {})
    if options.minutes is not None:
        chosen = {name: value for name, value in chosen.items() if name != "epochs"}
    if options.dataset is None:
        chosen = {name: value for name, value in chosen.items() if not name.endswith("split")}
    filled = {name: value for name, value in (_DEFAULTS | chosen).items() if getattr(options, name) is None}
    options = dataclasses.replace(options, **filled)
    if (options.epochs is None) == (options.minutes is None):
        raise DataError(f"epochs is {options.epochs}, minutes is {options.minutes}, expected exactly one of them")
    names = ("learning_rate", "batch_size", "crop", "clip")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.protocol == "paper":
        given = {"adam_beta_1": 0.5, "clip": None, "schedule": "plateau"} | given
    training = dataclasses.replace(preset.training, **given)
    multiple = max(preset.networks.multiples)
    for name, side in (("crop", training.crop), ("validation_size", options.validation_size)):
        if side % multiple:
            raise DataError(f"{name} is {side}, expected a multiple of {multiple} for preset {preset.name}")
    return _Plan(options, preset, training)


def train(options: Options) -> Path:
    """Trains a preset's networks and returns the run folder; goes on with the run that the folder holds, if any.

    The folder holds best.weights.h5 (by validation loss), log.jsonl (one object an epoch), contact_sheet.png,
    options.json, starts.jsonl (commit, versions, devices and command, one object a start), the last two checkpoints,
    and, if asked for, what TensorBoard shows.

    A run that is gone on with has, on one device and counted in epochs, the weights of one that was never interrupted,
    bit for bit if the ops are deterministic. Counted in minutes, the learning rate depends on the time that was used
    up, which the checkpoint holds.

    Raises:
      BackendError: TensorBoard's writer is not installed.
      CheckpointError: the run folder's checkpoints cannot be read, or are not of these options or pictures.
      DataError: too few pictures, or a size that does not suit the networks.
      ImageError: a picture does not decode, and `skip_bad_images` is not set.
      OutputError: the run folder cannot be written.
      PresetError: there is no such preset, or `weights` do not fit it.
      StrategyError: the strategy is not to be had, or its replicas do not divide the batch.
      WorkerLostError: another worker has gone; the same call goes on from the last checkpoint.
      FloatingPointError: training diverged again and again; the best weights so far are in the run folder.
    """
    plan = _plan(options)
    if options.tensorboard and importlib.util.find_spec("tensorboardX") is None:
        raise BackendError(
            "tensorboard needs tensorboardX, which is not installed: pip install 'stegano_tf[tensorboard]'"
        )
    run_dir = _run_dir(options)
    strategy = strategies.make(options.strategy, logical_devices=options.logical_devices)
    with strategies.noticing_lost_workers(strategy):
        return _train(options, plan, run_dir, strategy)


def _train(given: Options, plan: _Plan, run_dir: Path, strategy) -> Path:
    options = plan.options
    worker, workers = strategies.workers(strategy)
    replicas = _replicas(plan, strategy)
    checkpoint = checkpoints.latest(run_dir / "checkpoints")
    if checkpoint and checkpoint.state["complete"]:
        print(f"{run_dir}: this run is complete, with step {checkpoint.state['callbacks']['0/Budget']['step']}.")
        return run_dir
    pictures, validation_pictures = _split(options)
    training = pairs.PairBatches(
        pictures,
        batch_size=plan.training.batch_size // workers,
        crop=plan.training.crop,
        flips=options.flips,
        seed=options.seed,
        skip_bad_images=options.skip_bad_images,
        shard=(worker, workers),
    )
    validation = pairs.validation_pairs(
        validation_pictures,
        batch_size=4 * replicas,
        size=options.validation_size,
        skip_bad_images=options.skip_bad_images,
    )
    counts = {"training_pictures": training.plan.pictures, "validation_pictures": sum(len(c) for c, _ in validation)}
    if checkpoint and checkpoint.state["pictures"] != counts:
        raise CheckpointError(f"{checkpoint.path}: is of a run on {checkpoint.state['pictures']}, found {counts}")
    model, steps = _model(plan, strategy)

    steps_per_epoch = options.steps_per_epoch or training.steps_per_epoch
    budget = callbacks.Budget(steps=plan.epochs * steps_per_epoch, minutes=options.minutes)
    schedules = _schedules(plan, budget, model)

    def halve():
        for schedule in schedules:
            schedule.halve()

    guard = callbacks.DivergenceGuard(halve)
    best = callbacks.BestWeights(run_dir / "best.weights.h5")
    stopping = [] if options.early_stopping is None else [callbacks.EarlyStopping(options.early_stopping)]
    sheet = callbacks.ContactSheet(run_dir / "contact_sheet.png", *(p[:4] for p in validation[0]), steps.predict)
    checkpointer = callbacks.Checkpointer(
        run_dir / "checkpoints",
        budget,
        guard,
        [*schedules, best, *stopping],
        minutes=options.checkpoint_minutes,
        write=worker == 0,
        constants={"pictures": counts},
    )
    writers = [
        callbacks.Progress(budget, batch_size=plan.training.batch_size),
        best,
        callbacks.JsonLines(run_dir / "log.jsonl", budget),
        sheet,
        *([callbacks.TensorBoard(run_dir / "tensorboard", budget, sheet)] if options.tensorboard else []),
    ]
    if checkpoint:
        checkpointer.set_model(model)
        checkpointer.restore(checkpoint)
    elif not options.weights:
        some = functools.partial(pairs.some_pictures, pictures, skip_bad_images=options.skip_bad_images)
        # Every worker does the same: they must start from the same weights.
        plan.preset.networks.fit(model.networks, some, len(pictures), options.seed)
    _check_agreement(steps, budget.step, run_dir)
    if worker == 0:
        _record(given, run_dir, strategy)
        epoch, step = divmod(budget.step, steps_per_epoch)
        if checkpoint:
            print(f"Going on from {checkpoint.path}: epoch {epoch + 1}, step {step} of {steps_per_epoch}.", flush=True)
        logging.info("%s, into %s", counts, run_dir)
    loop.fit(
        model,
        steps,
        training,
        validation,
        budget=budget,
        steps_per_epoch=steps_per_epoch,
        callbacks=[
            *schedules,
            guard,
            *(writers if worker == 0 else []),
            *stopping,
            # Behind those that are to see the means at an epoch's end.
            *([callbacks.RunningMean()] if options.ema is not None else []),
            checkpointer,
        ],
    )
    return run_dir


def dry_run(options: Options) -> Iterator[str]:
    """Yields what a run would be: networks, parameters, memory and cost of a step; then the time of one here.

    Reads no data, writes nothing, and needs neither epochs nor minutes.

    Raises:
      As `train`, but for what concerns data and run folder.
    """
    if options.epochs is None and options.minutes is None:
        options = dataclasses.replace(options, epochs=1)
    plan = _plan(options)
    strategy = strategies.make(options.strategy, logical_devices=options.logical_devices)
    replicas = _replicas(plan, strategy)
    worker, workers = strategies.workers(strategy)
    model, steps = _model(plan, strategy)
    size, side = plan.training.batch_size, plan.training.crop
    yield cost.report(plan.preset, model, pairs=size // replicas, side=side)
    noise = list(np.random.default_rng(0).integers(0, 256, (max(size, 2), side, side, 3), dtype=np.uint8))
    batches = pairs.PairBatches(noise, batch_size=size // workers, crop=side, shard=(worker, workers))
    iterator = steps.batches(batches, 0)
    times = []
    for _ in range(_TIMED_STEPS + 1):  # the first one compiles
        batch, start = next(iterator), time.perf_counter()
        steps.train(batch, 0.0)
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times[1:])
    yield f"a step here: {seconds:.3g} s, {size / seconds:.3g} pairs/s, after {times[0]:.3g} s for the first"


def _replicas(plan: _Plan, strategy) -> int:
    """How many devices train, each of which gets as many pairs."""
    replicas = strategy.num_replicas_in_sync if strategy else 1
    if plan.training.batch_size % replicas:
        raise StrategyError(f"batch_size is {plan.training.batch_size}, expected a multiple of the {replicas} replicas")
    return replicas


def _model(plan: _Plan, strategy) -> tuple[SteganoModel, loop.TensorFlowSteps | loop.JaxSteps]:
    options = plan.options
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(options.dtype_policy)
    if strategy is None:
        model = _compiled(plan)
        return model, loop.JaxSteps(model)
    if options.deterministic:
        import tensorflow as tf  # noqa: PLC0415

        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = _compiled(plan)
    return model, loop.TensorFlowSteps(model, strategy, xla=options.xla)


def _compiled(plan: _Plan) -> SteganoModel:
    """The model with its optimizer, all variables made."""
    networks = build.build(plan.preset)
    if plan.options.weights:
        build.load_weights(networks, plan.options.weights)
    if plan.options.sync_batch_norm:
        for layer in (*networks.hide.layers, *networks.reveal.layers):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
    model = SteganoModel(networks, beta=plan.options.beta)
    training, ema = plan.training, plan.options.ema
    hiding = {id(variable) for variable in networks.hide.trainable_variables}
    revealing = [variable for variable in networks.reveal.trainable_variables if id(variable) not in hiding]
    optimizer = ClippedAdam(
        training.learning_rate,
        beta_1=training.adam_beta_1,
        clip=training.clip,
        reveal_variables=revealing if plan.options.protocol == "paper" else (),
        **({} if ema is None else {"use_ema": True, "ema_momentum": ema}),
    )
    model.compile(optimizer=optimizer)
    optimizer.build(model.trainable_variables)
    return model


def _schedules(plan: _Plan, budget: callbacks.Budget, model: SteganoModel) -> list:
    rate = plan.training.learning_rate
    if plan.training.schedule == "cosine":
        return [callbacks.CosineSchedule(budget, peak=rate, warmup_steps=plan.options.warmup_steps)]
    schedules = [callbacks.PlateauSchedule(rate)]
    if hasattr(model.optimizer, "reveal_rate"):
        reveal = callbacks.PlateauSchedule(rate, name="reveal_rate", monitor="val_r_loss", patience=8)
        schedules.append(reveal)
    return schedules


def _split(options: Options) -> tuple[list, list]:
    """The training pictures and the validation pictures, the latter taken evenly from all there are."""
    pictures = _open(options, options.data, options.split)
    pool, count = pictures, options.validation_pictures
    held_out = options.validation_data is None and options.validation_split is None
    if held_out:
        count = min(count, max(2, len(pool) // 5))  # of a small collection, most is left to train on
    else:
        pool = _open(options, options.validation_data, options.validation_split)
    chosen = _evenly(len(pool), count)
    if held_out:
        pictures = [picture for i, picture in enumerate(pictures) if i not in chosen]
        if len(pictures) < 2:
            source = options.data or options.dataset
            raise DataError(f"{source}: {len(pool)} pictures leave {len(pictures)} to train on, expected at least 2")
    if options.training_pictures is not None:
        pictures = [pictures[i] for i in _evenly(len(pictures), options.training_pictures)]
    for name, wanted, found in (
        ("training_pictures", options.training_pictures, len(pictures)),
        ("validation_pictures", options.validation_pictures, len(chosen)),
    ):
        if options.protocol is not None and found != wanted:
            logging.warning("%s is %d in protocol %s, there are %d", name, wanted, options.protocol, found)
    return pictures, [pool[i] for i in chosen]


def _evenly(total: int, count: int) -> range:
    """At most `count` indexes below `total`, at equal distances."""
    return range(0, total, max(1, total // count))[:count]


def _open(options: Options, folder: str | None, split: str | None) -> list:
    """The files of a folder, or the examples of a data set's split with their pictures still encoded."""
    if (options.data is None) == (options.dataset is None):
        raise DataError(f"data is {options.data}, dataset is {options.dataset}, expected exactly one of them")
    if folder is not None:
        return pairs.list_pictures(folder)
    try:
        from stegano_tf import datasets  # noqa: PLC0415  (TFDS takes seconds to import)

        source = datasets.load(options.dataset, split=split, data_dir=options.data_dir, manual_dir=options.manual_dir)
        return list(source.as_numpy_iterator())
    except ModuleNotFoundError as error:
        raise DataError(f"dataset {options.dataset} needs {error.name}, which cannot be imported") from error


def _run_dir(options: Options) -> Path:
    """The run folder, in which there is nothing or a run with the same options."""
    if options.run_dir is None:
        if options.strategy == "multi_worker":
            raise StrategyError("run_dir is not set, expected a folder that all workers share")
        return Path(f"runs/{options.preset}-{datetime.datetime.now():%Y%m%d-%H%M%S}")
    run_dir = Path(options.run_dir)
    file = run_dir / _OPTIONS_FILE
    if not file.exists():
        return run_dir
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: cannot be read: {error}") from error
    for name, value in dataclasses.asdict(options).items():
        if name not in found:
            raise CheckpointError(f"{run_dir}: holds a run of another version, without {name}; expected a new folder")
        if name not in _FREE and found[name] != value:
            raise CheckpointError(
                f"{run_dir}: holds a run with {name} {found[name]}, given {value}; expected the same or a new folder"
            )
    return run_dir


def _check_agreement(steps, step: int, run_dir: Path) -> None:
    found = steps.gather(step)
    if len(set(found)) > 1:
        raise CheckpointError(
            f"{run_dir}: workers found checkpoints of steps {', '.join(map(str, found))} in it, "
            "expected a folder that all of them share"
        )


def _record(options: Options, run_dir: Path, strategy) -> None:
    """Makes the run folder, once the data has proved usable, and adds this start to it."""
    start = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "commit": provenance.commit(),
        "packages": provenance.versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "backend": keras.backend.backend(),
        "strategy": options.strategy,
        "replicas": strategy.num_replicas_in_sync if strategy else 1,
        "seed": options.seed,
    }
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        if not (run_dir / _OPTIONS_FILE).exists():
            outputs.write_json(run_dir / _OPTIONS_FILE, dataclasses.asdict(options), force=True)
        with (run_dir / _STARTS_FILE).open("a") as file:
            file.write(json.dumps(start) + "\n")
    except OSError as error:
        raise OutputError(f"{run_dir}: cannot be written: {error.strerror}") from error
