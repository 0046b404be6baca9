"""Which codewords are known to be right."""

import numpy as np

from stegano_tf.coding.ldpc import Code


def test_right_and_wrong_codewords_are_told_apart():
    code, rng = Code(2, 12, 400), np.random.default_rng(0)
    bits = rng.integers(0, 2, (3, code.size), dtype=np.uint8)
    likelihoods = 4 - 8 * code.encode(bits).astype(np.float32)
    likelihoods[1] = 4 * rng.standard_normal(400)
    found, right = code.decode_checked(likelihoods)
    assert right.tolist() == [True, False, True]
    assert (found[[0, 2]] == bits[[0, 2]]).all()
    assert code.decode_checked(likelihoods[:2], enough=1)[1].tolist() == [True, False]
