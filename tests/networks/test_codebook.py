import keras
import numpy as np
import pytest

from stegano_tf.networks.codebook.layer import COVER_WEIGHT, Codebook

CLASSES, DEEP = 8, 2
CHANNELS = 192
DEEP_COST = COVER_WEIGHT * 184 * 0.0717 * 2 * (8**2 - 4**2) / 255**2  # of all groups but the first, at twice the scale


def make(classes=CLASSES, deep_classes=DEEP, depth=2, candidates=2):
    codebook = Codebook(classes, deep_classes, depth, candidates)
    codebook.build([(None, None, None, CHANNELS)] * 2)
    return codebook


@pytest.fixture(scope="module")
def codebook():
    """With fresh weights; not to be changed."""
    return make()


def covers(*shape, seed=0):
    """Samples of covers: noise, and some that are black and white."""
    random = np.random.default_rng(seed)
    samples = random.integers(0, 256, (*shape, CHANNELS)).astype("float32")
    samples[..., 0, :] = random.choice([0.0, 255.0], samples[..., 0, :].shape)
    return samples


def blocks(codebook, chosen, seed=0):
    """Coefficients that have the scales of given classes."""
    scale = np.exp(np.array(codebook.log_scale))[chosen]
    return (np.random.default_rng(seed).laplace(size=scale.shape) * scale).astype("float32")


def levels(codebook, chosen, seed=0):
    """Random levels of given classes."""
    count = 2 ** np.array(codebook.bits)[chosen]
    return np.floor(np.random.default_rng(seed).random(count.shape) * count).astype("float32")


def gradients(function, *arrays):
    """d sum(function(*arrays)) by each of the arrays, None where there is none."""
    import tensorflow as tf

    tensors = [array.value if isinstance(array, keras.Variable) else tf.convert_to_tensor(array) for array in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        result = tf.reduce_sum(function(*tensors))
    found = tape.gradient(result, tensors)
    return [None if gradient is None else tf.convert_to_tensor(gradient).numpy() for gradient in found]


def test_bits_by_hand(codebook):
    # 24 groups of 20 bits, of which 3 are the number of the class; deep ones have 28 in all groups but the first.
    assert codebook.level_bits().tolist() == [477] * 6 + [20 + 23 * 28 - 3] * 2
    np.testing.assert_array_equal(np.sum(codebook.bits, axis=1), codebook.level_bits())
    assert make(classes=512, deep_classes=32).level_bits()[[0, 479, 480]].tolist() == [471, 471, 655]
    assert make(classes=9, deep_classes=0, depth=1).level_bits().tolist() == [24 * 12 - 4] * 9


def test_a_quantiser_by_hand():
    codebook = make()
    bits, scale, steepness = (np.zeros((CLASSES, CHANNELS), "float32") for _ in range(3))
    bits[3, :2] = 2, 1
    scale[3, :2] = np.log([10.0, 1.0])
    steepness[3, :2] = np.log([2.0, 1.0])
    codebook.bits.assign(bits)
    codebook.log_scale.assign(scale)
    codebook.log_steepness.assign(steepness)

    def quantised(*values):
        y = np.zeros((len(values), CHANNELS), "float32")
        y[:, :3] = np.array(values)
        chosen = np.full(len(values), 3)
        level = codebook.quantise(y, chosen)
        return np.asarray(level)[:, :3].tolist(), np.asarray(codebook.decode(level, chosen))[:, :3]

    # Four levels of scale 10 and steepness 2: cells end at 10 sinh(-1), 0, 10 sinh 1 = 11.75; two levels: at 0.
    level, value = quantised((0.1, 0.1, 5.0), (-11.7, -0.1, 5.0), (11.8, 1e6, 0.0), (-11.8, -1e6, 0.0))
    assert level == [[2, 1, 0], [1, 0, 0], [3, 1, 0], [0, 0, 0]]
    # Their middles: 10 sinh(+-0.5), 10 sinh(+-1.5); sinh(+-0.5); and 0 where there are no bits.
    low, high, only = 5.21095, 21.29279, 0.521095
    expected = [[low, only, 0], [-low, -only, 0], [high, only, 0], [-high, -only, 0]]
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("classes", [8, 7])  # 7: a number of three bits is none
def test_levels_and_classes_come_back(classes):
    codebook = make(classes)
    chosen = np.arange(120) % classes
    level, cover = levels(codebook, chosen), covers(120)
    stego = np.asarray(codebook.embed(cover, level, chosen))
    found, classes_found = codebook.extract(stego)
    np.testing.assert_array_equal(classes_found, chosen)
    np.testing.assert_array_equal(found, level)
    assert stego.min() >= 0
    assert stego.max() <= 255


def test_only_deep_classes_change_the_cover_more(codebook):
    chosen = np.array([0] * 60 + [CLASSES - 1] * 60)
    cover = 50 + np.round(covers(120) / 2)  # away from black and white
    error = np.square(np.asarray(codebook.embed(cover, levels(codebook, chosen), chosen)) - cover)
    assert error[:60].mean() == pytest.approx(0.0717 * 2 * 4**2, rel=0.05)
    assert error[60:, 8:].mean() == pytest.approx(0.0717 * 2 * 4**3, rel=0.05)
    # The first group is alike in all, so that the number of the class can be read.
    assert error[60:, :8].mean() == pytest.approx(0.0717 * 2 * 4**2, rel=0.2)


def test_a_graph_for_any_size_gives_the_same(codebook):
    import tensorflow as tf

    chosen = (np.arange(64) % CLASSES).astype("int32")
    level, cover = levels(codebook, chosen), covers(64)
    free, free_classes = tf.TensorSpec((None, CHANNELS)), tf.TensorSpec((None,), tf.int32)
    there = tf.function(codebook.embed, input_signature=[free, free, free_classes])
    back = tf.function(codebook.extract, input_signature=[free])
    stego = there(cover, level, chosen)
    np.testing.assert_array_equal(stego, codebook.embed(cover, level, chosen))
    found, classes_found = back(stego)
    np.testing.assert_array_equal(classes_found, chosen)
    np.testing.assert_array_equal(found, level)


def test_a_class_number_that_is_none_is_the_last_class():
    codebook = make(classes=5)
    # Bits 111 lead the first group: its first sample is 3 modulo 4, the second one 2.
    stego = np.zeros((1, 1, 1, CHANNELS), "float32")
    stego[..., :2] = 3, 2
    assert np.asarray(codebook.extract(stego[0, 0])[1]).tolist() == [4]
    assert np.isfinite(codebook(stego, inverse=True)).all()


def test_what_is_coded_is_what_is_read(codebook):
    y = blocks(codebook, np.arange(CLASSES).reshape(1, 1, CLASSES))
    stego, revealed = codebook((y, covers(1, 1, CLASSES)))
    np.testing.assert_allclose(codebook(stego, inverse=True), revealed, atol=1e-6)
    assert np.square(y - revealed).sum() < 0.1 * np.square(y).sum()


def costs(codebook, y, chosen):
    """The squared error of blocks, with what deep classes cost beyond it."""
    error = np.square(y - np.asarray(codebook.decode(codebook.quantise(y, chosen), chosen))).sum(-1)
    return error + np.where(np.asarray(chosen) >= CLASSES - DEEP, DEEP_COST, 0.0)


@pytest.mark.parametrize("candidates", [1, 3, CLASSES])
def test_the_best_of_the_likeliest_classes_is_taken(candidates):
    codebook = make(candidates=candidates)
    y = blocks(codebook, np.random.default_rng(1).integers(0, CLASSES, (1, 6, 50)))
    level, chosen = map(np.asarray, codebook.encode(y))
    np.testing.assert_array_equal(level, codebook.quantise(y, chosen))
    estimates = np.asarray(codebook.estimate(y))
    found = costs(codebook, y, chosen)
    tried = np.argsort(estimates, axis=-1)[..., :candidates]
    every = np.stack([costs(codebook, y, tried[..., i]) for i in range(candidates)])
    np.testing.assert_allclose(found, every.min(0), rtol=1e-6)
    assert (found <= every[0] * (1 + 1e-6)).all()
    assert (found < every[0]).any() == (candidates > 1)


def test_estimates_are_about_the_error(codebook):
    y = blocks(codebook, np.random.default_rng(2).integers(0, CLASSES, (1, 20, 50)))
    estimates = np.asarray(codebook.estimate(y))
    for chosen in range(CLASSES):
        exact = costs(codebook, y, np.full(y.shape[:-1], chosen))
        assert np.abs(np.log(estimates[..., chosen] / exact)).mean() < 0.35


def test_deep_classes_are_for_noise():
    # Classes of one shape: deep ones differ by their bits, and by what they cost the cover.
    codebook = make()
    codebook.log_scale.assign(np.full((CLASSES, CHANNELS), -2.5))
    codebook.log_steepness.assign(np.full((CLASSES, CHANNELS), 1.0))
    bits = np.zeros((CLASSES, CHANNELS))
    bits[:6, :120] = 3
    bits[6:, :] = 3
    codebook.bits.assign(bits)
    random = np.random.default_rng(0)
    spectrum = np.where(np.arange(CHANNELS) < 120, 1.0, 0.0)
    smooth = (0.1 * spectrum * random.normal(size=(1, 1, 50, CHANNELS))).astype("float32")
    noise = (0.1 * random.normal(size=(1, 1, 50, CHANNELS))).astype("float32")
    assert np.asarray(codebook.encode(smooth)[1]).max() < 6
    assert np.asarray(codebook.encode(noise)[1]).min() >= 6
    # Even noise is not worth it where the cover counts for a hundred times as much.
    assert np.argmin(codebook.estimate(noise, 100 * COVER_WEIGHT), axis=-1).max() < 6


def test_gradients_of_the_coefficients_pass_where_they_have_bits_and_are_not_cut_off(codebook):
    y = blocks(codebook, np.arange(CLASSES).reshape(1, 1, CLASSES))
    y[..., 0] = 1e3
    weights = np.random.default_rng(1).normal(size=y.shape).astype("float32")
    found, cover_found = gradients(lambda y, cover: codebook((y, cover))[1] * weights, y, covers(*y.shape[:-1]))
    _, chosen = map(np.asarray, codebook.encode(y))
    bits, limit = np.array(codebook.bits)[chosen], np.sinh(np.exp(np.array(codebook.log_steepness)[chosen]))
    passes = (bits > 0) & (np.abs(y) < limit * np.exp(np.array(codebook.log_scale)[chosen]))
    assert 0.2 < passes.mean() < 0.98
    assert not passes[..., 0].any()
    np.testing.assert_allclose(found, np.where(passes, weights, 0.0), rtol=1e-6)
    assert cover_found is None


def test_gradients_of_the_quantisers_by_hand(codebook):
    chosen = np.full((1, 1, 1), 5)
    y = blocks(codebook, chosen)
    level, taken = map(np.asarray, codebook.encode(y))
    cover = covers(1, 1, 1)

    def revealed(*_):
        return codebook((y, cover))[1]

    by_scale, by_steepness = gradients(revealed, codebook.log_scale, codebook.log_steepness)
    # scale sinh(steepness x), x the middle of the cell in -1 to 1; both are trained by their logarithms.
    row = int(taken[0, 0, 0])
    bits, scale, steepness = (
        np.array(table)[row].astype(float)
        for table in (codebook.bits, np.exp(codebook.log_scale), np.exp(codebook.log_steepness))
    )
    x = (2 * level[0, 0, 0] + 1) / 2**bits - 1
    np.testing.assert_allclose(by_scale[row], scale * np.sinh(steepness * x), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(by_steepness[row], scale * np.cosh(steepness * x) * steepness * x, rtol=1e-4, atol=1e-6)
    others = np.arange(CLASSES) != row
    assert not by_scale[others].any()
    assert not by_steepness[others].any()


def test_it_is_made_anew_from_its_config(codebook):
    other = Codebook.from_config(codebook.get_config())
    assert (other.classes, other.deep_classes, other.depth, other.candidates) == (8, 2, 2, 2)
    assert [weight.name for weight in codebook.trainable_variables] == ["log_scale", "log_steepness"]
