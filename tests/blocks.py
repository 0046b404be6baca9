"""How 8x8 blocks of two pictures compare: engines that add in another order may code a block in another way."""

import numpy as np

LARGEST = 15
"""How far two stego pixels of one cover can be apart at depth 2: deep classes choose among 16 values that follow."""


def differing(found, expected) -> int:
    """Counts the blocks of uint8[..., H, W, 3] in which pictures differ at all; H and W need not be multiples of 8."""
    different = (np.asarray(found) != np.asarray(expected)).any(-1)
    padding = [(0, 0)] * (different.ndim - 2) + [(0, -side % 8) for side in different.shape[-2:]]
    different = np.pad(different, padding)
    *_, height, width = different.shape
    return int(different.reshape(-1, height // 8, 8, width // 8, 8).any((2, 4)).sum())


def assert_same_but_for_rare_ones(found, expected, message: str = "") -> None:
    """Two stego images of the same pictures: all but one block, or one in a hundred, are equal."""
    assert found.shape == expected.shape
    assert np.abs(np.asarray(found).astype(int) - expected).max() <= LARGEST, message
    assert differing(found, expected) <= max(1, found[..., 0].size / 64 / 100), message
