"""Bytes to an age v1 file and back: for a passphrase, or for X25519, ssh-ed25519 and ssh-rsa recipients.

The cryptography is age's (https://age-encryption.org/v1) in the implementation of pyrage; nothing of it is done here. A
plaintext is handed on only after its last chunk has proved authentic. For recipients, files are sealed and opened piece
by piece; with a passphrase in memory, some four times over, because that is what pyrage offers.

What is sealed is padded to whole `PADDING` bytes, age's own chunk size, so that the length of the age file tells a
picture's size to the nearest 64 KiB and no better.

`to_noise` strips an age file of all that is not random, for a form that cannot be told from noise. It exists for
passphrases alone: an X25519 share is a point on a curve, which half of all 32-byte strings are not.
"""

import base64
import binascii
import contextlib
import dataclasses
import io
import os
import re
import secrets
import stat
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from stegano_tf import outputs
from stegano_tf.errors import OutputError, SteganoError

MAGIC = b"age-encryption.org/v1\n"
ARMOR_MAGIC = b"-----BEGIN AGE ENCRYPTED FILE-----"
PADDING = 1 << 16
MAX_WORK_FACTOR = 22
"""The highest base-2 logarithm of scrypt's N that is computed: age's own limit, some 16 seconds and 4 GiB."""
PASSPHRASE_VARIABLE = "STEGANO_TF_PASSPHRASE"

_SCRYPT = re.compile(rb"-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n([A-Za-z0-9+/]{43})\n--- ([A-Za-z0-9+/]{43})\n")
_WORK_FACTOR = re.compile(rb"-> scrypt \S* *(\d+)")
_HEADER_SEEN = 1024
_NOISE_HEADER = 16 + 1 + 32 + 32  # salt, masked work factor, wrapped file key, MAC


class SealingError(SteganoError):
    """A passphrase, recipient or identity is unusable, or a sealed message cannot be opened."""


class SealingWarning(UserWarning):
    """A secret lies where others may read it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Who can open what is sealed: either whoever knows the passphrase or the owners of the recipients' identities.

    Attributes:
      passphrase: not empty, or None.
      recipients: "age1…", "ssh-ed25519 …" or "ssh-rsa …".

    Raises:
      SealingError: neither or both are given, or a recipient is mistyped.
    """

    passphrase: str | None = dataclasses.field(default=None, repr=False)
    recipients: Sequence[str] = ()

    def __post_init__(self):
        if (self.passphrase is None) == (not self.recipients):
            raise SealingError("sealing takes either a passphrase or recipients (age keeps the two apart)")
        if self.passphrase is not None:
            _check_passphrase(self.passphrase)
        for recipient in self.recipients:
            _recipient(recipient)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What opens a sealed message.

    Attributes:
      passphrase: the text, or a function that asks for it, called only when a message needs one.
      identities: files as `age-keygen` writes them, or unencrypted SSH private keys.
      bare: whether to take a sound for the bare form, which nothing tells from noise.
    """

    passphrase: str | Callable[[], str] | None = dataclasses.field(default=None, repr=False)
    identities: Sequence[str | os.PathLike] = ()
    bare: bool = False

    def ask(self) -> str | None:
        """Returns the passphrase, if there is one."""
        return self.passphrase() if callable(self.passphrase) else self.passphrase


def seal(plaintext: bytes, lock: Lock) -> bytes:
    """Returns `plaintext`, padded with zeros to whole `PADDING` bytes, as an age v1 file."""
    sealed = io.BytesIO()
    seal_file(io.BytesIO(plaintext), sealed, lock)
    return sealed.getvalue()


def seal_file(plaintext: BinaryIO, sealed: BinaryIO, lock: Lock) -> None:
    """Reads what `seal` takes from one file object and writes what it returns to another.

    Raises:
      OutputError: `sealed` cannot be written.
    """
    import pyrage  # noqa: PLC0415 (a shared library that a sound without a seal does not need)

    if lock.passphrase is not None:
        sealed.write(pyrage.passphrase.encrypt(_Padded(plaintext).read(), lock.passphrase))
        return
    try:
        pyrage.encrypt_io(_Padded(plaintext), sealed, [_recipient(text) for text in lock.recipients])
    except pyrage.EncryptError as error:
        raise OutputError(f"the sealed message cannot be written: {error}") from error


class _Padded:
    """A file object that goes on with zeros up to whole `PADDING` bytes."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._size += len(data)
        if len(data) < size or size < 0:
            missing = -self._size % PADDING
            zeros = missing if size < 0 else min(missing, size - len(data))
            self._size += zeros
            data += bytes(zeros)
        return data


def sealed_bytes(size: int) -> int:
    """Returns the length of the age file, with a passphrase, of `size` bytes."""
    return 150 + 16 + max(1, -(-size // PADDING)) * (PADDING + 16)  # header, nonce, chunks with their tags


def open_(sealed: bytes, key: Key) -> bytes:
    """Returns the plaintext of an age file, padding included.

    Raises:
      SealingError: the key does not fit, or the file is damaged or asks for too much work; nothing is known of the
        plaintext then.
    """
    plaintext = io.BytesIO()
    open_file(io.BytesIO(sealed), plaintext, key)
    return plaintext.getvalue()


def open_file(sealed: BinaryIO, plaintext: BinaryIO, key: Key) -> None:
    """Reads what `open_` takes from one file object, which can seek, and writes what it returns to another.

    Raises:
      SealingError: as `open_`; what is in `plaintext` then must not be used.
      OutputError: `plaintext` cannot be written.
    """
    import pyrage  # noqa: PLC0415

    start = sealed.read(_HEADER_SEEN)
    sealed.seek(-len(start), os.SEEK_CUR)
    factor = _WORK_FACTOR.search(start) if needs_passphrase(start) else None
    if factor and int(factor[1]) > MAX_WORK_FACTOR:
        raise SealingError(
            f"cannot be opened: its scrypt work factor is 2^{int(factor[1])}, expected at most 2^{MAX_WORK_FACTOR}"
        )
    writer = _Writer(plaintext)
    try:
        if not needs_passphrase(start):
            if not key.identities:
                raise SealingError("cannot be opened: it is sealed for recipients, expected an identity file")
            identities = [identity for path in key.identities for identity in read_identities(path)]
            pyrage.decrypt_io(sealed, writer, identities)
            return
        passphrase = key.ask()
        if passphrase is None:
            raise SealingError("cannot be opened: it is sealed with a passphrase, and none is given")
        writer.write(pyrage.passphrase.decrypt(sealed.read(), passphrase))
    except (pyrage.DecryptError, OSError) as error:  # decrypt_io calls a damaged chunk an OSError
        if writer.error:
            raise OutputError(f"the opened message cannot be written: {writer.error.strerror}") from error
        reason = " ".join(str(error).split()).rstrip(".")
        raise SealingError(
            f"cannot be opened: {reason[:1].lower()}{reason[1:]}; wrong {_key_name(start)}, or damaged"
        ) from error


class _Writer:
    """A file object for `decrypt_io` that tells its own errors from those of the decryption."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def is_sealed(data: bytes) -> bool:
    """Returns whether `data` begins as an age file, binary or armored."""
    return data.startswith((MAGIC, ARMOR_MAGIC))


def needs_passphrase(sealed: bytes) -> bool:
    """Returns whether an age file is sealed with a passphrase."""
    if sealed.startswith(ARMOR_MAGIC):
        with contextlib.suppress(binascii.Error):
            return needs_passphrase(base64.b64decode(b"".join(sealed.split(b"\n")[1:4])))
    return sealed.startswith(MAGIC + b"-> scrypt ")


def _key_name(sealed: bytes) -> str:
    return "passphrase" if needs_passphrase(sealed) else "identity"


# --- Noise -----------------------------------------------------------------------------------------------------------


def to_noise(sealed: bytes) -> bytes:
    """Returns a passphrase-sealed age file without its fixed text: salt, masked work factor, file key, MAC, payload.

    The work factor, which is below 32, is the remainder of its byte by 32; the other bits are drawn at random.
    """
    match = _SCRYPT.match(sealed, len(MAGIC))
    if not sealed.startswith(MAGIC) or not match:
        raise SealingError("the bare form needs an age file with one passphrase, as age and pyrage write it")
    salt, factor, body, mac = match.groups()
    masked = int(factor) | secrets.randbelow(8) << 5
    return _unbase64(salt) + bytes([masked]) + _unbase64(body) + _unbase64(mac) + sealed[match.end() :]


def from_noise(noise: bytes) -> bytes:
    """Returns the age file that `to_noise` was given.

    Raises:
      SealingError: `noise` is too short to be one.
    """
    if len(noise) < _NOISE_HEADER + 16 + 16:  # age's payload: a nonce, and at least the tag of one chunk
        raise SealingError(f"cannot be opened: {len(noise)} bytes, expected at least {_NOISE_HEADER + 32}")
    salt, masked, body, mac = noise[:16], noise[16], noise[17:49], noise[49:81]
    factor = str(masked & 31).encode()
    head = b"-> scrypt " + _base64(salt) + b" " + factor + b"\n" + _base64(body) + b"\n--- " + _base64(mac) + b"\n"
    return MAGIC + head + noise[_NOISE_HEADER:]


def _base64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _unbase64(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4))


# --- Keys ------------------------------------------------------------------------------------------------------------


def keygen(path: str | os.PathLike, *, force: bool = False) -> str:
    """Writes a new X25519 identity, readable by its owner alone (mode 0600), and returns its recipient, "age1…".

    Raises:
      OutputError: as `outputs.replacing`.
    """
    import pyrage  # noqa: PLC0415

    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    with outputs.replacing(path, force=force) as partial:
        partial.chmod(0o600)  # before the secret is in it
        partial.write_text(f"# public key: {recipient}\n{identity}\n", encoding="ascii")
    return recipient


def read_identities(path: str | os.PathLike) -> list:
    """Returns the identities in a file: AGE-SECRET-KEY-1… lines, or one SSH private key.

    Warns:
      SealingWarning: others than the owner may read the file.

    Raises:
      SealingError: the file cannot be read or holds no identity.
    """
    import pyrage  # noqa: PLC0415

    path = Path(path)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(1 << 20)
    except OSError as error:
        raise SealingError(f"{path}: cannot be read: {error.strerror}") from error
    if os.name == "posix" and mode & 0o077:
        warnings.warn(
            f"{path}: mode {mode:04o} lets others read the identity; expected 0600", SealingWarning, stacklevel=2
        )
    try:
        if b"PRIVATE KEY-----" in data:
            return [pyrage.ssh.Identity.from_buffer(data)]
        lines = [line.strip() for line in data.decode("ascii").splitlines()]
        identities = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (pyrage.IdentityError, UnicodeDecodeError) as error:
        raise SealingError(
            f"{path}: is no identity file, expected AGE-SECRET-KEY-1… lines or an unencrypted SSH private key"
        ) from error
    if not identities:
        raise SealingError(f"{path}: holds no identity, expected a line AGE-SECRET-KEY-1…")
    return identities


def _recipient(text: str):
    import pyrage  # noqa: PLC0415

    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        shown = text if len(text) <= 70 else f"{text[:67]}..."
        hint = " (this is a SECRET key: give its public key)" if text.upper().startswith("AGE-SECRET-KEY-") else ""
        shown = "AGE-SECRET-KEY-…" if hint else shown
        raise SealingError(
            f"recipient {shown!r} is mistyped{hint}, expected age1… or ssh-ed25519 … or ssh-rsa …"
        ) from error


def read_passphrase(path: str | os.PathLike) -> str:
    """Returns the first line of a file, which is a passphrase, without its line end.

    Raises:
      SealingError: the file cannot be read, is no text, or its first line is empty.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            line = file.readline(4096).rstrip("\r\n")
    except OSError as error:
        raise SealingError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SealingError(f"{path}: is no text, expected a passphrase in its first line") from error
    if not line:
        raise SealingError(f"{path}: its first line is empty, expected a passphrase")
    return line


def ask_passphrase(*, twice: bool = False) -> str:
    """Returns what is typed on the terminal, without showing it.

    Raises:
      SealingError: nothing is typed, the two entries differ, or there is no terminal.
    """
    import getpass  # noqa: PLC0415

    try:
        with Path(os.ctermid()).open("rb"):  # getpass would fall back to a prompt that shows what is typed
            pass
        passphrase = getpass.getpass("Passphrase: ")
        if twice and getpass.getpass("Passphrase again: ") != passphrase:
            raise SealingError("the two passphrases differ")
    except (OSError, EOFError, AttributeError) as error:
        raise SealingError(
            f"no terminal to ask for the passphrase, expected --passphrase-file or {PASSPHRASE_VARIABLE}"
        ) from error
    _check_passphrase(passphrase)
    return passphrase


def _check_passphrase(passphrase: str) -> None:
    if not passphrase:
        raise SealingError("the passphrase is empty")
