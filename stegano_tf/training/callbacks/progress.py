"""What a run shows on the terminal."""

import math
import time

import keras
import rich.console
import rich.progress

from stegano_tf.training.callbacks.ending import Budget


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
