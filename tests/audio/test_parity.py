import numpy as np
import pytest
import reedsolo
from hypothesis import given, settings
from hypothesis import strategies as st

from stegano_tf.audio import parity


def encode(message, checks):
    return np.concatenate(list(parity.encode(message, checks)))


def test_shares_and_check_symbols():
    # (255 / (255 - checks))**2 - 1 is the growth of a full product.
    assert [parity.checks_for(share) for share in (0, 0.01, 0.05, 0.1, 0.2, 0.78)] == [0, 2, 7, 12, 23, 64]
    for share in (-0.01, 0.8, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="expected 0 % to 78 %"):
            parity.checks_for(share)
    with pytest.raises(
        ValueError, match=r"a parity of '10%', expected a number from 0 to 0\.78, such as 0\.1 for 10 %"
    ):
        parity.checks_for("10%")


def test_shape_by_hand():
    # 243 * 243 = 59,049 bytes fill one product of 12 check symbols; the next byte makes it two, of 122 rows each.
    assert (parity.Shape(59_049, 12).blocks, parity.Shape(59_049, 12).rows) == (1, 243)
    shape = parity.Shape(59_050, 12)
    assert (shape.blocks, shape.rows, shape.symbols) == (2, 122, 2 * (122 + 12) * 255)
    assert parity.Shape(1, 12).symbols == 13 * 255


def test_order_by_hand():
    # The first words of SHAKE-128, from the cryptography package: dd875ca4 ebb4ccc4 bc48b598 d3ab913a 46f6f6c8 99f33494
    # e2db714c fde9ca50. In order these are the 5th, 6th, 3rd, 4th, 1st, 7th, 2nd, 8th.
    assert parity.order(8).tolist() == [4, 5, 2, 3, 0, 6, 1, 7]
    assert sorted(parity.order(3315)) == list(range(3315))


@pytest.mark.parametrize("checks", [2, 7, 12, 64])
def test_rows_and_columns_are_reed_solomon_codewords(checks):
    # The third library agrees: what zfec made are codewords with the roots 2^0 to 2^(checks-1) over 0x11D.
    message = np.random.default_rng(checks).integers(0, 256, 400, dtype=np.uint8)
    shape = parity.Shape(400, checks)
    cube = parity.gather(encode(message, checks), shape)
    codec = reedsolo.RSCodec(checks, nsize=255, fcr=0, prim=0x11D, generator=2)
    for row in cube[:, :, 0]:
        assert codec.check(row[::-1].tobytes()) == [True]
    for column in cube[:, ::60, 0].T:
        whole = np.zeros(255, np.uint8)
        whole[: shape.rows], whole[255 - checks :] = column[: shape.rows], column[shape.rows :]
        assert codec.check(whole[::-1].tobytes()) == [True]
    np.testing.assert_array_equal(parity.message(cube, shape), message)


@given(st.integers(1, 3000), st.sampled_from([0, 1, 2, 5, 12, 33, 64]), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_a_message_comes_back(size, checks, seed):
    message = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    symbols = encode(message, checks)
    shape = parity.Shape(size, checks)
    assert len(symbols) == shape.symbols
    np.testing.assert_array_equal(parity.message(parity.gather(symbols, shape), shape), message)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", [1, 5000, 20_000])
def test_two_per_cent_of_wrong_symbols_are_repaired(size, known):
    random = np.random.default_rng(size)
    message = random.integers(0, 256, size, dtype=np.uint8)
    shape = parity.Shape(size, 12)
    symbols = encode(message, 12)
    wrong = random.choice(len(symbols), len(symbols) // 50, replace=False)
    symbols[wrong] ^= random.integers(1, 256, len(wrong), dtype=np.uint8)
    doubtful = np.zeros(len(symbols), bool)
    doubtful[wrong] = known
    cube = parity.gather(symbols, shape)
    left, words = parity.repair(cube, parity.gather(doubtful, shape), shape)
    assert (left, words) == (0, shape.blocks * (shape.rows + 12 + 255))
    np.testing.assert_array_equal(parity.message(cube, shape), message)


def test_known_losses_of_nine_per_cent_in_rows_are_repaired():
    random = np.random.default_rng(0)
    message = random.integers(0, 256, 20_000, dtype=np.uint8)
    shape = parity.Shape(20_000, 12)
    cube = parity.gather(encode(message, 12), shape)
    doubtful = np.zeros(cube.shape, bool)
    doubtful[5:13] = True
    cube[5:13] = 0
    assert parity.repair(cube, doubtful, shape)[0] == 0
    np.testing.assert_array_equal(parity.message(cube, shape), message)


def test_too_much_is_told():
    random = np.random.default_rng(0)
    shape = parity.Shape(3000, 12)
    cube = parity.gather(encode(random.integers(0, 256, 3000, dtype=np.uint8), 12), shape)
    cube ^= random.integers(0, 256, cube.shape, dtype=np.uint8)
    left, words = parity.repair(cube, np.zeros(cube.shape, bool), shape)
    assert left > words // 2


def test_single_codewords():
    word = np.concatenate(
        [np.arange(16, dtype=np.uint8), parity.check_symbols(np.arange(16, dtype=np.uint8)[:, None], 8)[:, 0]]
    )
    for wrong in range(5):
        damaged = word.copy()
        damaged[:wrong] ^= 0x55
        assert parity.correct_word(damaged, 8)
        np.testing.assert_array_equal(damaged, word)
    damaged = word ^ 0x55
    assert not parity.correct_word(damaged, 8)
