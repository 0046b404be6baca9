import json

import keras
import numpy as np
import pytest

from stegano_tf import presets
from stegano_tf.errors import PresetError
from stegano_tf.networks import build
from stegano_tf.networks.codebook import CodebookConfig
from stegano_tf.networks.paper import PaperConfig
from stegano_tf.networks.unet import UNetConfig

SMALL = {
    "codebook": CodebookConfig(classes=6, deep_classes=1, depth=1, candidates=3),
    "unet": UNetConfig(hide_widths=(4, 6, 8), reveal_width=6, reveal_blocks=1),
    "paper": PaperConfig(downsamplings=3, base_filters=4, reveal_filters=(4, 6, 4)),
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
        _, revealed = networks.pair([cover, secret], training=True)
        loss = tf.reduce_mean((revealed - secret) ** 2)
    variables = networks.hide.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    gradients = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]
    assert variables
    assert [v.path for v, g in zip(variables, gradients, strict=True) if g is None or not np.abs(g).max() > 0] == []


def test_the_pair_is_both_networks_one_after_the_other(networks):
    cover, secret = pictures(2, 16, 24)
    stego, revealed = networks.pair([cover, secret])
    np.testing.assert_array_equal(np.asarray(stego), np.asarray(networks.hide([cover, secret])))
    np.testing.assert_allclose(np.asarray(revealed), np.asarray(networks.reveal(stego)), atol=1e-6)


class TestCodebook:
    """The code in the lattice: what is true whatever the weights are."""

    def test_fresh_weights_hide_and_reveal_already(self, photograph):
        cover, colours = (photograph(64, 64, seed)[None] / np.float32(255) for seed in range(2))
        secret = colours[..., :1].repeat(3, axis=-1)  # gaudy ones need classes of their own
        stego, revealed = small("codebook").pair([cover, secret])
        # 50 dB is what a lattice of scale 2 does to the cover; one of twice the scale, for hard blocks, takes 6 more.
        assert 44 < -10 * np.log10(np.square(stego - cover).mean()) < 51
        assert -10 * np.log10(np.square(revealed - secret).mean()) > 30

    def test_what_is_revealed_does_not_depend_on_the_cover(self):
        networks = small("codebook")
        secret, noise = pictures(1, 16, 24)
        covers = [noise, np.zeros_like(noise), np.ones_like(noise), 2 * noise - 0.5]
        stegos = [np.asarray(networks.hide([cover, secret])) for cover in covers]
        revealed = [np.asarray(networks.reveal(stego)) for stego in stegos]
        for found in revealed[1:]:
            np.testing.assert_array_equal(found, revealed[0])
        # Depth 1, in deep classes 2: pixels change by less than 8, also at black and white.
        for stego, cover in zip(stegos, covers, strict=True):
            assert np.abs(np.rint(255 * stego) - np.rint(255 * np.clip(cover, 0, 1))).max() < 8

    def test_a_stego_image_that_is_hidden_in_again_holds_the_new_secret(self):
        networks = small("codebook")
        cover, first = pictures(2, 16, 16)
        second = pictures(2, 16, 16, seed=1)[0]
        stego = np.asarray(networks.hide([np.asarray(networks.hide([cover, first])), second]))
        expected = networks.pair([cover, second])[1]
        np.testing.assert_allclose(np.asarray(networks.reveal(stego)), np.asarray(expected), atol=1e-6)

    def test_blocks_do_not_see_each_other(self):
        networks = small("codebook")
        cover, secret = pictures(1, 24, 24)
        stego = np.asarray(networks.hide([cover, secret]))
        changed = secret.copy()
        changed[:, 8:16, 8:16] = 0.25
        different = (np.asarray(networks.hide([cover, changed])) != stego).any((0, 3))
        assert different[8:16, 8:16].any()
        different[8:16, 8:16] = False
        assert not different.any()

    def test_neither_the_cover_nor_the_stego_image_has_a_gradient(self):
        import tensorflow as tf

        networks = small("codebook")
        cover, secret = map(tf.constant, pictures(1, 16, 16))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([cover, secret])
            stego, revealed = networks.pair([cover, secret])
            parts = [tf.reduce_sum(part) for part in (stego, revealed)]
        assert tape.gradient(parts[0], networks.pair.trainable_variables[0].value) is None
        assert tape.gradient(parts[0], secret) is None
        assert tape.gradient(parts[1], cover) is None
        assert np.abs(tape.gradient(parts[1], secret)).max() > 0

    def test_the_dtype_policy_changes_nothing(self):
        cover, secret = pictures(1, 16, 16)
        expected = small("codebook").pair([cover, secret])
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            found = small("codebook").pair([cover, secret])
        finally:
            keras.config.set_dtype_policy("float32")
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_fresh_weights_differ_between_layers_and_follow_the_seed():
    found = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        networks = build.build(
            presets.Preset("small", PaperConfig(3, 4, (4, 4, 4)), 0, presets.get("paper").training, "for tests")
        )
        kernels = [np.array(networks.reveal.get_layer(f"conv_{i}").kernel) for i in (2, 3)]
        assert (kernels[0] != kernels[1]).any()
        found.append([*kernels, np.array(networks.hide.get_layer("down_2").kernel)])
    for first, again, other in zip(*found, strict=True):
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


def test_an_untrained_unet_shows_the_cover():
    cover, secret = pictures(1, 16, 16)
    np.testing.assert_allclose(np.asarray(small("unet").hide([cover, secret])), cover, atol=0.5 / 255 + 1e-6)


def test_weights_come_back(networks, tmp_path, request):
    cover, secret = pictures(1, 16, 16)
    for variable in networks.hide.variables + networks.reveal.variables:
        if variable.path.endswith("bits"):  # whole numbers with sums of their own, in another order
            variable.assign(np.array(variable)[:, ::-1])
        else:
            variable.assign(keras.random.uniform(variable.shape, 0.05, 0.15, seed=2))
    expected = np.asarray(networks.reveal(networks.hide([cover, secret])))
    build.save_weights(networks, tmp_path / "a.weights.h5")

    other = small(request.node.callspec.params["networks"])
    build.load_weights(other, tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(np.asarray(other.reveal(other.hide([cover, secret]))), expected)


def test_functional_models_serialise(networks):
    restored = keras.Model.from_config(json.loads(json.dumps(networks.hide.get_config())))
    assert restored.count_params() == networks.hide.count_params()


@pytest.mark.filterwarnings("ignore:Skipping nested container")  # Keras says it before it raises
def test_weights_of_other_networks_are_refused(tmp_path):
    build.save_weights(small("unet"), tmp_path / "unet.weights.h5")
    with pytest.raises(PresetError, match=r"unet\.weights\.h5: does not hold the weights of these networks"):
        build.load_weights(small("codebook"), tmp_path / "unet.weights.h5")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist, expected a weights file"), (b"", "is no HDF5 file"), (b"no", "is no HDF5 file")],
)
def test_files_without_weights_are_refused(tmp_path, content, message):
    path = tmp_path / "a.weights.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PresetError, match=message):
        build.load("tiny", path)


def test_a_preset_without_shipped_weights_says_so():
    with pytest.raises(PresetError, match="'tiny' is not shipped with weights: train it; weights names"):
        build.load("tiny")
