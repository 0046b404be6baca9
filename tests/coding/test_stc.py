"""Syndrome-trellis codes against hand-checked values, an exhaustive search and the rate-distortion bound."""

import hashlib
import itertools

import numpy as np
import pytest
from scipy.special import entr

from stegano_tf.coding import stc


def matrix(rows, columns):
    """The parity-check matrix, as the module's docstring says it."""
    middle = hashlib.shake_256(b"stegano_tf stc 10").digest(columns)
    found = np.zeros((rows, columns), np.uint8)
    for block in range(rows):
        for j in range(block * columns // rows, (block + 1) * columns // rows):
            column = [1, *(middle[j] >> bit & 1 for bit in range(8)), 1][: rows - block]
            found[block : block + len(column), j] = column
    return found


def random_bits(shape, seed):
    return np.random.default_rng(seed).integers(0, 2, shape).astype(np.uint8)


def test_a_syndrome_by_hand(monkeypatch):
    # Two blocks of two columns. Row 0: the first two bits, as every column's lowest bit is 1. Row 1: bit 1 of the
    # columns before, 0 and 1, and the last two bits.
    monkeypatch.setattr(stc, "columns", lambda: np.array([0b1000000001, 0b1000000011, 0b1000000001, 0b1000000001]))
    for bits, message in (
        ([1, 0, 0, 0], [1, 0]),
        ([0, 1, 0, 0], [1, 1]),
        ([1, 1, 1, 0], [0, 0]),
        ([0, 0, 1, 1], [0, 0]),
    ):
        assert stc.syndrome(np.array(bits, np.uint8)[:, None], 2)[:, 0].tolist() == message


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 12), (20, 47), (30, 2000)])
def test_a_syndrome_is_the_product_with_the_matrix(rows, columns):
    bits = random_bits((columns, 3), 1)
    assert np.array_equal(stc.syndrome(bits, rows), matrix(rows, columns) @ bits.astype(int) % 2)


def test_no_cheaper_flips_say_the_message():
    random = np.random.default_rng(2)
    bits, message, costs = random_bits((12, 5), 3), random_bits((4, 5), 4), random.random((12, 5)).astype(np.float32)
    flips = stc.embed(bits, costs, message)
    every = np.array(list(itertools.product([0, 1], repeat=12)), np.uint8).T
    for c in range(5):
        fits = np.all(matrix(4, 12) @ (bits[:, c : c + 1] ^ every).astype(int) % 2 == message[:, c : c + 1], axis=0)
        assert costs[flips[:, c], c].sum() == pytest.approx((costs[:, c] @ every[:, fits]).min())


def test_wet_bits_never_flip():
    bits, message = random_bits((2000, 2), 5), random_bits((100, 2), 6)
    wet = random_bits((2000, 2), 7).astype(bool)
    flips = stc.embed(bits, np.where(wet, stc.WET, np.float32(1)), message)
    assert np.array_equal(stc.syndrome(bits ^ flips, 100), message)
    assert flips.any()
    assert not flips[wet].any()


def test_too_many_wet_bits_are_an_error():
    with pytest.raises(stc.WetError):
        stc.embed(random_bits((100, 1), 8), np.full((100, 1), stc.WET), random_bits((10, 1), 9))


def test_levels_change_by_one_and_say_both_messages():
    random = np.random.default_rng(10)
    levels = random.integers(0, 256, (1500, 2)).astype(np.uint8)
    up, down = random.exponential(4, (2, 1500, 2)).astype(np.float32)
    up, down = np.where(levels == 255, stc.WET, up), np.where(levels == 0, stc.WET, down)
    high, low = random_bits((60, 2), 11), random_bits((50, 2), 12)
    changes = stc.embed_ternary(levels, up, down, high, low)
    assert set(np.unique(changes)) == {-1, 0, 1}
    stego = levels + changes.astype(int)
    assert stego.min() >= 0
    assert stego.max() <= 255
    found = stc.read_ternary(stego.astype(np.uint8), 60, 50)
    assert np.array_equal(found[0], high)
    assert np.array_equal(found[1], low)


def says(factor, costs):
    """How many bits changes by 1 say at the best probabilities, and what they cost."""
    weight = np.exp(-factor * costs)
    p = weight / (1 + 2 * weight)
    return (2 * entr(p) + entr(1 - 2 * p)).sum() / np.log(2), (2 * p * costs).sum()


def factor_where(enough):
    """The factor from which on something is no longer true, by bisection."""
    low, high = 1e-3, 1e3
    for _ in range(50):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if enough(middle) else (low, middle)
    return low


@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_nine_tenths_of_what_the_bound_allows(rate):
    random = np.random.default_rng(7)
    costs = np.exp(random.normal(0, 1.2, (stc.LONGEST, 1)))
    factor = factor_where(lambda f: says(f, costs)[0] > rate * stc.LONGEST)
    weight = np.exp(-factor * costs)
    p = weight / (1 + 2 * weight)
    layer = (entr(p) + entr(1 - p)).sum() / np.log(2) / (rate * stc.LONGEST)
    message = random_bits((int(rate * stc.LONGEST), 1), 13)
    split = round(layer * len(message))
    levels = random.integers(1, 255, costs.shape).astype(np.uint8)
    nats = (factor * costs).astype(np.float32)
    changes = stc.embed_ternary(levels, nats, nats, message[:split], message[split:])
    cost = (costs * np.abs(changes)).sum()
    assert len(message) / says(factor_where(lambda f: says(f, costs)[1] > cost), costs)[0] >= 0.9


def test_where_no_folder_may_be_written_functions_are_compiled_all_the_same(monkeypatch):
    def njit(*, nogil, cache=False):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: (function, nogil)

    monkeypatch.setattr(stc.numba, "njit", njit)
    assert stc._compiled(len) == (len, True)
