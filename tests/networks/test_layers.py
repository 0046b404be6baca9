import keras
import numpy as np
import pytest
from keras import ops

from stegano_tf.networks.layers import AffineCoupling, Haar, Round8Bit, haar_kernel


def gradient(function, x):
    """d sum(function(x)) / dx by whatever back end Keras runs on."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(function(x))
        return np.asarray(tape.gradient(y, x))
    import jax

    return np.asarray(jax.grad(lambda x: ops.sum(function(x)))(x))


def test_rounding_by_hand():
    x = np.array([-0.2, 0.0, 0.4 / 255, 0.6 / 255, 0.5, 100.4 / 255, 254.6 / 255, 1.0, 7.0], "float32")
    # 0.5 is 127.5 / 255: rounded half to even, to 128.
    expected = np.array([0, 0, 0, 1, 128, 100, 255, 255, 255], "float32") / 255
    np.testing.assert_allclose(np.asarray(Round8Bit()(x)), expected, atol=1e-7)


def test_gradients_pass_rounding_but_not_clipping():
    x = np.array([-0.2, 0.3, 0.5, 1.4], "float32")
    weights = np.array([1.0, -2.0, 3.0, 4.0], "float32")
    np.testing.assert_allclose(gradient(lambda x: Round8Bit()(x) * weights, x), [0.0, -2.0, 3.0, 0.0])


@pytest.mark.parametrize("levels", [1, 2])
def test_haar_basis_is_orthonormal(levels):
    kernel = haar_kernel(levels)
    basis = kernel.reshape(-1, kernel.shape[-1])
    assert basis.shape[0] == basis.shape[1] == 3 * 4**levels
    np.testing.assert_allclose(basis.T @ basis, np.eye(len(basis)), atol=1e-6)


def test_haar_by_hand():
    # One 2x2 block, grey: rows 1 2 / 3 6. Mean band: (1 + 2 + 3 + 6) / 2 = 6; left minus right: (1 - 2 + 3 - 6) / 2 =
    # -2; top minus bottom: (1 + 2 - 3 - 6) / 2 = -3; diagonal: (1 - 2 - 3 + 6) / 2 = 1; and grey is sqrt 3 times the
    # first colour axis.
    block = np.array([[1, 2], [3, 6]], "float32")[None, ..., None].repeat(3, axis=-1)
    bands = np.asarray(Haar(1)(block)).reshape(4, 3)
    np.testing.assert_allclose(bands[:, 1:], 0, atol=1e-6)
    np.testing.assert_allclose(sorted(bands[:, 0] / np.sqrt(3)), [-3, -2, 1, 6], atol=1e-6)
    # A red pixel alone: its colour axes are 1/sqrt 3, 1/sqrt 2 and 1/sqrt 6 of it, halved by the block's mean.
    red = np.zeros((1, 2, 2, 3), "float32")
    red[0, 0, 0, 0] = 1
    np.testing.assert_allclose(np.asarray(Haar(1)(red))[0, 0, 0, :3], 0.5 / np.sqrt([3, 2, 6]), atol=1e-6)


@pytest.mark.parametrize("levels", [1, 2])
def test_haar_inverts_and_keeps_energy(levels):
    x = np.random.default_rng(0).normal(size=(2, 8, 12, 3)).astype("float32")
    bands = Haar(levels)(x)
    assert tuple(bands.shape) == (2, 8 >> levels, 12 >> levels, 3 * 4**levels)
    np.testing.assert_allclose(np.sum(np.square(bands)), np.sum(np.square(x)), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(Haar(levels, inverse=True)(bands)), x, atol=1e-5)


def random_coupling(seed=0):
    keras.utils.set_random_seed(seed)
    coupling = AffineCoupling(4)
    coupling.build([(None, None, None, 3), (None, None, None, 3)])
    for variable in coupling.trainable_variables:
        variable.assign(keras.random.normal(variable.shape, stddev=0.3))
    return coupling


def stacks(seed=1):
    return np.random.default_rng(seed).normal(size=(2, 1, 6, 5, 3)).astype("float32")


def test_a_new_coupling_is_the_identity():
    a, b = stacks()
    c, d = AffineCoupling(4)((a, b))
    np.testing.assert_array_equal(np.asarray(c), a)
    np.testing.assert_array_equal(np.asarray(d), b)


def test_coupling_changes_both_and_inverts():
    a, b = stacks()
    coupling = random_coupling()
    c, d = coupling((a, b))
    assert np.abs(np.asarray(c) - a).max() > 0.1
    assert np.abs(np.asarray(d) - b).max() > 0.1
    for found, expected in zip(coupling((c, d), inverse=True), (a, b), strict=True):
        np.testing.assert_allclose(np.asarray(found), expected, atol=1e-5)


def test_scale_stays_within_e():
    # With the shift subnet silent and an absurd bias on the scale, tanh bounds it: b' = b * e.
    a, b = stacks()
    coupling = AffineCoupling(4)
    coupling((a, b))
    bias = np.zeros(6, "float32")
    bias[:3] = 1e6
    coupling.affine.layers[-1].bias.assign(bias)
    np.testing.assert_allclose(np.asarray(coupling((a, b))[1]), b * np.e, rtol=1e-6)


def test_convolutions_follow_the_policy_and_the_rest_does_not():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        coupling = random_coupling()
        c, d = coupling(stacks())
    finally:
        keras.config.set_dtype_policy("float32")
    assert coupling.shift.layers[0].compute_dtype == "bfloat16"
    assert {keras.backend.standardize_dtype(x.dtype) for x in (c, d)} == {"float32"}
