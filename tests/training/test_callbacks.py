import math

import keras
import numpy as np
import pytest

from stegano_tf.training import callbacks


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
    guard = callbacks.DivergenceGuard(lambda: halved.append(True), **options)
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
    budget = callbacks.Budget(steps=1000)
    schedule = callbacks.CosineSchedule(budget, peak=0.1, warmup_steps=10)
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
    budget = callbacks.Budget(steps=4)
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

    budget = callbacks.Budget(steps=10**9, minutes=1.0)
    budget.start -= 30.0
    assert budget.progress == pytest.approx(0.5, abs=0.02)
    budget.start -= 31.0
    assert budget.progress == 1.0


def test_to_uint8_by_hand():
    found = callbacks.to_uint8(np.array([-1, 0, 0.4 / 255, 0.6 / 255, 1, 2], "float32"))
    assert found.dtype == np.uint8
    assert found.tolist() == [0, 0, 0, 1, 255, 255]
