"""From options to what is trained: the model with its optimizer, its steps, and the schedules of its learning rates."""

import keras

from stegano_tf.errors import StrategyError
from stegano_tf.networks import build
from stegano_tf.training.callbacks.ending import Budget
from stegano_tf.training.callbacks.schedules import CosineSchedule, PlateauSchedule
from stegano_tf.training.loop import JaxSteps, TensorFlowSteps
from stegano_tf.training.model import SteganoModel
from stegano_tf.training.optimizer import ClippedAdam
from stegano_tf.training.options import Options


def replicas(options: Options, strategy) -> int:
    """Returns how many devices train; each gets the same number of pairs.

    Raises:
      StrategyError: they do not divide the batch.
    """
    count = strategy.num_replicas_in_sync if strategy else 1
    if options.batch_size % count:
        raise StrategyError(f"batch_size is {options.batch_size}, expected a multiple of the {count} replicas")
    return count


def model_and_steps(options: Options, strategy) -> tuple[SteganoModel, TensorFlowSteps | JaxSteps]:
    """Returns the model that complete options describe, all its variables made, and what runs its steps.

    Sets Keras' seed and dtype policy.

    Args:
      strategy: of `strategies.make`; None for JAX.

    Example:
      options = complete(Options(data="photographs", preset="tiny", epochs=1))
      model, steps = model_and_steps(options, strategies.make("default"))
    """
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(options.dtype_policy)
    if strategy is None:
        model = compiled(options)
        return model, JaxSteps(model)
    if options.deterministic:
        import tensorflow as tf  # noqa: PLC0415

        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = compiled(options)
    return model, TensorFlowSteps(model, strategy, xla=options.xla)


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
    optimizer = ClippedAdam(
        options.learning_rate,
        beta_1=options.adam_beta_1,
        clip=options.clip,
        reveal_variables=revealing,
        **({} if options.ema is None else {"use_ema": True, "ema_momentum": options.ema}),
    )
    model.compile(optimizer=optimizer)
    optimizer.build(model.trainable_variables)
    return model


def schedules(options: Options, budget: Budget, model: SteganoModel) -> list[CosineSchedule | PlateauSchedule]:
    """Returns the callbacks that set the learning rates of `model`: one, or two if the reveal network has its own."""
    rate = options.learning_rate
    if options.schedule == "cosine":
        return [CosineSchedule(budget, peak=rate, warmup_steps=options.warmup_steps)]
    found = [PlateauSchedule(rate)]
    if hasattr(model.optimizer, "reveal_rate"):
        patience = options.reveal_patience
        found.append(PlateauSchedule(rate, name="reveal_rate", monitor="val_r_loss", patience=patience))
    return found
