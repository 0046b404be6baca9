"""What follows from a key, 32 bytes: an order, a mask, and a seal. The public key finds what everybody finds."""

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

PUBLIC = bytes(32)
TAG = 16  # bytes that a seal adds


class Keys:
    """What follows from a message's key.

    Attributes:
      places: the key of its order and its mask.
    """

    def __init__(self, key: bytes) -> None:
        self.places = _derive(key, b"places")
        self._seal = ChaCha20Poly1305(_derive(key, b"seal"))

    def seal(self, part: int, data: bytes) -> bytes:
        """Seals a part of the message. No part is sealed twice under a key."""
        return self._seal.encrypt(part.to_bytes(12, "little"), data, None)

    def open(self, part: int, text: bytes) -> bytes | None:
        """Returns what was sealed, None if it was not that."""
        try:
            return self._seal.decrypt(part.to_bytes(12, "little"), text, None)
        except InvalidTag:
            return None


def order(key: bytes, count: int) -> np.ndarray:
    """Returns the numbers below `count` in an order that follows from 32 bytes, int[count]."""
    return np.argsort(np.frombuffer(_stream(key, 0, 8 * count), "<u8"), kind="stable")


def mask(key: bytes, count: int) -> np.ndarray:
    """Returns `count` bits that follow from 32 bytes, uint8[count].

    All codewords are masked with them. Flat pictures would otherwise hold the codeword of zeros.
    """
    return np.unpackbits(np.frombuffer(_stream(key, 1, -(-count // 8)), np.uint8), count=count)


def _derive(key: bytes, use: bytes) -> bytes:
    return HKDFExpand(hashes.SHA256(), 32, b"stegano_tf jpeg " + use).derive(key)


def _stream(key: bytes, number: int, count: int) -> bytes:
    # The first half of what is called a nonce here is the counter, which starts at 0.
    cipher = Cipher(algorithms.ChaCha20(key, bytes(8) + number.to_bytes(8, "little")), mode=None)
    return cipher.encryptor().update(bytes(count))
