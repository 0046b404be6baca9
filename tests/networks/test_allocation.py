import numpy as np
import pytest

from stegano_tf.networks.codebook import allocation


def test_bits_go_where_they_help_most():
    # The first bits of a coefficient lower its error by 0.45, 0.34 and 0.144 of its variance.
    variances = np.array([[1.0, 0.5]])

    def bits(budget):
        return allocation.tables(variances, np.array([budget]))[0].tolist()

    assert bits(0) == [[0, 0]]
    assert bits(1) == [[1, 0]]
    assert bits(2) == [[2, 0]]  # 0.34 of 1 against 0.45 of 0.5
    assert bits(3) == [[2, 1]]  # 0.144 of 1 against 0.45 of 0.5
    assert bits(4) == [[2, 2]]  # 0.144 of 1 against 0.34 of 0.5
    assert bits(16) == [[8, 8]]


def test_quantisers_follow_bits_and_deviation():
    bits, log_scale, log_steepness = allocation.tables(np.array([[2.0, 1.0, 1e-6]]), np.array([3]))
    assert bits.tolist() == [[2, 1, 0]]
    # For two bits 0.83 of the deviation and a steepness of 2, for one bit 0.3 and 3.
    np.testing.assert_allclose(np.exp(log_scale), [[0.83 * 2**0.5, 0.3, 1e-3]], rtol=1e-5)
    np.testing.assert_allclose(np.exp(log_steepness), [[2.0, 3.0, 1.0]], rtol=1e-6)
    assert {table.dtype for table in (bits, log_scale, log_steepness)} == {np.dtype("float32")}


def test_every_class_spends_its_own_budget():
    variances = np.random.default_rng(0).uniform(size=(4, 6)) ** 4
    budgets = np.array([0, 7, 30, 48])
    bits = allocation.tables(variances, budgets)[0]
    np.testing.assert_array_equal(bits.sum(1), budgets)
    assert bits.max() == 8
    # More of its variance, more bits.
    assert all((np.diff(row[np.argsort(of)]) >= 0).all() for row, of in zip(bits, variances, strict=True))


@pytest.mark.parametrize("classes", [8, 512])
def test_without_data_classes_grow_and_low_frequencies_have_most(classes):
    bits, log_scale, log_steepness = allocation.without_data(classes, np.full(classes, 471))
    assert bits.shape == log_scale.shape == log_steepness.shape == (classes, 192)
    np.testing.assert_array_equal(bits.sum(1), 471)
    # From 1e-3 to 1 times the same variances.
    np.testing.assert_allclose(log_scale[-1] - log_scale[0], 0.5 * np.log(1e3), rtol=1e-4)
    grey, red, green = bits[0].reshape(3, 8, 8)
    assert grey[0, 0] == bits.max()
    assert grey.sum() > red.sum() > green.sum()
    assert (np.diff(grey, axis=0) <= 0).all()
    assert (np.diff(grey, axis=1) <= 0).all()
