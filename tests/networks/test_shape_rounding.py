import keras
import numpy as np
import pytest
import shape_rounding

from stegano_tf.networks.family import composed
from stegano_tf.networks.layers import ShapedRound8Bit


def flat(matrix):
    """A spectrum that is the same at all frequencies: blocks do not see each other."""
    return np.broadcast_to(np.asarray(matrix, complex), (16, 16, 12, 12))


def test_where_each_error_counts_alone_none_is_passed_on():
    np.testing.assert_allclose(shape_rounding.kernel(flat(3 * np.eye(12)), 1.5), 0, atol=1e-6)


def test_where_only_the_sum_counts_the_last_sample_takes_it():
    """With M = 1 + w at all places and 1 more on the diagonal, eliminating a sample leaves w / (1 + w) of w."""
    found = shape_rounding.kernel(flat(np.ones((12, 12))), 2.0)
    # w = 2, then 2/3, then 2/5: the twelfth sample takes w / (1 + w) = 2/3 of all errors, the eleventh 2/5.
    assert found[1, 1, :11, 11] == pytest.approx(2 / 3)
    assert found[1, 1, :10, 10] == pytest.approx(2 / 5)
    assert found[1, 1, 0, 1] == pytest.approx(2 / 23)
    np.testing.assert_array_equal(found[1, 1], np.triu(found[1, 1], 1))
    found[1, 1] = 0
    np.testing.assert_allclose(found, 0, atol=1e-6)


def linear(shift):
    """A reveal network that shows the sum of a picture's blue and the red of `shift` pixels to the right of it."""
    stego = keras.Input((None, None, 3))
    weights = np.zeros((1, 2 * shift + 1, 3, 3), "float32")
    weights[0, shift, 2], weights[0, -1, 0] = 1, 1
    return keras.Model(stego, keras.layers.Conv2D(3, weights.shape[:2], padding="same", use_bias=False)(stego)), weights


def test_errors_go_to_where_they_make_up_for_others():
    """Blue of an upper right pixel comes before red of the block on the right only in the order of samples."""
    reveal, weights = linear(2)
    reveal.layers[-1].set_weights([weights])
    cover, secret = (keras.Input((None, None, 3)) for _ in range(2))
    networks = composed(keras.Model([cover, secret], cover + 0.0 * secret), reveal)
    x = np.random.default_rng(1).random((16, 32, 32, 3), dtype="float32")
    found = shape_rounding.kernel(shape_rounding.correlations(networks, list(x)), 3.0)
    layer = ShapedRound8Bit()
    layer.build(x.shape)
    errors = []
    for kernel in (0 * found, found, found[::-1, ::-1]):
        layer.kernel.assign(kernel)
        errors.append(float(np.std(reveal(layer(x)) - reveal(x))))
    plain, shaped, wrong_way = errors
    assert shaped < 0.9 * plain < wrong_way


def test_correlations_of_a_linear_network():
    """What is revealed is twice the picture: J' J is 4 for each sample alone."""
    cover, secret, stego = (keras.Input((None, None, 3)) for _ in range(3))
    networks = composed(keras.Model([cover, secret], cover + 0.0 * secret), keras.Model(stego, 2.0 * stego))
    pictures = list(np.random.default_rng(0).random((8, 32, 32, 3), dtype="float32"))
    found = shape_rounding.correlations(networks, pictures).mean((0, 1))
    np.testing.assert_allclose(found, 4 * np.eye(12), atol=0.3)
