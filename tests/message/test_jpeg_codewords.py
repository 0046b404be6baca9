"""The codes, the levels of tiles, and how messages share a picture."""

import numpy as np
import pytest

from stegano_tf.message.ways.jpeg import blocks as jpeg
from stegano_tf.message.ways.jpeg import codewords, parts, places, plan


def spoilt(bits, rate, seed=0):
    """Returns likelihoods of bits of which some are wrong."""
    bad = np.random.default_rng(seed).random(len(bits)) < rate
    return (1 - 2.0 * (bits ^ bad)).astype(np.float32) * np.float32(np.log((1 - rate) / rate))


@pytest.mark.parametrize(("code", "rate"), [(parts.SALT_CODE, 0.2), (parts.HEADER_CODE, 0.15)])
def test_short_codes_find_what_is_right(code, rate):
    data = np.random.default_rng(3).bytes(code.size)
    bits = code.encode(data)
    assert bits.shape == (code.sent,)
    noise = np.random.default_rng(4).standard_normal(code.sent).astype(np.float32)
    assert code.decode(np.stack([noise, spoilt(bits, rate)])) == (1, data)
    assert code.decode(noise[None]) is None


def test_maps_of_all_sizes_have_a_code():
    for rows, columns in ((32, 30), (32, 32), (150, 200), (375, 500), (1, 4000)):
        grid = places.Grid(rows, columns)
        code = parts.map_code(grid)
        data = bytes(range(256))[: code.size] if code.size < 256 else None
        assert data
        assert code.decode(spoilt(code.encode(data), 0.1)[None]) == (0, data)


def test_sizes_of_long_codes():
    assert [codewords.long(size).size for size in (1, 33, 34, 100, 528, 529, 1057)] == [
        33,
        33,
        66,
        132,
        528,
        1056,
        2112,
    ]
    assert codewords.longest(0) == 0
    assert codewords.longest(8 * 1056 / 0.93 + 1) == 1056
    assert codewords.longest(3 * 8 * 1056 / 0.93 + 1) == 3168


def test_long_codes_mend_and_say_how_much_is_right():
    code = codewords.long(3000)
    data = np.random.default_rng(5).bytes(code.size)
    bits = code.encode(data, 36_001)
    assert len(bits) == 36_000  # three codewords
    assert code.decode(spoilt(bits, 0.04)) == (data, 1)
    likely = spoilt(bits, 0.04)
    likely[::3] = np.random.default_rng(6).standard_normal(12_000)  # nothing of the first codeword
    assert code.decode(likely)[1] == pytest.approx(2 / 3)


def test_levels_prefer_texture_and_hold_enough():
    tiles = plan.Tiles(cost=np.array([1.0, 0.01, 0.1]), worth=np.array([1.0, 1.0, 0.5]))
    sizes = np.array([10, 10, 10])
    assert plan.levels(tiles, sizes, 75, 60).tolist() == [0, 2, 0]
    levels = plan.levels(tiles, sizes, 75, 200)
    assert plan.LEVELS[levels] @ (sizes * tiles.worth) >= 200
    assert plan.levels(tiles, sizes, 75, plan.room(tiles, sizes)).tolist() == [3, 3, 3]
    assert plan.unpack(plan.pack(levels), 3).tolist() == plan.LEVELS[levels].tolist()
    assert plan.pack(np.array([1, 2, 3], np.uint8)) == bytes([0b01101100])


def test_flat_tiles_cost_more_and_colours_at_their_limit_are_worth_less():
    picture = np.random.default_rng(0).integers(80, 180, (96, 96, 3), dtype=np.uint8)
    picture[:32, :32] = 90
    picture[64:, 64:] = np.where(picture[64:, 64:] < 130, 0, 255)
    grid = places.grid(picture)
    tiles = plan.look(picture, jpeg.split(picture), grid, 75)
    assert tiles.cost[0] > 10 * tiles.cost[1]
    assert tiles.worth[0] == pytest.approx(0.97, abs=0.01)
    assert tiles.worth[8] < 0.5
