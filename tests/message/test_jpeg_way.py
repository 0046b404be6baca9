"""Messages in pictures: through JPEG, beside each other, damaged, and where there is no room."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from stegano_tf import metrics
from stegano_tf.message.ways import jpeg as package
from stegano_tf.message.ways.jpeg import Jpeg, keys, parts, places
from stegano_tf.message.ways.way import DamagedError, RoomError

KEYS = [bytes([number]) * 32 for number in range(20)]
SALT = bytes(range(32))


def photograph(width=512, height=408, seed=0):
    """Returns something like a photograph: noise that is stronger at coarse scales, and a flat part."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 120.0)
    for scale in (2, 8, 32):
        small = rng.normal(0, 6 + scale / 2, (height // scale + 1, width // scale + 1, 3)).astype(np.float32)
        layers = [
            Image.fromarray(small[..., colour]).resize((width, height), Image.Resampling.BICUBIC) for colour in range(3)
        ]
        picture += np.stack([np.asarray(layer) for layer in layers], axis=2)
    picture[:100, :100] = (200, 180, 40)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def through(picture, quality, subsampling="4:2:0"):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file))


@pytest.fixture(scope="module")
def cover():
    return photograph()


@pytest.fixture(scope="module")
def stego(cover):
    way = Jpeg(75)
    return way.embed(way.with_salt(cover, SALT), {KEYS[0]: b"a" * 1000, KEYS[1]: b"another message"})


@pytest.mark.parametrize("qualities", [(), (75,), (78,), (83,), (95,), (90, 75)])
def test_messages_survive_jpeg_of_the_design_quality_and_better(stego, qualities):
    for quality in qualities:
        stego = through(stego, quality)
    way = Jpeg(60)  # a reader need not know the design
    assert way.salt(stego) == SALT
    assert way.extract(stego, KEYS[0]) == b"a" * 1000
    assert way.extract(stego, KEYS[1]) == b"another message"
    assert way.extract(stego, KEYS[2]) is None


def test_little_shows(cover, stego):
    assert metrics.psnr(cover, stego) > 42
    assert (Jpeg(75).embed(Jpeg(75).with_salt(cover, SALT), {}) != cover).any(axis=2).mean() < 0.15  # the salt alone


def test_the_file_that_we_write_keeps_it(stego):
    file = io.BytesIO()
    way = Jpeg(75)
    Image.fromarray(stego).save(file, **way.file_options)
    assert way.extract(np.asarray(Image.open(file)), KEYS[0]) == b"a" * 1000


def test_a_worse_jpeg_is_called_damage(stego):
    with pytest.raises(DamagedError, match="damaged by recompression below quality 75"):
        Jpeg().extract(through(stego, 66), KEYS[0])


def test_what_is_changed_never_gives_wrong_bytes(stego):
    way, rng = Jpeg(), np.random.default_rng(7)
    for step in (2, 5, 9):
        changed = stego.copy()
        top, left = rng.integers(0, 200, 2)
        changed[top : top + 20 * step, left : left + 20 * step] = rng.integers(256)
        for key, data in ((KEYS[0], b"a" * 1000), (KEYS[1], b"another message")):
            with contextlib.suppress(DamagedError):
                assert way.extract(changed, key) in (data, None)
    assert way.extract(stego[8:], KEYS[0]) is None
    assert way.extract(np.ascontiguousarray(stego[::-1]), KEYS[0]) is None


def test_the_capacity_is_what_fits(cover):
    way = Jpeg(75)
    capacity = way.capacity(cover)
    assert 3000 < capacity < 6000
    data = np.random.default_rng(8).bytes(capacity)
    assert way.extract(way.embed(way.with_salt(cover, SALT), {KEYS[3]: data}), KEYS[3]) == data
    with pytest.raises(RoomError, match=f"{2 * capacity} bytes in 1 message.*at most about {capacity}"):
        way.embed(cover, {KEYS[3]: 2 * data})


def test_an_empty_message_and_many(cover):
    way = Jpeg(60)
    lanes = places.grid(cover).lanes
    messages = {key: bytes([number]) * 10 * number for number, key in enumerate(KEYS[:lanes])}
    stego = through(way.embed(way.with_salt(cover, SALT), messages), 60)
    assert {key: way.extract(stego, key) for key in messages} == messages
    with pytest.raises(RoomError, match=f"{lanes + 1} messages, expected at most {lanes}"):
        way.embed(cover, dict.fromkeys(KEYS[: lanes + 1], b""))


def test_lanes_go_by_size():
    grid = places.Grid(150, 200)
    assert package._share(grid, [100]) == [range(16)]
    assert package._share(grid, [300, 100]) == [range(12), range(12, 16)]
    assert package._share(grid, [0, 0, 10**6]) == [range(1), range(1, 2), range(2, 16)]
    assert package._share(grid, []) == []


def test_covers_without_room():
    small = np.full((200, 200, 3), 90, np.uint8)
    way = Jpeg()
    assert way.capacity(small) == 0
    assert way.extract(small, KEYS[0]) is None
    assert way.salt(small) == bytes(32)
    for act in (lambda: way.embed(small, {KEYS[0]: b""}), lambda: way.with_salt(small, SALT)):
        with pytest.raises(RoomError, match="200x200 pixels, expected at least 912 blocks"):
            act()


@pytest.mark.parametrize("level", [0, 5, 128, 255])
def test_flat_covers_hold_it_or_say_that_they_do_not(level):
    way, cover = Jpeg(), np.full((264, 272, 3), level, np.uint8)
    try:
        stego = way.embed(way.with_salt(cover, SALT), {KEYS[0]: b"flat"})
    except RoomError:
        pytest.fail(f"no room in a cover of {level}")
    else:
        assert way.extract(through(stego, 80), KEYS[0]) == b"flat"


def test_a_picture_without_a_message():
    assert Jpeg().extract(photograph(seed=3), KEYS[0]) is None
    assert Jpeg().extract(np.full((264, 272, 3), 128, np.uint8), KEYS[0]) is None


def test_a_message_of_a_newer_version(cover, monkeypatch):
    way = Jpeg()
    monkeypatch.setattr(parts, "VERSION", 2)
    stego = way.embed(way.with_salt(cover, SALT), {KEYS[0]: b"new"})
    monkeypatch.undo()
    with pytest.raises(DamagedError, match="version 2, expected 1"):
        way.extract(stego, KEYS[0])


def test_a_header_that_says_too_much_is_refused(cover, monkeypatch):
    way, seal = Jpeg(), keys.Keys.seal
    header = parts.HEADER.pack(1, places.grid(cover).lanes, 2**32 - 1)
    monkeypatch.setattr(Jpeg, "_holds", lambda *_: True)
    monkeypatch.setattr(keys.Keys, "seal", lambda self, part, data: seal(self, part, data if part else header))
    stego = way.embed(way.with_salt(cover, SALT), {KEYS[0]: b"short"})
    with pytest.raises(DamagedError, match="4294967295 bytes"):
        way.extract(stego, KEYS[0])


def test_qualities_out_of_range():
    for quality in (49, 100):
        with pytest.raises(ValueError, match=f"quality {quality}, expected 50 to 99"):
            Jpeg(quality)


def test_the_design_is_one_that_readers_look_for():
    assert [Jpeg(quality).quality for quality in (50, 59, 70, 89, 90, 99)] == [50, 50, 60, 85, 90, 90]
