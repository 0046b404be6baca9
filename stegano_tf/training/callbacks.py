"""What happens around training steps: learning rate, time budget, rescue after divergence, log, weights, checkpoints.

A callback names in `STATE` those of its attributes that a checkpoint keeps (numbers or None). None of them starts over
in `on_train_begin`: what a checkpoint brought back is there before.
"""

import functools
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import rich.console
import rich.progress
from absl import logging

from stegano_tf import figures, images, outputs
from stegano_tf.errors import CheckpointError, OutputError
from stegano_tf.networks import build
from stegano_tf.training import checkpoints


def to_number(variable) -> float:
    """The value of a scalar variable, mirrored or not."""
    return float(keras.ops.convert_to_numpy(variable))


def _surviving(write: Callable) -> Callable:
    """Makes a failure to write a warning: a full disk must not end days of training."""

    @functools.wraps(write)
    def method(self, *args, **kwargs):
        try:
            write(self, *args, **kwargs)
        except (OSError, OutputError) as error:
            logging.warning("%s: %s. Training goes on.", type(self).__name__, error)

    return method


class Budget(keras.callbacks.Callback):
    """Ends training after `steps`, or after `minutes` if given, and knows how far it has come.

    Validation counts towards the time, the pauses of an interrupted run do not, and an epoch may end early.

    Attributes:
      step: steps done.
      seconds: time spent, as of the last step. The loop sets it from `clock()`, to the same on all workers: what
        depends on the time must not differ between them.
    """

    STATE = ("step", "seconds")

    def __init__(self, *, steps: int, minutes: float | None = None):
        super().__init__()
        self.steps = steps
        self.limit = 60.0 * minutes if minutes else math.inf
        self.step = 0
        self.seconds = 0.0
        self._start = time.monotonic()

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0 to 1."""
        return min(1.0, max(self.step / self.steps, self.seconds / self.limit))

    def clock(self) -> float:
        """Seconds of training until now."""
        return time.monotonic() - self._start

    def on_train_begin(self, logs=None):
        self._start = time.monotonic() - self.seconds

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.progress >= 1.0:
            self.model.stop_training = True


class CosineSchedule(keras.callbacks.Callback):
    """Linear warm-up, then half a cosine from the peak to a hundredth of it as the budget is used up."""

    STATE = ("peak",)

    def __init__(self, budget: Budget, *, peak: float, warmup_steps: int = 300):
        super().__init__()
        self.budget = budget
        self.peak = peak
        self.warmup_steps = warmup_steps

    def on_train_batch_begin(self, batch, logs=None):
        warmup = min(1.0, (self.budget.step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        cosine = 0.5 * (1.0 + math.cos(math.pi * self.budget.progress))
        self.model.optimizer.learning_rate = self.peak * warmup * (0.01 + 0.99 * cosine)

    def halve(self):
        """From now on, half of the learning rate that was planned."""
        self.peak /= 2


class PlateauSchedule(keras.callbacks.Callback):
    """Multiplies a rate by `factor` after more than `patience` epochs in which `monitor` has not fallen by 0.01 %.

    That is PyTorch's ReduceLROnPlateau with its defaults, with which the publication was trained. Keras' own counts one
    epoch less, and asks for an absolute fall of 1e-4, which losses of 1e-3 hardly ever have.

    Args:
      rate: to start with, in `name`, a variable of the optimizer.
    """

    STATE = ("rate", "best", "bad_epochs")
    _THRESHOLD = 1e-4

    def __init__(
        self,
        rate: float,
        *,
        name: str = "learning_rate",
        monitor: str = "val_loss",
        patience: int = 5,
        factor: float = 0.2,
    ):
        super().__init__()
        self.rate = rate
        self.name = name
        self.monitor = monitor
        self.patience = patience
        self.factor = factor
        self.best = math.inf
        self.bad_epochs = 0

    def on_train_batch_begin(self, batch, logs=None):
        # Each time, since the guard against divergence may have brought an older value back.
        getattr(self.model.optimizer, self.name).assign(self.rate)

    def on_epoch_end(self, epoch, logs=None):
        loss = logs[self.monitor]
        if loss < self.best * (1.0 - self._THRESHOLD):
            self.best, self.bad_epochs = loss, 0
        else:
            self.bad_epochs += 1
        if self.bad_epochs > self.patience:
            self.rate *= self.factor
            self.bad_epochs = 0
            logging.info("%s has not fallen for %d epochs: %s is %g", self.monitor, self.patience, self.name, self.rate)

    def halve(self):
        """Halves the rate at once."""
        self.rate /= 2


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras' own, which goes on counting where a checkpoint left off."""

    STATE = ("wait", "best", "best_epoch")

    def __init__(self, patience: int):
        super().__init__(monitor="val_loss", mode="min", patience=patience)
        super().on_train_begin()

    def on_train_begin(self, logs=None):
        """Nothing: see the module's docstring."""

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self.stopped_epoch:
            logging.info("val_loss has not fallen for %d epochs: training ends", self.patience)


class DivergenceGuard(keras.callbacks.Callback):
    """Goes back to the last good weights with half the learning rate when the loss turns NaN or jumps.

    The logarithm of each step's loss is smoothed exponentially: a running geometric mean, which a few hard batches do
    not move much. As long as it is near the lowest so far, the weights and the optimizer's state are kept every
    `keep_every` steps. When it exceeds `jump` times the lowest, or a single loss is not finite, those are restored and
    `on_halve` is called.

    Raises (ends the run, with the last good weights in place):
      FloatingPointError: the loss diverged `max_restores` times.
    """

    STATE = ("restores", "since_kept", "smoothed", "lowest")

    def __init__(
        self,
        on_halve: Callable[[], None],
        *,
        jump: float = 10.0,
        momentum: float = 0.98,
        keep_every: int = 100,
        max_restores: int = 10,
    ):
        super().__init__()
        self.on_halve = on_halve
        self.jump = jump
        self.momentum = momentum
        self.keep_every = keep_every
        self.max_restores = max_restores
        self.restores = 0
        self.since_kept = 0
        self.smoothed = self.lowest = None
        self.kept = None

    def on_train_begin(self, logs=None):
        if self.kept is None:
            self._keep()

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["step_loss"])
        if math.isfinite(loss):
            log = math.log(max(loss, 1e-12))
            previous = log if self.smoothed is None else self.smoothed
            self.smoothed = self.momentum * previous + (1.0 - self.momentum) * log
            self.lowest = min(self.smoothed, math.inf if self.lowest is None else self.lowest)
        if not math.isfinite(loss) or self.smoothed > self.lowest + math.log(self.jump):
            self._restore(loss)
            return
        self.since_kept += 1
        if self.since_kept >= self.keep_every and self.smoothed <= self.lowest + math.log(1.5):
            self._keep()

    def variables(self) -> list[keras.Variable]:
        """Those that are kept."""
        return self.model.variables + self.model.optimizer.variables

    def _keep(self):
        self.kept = [np.array(keras.ops.convert_to_numpy(variable)) for variable in self.variables()]
        self.since_kept = 0

    def _restore(self, loss: float):
        for variable, value in zip(self.variables(), self.kept, strict=False):
            variable.assign(value)
        for metric in self.model.metrics:
            metric.reset_state()  # the epoch's means go on without what led here
        self.restores += 1
        if self.restores > self.max_restores:
            raise FloatingPointError(
                f"the loss diverged {self.restores} times, last to {loss:.3g}: a lower learning rate is needed"
            )
        self.on_halve()
        self.smoothed = self.lowest
        logging.warning(
            "The loss went to %.3g. Restored the weights of %d steps ago and halved the learning rate (time %d of %d).",
            loss,
            self.since_kept,
            self.restores,
            self.max_restores,
        )
        self.since_kept = 0


class RunningMean(keras.callbacks.Callback):
    """Puts the running means of the weights in the model from the start of validation until the end of the epoch.

    So it must stand behind those that look at the weights at an epoch's end, before those that go on from them. Keras'
    `SwapEMAWeights` swaps by adding and subtracting, which leaves weights that were rounded.
    """

    def on_test_begin(self, logs=None):
        variables = self.model.trainable_variables
        self._raw = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
        self.model.optimizer.finalize_variable_values(variables)
        for variable in variables:
            # On JAX it now shares its array with the mean, and whoever donates the one would lose the other.
            variable.assign(np.array(keras.ops.convert_to_numpy(variable)))

    def on_epoch_end(self, epoch, logs=None):
        for variable, value in zip(self.model.trainable_variables, self._raw, strict=True):
            variable.assign(value)


class BestWeights(keras.callbacks.Callback):
    """Writes the weights at the end of each epoch in which `monitor`, a loss, is smaller than ever before."""

    STATE = ("best",)

    def __init__(self, path: Path, *, monitor: str = "val_loss"):
        super().__init__()
        self.path = path
        self.monitor = monitor
        self.best = math.inf

    @_surviving
    def on_epoch_end(self, epoch, logs=None):
        if logs[self.monitor] < self.best:
            # Keras asks for the suffix; a killed run must not leave half a file under the final name.
            partial = self.path.with_name(f".{self.path.name}")
            try:
                build.save_weights(self.model.networks, partial)
                partial.replace(self.path)
            finally:
                partial.unlink(missing_ok=True)
            self.best = logs[self.monitor]


class JsonLines(keras.callbacks.Callback):
    """Appends one JSON object an epoch: its number, steps and seconds so far, learning rate, and every metric.

    A run that goes on from a checkpoint drops the lines of what comes after it.
    """

    def __init__(self, path: Path, budget: Budget):
        super().__init__()
        self.path = path
        self.budget = budget

    @_surviving
    def on_train_begin(self, logs=None):
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        kept = [line for line in lines if _step_of(line) <= self.budget.step]
        if kept != lines:
            with outputs.replacing(self.path, force=True) as partial:
                partial.write_text("".join(f"{line}\n" for line in kept))

    @_surviving
    def on_epoch_end(self, epoch, logs=None):
        record = {
            "epoch": epoch + 1,
            "step": self.budget.step,
            "seconds": round(self.budget.seconds, 1),
            "learning_rate": to_number(self.model.optimizer.learning_rate),
        }
        with self.path.open("a") as file:
            file.write(json.dumps(record | logs) + "\n")


def _step_of(line: str) -> float:
    """The step of a line of the log; one that was cut off by a crash is of no step that was reached."""
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return math.inf


class ContactSheet(keras.callbacks.Callback):
    """Draws cover, stego image, secret and revealed secret of fixed pairs, at the end of each epoch.

    Args:
      path: the PNG file to write and replace.
      cover, secret: uint8[B, H, W, 3].
      predict: (cover, secret) -> stego and revealed secret, float32[B, H, W, 3] in [0, 1].
    """

    def __init__(self, path: Path, cover: np.ndarray, secret: np.ndarray, predict: Callable):
        super().__init__()
        self.path = path
        self.pairs = cover, secret
        self.predict = predict
        self.sheet = None  # uint8[H, W, 3], the latest

    @_surviving
    def on_epoch_end(self, epoch, logs=None):
        cover, secret = self.pairs
        stego, revealed = map(to_uint8, self.predict(self.pairs))
        self.sheet = figures.contact_sheet(zip(cover, stego, secret, revealed, strict=True))
        images.write(self.path, self.sheet, force=True)


class TensorBoard(keras.callbacks.Callback):
    """Writes metrics, learning rate and contact sheet an epoch, and the loss of every `every`th step, for TensorBoard.

    By tensorboardX, which needs no TensorFlow. What a run wrote beyond the checkpoint that it goes on from is purged.
    """

    def __init__(self, folder: Path, budget: Budget, sheet: ContactSheet, *, every: int = 20):
        super().__init__()
        self.folder = folder
        self.budget = budget
        self.sheet = sheet
        self.every = every

    @_surviving
    def on_train_begin(self, logs=None):
        import tensorboardX  # noqa: PLC0415  (an optional extra)

        self.writer = tensorboardX.SummaryWriter(str(self.folder), purge_step=self.budget.step + 1)

    @_surviving
    def on_train_batch_end(self, batch, logs=None):
        if self.budget.step % self.every == 0:
            self._scalars({"step_loss": logs["step_loss"]})

    @_surviving
    def on_epoch_end(self, epoch, logs=None):
        self._scalars(logs | {"learning_rate": to_number(self.model.optimizer.learning_rate)})
        if self.sheet.sheet is not None:
            self.writer.add_image("contact_sheet", self.sheet.sheet, self.budget.step, dataformats="HWC")
        self.writer.flush()

    @_surviving
    def on_train_end(self, logs=None):
        self.writer.close()

    def _scalars(self, values: dict[str, float]):
        for name, value in values.items():
            self.writer.add_scalar(name, value, self.budget.step)


class Progress(keras.callbacks.Callback):
    """A progress bar of each epoch on a terminal, and everywhere one line when it ends; with pairs per second.

    Adds "pairs_per_second" to the epoch's logs: training steps alone, without validation.
    """

    def __init__(self, budget: Budget, *, batch_size: int):
        super().__init__()
        self.budget = budget
        self.batch_size = batch_size
        self._console = rich.console.Console(stderr=True)
        self._bar = None

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()
        self._steps = 0
        if self._console.is_terminal:
            columns = (
                *rich.progress.Progress.get_default_columns(),
                rich.progress.TextColumn("{task.fields[rate]:.1f} pairs/s, loss {task.fields[loss]:.3g}"),
            )
            self._bar = rich.progress.Progress(*columns, console=self._console, transient=True)
            steps = self.params["steps"]
            self._task = self._bar.add_task(
                f"epoch {epoch + 1}", total=steps, completed=self.budget.step % steps, rate=0.0, loss=math.nan
            )
            self._bar.start()

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        if self._bar:
            self._bar.update(self._task, advance=1, rate=self._rate(), loss=logs["step_loss"])

    def on_test_begin(self, logs=None):
        self._final_rate = self._rate()
        self._stop()

    def on_epoch_end(self, epoch, logs=None):
        logs["pairs_per_second"] = round(self._final_rate, 3)
        self._console.print(
            f"epoch {epoch + 1}: loss {logs['loss']:.3g}, val_loss {logs['val_loss']:.3g}, "
            f"cover {logs['val_cover_psnr']:.2f} dB, secret {logs['val_secret_psnr']:.2f} dB, "
            f"{self._final_rate:.1f} pairs/s",
            highlight=False,
            soft_wrap=True,
        )

    def on_train_end(self, logs=None):
        self._stop()

    def _rate(self) -> float:
        return self._steps * self.batch_size / max(1e-9, time.monotonic() - self._start)

    def _stop(self):
        if self._bar:
            self._bar.stop()
            self._bar = None


class Checkpointer(keras.callbacks.Callback):
    """Writes a checkpoint at the end of each epoch, and within it when the last one is `minutes` old.

    Must be the last callback, so that it sees what the others did. All workers gather; the one that may `write` writes.

    Args:
      folder: for the checkpoints.
      callbacks: the others, whose `STATE` belongs to it.
      minutes: of training.
      constants: further state, such as what a run that goes on must have in common with this one.
    """

    def __init__(
        self,
        folder: Path,
        budget: Budget,
        guard: DivergenceGuard,
        callbacks: list[keras.callbacks.Callback],
        *,
        minutes: float = 10.0,
        write: bool = True,
        constants: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.folder = folder
        self.budget = budget
        self.guard = guard
        self.stateful = [callback for callback in (budget, guard, *callbacks) if hasattr(callback, "STATE")]
        self.interval = 60.0 * minutes
        self.write = write
        self.constants = constants or {}
        self._last = 0.0

    def on_train_begin(self, logs=None):
        self._last = self.budget.seconds

    def on_train_batch_end(self, batch, logs=None):
        age = self.budget.seconds - self._last
        # Best where the guard has just kept the same variables: they need not be written twice. It does that every few
        # hundred steps, unless the loss is high.
        if age >= self.interval and (self.guard.since_kept == 0 or age >= 1.5 * self.interval):
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        self.save(complete=self.model.stop_training)

    def save(self, *, complete: bool = False) -> None:
        """Writes a checkpoint of the present state. `complete`: there is nothing left to train."""
        arrays = {name: np.asarray(keras.ops.convert_to_numpy(v)) for name, v in self._variables().items()}
        if self.guard.since_kept:
            arrays |= {f"kept/{i:04}": value for i, value in enumerate(self.guard.kept)}
        state = {self._name(i): {name: getattr(c, name) for name in c.STATE} for i, c in enumerate(self.stateful)}
        self._last = self.budget.seconds
        if self.write:
            state = {"complete": complete, "callbacks": state, **self.constants}
            checkpoints.save(self.folder, self.budget.step, arrays, state)

    def restore(self, checkpoint: checkpoints.Checkpoint) -> None:
        """Puts the state back that `save` saw.

        Raises:
          CheckpointError: the checkpoint has other variables than the model, or other callbacks.
        """
        variables = self._variables()
        found = {name: array.shape for name, array in checkpoint.arrays.items() if not name.startswith("kept/")}
        expected = {name: tuple(variable.shape) for name, variable in variables.items()}
        if found != expected:
            differing = sorted(found.items() ^ expected.items())[0][0]
            raise CheckpointError(
                f"{checkpoint.path}: {differing} has shape {found.get(differing)}, "
                f"this training has {expected.get(differing)}"
            )
        state = checkpoint.state["callbacks"]
        if set(state) != {self._name(i) for i in range(len(self.stateful))}:
            raise CheckpointError(f"{checkpoint.path}: belongs to a run with {', '.join(state)}")
        for name, variable in variables.items():
            variable.assign(checkpoint.arrays[name])
        for i, callback in enumerate(self.stateful):
            for name in callback.STATE:
                setattr(callback, name, state[self._name(i)][name])
        kept = [array for name, array in sorted(checkpoint.arrays.items()) if name.startswith("kept/")]
        self.guard.kept = kept or [checkpoint.arrays[n] for n in variables if not n.startswith("metrics/")]

    def _variables(self) -> dict[str, keras.Variable]:
        groups = {
            "model": self.model.variables,
            "optimizer": self.model.optimizer.variables,
            "metrics": self.model.metrics_variables,
        }
        # By number: Keras counts layers without a name through a process, so that names need not be the same again.
        return {f"{group}/{i:04}": v for group, variables in groups.items() for i, v in enumerate(variables)}

    def _name(self, i: int) -> str:
        return f"{i}/{type(self.stateful[i]).__name__}"


def to_uint8(picture) -> np.ndarray:
    """float32[...] in [0, 1] -> uint8[...], clipped and rounded."""
    return np.rint(np.clip(np.asarray(picture, dtype=np.float32), 0.0, 1.0) * 255.0).astype(np.uint8)
