"""One training run: what it is told, its pictures and its devices; `session` does the rest."""

import contextlib
import functools
import importlib.util
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stegano_tf import outputs, presets
from stegano_tf.errors import BackendError, StrategyError
from stegano_tf.training import checkpoints, cost, run_folder, session, strategies
from stegano_tf.training.data import sources
from stegano_tf.training.data.batches import PairBatches
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
      OutputError: the run folder cannot be written, or another training writes to it.
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
    replicas = count_replicas(chosen, strategy)
    worker, _ = strategies.workers(strategy)
    # The first worker writes for all.
    alone = outputs.alone(run_dir) if worker == 0 else contextlib.nullcontext()
    with strategies.noticing_lost_workers(strategy), alone:
        return _train(options, chosen, run_dir, strategy, replicas)


def _train(given: Options, options: Options, run_dir: Path, strategy, replicas: int) -> Path:
    worker, workers = strategies.workers(strategy)
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
    model, steps = session.model_and_steps(options, strategy)
    some = functools.partial(sources.some, pictures, skip_bad_images=options.skip_bad_images)
    session.go_on(
        given, options, run_dir, checkpoint, model,
        steps=steps, training=training, validated=validated, some=some, strategy=strategy,
    )  # fmt: skip
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
    model, steps = session.model_and_steps(options, strategy)
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
