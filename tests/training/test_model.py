import math

import keras
import numpy as np
import pytest
from keras import ops

from stegano_tf.networks.family import Networks, composed
from stegano_tf.training.model import SteganoModel, psnr


@keras.saving.register_keras_serializable("stegano_tf_tests")
class Scale(keras.layers.Layer):
    """One weight that its input is multiplied by."""

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        return x * self.factor


def constant_networks(offset=0.1, revealed=0.25) -> Networks:
    """Networks whose losses can be worked out: stego = cover + offset, revealed = a constant."""
    cover, secret, stego = (keras.Input((None, None, 3)) for _ in range(3))
    hide = keras.Model([cover, secret], Scale()(cover) + offset + 0 * secret)
    return composed(hide, keras.Model(stego, 0 * stego + revealed))


def batch(cover=51, secret=102):
    return tuple(np.full((2, 4, 4, 3), value, "uint8") for value in (cover, secret))


def test_loss_and_metrics_by_hand():
    model = SteganoModel(constant_networks(), beta=0.75)
    model.compile()
    pair = batch()  # 0.2 and 0.4
    logs = model.test_on_batch((pair,)[0], return_dict=True)
    assert logs["h_loss"] == pytest.approx(0.1**2, rel=1e-5)
    assert logs["r_loss"] == pytest.approx(0.15**2, rel=1e-5)
    assert logs["loss"] == pytest.approx(0.01 + 0.75 * 0.0225, rel=1e-5)
    assert logs["step_loss"] == pytest.approx(logs["loss"], rel=1e-6)
    # As stored: 0.3 is 76.5, to even 76, 25 levels from 51; 0.25 is 63.75, so 64, 38 levels from 102.
    assert logs["cover_psnr"] == pytest.approx(20 * math.log10(255 / 25), abs=1e-3)
    assert logs["secret_psnr"] == pytest.approx(20 * math.log10(255 / 38), abs=1e-3)


def test_the_secret_is_revealed_from_what_comes_through_the_channel():
    """Two layers that add: 0.2 + 0.1 is the stego image, 0.6 is what arrives and is revealed."""
    cover, secret, stego = (keras.Input((None, None, 3)) for _ in range(3))
    hide = keras.Model([cover, secret], Scale()(cover) + 0.1 + 0 * secret)
    layers = [keras.layers.Rescaling(1.0, offset=offset) for offset in (0.1, 0.2)]
    model = SteganoModel(composed(hide, keras.Model(stego, Scale()(stego))), channel=layers)
    model.compile()
    logs = model.test_on_batch(batch(), return_dict=True)
    assert logs["h_loss"] == pytest.approx(0.1**2, rel=1e-4)
    assert logs["r_loss"] == pytest.approx(0.2**2, rel=1e-4)


def test_a_power_makes_easy_pairs_count():
    """Losses 0.01 and 0.04: their mean, and that of 0.1 and 0.2."""
    for power, expected in ((1.0, 0.025), (0.5, 0.15)):
        model = SteganoModel(constant_networks(), beta=0.0, power=power)
        cover = np.zeros((2, 4, 4, 3), "uint8")
        stego = np.float32([[[[0.1]]], [[[0.2]]]]) + np.zeros(cover.shape, "float32")
        found = model.compute_loss((cover, cover), None, (stego, stego))
        assert float(found) == pytest.approx(expected, rel=1e-4)


def test_step_loss_is_that_of_the_last_step():
    model = SteganoModel(constant_networks(), beta=0.0)
    model.compile()
    model.test_on_batch(batch())
    logs = model.test_on_batch(batch(), return_dict=True)
    keras_mean = logs["loss"]
    model.hide.weights[0].assign(2.0)
    logs = model.test_on_batch(batch(), return_dict=True)
    assert logs["step_loss"] == pytest.approx(0.3**2, rel=1e-5)
    assert keras_mean == pytest.approx(0.1**2, rel=1e-5)


def test_beta_weighs_the_reveal_loss_in_training():
    pair = batch()
    model = SteganoModel(constant_networks(offset=0.0), beta=3.0)
    model.compile(optimizer=keras.optimizers.SGD(1.0))
    model.train_on_batch(pair)
    # The hide loss alone has a gradient, and at its minimum that is zero: the weight stays.
    assert float(model.hide.weights[0]) == pytest.approx(1.0, abs=1e-6)
    model = SteganoModel(constant_networks(offset=0.1), beta=3.0)
    model.compile(optimizer=keras.optimizers.SGD(1.0))
    model.train_on_batch(pair)
    # d/df mean (0.2 f + 0.1 - 0.2)^2 at f = 1 is 2 * 0.1 * 0.2 = 0.04.
    assert float(model.hide.weights[0]) == pytest.approx(1.0 - 0.04, rel=1e-5)


def test_psnr_of_equal_pictures_is_finite():
    x = ops.ones((2, 4, 4, 3)) * 0.2
    np.testing.assert_allclose(np.asarray(psnr(x, x)), [100.0, 100.0], rtol=1e-6)
