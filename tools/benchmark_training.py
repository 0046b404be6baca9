"""Measures pairs per second of training, beside the same networks' bare forward and backward pass.

    python tools/benchmark_training.py --json=tools/results/benchmark_training.json

* `trainer`: the steps, callbacks and input pipeline of `stegano_tf.train`, on pictures in memory.
* `bare`: the same networks in the same form (`pair`), the same loss and Keras' Adam, in one `tf.function` with a fixed
  batch in memory. The trainer's metrics, clipping, rescue, progress and input pipeline are the difference.
* `mirrored`: `trainer` over two logical CPU devices at the global batch of one, which `default` then has, too.
* `workers`: two processes on loopback with half of the batch each, beside one with all of it. On one machine they share
  its cores, so this shows what the exchange costs; it cannot get faster.
* `sheets`: what contact sheet and TensorBoard add to an epoch of --epoch_steps steps.

Variants of one case take turns, step by step or repeat by repeat, so that a busy machine slows all of them alike.
Medians, and medians of the ratios within one turn, are reported. All weights are fresh.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging
from publishing import publish

from stegano_tf import presets
from stegano_tf.training import loop, session, strategies
from stegano_tf.training.callbacks import log, steering
from stegano_tf.training.data.batches import PairBatches
from stegano_tf.training.model import to_unit
from stegano_tf.training.options import Options, complete

_PRESETS = flags.DEFINE_multi_string("preset", ["codebook", "unet", "paper", "tiny"], "Networks to train.")
_SIDES = flags.DEFINE_multi_integer("side", [128, 256], "Sides of the pictures.", lower_bound=16)
_POLICIES = flags.DEFINE_multi_string("policy", ["float32", "mixed_bfloat16"], "What convolutions compute in.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Turns of what is timed; ten times as many of steps.", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 30.0, "After so many no further turn of a case begins.", lower_bound=0.0)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 2, "Pairs a step.", lower_bound=2)
_EPOCH_STEPS = flags.DEFINE_integer(
    "epoch_steps", 200, "Steps of the epoch that `sheets` is quoted for.", lower_bound=1
)
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")
_WORKER = flags.DEFINE_string("worker", None, "Used by `workers` itself.")


def options(preset: str, side: int, policy: str = "float32") -> Options:
    return complete(Options(preset=preset, crop=side, batch_size=_BATCH_SIZE.value, dtype_policy=policy), dry=True)


def noise(count: int, side: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


class Trainer:
    """`loop.fit` with what a run has by default, one step at a time."""

    def __init__(self, chosen: Options, strategy):
        self.model, self.steps = session.model_and_steps(chosen, strategy)
        side, size = chosen.crop, chosen.batch_size
        worker, workers = strategies.workers(strategy)
        batches = PairBatches(noise(8 * size, side), batch_size=size // workers, crop=side, shard=(worker, workers))
        self.batches = self.steps.batches(batches, 0)
        self.budget = steering.Budget(steps=10**9)
        schedules = session.rate_schedules(chosen, self.budget, self.model)
        guard = steering.DivergenceGuard([])
        bar = log.Progress(self.budget, batch_size=size)
        self.callbacks = keras.callbacks.CallbackList(
            [self.budget, *schedules, guard, bar], model=self.model, steps=10**6
        )
        self.callbacks.on_train_begin()
        self.callbacks.on_epoch_begin(0)

    def __call__(self):
        self.callbacks.on_train_batch_begin(0)
        loss, self.budget.seconds = self.steps.train(next(self.batches), self.budget.clock())
        self.callbacks.on_train_batch_end(0, {"step_loss": loss})


def bare(chosen: Options) -> Callable:
    """The same networks in a loop of their own: forward, backward, Adam; nothing else."""
    model = session.compiled(chosen)
    variables = model.trainable_variables
    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(variables)
    pictures = noise(2 * chosen.batch_size, chosen.crop)
    batch = [tf.constant(np.stack(part)) for part in (pictures[::2], pictures[1::2])]

    @tf.function
    def step():
        cover, secret = map(to_unit, batch)
        with tf.GradientTape() as tape:
            stego, revealed = model.pair([cover, secret], training=True)
            h_loss, r_loss = tf.reduce_mean(tf.square(stego - cover)), tf.reduce_mean(tf.square(revealed - secret))
            loss = h_loss + chosen.beta * r_loss
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return loss

    return lambda: float(step())


def in_turns(runs: dict[str, Callable], repeats: int) -> dict[str, list[float]]:
    """Seconds of each call, after one call of each that compiles."""
    for call in runs.values():
        call()
    seconds = {name: [] for name in runs}
    end = time.perf_counter() + _SECONDS.value
    for turn in range(repeats):
        if turn and time.perf_counter() > end:
            break
        for name in sorted(runs, reverse=bool(turn % 2)):  # neither is always the first
            start = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def compared(seconds: dict[str, list[float]], name: str, to: str, pairs_a_call: float) -> dict:
    """Pairs per second of both, and the ratio of their rates."""
    ratios = [b / a for a, b in zip(seconds[name], seconds[to], strict=True)]
    rates = {key: round(pairs_a_call / statistics.median(seconds[key]), 3) for key in (name, to)}
    return {f"{key}_pairs_per_second": rate for key, rate in rates.items()} | {
        "ratio": round(statistics.median(ratios), 3),
        "turns": len(ratios),
    }


def measure_steps(preset: str, side: int, policy: str) -> dict:
    chosen = options(preset, side, policy)
    runs = {"trainer": Trainer(chosen, tf.distribute.get_strategy()), "bare": bare(chosen)}
    return compared(in_turns(runs, 10 * _REPEATS.value), "trainer", "bare", _BATCH_SIZE.value)


def measure_mirrored(side: int) -> dict:
    chosen = options("codebook", side)
    mirrored = tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices("CPU")])
    runs = {"mirrored": Trainer(chosen, mirrored), "default": Trainer(chosen, tf.distribute.get_strategy())}
    return compared(in_turns(runs, _REPEATS.value * 3), "mirrored", "default", _BATCH_SIZE.value)


def measure_sheets(side: int) -> dict:
    """What contact sheet and TensorBoard cost, as a share of an epoch of steps."""
    chosen = options("codebook", side)
    trainer = Trainer(chosen, tf.distribute.get_strategy())
    cover, secret = (np.stack(noise(4, 256)) for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        sheet = log.ContactSheet(Path(folder) / "sheet.png", cover, secret, trainer.steps.predict)
        board = log.TensorBoard(Path(folder) / "board", trainer.budget, sheet)
        for callback in (sheet, board):
            callback.set_model(trainer.model)
        board.on_train_begin()
        logs = loop.results(trainer.model)

        def an_epoch_of_scalars():
            last = trainer.budget.step
            for trainer.budget.step in range(1, _EPOCH_STEPS.value + 1):
                board.on_train_batch_end(0, {"step_loss": 1.0})
            trainer.budget.step = last

        def extras():
            an_epoch_of_scalars()
            sheet.on_epoch_end(0, dict(logs))
            board.on_epoch_end(0, dict(logs))

        seconds = in_turns({"step": trainer, "extras": extras}, _REPEATS.value)
    step, extra = (statistics.median(seconds[name]) for name in ("step", "extras"))
    return {
        "epoch_steps": _EPOCH_STEPS.value,
        "step_seconds": round(step, 4),
        "extras_seconds_an_epoch": round(extra, 4),
        "share": round(extra / (step * _EPOCH_STEPS.value), 4),
    }


def measure_workers(side: int) -> dict:
    """Two processes beside one, each in a process of its own, in turns."""
    steps, seconds = 12, {"two_workers": [], "one": []}
    for _ in range(max(2, _REPEATS.value // 2)):
        for name, count in (("one", 1), ("two_workers", 2)):
            found = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
            addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in found]
            for s in found:
                s.close()
            processes = []
            for index in range(count):
                config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
                command = [sys.executable, __file__, f"--worker={side},{steps}", f"--batch_size={_BATCH_SIZE.value}"]
                environment = os.environ | ({"TF_CONFIG": json.dumps(config)} if count > 1 else {})
                processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
            outputs = [process.communicate()[0] for process in processes]
            seconds[name].append(float(outputs[0].split()[-1]))
    return compared(seconds, "two_workers", "one", _BATCH_SIZE.value)


def work(side: int, steps: int) -> float:
    """Median seconds of a step in a process that `measure_workers` started."""
    strategy = strategies.make("multi_worker" if "TF_CONFIG" in os.environ else "default")
    trainer = Trainer(options("codebook", side), strategy)
    return statistics.median(in_turns({"trainer": trainer}, steps)["trainer"])


def measure() -> dict:
    figures = {
        "parameters": {name: presets.get(name).parameters for name in _PRESETS.value},
        "batch_size": _BATCH_SIZE.value,
        "cores": os.cpu_count(),
        "load_at_start": os.getloadavg()[0],
    }
    side = min(_SIDES.value)
    # Each in a process of its own would be cleaner still, but compiling takes longer than measuring.
    figures["steps"] = {}
    for policy in _POLICIES.value:
        for preset in _PRESETS.value:
            for each in _SIDES.value:
                name = f"{preset}_{each}_{policy}"
                logging.info("%s", name)
                figures["steps"][name] = measure_steps(preset, each, policy)
                keras.backend.clear_session()
    keras.config.set_dtype_policy("float32")
    figures[f"mirrored_{side}"] = measure_mirrored(side)
    figures[f"sheets_{side}"] = measure_sheets(side)
    figures[f"workers_{side}"] = measure_workers(side)
    return figures


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    if _WORKER.value:
        print(work(*map(int, _WORKER.value.split(","))))
        return
    strategies.make("default", logical_devices=2)
    publish(measure(), _JSON.value, presets=_PRESETS.value)


if __name__ == "__main__":
    app.run(main)
