import keras
import numpy as np
import pytest
from keras import ops

from stegano_tf.networks.layers import (
    Conv2DTranspose,
    Cosine,
    Haar,
    Round8Bit,
    ShapedRound8Bit,
    dct_kernel,
    haar_kernel,
)


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


def test_going_up_is_a_transposed_convolution():
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype("float32")
    ours, keras_own = Conv2DTranspose(3, name="up"), keras.layers.Conv2DTranspose(3, 2, 2)
    for layer in (ours, keras_own):
        layer.build(x.shape)
    ours.set_weights([np.random.default_rng(1).normal(size=value.shape) for value in ours.get_weights()])
    keras_own.set_weights(ours.get_weights())
    np.testing.assert_allclose(np.asarray(ours(x)), np.asarray(keras_own(x)), atol=1e-5)
    assert Conv2DTranspose.from_config(ours.get_config()).filters == 3


def shaped(x, kernel):
    layer = ShapedRound8Bit()
    layer.build(x.shape)
    layer.kernel.assign(kernel)
    return np.asarray(layer(x))


class TestShapedRounding:
    """Samples of 2 x 2 pixels are numbered by row, column and colour: 4 is the green of the upper right pixel."""

    KERNEL = np.zeros((3, 3, 12, 12), "float32")

    def test_by_hand(self):
        kernel = self.KERNEL.copy()
        kernel[1, 1, 0, 4] = 2.0  # the same block
        kernel[1, 2, 0, 5] = -1.0  # the block on the right
        x = np.full((1, 2, 4, 3), 100 / 255, "float32")
        x[0, 0, 0, 0] = 100.4 / 255  # error -0.4: green, 1 pixel to the right, takes 100.8
        x[0, 0, 2, 0] = 100.3 / 255  # error -0.3: green takes 100.6, and the left block's blue 99.7
        found = 255 * shaped(x, kernel)
        assert found[0, 0, 1].round(3).tolist() == [100, 101, 100]
        assert found[0, 0, 3].round(3).tolist() == [100, 101, 100]
        x[0, 0, 2, 0] = 100.49 / 255
        kernel[1, 2, 0, 5] = -2.0
        assert (255 * shaped(x, kernel))[0, 0, 1].round(3).tolist() == [100, 101, 99]

    def test_without_a_kernel_it_is_plain_rounding(self):
        x = np.random.default_rng(0).uniform(-0.1, 1.1, (2, 4, 6, 3)).astype("float32")
        np.testing.assert_array_equal(shaped(x, self.KERNEL), np.asarray(Round8Bit()(x)))

    def test_what_clipping_cuts_off_counts_as_an_error(self):
        kernel = self.KERNEL.copy()
        kernel[1, 1, 0, 3] = 1.0
        x = np.full((1, 2, 2, 3), 250 / 255, "float32")
        x[0, 0, 0, 0] = 259 / 255  # 4 too few: the next red gets them
        assert (255 * shaped(x, kernel))[0, 0, :, 0].round(3).tolist() == [255, 254]

    def test_an_error_reaches_as_far_as_the_layer_says(self):
        kernel = self.KERNEL.copy()
        for k in range(11):
            kernel[0, 1, k, k + 1] = -1.3  # of the block above
        x = np.full((1, 48, 2, 3), 51 / 255, "float32")
        changed = x.copy()
        changed[0, 0, 0, 0] += 0.4 / 255
        different = np.flatnonzero((shaped(x, kernel) != shaped(changed, kernel)).any((0, 2, 3)))
        assert set(different // 2) == set(range(1, ShapedRound8Bit.reach // 2 + 1))

    def test_the_kernel_has_a_gradient(self):
        """Error -0.4 of the first sample, times -1, times the derivative 1 of the sum."""
        import tensorflow as tf

        layer = ShapedRound8Bit()
        x = np.full((1, 2, 2, 3), 100 / 255, "float32")
        x[0, 0, 0, 0] = 100.4 / 255
        with tf.GradientTape() as tape:
            total = ops.sum(layer(x)) * 255
        found = tape.gradient(total, layer.kernel.value).numpy()
        assert found[1, 1, 0, 1] == pytest.approx(0.4, abs=1e-4)
        assert found[1, 1, 1, 0] == 0


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
