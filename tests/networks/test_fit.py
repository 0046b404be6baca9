"""Classes made of synthetic blocks: what they are good for, and what they must hold."""

import numpy as np
import pytest

from stegano_tf.networks.codebook import fit
from stegano_tf.networks.codebook.layer import Codebook
from stegano_tf.networks.layers import dct_kernel

CHANNELS = 192


def make(classes=8, deep_classes=2):
    codebook = Codebook(classes, deep_classes, depth=2, candidates=2)
    codebook.build([(None, None, None, CHANNELS)] * 2)
    return codebook


def blocks(count, seed):
    """Coefficients of four kinds of blocks: rough across or along, flat, and noise, which is rare."""
    random = np.random.default_rng(seed)
    u, v = np.mgrid[:8, :8]
    kinds = np.stack(
        [0.5 * np.exp(-0.2 * u - 1.5 * v), 0.5 * np.exp(-1.5 * u - 0.2 * v), 0.1 * np.exp(-u - v), 0.4 + 0.0 * u]
    ).reshape(4, 1, 64)
    deviations = (kinds * np.array([1.0, 0.3, 0.3])[:, None]).reshape(4, CHANNELS)
    kind = random.choice(4, count, p=[0.4, 0.4, 0.17, 0.03])
    return (deviations[kind] * random.laplace(size=(count, CHANNELS))).astype("float32"), kind


def tables(codebook):
    return [np.array(weight) for weight in (codebook.bits, codebook.log_scale, codebook.log_steepness)]


def error(codebook, y):
    """Of blocks as they are coded: float[N]."""
    level, chosen = codebook.encode(y[None, None])
    return np.square(y - np.asarray(codebook.decode(level, chosen))[0, 0]).sum(-1)


@pytest.fixture(scope="module")
def fitted():
    codebook = make()
    fit.fit(codebook, blocks(3000, seed=0)[0])
    return codebook


def test_other_blocks_of_the_kind_are_coded_better(fitted):
    y, kind = blocks(1000, seed=1)
    before, after = error(make(), y), error(fitted, y)
    for number in range(3):
        assert after[kind == number].mean() < 0.5 * before[kind == number].mean()
    assert after.mean() < 0.5 * before.mean()


def test_deep_classes_are_made_of_the_hardest_blocks(fitted):
    y, kind = blocks(1000, seed=2)
    chosen = np.asarray(fitted.encode(y[None, None])[1])[0, 0]
    np.testing.assert_array_equal(chosen >= 6, kind == 3)


def test_every_class_has_its_bits(fitted):
    bits, log_scale, log_steepness = tables(fitted)
    np.testing.assert_array_equal(bits.sum(1), fitted.level_bits())
    np.testing.assert_array_equal(bits, np.clip(np.rint(bits), 0, 8))
    assert np.isfinite(log_scale).all()
    assert np.isfinite(log_steepness).all()
    # Blocks that are rough across have more bits there than along, and the other way round.
    u, v = np.mgrid[:8, :8]
    shares = [(row[:64].reshape(8, 8)[u > v].sum(), row[:64].reshape(8, 8)[u < v].sum()) for row in bits[:6]]
    assert any(across > 2 * along for across, along in shares)
    assert any(along > 2 * across for across, along in shares)


def test_the_same_blocks_give_the_same_classes(fitted):
    other = make()
    fit.fit(other, blocks(3000, seed=0)[0])
    for found, expected in zip(tables(other), tables(fitted), strict=True):
        np.testing.assert_array_equal(found, expected)
    fit.fit(other, blocks(3000, seed=0)[0], seed=1)
    assert any((found != expected).any() for found, expected in zip(tables(other), tables(fitted), strict=True))


@pytest.mark.filterwarnings("ignore:One of the clusters is empty", "ignore:invalid value encountered in divide")
def test_classes_without_blocks_take_a_share_of_the_busiest():
    # One kind of block for six classes: those that stay empty are told from the others all the same.
    codebook = make()
    y = (np.random.default_rng(0).laplace(size=(200, CHANNELS)) * np.geomspace(1, 1e-3, CHANNELS)).astype("float32")
    fit.fit(codebook, np.tile(y[:20], (10, 1)))
    bits, log_scale, _ = tables(codebook)
    np.testing.assert_array_equal(bits.sum(1), codebook.level_bits())
    assert np.isfinite(log_scale).all()
    assert len(np.unique(log_scale, axis=0)) == 8


def test_samples_are_blocks_of_the_picture():
    # In a picture of two colours, side by side, a block has only a mean, or lies across the border.
    picture = np.zeros((40, 48, 3), np.uint8)
    picture[:, 24:] = 255
    y = fit.sample([picture, picture], count=2, classes=1)
    assert (y.dtype, y.shape[1]) == (np.float32, CHANNELS)
    # 30 blocks of the grid and 4 x 5 across it, of each of the two.
    assert len(y) == 2 * (30 + 20)
    # Black and white are half below and above grey: 8 sqrt 3 times that, in the first coefficient.
    flat = y[np.abs(y[:, 1:]).max(1) < 1e-5]
    np.testing.assert_allclose(np.unique(np.round(flat[:, 0], 4)), [-4 * 3**0.5, 4 * 3**0.5], atol=1e-3)
    assert 60 <= len(flat) < len(y)
    np.testing.assert_allclose(np.abs(y[:, 64:]).max(), 0, atol=1e-5)


def test_no_more_blocks_are_sampled_than_wanted():
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(4)]
    found = fit.sample(pictures, count=4, classes=1)
    assert len(found) == 4 * (64 + 49)  # 100 of each kind would be wanted
    found = fit.sample(iter(pictures), count=40, classes=1)
    assert len(found) == 4 * 2 * 10
    np.testing.assert_array_equal(found, fit.sample(pictures, count=40, classes=1))
    # Each is one of the picture's: the first ten lie in its grid.
    grid = pictures[0].reshape(8, 8, 8, 8, 3).swapaxes(1, 2).reshape(64, -1) / 255 - 0.5
    grid = grid @ dct_kernel(8).reshape(CHANNELS, CHANNELS)
    assert np.abs(found[:10, None] - grid).max(-1).min(-1).max() < 1e-4
