"""What a run tells of each epoch: a line, a JSON object, a contact sheet, TensorBoard's scalars, the best weights."""

import functools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import rich.console
import rich.progress
from absl import logging

from stegano_tf import outputs
from stegano_tf.errors import OutputError
from stegano_tf.networks import build
from stegano_tf.training.callbacks.steering import Budget


def surviving(write: Callable) -> Callable:
    """Makes a failure of a callback's method to write a warning: a full disk must not end days of training."""

    @functools.wraps(write)
    def method(self, *args, **kwargs):
        try:
            write(self, *args, **kwargs)
        except (OSError, OutputError) as error:
            logging.warning("%s: %s. Training goes on.", type(self).__name__, error)

    return method


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


class JsonLines(keras.callbacks.Callback):
    """Appends one JSON object an epoch: its number, steps and seconds so far, learning rate, and every metric.

    A run that goes on from a checkpoint drops the lines of what comes after it.
    """

    def __init__(self, path: Path, budget: Budget):
        super().__init__()
        self.path = path
        self.budget = budget

    @surviving
    def on_train_begin(self, logs=None):
        lines = self.path.read_text(errors="replace").splitlines() if self.path.exists() else []
        kept = [line for line in lines if _step_of(line) <= self.budget.step]
        if kept != lines:
            with outputs.replacing(self.path, force=True) as partial:
                partial.write_text("".join(f"{line}\n" for line in kept))

    @surviving
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
    """The step of a line of the log; one that was cut off or damaged is of no step that was reached."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


class BestWeights(keras.callbacks.Callback):
    """Writes the weights at the end of each epoch whose validation loss is smaller than any before."""

    STATE = ("best",)

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.best = math.inf

    @surviving
    def on_epoch_end(self, epoch, logs=None):
        if logs["val_loss"] < self.best:
            with outputs.replacing(self.path, force=True) as partial:
                build.save_weights(self.model.networks, partial)
            self.best = logs["val_loss"]


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

    @surviving
    def on_epoch_end(self, epoch, logs=None):
        from stegano_tf import figures, images  # noqa: PLC0415  (Pillow, which nothing else here needs)

        cover, secret = self.pairs
        stego, revealed = map(to_uint8, self.predict(self.pairs))
        self.sheet = figures.contact_sheet(zip(cover, stego, secret, revealed, strict=True))
        images.write(self.path, self.sheet, force=True)


class TensorBoard(keras.callbacks.Callback):
    """Writes metrics, learning rate and contact sheet an epoch, and the loss of every 20th step, for TensorBoard.

    By tensorboardX, which needs no TensorFlow. What a run wrote beyond the checkpoint that it goes on from is purged.
    """

    _EVERY = 20

    def __init__(self, folder: Path, budget: Budget, sheet: ContactSheet):
        super().__init__()
        self.folder = folder
        self.budget = budget
        self.sheet = sheet

    @surviving
    def on_train_begin(self, logs=None):
        import tensorboardX  # noqa: PLC0415  (an optional extra)

        self.writer = tensorboardX.SummaryWriter(str(self.folder), purge_step=self.budget.step + 1)

    @surviving
    def on_train_batch_end(self, batch, logs=None):
        if self.budget.step % self._EVERY == 0:
            self._scalars({"step_loss": logs["step_loss"]})

    @surviving
    def on_epoch_end(self, epoch, logs=None):
        self._scalars(logs | {"learning_rate": to_number(self.model.optimizer.learning_rate)})
        if self.sheet.sheet is not None:
            self.writer.add_image("contact_sheet", self.sheet.sheet, self.budget.step, dataformats="HWC")
        self.writer.flush()

    @surviving
    def on_train_end(self, logs=None):
        self.writer.close()

    def _scalars(self, values: dict[str, float]):
        for name, value in values.items():
            self.writer.add_scalar(name, value, self.budget.step)


def to_uint8(picture) -> np.ndarray:
    """float32[...] in [0, 1] -> uint8[...], clipped and rounded."""
    return np.rint(np.clip(np.asarray(picture, dtype=np.float32), 0.0, 1.0) * 255.0).astype(np.uint8)


def to_number(variable) -> float:
    """The value of a scalar variable, mirrored or not."""
    return float(keras.ops.convert_to_numpy(variable))
