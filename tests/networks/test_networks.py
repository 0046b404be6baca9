import json

import keras
import numpy as np
import pytest

from stegano_tf import presets
from stegano_tf.errors import PresetError
from stegano_tf.networks import build

SMALL = {
    "invertible": presets.Invertible(haar_levels=2, couplings=2, width=4),
    "unet": presets.UNet(hide_widths=(4, 6, 8), reveal_width=6, reveal_blocks=1),
    "paper": presets.Paper(downsamplings=3, base_filters=4, reveal_filters=(4, 6, 4)),
}


def small(family):
    return build.build(presets.Preset("small", SMALL[family], 0, presets.get(family).training, "for tests"))


def pictures(*shape, seed=0):
    return np.random.default_rng(seed).random((2, *shape, 3), dtype="float32")


@pytest.fixture(params=SMALL)
def networks(request):
    keras.utils.set_random_seed(0)
    return small(request.param)


@pytest.mark.parametrize("size", [(64, 64), (16, 40)])
def test_stego_is_an_8_bit_picture_of_the_covers_size(networks, size):
    cover, secret = pictures(2, *size)
    stego = np.asarray(networks.hide([cover, secret]))
    assert stego.shape == cover.shape
    levels = stego * 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
    assert 0 <= stego.min() <= stego.max() <= 1
    assert networks.reveal(stego).shape == cover.shape


def test_both_networks_learn_from_the_secret(networks):
    """The reveal loss reaches every weight that revealing depends on, through the rounding."""
    import tensorflow as tf

    for variable in networks.hide.trainable_variables + networks.reveal.trainable_variables:
        if variable.path.endswith("kernel"):  # last kernels start at zero in places and pass nothing on
            variable.assign(keras.random.normal(variable.shape, stddev=0.1, seed=1))
    cover, secret = pictures(2, 16, 16)
    with tf.GradientTape() as tape:
        revealed = networks.reveal(networks.hide([cover, secret], training=True), training=True)
        loss = tf.reduce_mean((revealed - secret) ** 2)
    variables = networks.hide.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    silent = [v.path for v, g in zip(variables, gradients, strict=True) if g is None or not np.abs(g).max() > 0]
    # Only what ends in the discarded half of the last coupling may stay silent.
    assert all("coupling_1" in path and "affine" in path for path in silent)


def test_an_untrained_invertible_network_hides_nothing():
    cover, secret = pictures(1, 16, 16)[:, :1], pictures(1, 16, 16, seed=1)[:, :1]
    networks = small("invertible")
    # Couplings start as the identity: the stego image is the cover, rounded, and what is revealed is mid-grey.
    stego = np.asarray(networks.hide([cover[0], secret[0]]))
    np.testing.assert_allclose(stego, cover[0], atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(np.asarray(networks.reveal(stego)), 0.5, atol=1e-6)


def test_an_untrained_unet_shows_the_cover():
    cover, secret = pictures(1, 16, 16)
    np.testing.assert_allclose(np.asarray(small("unet").hide([cover, secret])), cover, atol=0.5 / 255 + 1e-6)


def test_weights_come_back(networks, tmp_path, request):
    cover, secret = pictures(1, 16, 16)
    for variable in networks.hide.variables + networks.reveal.variables:
        variable.assign(keras.random.uniform(variable.shape, 0.05, 0.15, seed=2))
    expected = np.asarray(networks.reveal(networks.hide([cover, secret])))
    build.save_weights(networks, tmp_path / "a.weights.h5")

    other = small(request.node.callspec.params["networks"])
    build.load_weights(other, tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(np.asarray(other.reveal(other.hide([cover, secret]))), expected)


def test_functional_models_serialise(networks):
    restored = keras.Model.from_config(json.loads(json.dumps(networks.hide.get_config())))
    assert restored.count_params() == networks.hide.count_params()


def test_weights_of_other_networks_are_refused(tmp_path):
    build.save_weights(small("unet"), tmp_path / "unet.weights.h5")
    with pytest.raises(PresetError, match=r"unet\.weights\.h5: does not hold the weights of these networks"):
        build.load_weights(small("invertible"), tmp_path / "unet.weights.h5")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist, expected a weights file"), (b"", "does not hold"), (b"no", "does not hold")],
)
def test_files_without_weights_are_refused(tmp_path, content, message):
    path = tmp_path / "a.weights.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PresetError, match=message):
        build.load("tiny", path)


def test_a_preset_without_shipped_weights_says_so():
    with pytest.raises(PresetError, match="'tiny' is not shipped with weights; train it"):
        build.load("tiny")
