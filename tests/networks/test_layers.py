import keras
import numpy as np
import pytest
from keras import ops

from stegano_tf.networks.layers import Cosine, Haar, Round8Bit, dct_kernel, haar_kernel


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


@pytest.mark.parametrize("n", [2, 8])
def test_dct_basis_is_orthonormal(n):
    basis = dct_kernel(n).reshape(-1, 3 * n * n)
    np.testing.assert_allclose(basis.T @ basis, np.eye(3 * n * n), atol=5e-6)


def test_dct_by_hand():
    # A grey ramp across 2x2 pixels, 1 and 3: mean (1 + 3 + 1 + 3) / 2 = 4, and across (1 - 3 + 1 - 3) / 2 = -2.
    ramp = np.array([[1, 3], [1, 3]], "float32")[None, ..., None].repeat(3, axis=-1)
    bands = np.asarray(Cosine(2)(ramp)).reshape(3, 2, 2)
    np.testing.assert_allclose(bands[0] / np.sqrt(3), [[4, -2], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(bands[1:], 0, atol=1e-6)
    # Red alone: in every colour axis its share of the mean.
    red = np.array([1, 0, 0], "float32") * np.ones((1, 8, 8, 1), "float32")
    bands = np.asarray(Cosine(8)(red)).reshape(3, 64)
    np.testing.assert_allclose(bands[:, 0], 8 / np.sqrt([3, 2, 6]), atol=1e-5)
    np.testing.assert_allclose(bands[:, 1:], 0, atol=1e-5)


def test_dct_is_scipys():
    from scipy import fft

    grey = np.random.default_rng(0).normal(size=(8, 8)).astype("float32")
    bands = np.asarray(Cosine(8)(np.repeat(grey[None, ..., None], 3, axis=-1)))[0, 0, 0, :64].reshape(8, 8)
    np.testing.assert_allclose(bands, np.sqrt(3) * fft.dctn(grey, norm="ortho"), atol=1e-5)


def test_dct_inverts_and_keeps_energy():
    x = np.random.default_rng(0).normal(size=(2, 16, 24, 3)).astype("float32")
    bands = Cosine(8)(x)
    assert tuple(bands.shape) == (2, 2, 3, 192)
    np.testing.assert_allclose(np.sum(np.square(bands)), np.sum(np.square(x)), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(Cosine(8, inverse=True)(bands)), x, atol=1e-5)


@pytest.mark.parametrize("layer", [Haar(2), Haar(1, inverse=True), Cosine(8), Cosine(8, inverse=True), Cosine(2)])
def test_layers_are_made_anew_from_their_config(layer):
    other = type(layer).from_config(layer.get_config())
    assert other.get_config() == layer.get_config()
    shape = (1, 8, 16, layer.kernel().shape[-1] if layer.inverse else 3)
    x = np.random.default_rng(0).random(shape, dtype="float32")
    np.testing.assert_array_equal(np.asarray(other(x)), np.asarray(layer(x)))
    assert tuple(other.compute_output_shape(shape)) == tuple(layer(x).shape)


@pytest.mark.parametrize("layer", [Haar, Cosine])
def test_layers_compute_in_float32_whatever_the_policy(layer):
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype("float32")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        bands = layer(2)(x)
        rounded = Round8Bit()(x)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {keras.backend.standardize_dtype(y.dtype) for y in (bands, rounded)} == {"float32"}
    np.testing.assert_array_equal(np.asarray(bands), np.asarray(layer(2)(x)))
