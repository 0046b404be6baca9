"""One training run: data, model, callbacks and the loop, put together from options; and going on with it."""

import functools
import importlib.util
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from absl import logging

from stegano_tf import presets
from stegano_tf.errors import BackendError, CheckpointError, StrategyError
from stegano_tf.networks import build
from stegano_tf.training import checkpoints, cost, loop, run_folder, strategies
from stegano_tf.training.callbacks import log, steering
from stegano_tf.training.data import sources
from stegano_tf.training.data.batches import PairBatches
from stegano_tf.training.model import SteganoModel
from stegano_tf.training.optimizer import ClippedAdam
from stegano_tf.training.options import Options, complete


def train(options: Options) -> Path:
    """Trains a preset's networks and returns the run folder; goes on with the run that the folder holds, if any.

    The folder holds best.weights.h5 (by validation loss), log.jsonl (one object an epoch), contact_sheet.png,
    options.json, starts.jsonl (commit, versions, devices and command, one object a start), the last two checkpoints,
    and, if asked for, scalars and pictures for TensorBoard.

    A run that was interrupted and gone on with ends with the same weights as one that was not: bit for bit, if it has
    one device, deterministic ops and a length in epochs. With a length in minutes the learning rate depends on the time
    used up, which the checkpoint holds.

    Raises:
      BackendError: TensorBoard's writer is not installed.
      CheckpointError: the run folder's checkpoints cannot be read, or are not of these options or pictures.
      DataError: too few pictures, or a size that does not suit the networks.
      ImageError: a picture does not decode, and `skip_bad_images` is not set.
      OutputError: the run folder cannot be written.
      PresetError: there is no such preset, or `weights` do not fit it.
      StrategyError: the strategy cannot be had, or its replicas do not divide the batch.
      WorkerLostError: another worker has gone; the same call in a new process goes on from the last checkpoint.
      FloatingPointError: training diverged again and again; the best weights so far are in the run folder.
    """
    chosen = complete(options)
    if options.tensorboard and importlib.util.find_spec("tensorboardX") is None:
        text = "tensorboard needs tensorboardX, which is not installed: pip install 'stegano_tf[tensorboard]'"
        raise BackendError(text)
    run_dir = run_folder.choose(options)
    strategy = strategies.make(options.strategy, logical_devices=options.logical_devices)
    with strategies.noticing_lost_workers(strategy):
        return _train(options, chosen, run_dir, strategy)


def _train(given: Options, options: Options, run_dir: Path, strategy) -> Path:
    worker, workers = strategies.workers(strategy)
    replicas = count_replicas(options, strategy)
    checkpoint = checkpoints.latest(run_dir / "checkpoints")
    if checkpoint and checkpoint.state["complete"]:
        print(f"{run_dir}: this run is complete, with step {checkpoint.state['callbacks']['0/Budget']['step']}.")
        return run_dir
    pictures, unseen = sources.split(options)
    training = PairBatches(
        pictures,
        batch_size=options.batch_size // workers,
        crop=options.crop,
        flips=options.flips,
        seed=options.seed,
        skip_bad_images=options.skip_bad_images,
        shard=(worker, workers),
    )
    validated = sources.validation_pairs(
        unseen, batch_size=4 * replicas, size=options.validation_size, skip_bad_images=options.skip_bad_images
    )
    counts = {"training_pictures": training.plan.pictures, "validation_pictures": sum(len(c) for c, _ in validated)}
    if checkpoint and checkpoint.state["pictures"] != counts:
        raise CheckpointError(f"{checkpoint.path}: is of a run on {checkpoint.state['pictures']}, found {counts}")
    model, steps = model_and_steps(options, strategy)

    steps_per_epoch = options.steps_per_epoch or training.plan.steps
    # Where minutes are given, they end the run.
    budget = steering.Budget(steps=(options.epochs or 1_000_000) * steps_per_epoch, minutes=options.minutes)
    schedules = rate_schedules(options, budget, model)
    guard = steering.DivergenceGuard(schedules)
    best = log.BestWeights(run_dir / "best.weights.h5")
    stopping = [] if options.early_stopping is None else [steering.EarlyStopping(options.early_stopping)]
    sheet = log.ContactSheet(run_dir / "contact_sheet.png", *(p[:4] for p in validated[0]), steps.predict)
    saving = checkpoints.Checkpointer(
        run_dir / "checkpoints",
        budget,
        guard,
        [*schedules, best, *stopping],
        minutes=options.checkpoint_minutes,
        write=worker == 0,
        constants={"pictures": counts},
    )
    writers = [
        log.Progress(budget, batch_size=options.batch_size),
        best,
        log.JsonLines(run_dir / "log.jsonl", budget),
        sheet,
        *([log.TensorBoard(run_dir / "tensorboard", budget, sheet)] if options.tensorboard else []),
    ]
    if checkpoint:
        saving.set_model(model)
        saving.restore(checkpoint)
    elif not options.weights:
        some = functools.partial(sources.some, pictures, skip_bad_images=options.skip_bad_images)
        # Every worker does the same: they must start from the same weights.
        presets.get(options.preset).networks.fit(model.networks, some, len(pictures), options.seed)
    run_folder.check_agreement(steps, budget.step, run_dir)
    if worker == 0:
        run_folder.record(given, run_dir, strategy)
        epoch, step = divmod(budget.step, steps_per_epoch)
        if checkpoint:
            print(f"Going on from {checkpoint.path}: epoch {epoch + 1}, step {step} of {steps_per_epoch}.", flush=True)
        logging.info("%s, into %s", counts, run_dir)
    callbacks = [
        *schedules,
        guard,
        *(writers if worker == 0 else []),
        *stopping,
        # Behind those that are to see the means at an epoch's end.
        *([steering.RunningMean()] if options.ema is not None else []),
        saving,
    ]
    loop.fit(model, steps, training, validated, budget=budget, steps_per_epoch=steps_per_epoch, callbacks=callbacks)
    return run_dir


def dry_run(options: Options) -> Iterator[str]:
    """Yields what a run would be: networks, parameters, memory and cost of a step; then the time of a step here.

    Reads no data, writes nothing, and needs neither pictures nor a length. Raises as `train`, except for what concerns
    data and run folder.
    """
    options = complete(options, dry=True)
    strategy = strategies.make(options.strategy, logical_devices=options.logical_devices)
    replicas = count_replicas(options, strategy)
    worker, workers = strategies.workers(strategy)
    model, steps = model_and_steps(options, strategy)
    size, side = options.batch_size, options.crop
    yield cost.report(presets.get(options.preset), model, pairs=size // replicas, side=side)
    noise = list(np.random.default_rng(0).integers(0, 256, (max(size, 2), side, side, 3), dtype=np.uint8))
    pairs = PairBatches(noise, batch_size=size // workers, crop=side, shard=(worker, workers))
    iterator = steps.batches(pairs, 0)
    times = []
    for _ in range(4):  # the first one compiles
        batch, start = next(iterator), time.perf_counter()
        steps.train(batch, 0.0)
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times[1:])
    yield f"a step here: {seconds:.3g} s, {size / seconds:.3g} pairs/s, after {times[0]:.3g} s for the first"


def count_replicas(options: Options, strategy) -> int:
    """Returns how many devices train; raises a `StrategyError` unless they divide the batch."""
    count = strategy.num_replicas_in_sync if strategy else 1
    if options.batch_size % count:
        raise StrategyError(f"batch_size is {options.batch_size}, expected a multiple of the {count} replicas")
    return count


def model_and_steps(options: Options, strategy) -> tuple[SteganoModel, loop.TensorFlowSteps | loop.JaxSteps]:
    """Returns the model that complete options describe, all its variables made, and what runs its steps.

    Sets Keras' seed and dtype policy. `strategy` is one of `strategies.make`.

    Example:
      options = complete(Options(data="photographs", preset="tiny", epochs=1))
      model, steps = model_and_steps(options, strategies.make("default"))
    """
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(options.dtype_policy)
    if strategy is None:
        model = compiled(options)
        return model, loop.JaxSteps(model)
    if options.deterministic:
        import tensorflow as tf  # noqa: PLC0415

        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = compiled(options)
    return model, loop.TensorFlowSteps(model, strategy, xla=options.xla)


def compiled(options: Options) -> SteganoModel:
    """Returns the model of complete options with its optimizer, all its variables made."""
    networks = build.build(options.preset)
    if options.weights:
        build.load_weights(networks, options.weights)
    if options.sync_batch_norm:
        for layer in (*networks.hide.layers, *networks.reveal.layers):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
    model = SteganoModel(networks, beta=options.beta)
    revealing = []
    if options.schedule == "plateau" and options.reveal_patience is not None:
        hiding = {id(variable) for variable in networks.hide.trainable_variables}
        revealing = [variable for variable in networks.reveal.trainable_variables if id(variable) not in hiding]
    mean = {} if options.ema is None else {"use_ema": True, "ema_momentum": options.ema}
    optimizer = ClippedAdam(
        options.learning_rate, beta_1=options.adam_beta_1, clip=options.clip, reveal_variables=revealing, **mean
    )
    model.compile(optimizer=optimizer)
    optimizer.build(model.trainable_variables)
    return model


def rate_schedules(options: Options, budget: steering.Budget, model: SteganoModel) -> list[keras.callbacks.Callback]:
    """Returns the callbacks that set the learning rates of `model`: one, or two if the reveal network has its own."""
    rate = options.learning_rate
    if options.schedule == "cosine":
        return [steering.CosineSchedule(budget, peak=rate, warmup_steps=options.warmup_steps)]
    found = [steering.PlateauSchedule(rate)]
    if hasattr(model.optimizer, "reveal_rate"):
        patience = options.reveal_patience
        found.append(steering.PlateauSchedule(rate, name="reveal_rate", monitor="val_r_loss", patience=patience))
    return found
