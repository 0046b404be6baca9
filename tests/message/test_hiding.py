"""Keys and seals: who finds a message, and who finds nothing."""

import dataclasses
import hashlib

import numpy as np
import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from stegano_tf import sealing
from stegano_tf.errors import SteganoError
from stegano_tf.message import hiding, keys, ways
from stegano_tf.message.frame import Secret
from stegano_tf.message.ways.way import RoomError
from stegano_tf.sealing import stretching

WAY = ways.make("capacity")
NOTE = Secret(b"hello", "note.txt")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """scrypt with little work: what it costs is age's business."""
    monkeypatch.setattr(stretching, "_FACTOR", 4)
    stretching.stretch.cache_clear()
    yield
    stretching.stretch.cache_clear()


@pytest.fixture
def identity(tmp_path):
    """A file with an identity, and its recipient."""
    return tmp_path / "key.txt", sealing.keygen(tmp_path / "key.txt")


@pytest.fixture(scope="module")
def cover():
    return np.random.default_rng(0).integers(0, 256, (90, 100, 3), np.uint8)


def test_a_message_for_anybody(cover):
    stego = hiding.hide(WAY, cover, [(NOTE, None)]).stego
    assert hiding.reveal(stego) == hiding.Found(secret=NOTE, way="capacity", sealed=False, size=44 + 8 + 5)
    assert hiding.reveal(cover) is None


def test_a_passphrase_opens_however_it_is_spelled(cover, monkeypatch):
    monkeypatch.setattr(hiding, "_sealed", lambda packed, lock, way, cover: packed)  # age takes a second each time
    monkeypatch.setattr(hiding, "_opened", lambda message, key: message)
    stego = hiding.hide(WAY, cover, [(NOTE, sealing.Lock(passphrase="ho\u0301rse"))]).stego
    assert hiding.reveal(stego, sealing.Key(passphrase=" h\xf3rse ")).secret == NOTE
    assert hiding.reveal(stego, sealing.Key(passphrase=lambda: "h\xf3rse")).sealed
    assert hiding.reveal(stego, sealing.Key(passphrase="horse")) is None
    assert hiding.reveal(stego) is None


def test_a_recipient_opens_with_an_identity(cover, identity, tmp_path):
    path, recipient = identity
    sealing.keygen(tmp_path / "other.txt")
    stego = hiding.hide(WAY, cover, [(NOTE, sealing.Lock(recipients=[recipient]))]).stego
    assert hiding.reveal(stego, sealing.Key(identities=[tmp_path / "other.txt", path])).secret == NOTE
    assert hiding.reveal(stego, sealing.Key(identities=[tmp_path / "other.txt"])) is None
    assert hiding.reveal(stego) is None


def test_several_secrets_none_knowing_of_the_others(cover, identity):
    path, recipient = identity
    secrets = [(NOTE, None), (Secret(b"x" * 500, "b"), sealing.Lock(recipients=[recipient]))]
    written = hiding.hide(WAY, cover, secrets)
    assert hiding.reveal(written.stego).secret == NOTE
    assert hiding.reveal(written.stego, sealing.Key(identities=[path])).secret.name == "b"
    assert written.holds(written.stego)
    assert not written.holds(cover)
    with pytest.raises(sealing.SealingError, match="the same passphrase or recipient"):
        hiding.hide(WAY, cover, [(NOTE, None), (NOTE, None)])


def test_keys_by_hand(cover, identity):
    """The exchange as RFC 7748 has it, from the identity's own bytes, and scrypt as Python has it."""
    path, recipient = identity
    lock = sealing.Lock(recipients=[recipient])
    sender = keys.Sender([lock])
    (found,) = keys.receiver(WAY, sealing.Key(identities=[path]), sender.salt)
    assert found == sender.key(WAY, lock, sender.salt)
    lock = sealing.Lock(passphrase="horse")
    root = hashlib.scrypt(b"horse", salt=b"stegano_tf picture 1 " + bytes(32), n=16, r=8, p=1, dklen=32)
    assert keys.Sender([lock]).key(WAY, lock, bytes(32)) == keys.part(root, b"capacity")
    assert keys.Sender([lock]).salt is None
    assert keys.anybody(WAY) == keys.part(bytes(32), b"capacity")


def test_bech32_of_the_specification_of_age():
    identity = pyrage.x25519.Identity.generate()
    private = X25519PrivateKey.from_private_bytes(keys._bech32(str(identity).lower()))
    assert private.public_key().public_bytes_raw() == keys._bech32(str(identity.to_public()))


def test_locks_that_hide_nothing(identity):
    _, recipient = identity
    with pytest.raises(sealing.SealingError, match="2 recipients: a message in a picture has one"):
        keys.check(sealing.Lock(recipients=[recipient, recipient]))
    ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIrOBcfNvD5Gz7vmQ3LuXU4fq9i0ZLR8O8Ll5oYh4G2r"
    with pytest.raises(sealing.SealingError, match=r"takes age1…, which `stegano-tf keygen` makes"):
        keys.check(dataclasses.replace(sealing.Lock(passphrase="a"), passphrase=None, recipients=[ssh]))


def test_masks_and_tags():
    assert keys.masked(bytes(32), keys.masked(bytes(32), b"hello")) == b"hello"
    assert keys.masked(bytes(32), bytes(64)) != keys.masked(bytes([1]) * 32, bytes(64))
    assert keys.tag(bytes(32), b"a") != keys.tag(bytes(32), b"b")
    assert len(keys.tag(bytes(32), b"a")) == 16


def test_room_less_what_the_seal_takes(cover, identity):
    lock = sealing.Lock(recipients=[identity[1]])
    most = hiding.most(WAY.capacity(cover), lock)
    fits = Secret(bytes(most - 45), "a")
    assert len(fits.pack()) == most
    hiding.hide(WAY, cover, [(fits, lock)])
    assert hiding.most(1000, None) == 1000
    assert hiding.most(100, lock) == 0
    with pytest.raises(RoomError):
        hiding.hide(WAY, cover, [(Secret(bytes(WAY.capacity(cover))), lock)])


def test_padding_stays_within_the_room_of_a_picture(cover, identity):
    lock = sealing.Lock(recipients=[identity[1]])
    room = hiding.most(WAY.room(cover), lock)
    for size in (10, room - 400, room - 45, room + 600):
        written = hiding.hide(WAY, cover, [(Secret(bytes(size), "a"), lock)])
        (message,) = written.messages.values()
        assert size < len(message)
        assert (len(message) <= WAY.room(cover)) == (size < room)


def test_black_pictures_get_a_salt():
    black = np.zeros((60, 60, 3), np.uint8)
    stego = hiding.hide(WAY, black, [(NOTE, None)]).stego
    assert WAY.salt(stego) != bytes(32)


def test_ways_that_are_not_there():
    with pytest.raises(SteganoError, match="has no way 'none'"):
        ways.make("none")
    assert "capacity" in ways.installed()


def test_too_small_a_picture_holds_nothing():
    assert hiding.reveal(np.zeros((3, 3, 3), np.uint8), sealing.Key(passphrase="a")) is None
