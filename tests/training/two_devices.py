"""Trains on one device and on two, and prints the figures of both as JSON."""

import json

import keras
import numpy as np

from stegano_tf.networks import build, family
from stegano_tf.training import loop, session, strategies
from stegano_tf.training.data.batches import PairBatches
from stegano_tf.training.options import Options, complete

# First of all: devices are split before their first use.
mirrored = strategies.make("mirrored", logical_devices=2)
assert mirrored.num_replicas_in_sync == 2
pictures = list(np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8))


def losses(strategy, steps, **options):
    chosen = Options(data=".", preset="tiny", epochs=1, batch_size=4, crop=32, **options)
    model, runner = session.model_and_steps(complete(chosen), strategy)
    batches = runner.batches(PairBatches(pictures, batch_size=4, crop=32), first=1)
    found = [runner.train(next(batches), 5.0) for _ in range(steps)]
    assert {clock for _, clock in found} == {5.0}
    return [loss for loss, _ in found], model, runner


def all_figures(*arguments, **options):
    found, model, runner = losses(*arguments, **options)
    metrics = loop.results(model)
    # For two devices the batch of three pairs is filled up, which must not count.
    validation = [tuple(np.stack(pictures[i : i + n]) for i in (a, b)) for a, b, n in ((0, 3, 3), (4, 8, 4))]
    metrics |= {f"val_{name}": value for name, value in loop.evaluate(model, runner, validation).items()}
    weights = [keras.ops.convert_to_numpy(v).ravel() for v in model.trainable_variables]
    return found, metrics, np.concatenate(weights).tolist()


one = strategies.make("default")
figures = {"plain": [all_figures(s, 12, clip=1.01, ema=0.9, learning_rate=1e-3) for s in (one, mirrored)]}


def normalised(preset):
    cover, secret, stego = (keras.Input((None, None, 3)) for _ in range(3))
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(3, 3, padding="same")(secret))
    return family.composed(keras.Model([cover, secret], cover + hidden), keras.Model(stego, 0.5 * stego))


build.build = normalised
figures["norm"] = [losses(s, 6, learning_rate=0.03)[0] for s in (one, mirrored)]
figures["sync"] = losses(mirrored, 6, learning_rate=0.03, sync_batch_norm=True)[0]
print(json.dumps(figures))
