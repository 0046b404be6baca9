"""Keys and places: what follows from a key, and that nothing lies where something else does."""

import numpy as np
import pytest

from stegano_tf.message.ways.jpeg import keys, places


def test_the_order_is_that_of_the_key_stream():
    # RFC 8439, A.1, test vector 1: 76b8e0ada0f13d90 405d6ae55386bd28 bdd219b8a08ded1a a836efcc8b770dc7
    assert keys.order(keys.PUBLIC, 4).tolist() == [2, 1, 0, 3]


def test_the_mask_is_another_part_of_it():
    mask = keys.mask(bytes(range(32)), 9)
    assert mask.shape == (9,)
    assert (keys.mask(bytes(range(32)), 500)[:9] == mask).all()
    stream = np.unpackbits(np.frombuffer(keys._stream(bytes(range(32)), 0, 100), np.uint8))
    assert (keys.mask(bytes(range(32)), 800) != stream).mean() == pytest.approx(0.5, abs=0.1)


def test_seals_open_with_their_key_and_part_alone():
    one, other = keys.Keys(bytes(32)), keys.Keys(bytes(31) + b"\1")
    text = one.seal(1, b"some bytes")
    assert len(text) == 10 + keys.TAG
    assert one.open(1, text) == b"some bytes"
    assert one.open(2, text) is None
    assert other.open(1, text) is None
    assert one.open(1, text[:-1] + bytes([text[-1] ^ 1])) is None


@pytest.mark.parametrize(
    ("rows", "columns", "lanes", "side"), [(32, 32, 1, 4), (48, 64, 2, 4), (91, 90, 7, 5), (150, 200, 16, 8)]
)
def test_all_blocks_belong_to_the_salt_or_one_lane(rows, columns, lanes, side):
    grid = places.Grid(rows, columns)
    assert (grid.lanes, grid.tile_side, grid.too_small) == (lanes, side, False)
    all_blocks = [grid.salt, *(grid.lane(number) for number in range(lanes))]
    assert sorted(np.concatenate(all_blocks).tolist()) == list(range(rows * columns))
    assert grid.tile_count <= 512
    assert grid.tiles.reshape(rows, columns)[:side, :side].max() == 0
    assert grid.tiles.reshape(rows, columns)[-1, -1] == grid.tile_count - 1


def test_the_parts_of_a_message_lie_in_its_lanes():
    grid, key = places.Grid(64, 64), bytes(range(32))
    head, map_blocks, rest = grid.message(key, range(1, 3))
    assert (len(head), len(map_blocks)) == (places.HEADER_BLOCKS, (64 + 16) * places.MAP_RATE)  # 256 tiles
    lane = set(grid.lane(1).tolist())
    assert set(head.tolist()) <= lane
    assert (grid.header(key, 1) == head).all()
    mine = [*head.tolist(), *map_blocks.tolist(), *rest.tolist()]
    assert sorted(mine) == sorted(lane | set(grid.lane(2).tolist()))
    assert set(grid.header(bytes(32), 1).tolist()) != set(head.tolist())


def test_the_smallest_picture():
    assert not places.grid(np.zeros((256, 240, 3), np.uint8)).too_small  # 960 blocks
    assert places.grid(np.zeros((240, 240, 3), np.uint8)).too_small
    assert places.grid(np.zeros((1, 9999, 3), np.uint8)).too_small


@pytest.mark.parametrize("rows", [1, 3, 30, 64, 90, 128, 1000])
def test_a_lane_has_room_for_its_header_and_its_map(rows):
    for columns in range(-(-places.SMALLEST // rows), 300 + 3000 // rows, 7):
        grid = places.Grid(rows, columns)
        smallest = (grid.blocks - places.SALT_BLOCKS) // grid.lanes
        assert smallest > places.HEADER_BLOCKS + grid.map_blocks + 100
