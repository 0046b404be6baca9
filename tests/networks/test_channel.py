import numpy as np
import pytest

from stegano_tf import channels
from stegano_tf.errors import ChannelError
from stegano_tf.networks import channel


def passed(text, pictures):
    x = pictures / np.float32(255)
    for layer in channel.through(channels.parse(text)):
        x = layer(x)
    return np.asarray(x) * 255


@pytest.mark.parametrize("kind", ["jpeg", "jpeg444"])
@pytest.mark.parametrize("quality", [50, 75, 90, 95])
def test_jpeg_is_libjpegs(kind, quality, photograph):
    pictures = np.stack([photograph(64, 96, seed) for seed in range(2)])
    steps = channels.parse(f"{kind}:{quality}")
    expected = np.stack([channels.send(picture, steps, np.random.default_rng(0)) for picture in pictures])
    found = passed(f"{kind}:{quality}", pictures)
    np.testing.assert_allclose(found, np.rint(found), atol=1e-3)
    assert np.abs(expected - pictures.astype(int)).mean() > 0.5, "the codec changes something"
    assert np.abs(found - expected).mean() <= 1.0


def test_a_grey_picture_passes_jpeg_by_hand():
    """Quality 25 doubles the table: the mean coefficient, 8 (level - 128), becomes a multiple of 32."""
    for level, expected in [(140, 140), (141, 140), (143, 144)]:
        flat = np.full((1, 16, 16, 3), level, "uint8")
        np.testing.assert_allclose(passed("jpeg:25", flat), expected, atol=1e-3)


def test_resizing_is_pillows(photograph):
    pictures = photograph(64, 96, 0)[None]
    expected = channels.send(pictures[0], channels.parse("resize:0.5"), np.random.default_rng(0))
    assert np.abs(passed("resize:0.5", pictures)[0] - expected).mean() <= 1.0


def test_noise_has_its_deviation():
    grey = np.full((1, 64, 64, 3), 128, "uint8")
    real = channels.send(grey[0], channels.parse("noise:3"), np.random.default_rng(0))
    for noisy in (passed("noise:3", grey), real):
        assert noisy.std() == pytest.approx(3, abs=0.2)
        assert noisy.mean() == pytest.approx(128, abs=0.2)


def test_each_picture_has_a_quality_of_its_own(photograph):
    same = np.stack([photograph(32, 32, 0)] * 4)
    found = passed("jpeg:30-95", same)
    assert len({picture.tobytes() for picture in found}) > 1


def test_gradients_come_through():
    import tensorflow as tf

    layers = channel.through(channels.parse("resize:0.5-1,jpeg:75-95,noise:1"))
    with tf.GradientTape() as tape:
        start = x = tf.random.stateless_uniform((2, 32, 32, 3), (0, 0), 0.3, 0.7)
        tape.watch(start)
        for layer in layers:
            x = layer(x)
        loss = tf.reduce_mean(x)
    gradient = tape.gradient(loss, start).numpy()
    # Every step keeps the mean.
    assert gradient.sum() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("text", ["", "gif:3", "jpeg", "jpeg:0", "jpeg:90-80", "resize:2", "noise:x", "jpeg:80,"])
def test_what_is_no_channel_is_refused(text):
    with pytest.raises(ChannelError, match=r"in a channel, expected"):
        channels.parse(text)
