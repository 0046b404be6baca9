"""The way `stealth`: what it touches, what comes back, and what is not there."""

import numpy as np
import pytest
import verify_stealth

from stegano_tf.coding import layers, stc
from stegano_tf.message.ways import stealth
from stegano_tf.message.ways.stealth import Stealth, costs, grid, places
from stegano_tf.message.ways.way import DamagedError, RoomError

KEY = bytes(range(32))


def noisy(height=128, width=130, seed=1):
    """A picture with a smooth and a busy half, as no photograph is, but quickly made."""
    random = np.random.default_rng(seed)
    slope = np.linspace(20, 230, height)[:, None, None] + np.linspace(0, 20, width)[:, None]
    busy = np.where(np.arange(width) < width // 2, 2, 12)[:, None]
    return (slope + busy * random.standard_normal((height, width, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def hidden():
    """A cover, the most that fits, and the stego image that holds it."""
    cover = noisy()
    message = np.random.default_rng(2).bytes(Stealth().capacity(cover))
    return cover, message, Stealth().embed(cover, {KEY: message})


def test_the_residual_of_a_step_by_hand():
    channel = np.full((8, 8), 100, np.uint8)
    channel[:, 4:] = 110
    assert not costs._residual(channel).any()  # a column is constant: the filter sees only changes both ways
    channel[4, 4] = 114
    expected = np.outer([0.5, -1, 0.5], [0.5, -1, 0.5]) * 4
    assert costs._residual(channel)[3:6, 3:6] == pytest.approx(np.abs(expected))


def test_costs_are_those_of_another_implementation():
    conseal = pytest.importorskip("conseal", reason="conseal is of the extra `detect`")
    channel = noisy()[..., 1].clip(1, 254)  # theirs are wet where saturated
    assert costs.hill(channel) == pytest.approx(conseal.hill.compute_cost_adjusted(channel)[0], rel=1e-4)


def test_flat_and_saturated_samples_are_not_dry():
    channel = noisy()[..., 0]
    channel[:40, :40] = 77
    channel[60, 60], channel[70, 70] = 0, 255
    dry = costs.dry(channel)
    assert not dry[:38, :38].any()
    assert not dry[60, 60]
    assert not dry[70, 70]
    assert dry[60, 100]


def test_entropies_add_up_to_that_of_three_equal_chances():
    free = np.zeros(10, np.float32)
    assert sum(layers.entropies(free, free, 1.0)) == pytest.approx(10 * np.log2(3))
    factor = layers.scale(free + 2, free + 2, 10.0)
    p = np.exp(-2 * factor) / (1 + 2 * np.exp(-2 * factor))
    assert -(2 * p * np.log2(p) + (1 - 2 * p) * np.log2(1 - 2 * p)) == pytest.approx(1, abs=1e-2)


def test_changes_follow_their_neighbours():
    changes = np.zeros((4, 4, 3), np.int8)
    changes[1, 2, 0] = 1  # left of (1, 3), above (2, 2)
    changes[2, 2, 1] = -1
    towards = costs.towards_neighbours(changes, 1, 1, 0)
    assert towards.tolist() == [[1, 1], [0, 0]]
    assert costs.towards_neighbours(changes, 0, 0, 0)[1, 1] == -1  # one above goes up, the other colour counts twice
    assert costs.towards_neighbours(changes, 0, 0, 0)[0, 0] == 0
    up, down = costs.directed(np.array([5, 5, stc.WET], np.float32), np.array([1, -1, 1]))
    assert up.tolist() == [0.5, 5, stc.WET]
    assert down.tolist() == [5, 0.5, stc.WET]


def test_an_order_sorts_the_words_of_chacha20():
    # RFC 8439, A.1, vector 1: 76b8e0ad a0f13d90 405d6ae5 5386bd28
    assert places.order(4, bytes(32)).tolist() == [3, 1, 0, 2]


@pytest.mark.parametrize("lanes", places.LANES)
def test_every_cell_has_one_use(lanes):
    uses = places.salt_cells((130, 133, 3)).reshape(-1).astype(int)
    for lane in range(lanes):
        uses[places.cells((130, 133, 3), lanes, lane)] += 1
    assert (uses == 1).all()
    assert len(uses) == 65 * 66


def test_what_fits_comes_back_and_one_byte_more_does_not_fit(hidden):
    cover, message, stego = hidden
    assert Stealth(rate=0.4).extract(stego, KEY) == message
    assert len(message) > 400
    with pytest.raises(RoomError, match=rf"takes {len(message):,} bytes a message at 0.1 bits a sample, not "):
        Stealth().embed(cover, {KEY: message + b"."})


def test_changes_are_by_one_and_only_where_it_is_dry(hidden):
    cover, _, stego = hidden
    changes = stego.astype(int) - cover
    assert set(np.unique(changes)) == {-1, 0, 1}
    cover = np.array(cover)
    cover[:64, :64] = 77
    cover[:64, 100:] = 255
    stego = Stealth().embed(cover, {KEY: b"short"})
    assert not (stego != cover)[:62, :62].any()
    assert not (stego != cover)[:62, 102:].any()
    assert Stealth().extract(stego, KEY) == b"short"


def test_the_busy_half_changes_most(hidden):
    cover, _, stego = hidden
    changed = stego != cover
    assert changed[:, 66:].sum() > 10 * changed[:, :64].sum()


def test_several_messages_in_one_cover():
    cover = noisy(160, 200)
    messages = {bytes([n]) * 32: b"%d" % n * n for n in range(3)}
    stego = Stealth(rate=0.2).embed(cover, messages)
    assert {key: Stealth().extract(stego, key) for key in messages} == messages
    with pytest.raises(RoomError, match="not for 9"):
        Stealth().embed(cover, {bytes([n]) * 32: b"" for n in range(9)})


def test_without_the_key_there_is_nothing(hidden):
    cover, _, stego = hidden
    assert Stealth().extract(stego, bytes(32)) is None
    assert Stealth().extract(cover, KEY) is None
    assert Stealth().extract(noisy(20, 20), KEY) is None


def test_a_changed_picture_never_says_something_else(hidden):
    _, message, stego = hidden
    ends = set()
    for seed in range(25):
        damaged, random = np.array(stego), np.random.default_rng(seed)
        damaged[tuple(random.integers(damaged.shape))] ^= np.uint8(1)
        try:
            found = Stealth().extract(damaged, KEY)
        except DamagedError as error:
            ends.add(str(error))
        else:
            assert found in (None, message)  # a sample that says nothing: of the salt, or one left over
    assert ends == {
        f"holds a message of {len(message):,} bytes, but not whole: pixels have changed since it was hidden"
    }


@pytest.mark.parametrize("fields", [(2**32 - 1, 1, 1, 1, 128, 0), (0, 0, 0, 0, 128, 0)], ids=["length", "shares"])
def test_a_header_that_cannot_be_right_is_refused(fields):
    cover = noisy()
    canvas = stealth._Canvas(cover, costs.of_picture(cover), np.zeros(cover.shape, np.int8))
    stealth._Lane(cover.shape, KEY, 1, 0)._write_header(canvas, stealth._HEADER.pack(*fields))
    with pytest.raises(DamagedError, match="more than there is room for"):
        Stealth().extract(cover + canvas.changes.view(np.uint8), KEY)


def test_the_salt_is_written_and_stays(hidden):
    cover, _, stego = hidden
    assert Stealth().salt(stego) == Stealth().salt(cover)
    salted = Stealth().with_salt(cover, KEY)
    assert Stealth().salt(salted) == KEY
    assert np.abs(salted.astype(int) - cover).max() == 1
    assert Stealth().salt(Stealth().embed(salted, {KEY: b"text"})) == KEY


@pytest.mark.parametrize("cover", [np.full((200, 200, 3), 50, np.uint8), noisy(40, 40)], ids=["flat", "small"])
def test_no_room(cover):
    with pytest.raises(RoomError):
        Stealth().embed(cover, {KEY: b""})
    with pytest.raises(RoomError):
        Stealth().with_salt(cover, KEY)


@pytest.mark.parametrize("rate", [0, 0.6, -1, float("nan")])
def test_rates_that_there_are_not(rate):
    with pytest.raises(ValueError, match="expected more than 0"):
        Stealth(rate=rate)


@pytest.mark.parametrize(
    ("samples", "bits", "split"), [(1, 0, 128), (900, 37, 130), (40_000, 5_001, 128), (33_000, 3, 140)]
)
def test_bits_in_codewords(samples, bits, split):
    random = np.random.default_rng(samples)
    levels, data = random.integers(1, 255, samples).astype(np.uint8), random.integers(0, 2, bits).astype(np.uint8)
    price = np.full(samples, 3, np.float32)
    changes = layers.write(levels, price, price, data, split)
    assert np.array_equal(layers.read(levels + changes.view(np.uint8), bits, split), data)


def test_another_reader_reads_it(hidden):
    _, message, stego = hidden
    assert verify_stealth.read(stego, KEY) == message
    assert verify_stealth.salt(stego) == Stealth().salt(stego)
    two = Stealth().embed(noisy(161, 201), {KEY: b"one", bytes(32): b""})
    assert verify_stealth.read(two, KEY) == b"one"
    assert verify_stealth.read(two, bytes(32)) == b""
    assert verify_stealth.read(two, bytes(31) + b"1") is None


def test_the_grid_of_a_jpeg_file_shows():
    import io

    from PIL import Image

    cover = noisy()
    file = io.BytesIO()
    Image.fromarray(cover).save(file, "JPEG", quality=85)
    assert not grid.was_jpeg(cover)
    assert grid.was_jpeg(np.array(Image.open(file))[3:, 5:])
