"""The metrics of a run, for programs and for TensorBoard."""

import json
import math
from pathlib import Path

import keras

from stegano_tf import outputs
from stegano_tf.training.callbacks import surviving
from stegano_tf.training.callbacks.contact_sheet import ContactSheet
from stegano_tf.training.callbacks.ending import Budget


def to_number(variable) -> float:
    """The value of a scalar variable, mirrored or not."""
    return float(keras.ops.convert_to_numpy(variable))


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
        lines = self.path.read_text().splitlines() if self.path.exists() else []
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
    """The step of a line of the log; one that was cut off by a crash is of no step that was reached."""
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return math.inf


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

    @surviving
    def on_train_begin(self, logs=None):
        import tensorboardX  # noqa: PLC0415  (an optional extra)

        self.writer = tensorboardX.SummaryWriter(str(self.folder), purge_step=self.budget.step + 1)

    @surviving
    def on_train_batch_end(self, batch, logs=None):
        if self.budget.step % self.every == 0:
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
