import blocks
import keras
import numpy as np
import pytest

from stegano_tf import presets
from stegano_tf.networks import build, pictures
from stegano_tf.networks.family import Networks


def batch(height, width, seed=0, count=2):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


class Half(keras.Layer):
    """A network that can be followed by hand: half of the first picture plus a quarter of the second."""

    def call(self, inputs):
        if not isinstance(inputs, list):
            return inputs * 0.5
        return inputs[0] * 0.5 + inputs[1] * 0.25


@pytest.fixture
def halves():
    return Networks(Half(), Half(), None)


def test_results_are_rounded_to_even_and_clipped(halves):
    stego = np.array([[0, 1, 2], [3, 5, 255]], np.uint8)[None, None].repeat(2, axis=1)
    # 0, 0.5, 1, 1.5, 2.5, 127.5 in 255ths: ties go to even, as numpy.rint's; float32 may fall on either side of 0.5.
    revealed = np.asarray(pictures.reveal(halves, (1, 1), stego))
    assert revealed.dtype == np.uint8
    np.testing.assert_array_equal(revealed[0, 0, 0, [0, 2]], [0, 1])
    assert np.abs(revealed[0, 0].astype(float) - stego[0, 0] / 2).max() <= 0.5

    class Beyond(keras.Layer):
        def call(self, stego):
            return stego * 4 - 1

    beyond = Networks(None, Beyond(), None)
    for stego, expected in ((60, 0), (200, 255)):
        found = pictures.reveal(beyond, (1, 1), np.full((1, 2, 2, 3), stego, np.uint8))
        np.testing.assert_array_equal(np.asarray(found), expected)


@pytest.mark.parametrize("size", [(16, 16), (17, 23), (19, 16), (16, 19)])
def test_what_lies_beyond_whole_blocks_stays_the_cover_and_is_mirrored(halves, size):
    height, width = (side - side % 4 for side in size)
    cover, secret = batch(*size), batch(*size, seed=1)
    stego = np.asarray(pictures.hide(halves, (4, 4), cover, secret))
    inside = (cover / 2 + secret / 4)[:, :height, :width]
    assert np.abs(stego[:, :height, :width] - inside).max() < 0.51
    np.testing.assert_array_equal(stego[:, height:], cover[:, height:])
    np.testing.assert_array_equal(stego[:, :, width:], cover[:, :, width:])

    revealed = np.asarray(pictures.reveal(halves, (4, 4), stego))
    border = ((0, 0), (0, size[0] - height), (0, size[1] - width), (0, 0))
    np.testing.assert_array_equal(revealed, np.pad(revealed[:, :height, :width], border, mode="symmetric"))
    assert np.abs(revealed[:, :height, :width] - stego[:, :height, :width] / 2).max() < 0.51


@pytest.mark.parametrize("multiple", [8, 128])
def test_a_hide_network_that_needs_more_sees_a_mirrored_border(multiple):
    seen = []

    class Spy(keras.Layer):
        def call(self, inputs):
            seen.extend(np.rint(np.asarray(x) * 255).astype(np.uint8) for x in inputs)
            return inputs[1]

    cover, secret = batch(20, 30), batch(20, 30, seed=1)
    stego = pictures.hide(Networks(Spy(), None, None), (multiple, 2), cover, secret)
    np.testing.assert_array_equal(np.asarray(stego), secret)
    border = ((0, 0), (0, -20 % multiple), (0, -30 % multiple), (0, 0))
    for found, expected in zip(seen, (cover, secret), strict=True):
        np.testing.assert_array_equal(found, np.pad(expected, border, mode="symmetric"))


@pytest.mark.parametrize("size", [(16, 16), (21, 34)])
def test_a_graph_for_any_size_gives_what_arrays_give(size):
    import tensorflow as tf

    networks = build.build("tiny")
    multiples = presets.get("tiny").networks.multiples
    free = tf.TensorSpec((None, None, None, 3), tf.uint8)
    hide = tf.function(lambda *pair: pictures.hide(networks, multiples, *pair), input_signature=[free, free])
    reveal = tf.function(lambda stego: pictures.reveal(networks, multiples, stego), input_signature=[free])
    cover, secret = batch(*size), batch(*size, seed=1)
    stego = np.asarray(pictures.hide(networks, multiples, cover, secret))
    assert np.abs(stego.astype(int) - cover).max() > 2, "expected a network that does something"
    blocks.assert_same_but_for_rare_ones(hide(cover, secret).numpy(), stego)
    expected = np.asarray(pictures.reveal(networks, multiples, stego)).astype(int)
    np.testing.assert_allclose(reveal(stego).numpy().astype(int), expected, atol=1)
