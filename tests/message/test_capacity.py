"""The way `capacity`: lattice, lanes and depths, by hand where that is possible."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from stegano_tf import metrics
from stegano_tf.message import ways
from stegano_tf.message.ways import lattice, salt
from stegano_tf.message.ways.way import DamagedError, RoomError

KEY, OTHER = bytes(range(32)), bytes(32)
WAY = ways.make("capacity")


@pytest.fixture(scope="module")
def cover():
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


def test_depth_0_by_hand():
    # 4 bits, one in each of the last 4 samples. The word 0001 1110 of the code is as good as none.
    residues = np.array([[0, 0, 0, 0, 1, 0, 0, 0]], np.int16)
    samples = np.array([[10, 10, 10, 10, 10, 10, 10, 10]], np.uint8)
    found = lattice.nearest(samples, residues, 0)
    assert np.abs(found.astype(int) - 10).sum() == 1
    assert lattice.extracted(found, 0).tolist() == residues.tolist()
    # What is right already stays: the word 1000 0111 plus these residues is 1000 1111.
    samples = np.array([[11, 20, 30, 40, 51, 61, 71, 81]], np.uint8)
    assert lattice.nearest(samples, residues, 0).tolist() == samples.tolist()


@pytest.mark.parametrize("depth", range(4))
def test_the_nearest_point_is_nearest(depth):
    """Compared with a search through all 16 words, each sample on its own."""
    random = np.random.default_rng(depth)
    samples = random.integers(0, 256, (50, 8), np.uint8)
    samples[:8] = np.array([0, 255])[random.integers(0, 2, (8, 8))]
    residues = random.integers(0, 1 << np.array([depth] * 4 + [depth + 1] * 4), (50, 8)).astype(np.int16)
    found = lattice.nearest(samples, residues, depth)
    scale = 1 << depth
    words = {tuple(word) for word in lattice._WORDS}
    assert len(words) == 16
    assert min(sum(word) for word in words if any(word)) == 4  # the extended Hamming code
    for before, wanted, after in zip(samples.astype(int), residues, found.astype(int), strict=True):
        values = np.arange(256)
        errors = [
            sum(
                np.square(values[values % (2 * scale) == (r + scale * w) % (2 * scale)] - b).min()
                for b, r, w in zip(before, wanted, word, strict=True)
            )
            for word in words
        ]
        assert np.square(after - before).sum() == min(errors)
    assert lattice.extracted(found, depth).tolist() == residues.tolist()


@pytest.mark.parametrize(("depth", "rate", "psnr"), [(0, 0.5, 55.8), (1, 1.5, 50.1), (2, 2.5, 44.4), (3, 3.5, 38.4)])
def test_what_a_depth_costs(cover, depth, rate, psnr):
    way = lattice.Capacity(rate=rate)
    message = np.random.default_rng(1).bytes(way.room(cover))
    assert len(message) == pytest.approx(rate * cover.size / 8, abs=20 + 5 * rate * 32)
    stego = way.embed(cover, {KEY: message})
    assert metrics.psnr(cover, stego) == pytest.approx(psnr, abs=0.25)
    assert way.extract(stego, KEY) == message


@hypothesis.given(
    strategies.integers(14, 40), strategies.integers(14, 40), strategies.integers(0, 2), strategies.floats(0, 1)
)
@hypothesis.settings(max_examples=60)
def test_every_size_in_every_cover(height, width, kind, share):
    random = np.random.default_rng(height * width)
    cover = random.integers(0, 256, (height, width, 3), np.uint8)
    if kind:
        cover[:] = 255 * (kind - 1)
    message = random.bytes(round(share * WAY.capacity(cover)))
    stego = WAY.embed(cover, {KEY: message})
    assert WAY.extract(stego, KEY) == message
    assert WAY.extract(stego, OTHER) is None
    assert WAY.salt(stego) == WAY.salt(cover)


def test_the_room_is_used_to_the_last_byte(cover):
    random = np.random.default_rng(2)
    most = WAY.capacity(cover)
    groups = cover.size // 8 - 32  # less the salt's
    assert most == (groups - 7) * 28 // 8 - 16  # 7 groups are the header's, 16 bytes the tag
    assert WAY.extract(WAY.embed(cover, {KEY: random.bytes(most)}), KEY) is not None
    with pytest.raises(RoomError, match=f"has room for {most:,} bytes in one message, expected {most + 1:,}"):
        WAY.embed(cover, {KEY: random.bytes(most + 1)})


def test_several_messages(cover):
    random = np.random.default_rng(3)
    messages = {bytes([number]) * 32: random.bytes(400 * number) for number in range(5)}
    stego = WAY.embed(cover, messages)
    assert {key: WAY.extract(stego, key) for key in messages} == messages
    assert WAY.extract(stego, KEY) is None
    with pytest.raises(RoomError):
        WAY.embed(cover, {**messages, KEY: bytes(WAY.capacity(cover) - 2000)})
    with pytest.raises(RoomError):  # more than there are lanes
        WAY.embed(cover, {bytes([number]) * 32: b"" for number in range(20)})


def test_lanes_are_shared_in_proportion():
    assert lattice._shares([100, 100], [100] * 8) == [4, 4]
    assert lattice._shares([100, 700], [1000] * 8) == [1, 7]
    assert lattice._shares([0, 0, 0], [64] * 3) == [1, 1, 1]


def test_a_changed_pixel_is_noticed(cover):
    stego = WAY.embed(cover, {KEY: bytes(WAY.capacity(cover))})
    for places in itertools.pairwise(range(0, 64, 16)):
        changed = stego.copy()
        changed[places] ^= 2
        found = None
        try:
            found = WAY.extract(changed, KEY)  # a header that is not right says that there is no message
        except DamagedError as error:
            assert "pixels have changed" in str(error)
        assert found is None


def test_nothing_is_seen_where_nothing_is_changed(cover):
    stego = WAY.embed(cover, {KEY: b"few"})
    assert np.count_nonzero(stego != cover) < 8 * (7 + 40)  # header, 19 bytes of 4 bits a group


def test_a_picture_that_is_too_small():
    tiny = np.zeros((12, 14, 3), np.uint8)
    assert WAY.extract(tiny, KEY) is None
    with pytest.raises(RoomError, match="168 pixels, expected at least 171"):
        WAY.capacity(tiny)


def test_salt_by_hand(cover):
    assert salt.groups(16 * 16 * 3)[:4].tolist() == [1, 4, 7, 10]
    picture = np.zeros((16, 16, 3), np.uint8)
    flat = picture.reshape(-1)
    flat[8], flat[15] = 5, 255  # the first and the last sample of the first group, both odd
    assert salt.read(picture) == b"\x81" + bytes(31)
    written = salt.write(cover, KEY)
    assert salt.read(written) == KEY
    changes = np.abs(written.astype(int) - cover)
    assert changes.max() == 1
    assert 80 < changes.sum() < 180  # half of 256
    black = salt.write(np.zeros((16, 16, 3), np.uint8), b"\xff" * 32)
    assert (black.sum(), black.max()) == (256, 1)
