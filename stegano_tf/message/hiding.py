"""A secret into a picture and out of it: framed, sealed by age, and put in by one of the ways, under a key."""

import dataclasses
import io
import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from stegano_tf import sealing
from stegano_tf.message import frame, keys, ways
from stegano_tf.message.frame import Secret
from stegano_tf.message.ways.way import SALT, DamagedError, RoomError, Way
from stegano_tf.sealing import age

_HEADER = {"passphrase": 150, "recipient": 512}  # bytes of an age file's header at most: rage adds a stanza of any size


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A message that a picture holds."""

    secret: Secret
    way: str
    sealed: bool  # whether a passphrase or an identity opened it
    size: int  # bytes that the way carried


def most(room: int, lock: sealing.Lock | None) -> int:
    """Returns how many bytes a frame may have so that it fits into so many bytes when it is sealed."""
    if lock is None:
        return room
    rest = room - _HEADER["recipient" if lock.passphrase is None else "passphrase"] - 16
    return max(0, rest - 16 * -(-rest // (age.PADDING + 16)))  # chunks have tags of 16 bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A stego image, uint8[H, W, 3], and the messages in it, by key."""

    stego: np.ndarray
    way: Way
    salt: bytes
    messages: Mapping[bytes, bytes]

    def holds(self, picture: np.ndarray) -> bool:
        """Returns whether every message can be read from a picture, such as the stego image after a JPEG file."""
        try:
            there = [self.way.extract(picture, key) == message for key, message in self.messages.items()]
        except DamagedError:
            return False
        return self.way.salt(picture) == self.salt and all(there)


def hide(way: Way, cover: np.ndarray, secrets: Sequence[tuple[Secret, sealing.Lock | None]]) -> Written:
    """Returns a stego image that holds secrets, each for those who open its lock; all were read back from it.

    Raises:
      RoomError: they do not fit.
      SealingError: a lock is of no use here, or two secrets have the same one.
      DamagedError: they cannot be read back.

    Example:
      stego = hide(ways.make("capacity"), cover, [(Secret(b"hello", "note.txt"), None)]).stego
      reveal(stego).secret.data
    """
    sender = keys.Sender(lock for _, lock in secrets)
    salt = sender.salt
    if salt is None and way.salt(cover) == bytes(SALT):  # there is none yet, or the cover is black
        salt = os.urandom(SALT)
    if salt is not None:
        cover = way.with_salt(cover, salt)
    salt, messages = way.salt(cover), {}
    for secret, lock in secrets:
        key = sender.key(way, lock, salt)
        if key in messages:
            raise sealing.SealingError("two secrets have the same passphrase or recipient, expected one for each")
        messages[key] = secret.pack() if lock is None else _sealed(secret.pack(), lock, way, cover)
    written = Written(stego=way.embed(cover, messages), way=way, salt=salt, messages=messages)
    if not written.holds(written.stego):
        raise DamagedError(f"what was hidden by the way {way.name} cannot be read back; another cover may help")
    return written


def reveal(stego: np.ndarray, key: sealing.Key | None = None, names: Iterable[str] | None = None) -> Found | None:
    """Returns the message in a picture, None if nothing says that there is one.

    Those come first that a passphrase or an identity leads to. For all that do not open it, it takes the same work.

    Args:
      stego: uint8[H, W, 3].
      key: what the receiver has. A passphrase that is a function is asked for at once.
      names: of the ways to look for, by default all.

    Raises:
      DamagedError: there is a message, but not whole.
      SealingError, FormatError: it is no message that this version can read.
    """
    if key is not None and callable(key.passphrase):
        key = dataclasses.replace(key, passphrase=key.passphrase())
    readers = [ways.make(name) for name in names or ways.installed()]
    for sealed in (True, False) if key else (False,):
        for way in readers:
            for candidate in _keys(way, stego, key if sealed else None):
                message = way.extract(stego, candidate)
                if message is not None:
                    secret = Secret.parse(_opened(message, key) if sealed else message)
                    return Found(secret=secret, way=way.name, sealed=sealed, size=len(message))
    return None


def _keys(way: Way, stego: np.ndarray, key: sealing.Key | None) -> Iterable[bytes]:
    if key is None:
        return [keys.anybody(way)]
    try:
        return keys.receiver(way, key, way.salt(stego))
    except RoomError:  # too small a picture for a message
        return []


def _sealed(packed: bytes, lock: sealing.Lock, way: Way, cover: np.ndarray) -> bytes:
    room = most(way.room(cover), lock)
    if room < len(packed):
        room = most(way.capacity(cover), lock)
    sealed = io.BytesIO()
    age.seal(io.BytesIO(frame.padded(packed, room)), sealed, lock, padding=1)
    return sealed.getvalue()


def _opened(message: bytes, key: sealing.Key) -> bytes:
    opened = io.BytesIO()
    age.unseal(io.BytesIO(message), opened, key)
    return opened.getvalue()
