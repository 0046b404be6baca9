import math

import keras
import numpy as np
import pytest

from stegano_tf.training.optimizer import ClippedAdam


class Recorder:
    """A variable and the gradients that Adam's moments show were applied to it."""

    def __init__(self, clip=1.5, size=2):
        self.variable = keras.Variable(np.zeros(size, "float32"))
        # beta_1 = 0: the first moment is the gradient that was applied.
        self.optimizer = ClippedAdam(1e-3, clip=clip, beta_1=0.0)

    def apply(self, *gradient):
        self.optimizer.apply([keras.ops.convert_to_tensor(np.array(gradient, "float32"))], [self.variable])
        return np.asarray(self.optimizer._momentums[0])


def test_the_first_gradient_passes_whole():
    np.testing.assert_allclose(Recorder().apply(3.0, 4.0), [3.0, 4.0], rtol=1e-5)


def test_a_jump_is_cut_to_clip_times_the_usual():
    recorder = Recorder(clip=1.5)
    recorder.apply(3.0, 4.0)  # norm 5 becomes the mean
    np.testing.assert_allclose(recorder.apply(300.0, 400.0), [4.5, 6.0], rtol=1e-5)  # norm 500 -> 7.5, same direction
    # The running mean of the logarithm moves by 2 % of the way to the clipped norm.
    mean = 0.98 * math.log(5) + 0.02 * math.log(7.5)
    assert float(recorder.optimizer.log_norm) == pytest.approx(mean, rel=1e-5)
    np.testing.assert_allclose(recorder.apply(0.3, 0.4), [0.3, 0.4], rtol=1e-5)  # below: untouched


def test_the_norm_is_over_all_variables():
    variables = [keras.Variable(np.zeros(1, "float32")) for _ in range(2)]
    optimizer = ClippedAdam(1e-3, clip=1.0, beta_1=0.0)
    optimizer.apply([keras.ops.ones(1) * 3, keras.ops.ones(1) * 4], variables)
    optimizer.apply([keras.ops.ones(1) * 30, keras.ops.ones(1) * 40], variables)
    np.testing.assert_allclose([float(m[0]) for m in optimizer._momentums], [3.0, 4.0], rtol=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradients_that_are_not_finite_change_nothing_for_good(bad):
    recorder = Recorder()
    recorder.apply(3.0, 4.0)
    before = np.array(recorder.variable)
    assert np.isfinite(recorder.apply(bad, 1.0)).all()
    np.testing.assert_array_equal(np.asarray(recorder.variable), before)  # beta_1 = 0: a zero gradient moves nothing
    assert float(recorder.optimizer.log_norm) == pytest.approx(math.log(5), rel=1e-6)
    np.testing.assert_allclose(recorder.apply(3.0, 4.0), [3.0, 4.0], rtol=1e-5)


def test_config_keeps_the_clip():
    assert ClippedAdam.from_config(ClippedAdam(clip=2.5).get_config()).clip == 2.5


def test_reveal_variables_have_a_rate_of_their_own():
    hide, reveal = (keras.Variable(np.zeros(1, "float32")) for _ in range(2))
    optimizer = ClippedAdam(0.1, clip=None, reveal_variables=[reveal])
    optimizer.build([hide, reveal])
    optimizer.reveal_rate.assign(0.01)
    optimizer.apply([keras.ops.ones(1), keras.ops.ones(1)])
    # Adam's first step is the rate, whatever the gradient.
    np.testing.assert_allclose([float(hide[0]), float(reveal[0])], [-0.1, -0.01], rtol=1e-4)


def test_without_a_clip_nothing_is_clipped():
    recorder = Recorder(clip=None)
    recorder.apply(3.0, 4.0)
    np.testing.assert_allclose(recorder.apply(300.0, 400.0), [300.0, 400.0], rtol=1e-5)


def test_keras_documents_how_an_optimizer_finds_the_place_of_a_variable():
    found = hasattr(keras.optimizers.Optimizer, "_get_variable_index")
    assert found, f"Keras {keras.__version__} has no Optimizer._get_variable_index: change ClippedAdam.update_step"
