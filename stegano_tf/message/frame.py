"""What is hidden, as bytes: a file with its name, or a picture.

    offset  bytes  field
         0      1  version: 1
         1      1  kind: 0 a file, 1 a picture as `code` writes it
         2      2  length of the name in bytes, M
         4      8  length of the data in bytes, N
        12     32  SHA-256 of name and data
        44      M  name, UTF-8
      44+M      N  data

Numbers are little-endian. Zeros may follow: they keep from those who see the size of a sealed message how large a file
is. Like all names in messages, the name is what its sender wrote: `safe` says what to call a file.
"""

import dataclasses
import enum
import hashlib
import re
import struct
import unicodedata

from stegano_tf.errors import FormatError

VERSION = 1
_FIELDS = struct.Struct("<BBHQ32s")
_LONGEST = 255  # bytes of a name: what file systems take
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)  # Windows'


class Kind(enum.IntEnum):
    """What the data of a frame are."""

    FILE = 0
    PICTURE = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Secret:
    """What a message brings.

    Example:
      >>> Secret.parse(Secret(b"hello", "note.txt").pack())
      Secret(data=b'hello', name='note.txt', kind=<Kind.FILE: 0>)
    """

    data: bytes
    name: str = ""
    kind: Kind = Kind.FILE

    def pack(self) -> bytes:
        """Returns the frame."""
        name = safe(self.name).encode()
        digest = hashlib.sha256(name + self.data).digest()
        return _FIELDS.pack(VERSION, self.kind, len(name), len(self.data), digest) + name + self.data

    @classmethod
    def parse(cls, frame: bytes) -> "Secret":
        """Returns what a frame holds, under a name that is `safe`; raises FormatError if it is no whole frame."""
        if len(frame) < _FIELDS.size:
            raise FormatError(f"holds a message of {len(frame)} bytes, expected at least {_FIELDS.size}")
        version, kind, name_bytes, size, digest = _FIELDS.unpack_from(frame)
        if version != VERSION or kind not in list(Kind):
            expected = f"expected version {VERSION}, kind 0 or 1"
            raise FormatError(
                f"holds a message of version {version}, kind {kind}; {expected}: a newer release reads it"
            )
        body = frame[_FIELDS.size : _FIELDS.size + name_bytes + size]
        if len(body) != name_bytes + size or hashlib.sha256(body).digest() != digest:
            raise FormatError("holds a message that is damaged: its SHA-256 is wrong")
        return cls(body[name_bytes:], safe(body[:name_bytes].decode(errors="replace")), Kind(kind))


def padded(frame: bytes, most: int) -> bytes:
    """Returns a frame with zeros up to a size of which there are few, and up to `most` bytes at most.

    The size is rounded up to as many leading bits as its own length in bits has (K. Nikitin et al., "Reducing Metadata
    Leakage from Encrypted Files and Communication with PURBs", 2019, https://doi.org/10.2478/popets-2019-0056): up to
    12 % more, less for large ones.

    Example:
      >>> len(padded(bytes(1000), 2000)), len(padded(bytes(1000), 1010))
      (1024, 1010)
    """
    length = len(frame).bit_length()
    step = 1 << max(0, length - 1 - (length - 1).bit_length())
    return frame.ljust(min(-(-len(frame) // step) * step, most), b"\0")


def safe(name: str) -> str:
    """Returns a file name without folders, control characters and what Windows takes for a device or refuses.

    Example:
      >>> safe("../../etc/pass\\x1bwd"), safe("C:\\\\NUL.txt"), safe(".bashrc"), safe("")
      ('passwd', '_NUL.txt', '_bashrc', 'secret')
    """
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(letter for letter in name if unicodedata.category(letter)[0] != "C" and letter not in "\u2028\u2029")
    name = unicodedata.normalize("NFC", re.sub(r'[<>:"|?*]', "_", name)).strip().rstrip(". ")
    if name.startswith("."):  # a file that a shell or an editor obeys, and that nobody sees
        name = "_" + name[1:]
    if _DEVICES.match(name):
        name = "_" + name
    stem, dot, suffix = name.rpartition(".")
    end = dot + suffix if stem and len(suffix) <= 16 else ""
    start = name[: len(name) - len(end)].encode()[: _LONGEST - len(end.encode())].decode(errors="ignore")
    return start + end or "secret"
