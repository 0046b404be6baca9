"""What HKDF draws from the key of a message (RFC 5869, SHA-256), for messages that nothing tells from noise."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Further keys of a message.

    Attributes:
      key: bytes that only those know who may find the message.
      label: says what it is for; other labels draw other keys.

    Example:
      Drawn(key, b"stegano_tf stealth 1 ").siv(b"body").encrypt(b"a message", None)
    """

    key: bytes = dataclasses.field(repr=False)
    label: bytes

    def draw(self, use: bytes, size: int = 32) -> bytes:
        """Returns `size` bytes, others for every use."""
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand  # noqa: PLC0415

        return HKDFExpand(SHA256(), size, self.label + use).derive(self.key)

    def siv(self, use: bytes):
        """Returns AES-256-SIV (RFC 5297). It needs no nonce; what it returns looks like noise."""
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # noqa: PLC0415

        return AESSIV(self.draw(use, 64))
