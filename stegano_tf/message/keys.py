"""The keys of messages in a picture: 32 bytes that decide where a message lies and mask it.

    who may read it         root of the key
    anybody                 32 zero bytes
    who has a passphrase    scrypt of the passphrase, with the picture's salt
    owner of an identity    X25519 (RFC 7748) of the identity and the picture's salt, the public half of a key that the
                            sender made for this picture and forgot

HKDF (RFC 5869, SHA-256) draws the key of a way from the root. `cryptography` does all of this but scrypt, which Python
has. What is inside is sealed by age besides: a key hides that there is a message, and the seal keeps what it says.
"""

import os
from collections.abc import Iterable, Iterator

from stegano_tf import sealing
from stegano_tf.message.ways.way import SALT, Way
from stegano_tf.sealing import stretching

_ANYBODY = bytes(32)
_LABEL = b"stegano_tf picture 1 "
TAG = 16  # bytes


def part(key: bytes, label: bytes) -> bytes:
    """Returns 32 bytes that HKDF draws from a key, others for every label."""
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return HKDF(SHA256(), 32, salt=None, info=_LABEL + label).derive(key)


def masked(key: bytes, data: bytes) -> bytes:
    """Returns data that looks like noise, or such data as they were: AES-256 in counter mode, from 0, of the key."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

    return Cipher(algorithms.AES(part(key, b"mask")), modes.CTR(bytes(16))).encryptor().update(data)


def tag(key: bytes, data: bytes) -> bytes:
    """Returns `TAG` bytes, HMAC-SHA-256 of data under the key, which prove that both are right."""
    from cryptography.hazmat.primitives import hashes, hmac  # noqa: PLC0415

    mac = hmac.HMAC(part(key, b"tag"), hashes.SHA256())
    mac.update(data)
    return mac.finalize()[:TAG]


def check(lock: sealing.Lock | None) -> None:
    """Raises SealingError for a lock that hides nothing: several recipients, or one that is an SSH key."""
    if lock is None or lock.passphrase is not None:
        return
    if len(lock.recipients) > 1:
        found = f"{len(lock.recipients)} recipients"
        raise sealing.SealingError(f"{found}: a message in a picture has one; hide one for each of them, or send sound")
    if not lock.recipients[0].strip().startswith("age1"):
        found = f"recipient {lock.recipients[0][:20]!r}…"
        raise sealing.SealingError(f"{found}: a message in a picture takes age1…, which `stegano-tf keygen` makes")


def anybody(way: Way) -> bytes:
    """Returns the key of what anybody may read."""
    return part(_ANYBODY, way.name.encode())


class Sender:
    """Draws the keys of all messages that one picture gets.

    Attributes:
      salt: what the picture must have as its salt, or None if its own serves.
    """

    def __init__(self, locks: Iterable[sealing.Lock | None]):
        """Raises SealingError as `check`."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey  # noqa: PLC0415

        self.salt = None
        for lock in locks:
            check(lock)
            if lock is not None and lock.passphrase is None and self.salt is None:
                self._private = X25519PrivateKey.generate()
                public = self._private.public_key().public_bytes_raw()
                # X25519 takes no account of the highest bit, which would be 0 in every such salt.
                self.salt = public[:-1] + bytes([public[-1] | os.urandom(1)[0] & 0x80])

    def key(self, way: Way, lock: sealing.Lock | None, salt: bytes) -> bytes:
        """Returns the key of one message under the picture's salt."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey  # noqa: PLC0415

        if lock is None:
            return anybody(way)
        if lock.passphrase is not None:
            return part(stretching.stretch(lock.passphrase, _LABEL + salt), way.name.encode())
        public = _bech32(lock.recipients[0].strip())
        return _shared(self._private.exchange(X25519PublicKey.from_public_bytes(public)), way, salt, public)


def receiver(way: Way, key: sealing.Key | None, salt: bytes) -> Iterator[bytes]:
    """Yields the keys of a way that a passphrase and identities lead to; none without them.

    A passphrase that is a function is asked for. Identities that are SSH keys lead to none.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey  # noqa: PLC0415

    if key is None:
        return
    if key.passphrase is not None:
        text = key.passphrase() if callable(key.passphrase) else key.passphrase
        root = stretching.stretch(sealing.spellings(text)[0], _LABEL + salt)
        yield part(root, way.name.encode())
    for identity in sealing.load_identities(key.identities):
        if not str(identity).startswith("AGE-SECRET-KEY-1"):
            continue
        private = X25519PrivateKey.from_private_bytes(_bech32(str(identity).lower()))
        try:
            secret = private.exchange(X25519PublicKey.from_public_bytes(salt))
        except ValueError:  # a picture all black has a salt that is no public key
            continue
        yield _shared(secret, way, salt, private.public_key().public_bytes_raw())


def _shared(secret: bytes, way: Way, salt: bytes, recipient: bytes) -> bytes:
    """Returns the key that both sides of an X25519 exchange draw, as RFC 7748, section 6.1, has it."""
    return part(part(secret + salt + recipient, b"recipient"), way.name.encode())


def _bech32(text: str) -> bytes:
    """Returns the `SALT` bytes of a recipient or, in small letters, an identity, whose checksum age has verified."""
    digits = ["qpzry9x8gf2tvdw0s3jn54khce6mua7l".index(letter) for letter in text.rpartition("1")[2][:-6]]
    value = sum(digit << 5 * place for place, digit in enumerate(reversed(digits)))
    return (value >> 5 * len(digits) - 8 * SALT).to_bytes(SALT)
