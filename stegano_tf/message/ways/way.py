"""What a way to put bytes into a picture is."""

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np

from stegano_tf.errors import SteganoError

SALT = 32  # bytes


class RoomError(SteganoError):
    """The cover has too little room: it is too small or too flat."""


class DamagedError(SteganoError):
    """A message was found, but not whole; the text says how far it got, and what may have happened to the picture."""


class Way(abc.ABC):
    """Puts bytes into a picture and takes them out again.

    A picture is uint8[H, W, 3]. A key is 32 bytes that decide where a message lies and mask it. Several messages lie
    in one picture, each under its own key, and none says that there are others. All messages of a picture share its
    salt, from which their keys were drawn together with a passphrase or an identity.
    """

    name: str
    file_options: Mapping[str, Any] | None = None
    """What Pillow's `Image.save` takes for a JPEG file that messages outlast; None if the file must be lossless."""

    def __str__(self) -> str:
        """Returns the way and its options, for people."""
        return self.name

    @abc.abstractmethod
    def salt(self, picture: np.ndarray) -> bytes:
        """Returns the `SALT` bytes that lie in a picture at places that everybody knows, whether it holds a message."""

    @abc.abstractmethod
    def with_salt(self, picture: np.ndarray, salt: bytes) -> np.ndarray:
        """Returns the picture with another salt: to be done before `embed`, which never changes it."""

    @abc.abstractmethod
    def capacity(self, cover: np.ndarray) -> int:
        """Returns how many bytes `embed` takes at most, for one message."""

    def advice(self, cover: np.ndarray) -> str | None:
        """Returns what speaks against a cover although the message fits, None if nothing does."""
        return None

    def room(self, cover: np.ndarray) -> int:
        """Returns how many bytes a picture is coded to that is to be hidden: no more than `capacity`."""
        return self.capacity(cover)

    @abc.abstractmethod
    def embed(self, cover: np.ndarray, messages: Mapping[bytes, bytes]) -> np.ndarray:
        """Returns a stego image that holds `messages`, bytes by key; the salt stays.

        Raises RoomError if they do not fit.
        """

    @abc.abstractmethod
    def extract(self, stego: np.ndarray, key: bytes) -> bytes | None:
        """Returns the message under a key, None if nothing says that there is one.

        Raises DamagedError if there is one, but not whole. It never returns wrong bytes.
        """
