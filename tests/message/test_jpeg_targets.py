"""What is written: the right parity, through all better tables, with the least change."""

import numpy as np
import pytest

from stegano_tf import channels
from stegano_tf.message.ways.jpeg import blocks as jpeg
from stegano_tf.message.ways.jpeg import places, targets
from stegano_tf.message.ways.jpeg.drafts import Draft

GRID = np.arange(-4096, 4097) / 4


def test_targets_have_their_bit_and_are_no_further_than_needed():
    for quality in (60, 75):
        table = targets.targets(quality)
        for slot, step in enumerate(jpeg.steps(quality)):
            for bit in (0, 1):
                assert (np.rint(table[slot, bit] / step) % 2 == bit).all()
                # The bit's own multiples of the step are no closer, but for a quarter of the step.
                inside = np.abs(GRID) < 500
                lattice = np.abs(GRID - (2 * np.rint((GRID / step - bit) / 2) + bit) * step)
                assert (np.abs(table[slot, bit] - GRID) <= lattice + 0.3 * step)[inside].all()


def test_small_coefficients_keep_their_bit_in_all_better_tables():
    steps, table = jpeg.steps(75), targets.targets(75)
    small = np.abs(GRID) < 30
    lost = []
    for better in range(75, 97):
        for slot, other in enumerate(jpeg.steps(better)):
            for bit in (0, 1):
                arrived = np.rint(np.rint(table[slot, bit, small] / other) * other / steps[slot])
                lost.append(np.mean(arrived % 2 != bit))
    assert np.mean(lost) < 0.004
    assert np.mean(np.array(lost) > 0) < 0.02


def draft(bits, counts, matters=False):
    """Returns a draft of a single row of blocks."""
    made = Draft(places.Grid(1, len(bits)))
    made.bits, made.counts, made.matters[:] = bits, counts, matters
    return made


def test_written_bits_are_there_and_only_the_luma_changes():
    rng = np.random.default_rng(1)
    blocks = rng.integers(60, 200, (3, 50, 64), dtype=np.uint8)
    bits, counts = rng.integers(0, 2, (50, 15), dtype=np.uint8), np.repeat([0, 5, 15, 10, 8], 10)
    written = targets.write(blocks, draft(bits, counts), 75)
    found = np.rint(jpeg.luma(written) @ jpeg.BASIS / jpeg.steps(75)) % 2
    wanted = np.arange(15) < counts[:, None]
    assert (found[wanted] == bits[wanted]).all()
    change = written.astype(int) - blocks
    assert (change == change[0]).all()
    assert not change[:, :10].any()
    assert np.abs(change).max() < 25


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (0, 255, 0)])
def test_blocks_that_matter_make_room(colour):
    bits = np.random.default_rng(2).integers(0, 2, (200, 15), dtype=np.uint8)
    picture = np.full((80, 160, 3), colour, np.uint8)
    wrong = []
    for matters in (False, True):
        written = targets.write(jpeg.split(picture), draft(bits, np.full(200, 8), matters), 75)
        received = jpeg.split(channels.jpeg(jpeg.join(written, picture), 78))
        found = np.rint(jpeg.luma(received) @ jpeg.BASIS / jpeg.steps(75)) % 2
        wrong.append(np.mean(found[:, :8] != bits[:, :8]))
    assert wrong[1] < 0.03
    assert colour == (255, 255, 255) or wrong[1] < wrong[0] / 2
