import math
import types

import keras
import numpy as np
import pytest

from stegano_tf.errors import CheckpointError
from stegano_tf.training import checkpoints
from stegano_tf.training.callbacks import log, steering


class Toy(keras.Model):
    """A model whose loss is whatever the callback is told."""

    def __init__(self):
        super().__init__()
        self.weight = self.add_weight(shape=(), initializer="zeros")
        self.compile(optimizer=keras.optimizers.SGD(1.0))

    def call(self, x):
        return x


def guard_on(model, **options):
    halved = []
    schedule = types.SimpleNamespace(halve=lambda: halved.append(True))
    guard = steering.DivergenceGuard([schedule], **options)
    guard.set_model(model)
    guard.on_train_begin()
    return guard, halved


def run(guard, model, losses):
    for batch, loss in enumerate(losses):
        model.weight.assign(model.weight + 1.0)
        guard.on_train_batch_end(batch, {"step_loss": loss})


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_restores_the_last_good_weights(bad):
    model = Toy()
    guard, halved = guard_on(model, keep_every=3)
    run(guard, model, [1.0, 1.0, 1.0, 1.0])  # kept at weight 3
    assert float(model.weight) == 4.0
    run(guard, model, [bad])
    assert float(model.weight) == 3.0
    assert len(halved) == 1


def test_a_jump_restores_and_one_hard_batch_does_not():
    model = Toy()
    guard, halved = guard_on(model, keep_every=3, jump=4.0, momentum=0.9)
    run(guard, model, [1.0, 1.0, 1.0, 100.0, 1.0, 1.0])  # 100 moves the mean to 100 ** 0.1 = 1.58
    assert not halved
    # It stood at 1.58 ** 0.81 = 1.45, and 1.45 ** 0.9 * 1000 ** 0.1 = 2.79; one more goes beyond 4.
    run(guard, model, [1000.0])
    assert not halved
    run(guard, model, [1000.0])
    assert len(halved) == 1
    assert float(model.weight) == 6.0  # kept at 3, and at 6, where the mean was within 1.5 times its lowest again


def test_weights_under_a_high_loss_are_not_kept():
    model = Toy()
    guard, _ = guard_on(model, keep_every=2, jump=4.0, momentum=0.0)
    run(guard, model, [1.0, 1.0, 2.0, 3.0, 3.9])  # kept at 2; later losses are too high to be kept, too low to restore
    run(guard, model, [math.nan])
    assert float(model.weight) == 2.0


def test_the_run_ends_when_nothing_helps():
    model = Toy()
    guard, _ = guard_on(model, max_restores=2)
    run(guard, model, [1.0, math.nan, math.nan])
    with pytest.raises(FloatingPointError, match="diverged 3 times"):
        run(guard, model, [math.nan])
    assert float(model.weight) == 0.0


def test_cosine_schedule_by_hand():
    model = Toy()
    budget = steering.Budget(steps=1000)
    schedule = steering.CosineSchedule(budget, peak=0.1, warmup_steps=10)
    schedule.set_model(model)

    def rate(step):
        budget.step = step
        schedule.on_train_batch_begin(0)
        return float(model.optimizer.learning_rate)

    assert rate(0) == pytest.approx(0.01, rel=1e-3)  # a tenth of the warm-up
    assert rate(500) == pytest.approx(0.1 * (0.01 + 0.99 * 0.5), rel=1e-5)
    assert rate(1000) == pytest.approx(0.001, rel=1e-5)
    schedule.halve()
    assert rate(500) == pytest.approx(0.05 * (0.01 + 0.99 * 0.5), rel=1e-5)


def test_budget_in_steps_and_minutes():
    model = Toy()
    budget = steering.Budget(steps=4)
    budget.set_model(model)
    model.stop_training = False
    budget.on_train_begin()
    shares = []
    for batch in range(4):
        assert not model.stop_training
        budget.on_train_batch_end(batch)
        shares.append(budget.progress)
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert model.stop_training

    budget = steering.Budget(steps=10**9, minutes=1.0)
    budget.seconds = 30.0  # as a checkpoint had it
    assert budget.progress == 0.5
    budget.on_train_begin()
    assert budget.clock() == pytest.approx(30.0, abs=1.0)  # the pause does not count
    budget.seconds = 61.0
    assert budget.progress == 1.0


def test_plateau_as_pytorch_counts():
    model = Toy()
    schedule = steering.PlateauSchedule(0.5, monitor="loss", patience=2)
    schedule.set_model(model)
    rates = []
    # A fall by less than 0.01 % is none. The third epoch without one is more than the patience of two.
    for epoch, loss in enumerate([1.0, 0.99999, 1.0, 2.0, 0.5, 0.5, 0.5, 0.4999, 0.6, 0.6, 0.6]):
        schedule.on_epoch_end(epoch, {"loss": loss})
        schedule.on_train_batch_begin(0)
        rates.append(round(log.to_number(model.optimizer.learning_rate), 6))
    assert rates == [0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.02]
    schedule.halve()
    assert schedule.rate == pytest.approx(0.01)


def test_early_stopping_goes_on_counting():
    model = Toy()
    model.stop_training = False
    stopping = steering.EarlyStopping(2)
    stopping.set_model(model)
    stopping.on_train_begin()
    for epoch, loss in enumerate([1.0, 2.0]):
        stopping.on_epoch_end(epoch, {"val_loss": loss})
    state = {name: getattr(stopping, name) for name in stopping.STATE}
    assert state == {"wait": 1, "best": 1.0, "best_epoch": 0}

    again = steering.EarlyStopping(2)
    for name, value in state.items():
        setattr(again, name, value)
    again.set_model(model)
    again.on_train_begin()
    assert not model.stop_training
    again.on_epoch_end(2, {"val_loss": 1.5})
    assert model.stop_training


def test_the_running_mean_is_there_from_validation_to_the_end_of_the_epoch():
    model = Toy()
    model.compile(optimizer=keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    model.optimizer.build(model.trainable_variables)
    for _ in range(2):  # from 0 by -0.1 a step; the mean starts at the first value: -0.1, then -0.15
        model.optimizer.apply([keras.ops.ones(())])
    mean = steering.RunningMean()
    mean.set_model(model)
    before = np.array(model.weight)
    mean.on_test_begin()
    assert float(model.weight) == pytest.approx(-0.15)
    mean.on_epoch_end(0)
    assert np.array(model.weight).tobytes() == before.tobytes()


def test_a_full_disk_does_not_end_training(tmp_path, caplog):
    lines = log.JsonLines(tmp_path / "none" / "log.jsonl", steering.Budget(steps=1))
    lines.set_model(Toy())
    with caplog.at_level("WARNING"):
        lines.on_epoch_end(0, {"loss": 1.0})
    assert "JsonLines: " in caplog.text
    assert "No such file or directory" in caplog.text


def test_the_log_drops_what_comes_after_the_checkpoint(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 10}\n{"step": 20}\n{"step": 30}\n{"ste')
    budget = steering.Budget(steps=100)
    budget.step = 20
    log.JsonLines(path, budget).on_train_begin()
    assert path.read_text() == '{"step": 10}\n{"step": 20}\n'


class Writer:
    """A run of one callback of each kind over a `Toy`, with its checkpointer."""

    def __init__(self, folder, *, high=False):
        self.model = Toy()
        self.model.optimizer.build(self.model.trainable_variables)
        self.budget = steering.Budget(steps=1000)
        self.schedule = steering.PlateauSchedule(0.5)
        self.guard = steering.DivergenceGuard([self.schedule], keep_every=3, jump=4.0, momentum=0.0)
        self.writer = checkpoints.Checkpointer(folder, self.budget, self.guard, [self.schedule], constants={"of": 7})
        self.list = keras.callbacks.CallbackList([self.budget, self.guard, self.writer], model=self.model, steps=1000)
        self.model.stop_training = False

    def train(self, losses):
        self.list.on_train_begin()
        for loss in losses:
            self.model.weight.assign(self.model.weight + 1.0)
            self.list.on_train_batch_end(0, {"step_loss": loss})


def test_a_checkpoint_holds_what_the_guard_would_restore(tmp_path):
    first = Writer(tmp_path)
    first.train([1.0, 1.0, 1.0, 2.0, 3.0])  # kept at weight 3
    first.writer.save()
    again = Writer(tmp_path)
    again.writer.restore(checkpoints.latest(tmp_path))
    assert again.budget.step == 5
    assert float(again.model.weight) == 5.0
    again.train([math.nan])
    assert float(again.model.weight) == 3.0
    assert again.schedule.rate == 0.25

    first.train([1.0])  # kept at weight 6, which is the present state: written once
    first.writer.save()
    assert not any(name.startswith("kept/") for name in checkpoints.latest(tmp_path).arrays)
    again = Writer(tmp_path)
    again.writer.restore(checkpoints.latest(tmp_path))
    again.model.weight.assign(99.0)
    again.train([math.nan])
    assert float(again.model.weight) == 6.0


def test_checkpoints_within_an_epoch(tmp_path):
    run = Writer(tmp_path)
    run.writer.interval = 60.0
    saved = []

    def save():
        saved.append(run.budget.step)
        run.writer._last = run.budget.seconds

    run.writer.save = save
    run.list.on_train_begin()
    # The guard keeps every three steps, as long as the loss is low. One is due at a minute, put off to where it keeps.
    for step, seconds in enumerate((30.0, 61.0, 70.0, 120.0, 129.0, 131.0, 140.0, 160.0, 161.0, 170.0)):
        run.budget.seconds = seconds
        run.list.on_train_batch_end(step, {"step_loss": 1.0 if step < 5 else 3.0})
    assert saved == [3, 8]  # the second at 160 seconds: the guard kept nothing for a minute and a half


def test_a_checkpoint_of_other_variables_is_refused(tmp_path):
    Writer(tmp_path).writer.save()
    other = Writer(tmp_path)
    other.model.optimizer = keras.optimizers.Adam()
    other.model.optimizer.build(other.model.trainable_variables)
    with pytest.raises(CheckpointError, match=r"optimizer/0002 has shape None, this training has \(\)"):
        other.writer.restore(checkpoints.latest(tmp_path))


def test_to_uint8_by_hand():
    found = log.to_uint8(np.array([-1, 0, 0.4 / 255, 0.6 / 255, 1, 2], "float32"))
    assert found.dtype == np.uint8
    assert found.tolist() == [0, 0, 0, 1, 255, 255]
