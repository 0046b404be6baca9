import pytest
import tensorflow as tf

from stegano_tf import presets
from stegano_tf.networks import build
from stegano_tf.training import cost
from stegano_tf.training.model import SteganoModel
from stegano_tf.training.optimizer import ClippedAdam


def test_the_peak_by_hand():
    @tf.function
    def chain(x):
        a = tf.math.sin(x)  # 400 bytes
        b = tf.math.sin(tf.reshape(a, (10, 10)))  # 400 more, beside a
        return tf.reduce_sum(tf.math.sin(b)) + tf.reduce_sum(a)  # 400 more, beside a and b; a lives on

    graph = chain.get_concrete_function(tf.TensorSpec((100,), tf.float32)).graph
    assert cost._peak(graph.get_operations()) == pytest.approx(1200, abs=16)


def test_a_step_by_hand():
    preset = presets.get("tiny")
    networks = build.build(preset)
    model = SteganoModel(networks)
    model.compile(optimizer=ClippedAdam())
    model.optimizer.build(model.trainable_variables)
    small = cost.step(model, pairs=1, side=32)
    large = cost.step(model, pairs=4, side=32)
    table = 4 * 192 * 192  # bytes of the transform's kernel, which is there once
    assert large[0] - table == pytest.approx(4 * (small[0] - table), rel=0.1)
    assert large[1] == pytest.approx(4 * small[1], rel=0.1)
    # On each of 16 blocks the transform, the way back, and the latter's two gradients: 192 coefficients of 192 samples,
    # 2 operations each. And the estimate of 8 classes, from 9 features of each coefficient. The rest is done number by
    # number.
    products = 16 * 2 * (4 * 192 * 192 + 8 * 9 * 192)
    assert products < small[1] < 1.4 * products


def test_the_report_names_what_it_costs():
    preset = presets.get("tiny")
    model = SteganoModel(build.build(preset))
    model.compile(optimizer=ClippedAdam())
    model.optimizer.build(model.trainable_variables)
    report = cost.report(preset, model, pairs=2, side=32)
    assert "parameters: 4,608, 3,072 of them trained" in report
    assert "2 pairs of 32x32" in report
