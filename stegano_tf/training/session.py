"""A run from what its data and its devices are to its end: model, callbacks, the checkpoint to go on from, the loop.

`run` opens pictures for it. It needs none of the packages that read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
from absl import logging

from stegano_tf import channels, presets
from stegano_tf.errors import CheckpointError
from stegano_tf.networks import build, channel
from stegano_tf.training import checkpoints, loop, run_folder, strategies
from stegano_tf.training.callbacks import log, steering
from stegano_tf.training.data.stored import StoredPairs
from stegano_tf.training.model import SteganoModel
from stegano_tf.training.optimizer import ClippedAdam
from stegano_tf.training.options import Options

if TYPE_CHECKING:
    from stegano_tf.training.data.batches import PairBatches


def go_on(
    given: Options,
    options: Options,
    run_dir: Path,
    checkpoint: checkpoints.Checkpoint | None,
    model: SteganoModel,
    *,
    steps: loop.TensorFlowSteps | loop.JaxSteps,
    training: PairBatches | StoredPairs,
    validated: Sequence[loop.Batch],
    some: Callable[[int], Iterable[np.ndarray]],
    strategy=None,
    pause_after: float | None = None,
) -> None:
    """Trains from a checkpoint, or from the start, to the end of the options' length.

    Args:
      given: the options as they were given, which the run folder keeps; `options` are complete.
      validated: pairs to validate on, in batches. The first four are drawn on the contact sheet.
      some: takes a number n and gives n of the training pictures, for what is set before the first step.
      pause_after: after so many minutes of this call it writes a checkpoint and raises `checkpoints.Paused`. Then there
        are checkpoints every `checkpoint_minutes` alone, and none at the end of each epoch.

    Raises as `run.train`.
    """
    worker, _ = strategies.workers(strategy)
    counts = {"training_pictures": training.plan.pictures, "validation_pictures": sum(len(c) for c, _ in validated)}
    if checkpoint and checkpoint.state["pictures"] != counts:
        raise CheckpointError(f"{checkpoint.path}: is of a run on {checkpoint.state['pictures']}, found {counts}")
    steps_per_epoch = options.steps_per_epoch or training.plan.steps
    # Where minutes are given, they end the run.
    budget = steering.Budget(
        steps=(options.epochs or 1_000_000) * steps_per_epoch, minutes=options.minutes, stride=steps.stride
    )
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
        pause_after=pause_after,
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
        # Every worker does the same: they must start from the same weights.
        presets.get(options.preset).networks.fit(model.networks, some, training.plan.pictures, options.seed)
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
    for layer in (*networks.hide.layers, *networks.reveal.layers):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = options.sync_batch_norm
            layer.trainable = not options.fixed_norm
    steps = channel.through(channels.parse(options.channel), options.seed) if options.channel else ()
    model = SteganoModel(networks, beta=options.beta, power=options.power, channel=steps)
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
