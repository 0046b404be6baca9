"""Bytes to an age v1 file and back: what `sealing` takes and finds, sealed and opened.

pyrage does all cryptography (https://age-encryption.org/v1). A plaintext leaves only after its last chunk has proved
authentic. For recipients, files are sealed and opened piece by piece. With a passphrase they are in memory, some four
times over, because that is what pyrage offers. What is sealed is padded to whole `PADDING` bytes, age's chunk size: the
length of the age file tells a picture's size to the nearest 64 KiB and no better.
"""

import base64
import contextlib
import mmap
import os
import re
from typing import BinaryIO

import psutil

from stegano_tf.errors import OutputError, one_line
from stegano_tf.sealing import Key, Lock, SealingError, load_identities, parse_recipient, spellings

MAGIC = b"age-encryption.org/v1\n"
ARMOR_MAGIC = b"-----BEGIN AGE ENCRYPTED FILE-----"
PADDING = 1 << 16
MAX_WORK_FACTOR = 22
"""The highest base-2 logarithm of scrypt's N that is computed: age's own limit, some 16 seconds and 4 GiB."""
MAX_HEADER = 1 << 16
"""Bytes of a header, for some 600 X25519 recipients: the time that pyrage takes for it grows with its square."""
MAX_STANZAS = 1000

_SCRYPT = MAGIC + b"-> scrypt "
_SALT_AND_FACTOR = re.compile(rb"[A-Za-z0-9+/]{22} ([1-9][0-9]?)\n")  # exactly as the format has it
_HEADER_END = b"\n--- "
_START_BYTES = len(ARMOR_MAGIC) + 2 * MAX_HEADER  # more than a header takes, armored or not


def seal(plaintext: BinaryIO, sealed: BinaryIO, lock: Lock, *, padding: int = PADDING) -> None:
    """Pads what a file object holds with zeros to whole `padding` bytes and writes it to another as an age v1 file.

    Raises OutputError if one of the two cannot be written, or SealingError for more recipients than can be opened.
    """
    import pyrage  # noqa: PLC0415 (a shared library that a sound without a seal does not need)

    try:
        plaintext.write(bytes(-plaintext.seek(0, os.SEEK_END) % padding))
        plaintext.seek(0)
        if lock.passphrase is not None:
            sealed.write(pyrage.passphrase.encrypt(plaintext.read(), lock.passphrase))
        else:
            pyrage.encrypt_io(plaintext, sealed, [parse_recipient(text) for text in lock.recipients])
        sealed.seek(0)
        _header(sealed.read(_START_BYTES))  # raises for what `unseal` would refuse
    except (pyrage.EncryptError, OSError) as error:
        raise OutputError(f"the sealed message cannot be written: {error}") from error


def sealed_bytes(size: int) -> int:
    """Returns the length of the age file of `size` bytes, with a passphrase; for recipients it is longer."""
    return 150 + 16 + max(1, -(-size // PADDING)) * (PADDING + 16)  # header, nonce, chunks with their tags


def unseal(sealed: BinaryIO, plaintext: BinaryIO, key: Key) -> None:
    """Reads an age file from one file object, which can seek, and writes its plaintext, padding included, to another.

    Raises:
      SealingError: the key does not fit, or the file is damaged or asks for too much work. Nothing in `plaintext` must
        be used then.
      OutputError: `plaintext` cannot be written.
    """
    import pyrage  # noqa: PLC0415

    start = sealed.read(_START_BYTES)
    sealed.seek(-len(start), os.SEEK_CUR)
    header = _header(start)
    writer = _Writer(plaintext)
    try:
        if not needs_passphrase(start):
            if not key.identities:
                raise SealingError("cannot be opened: it is sealed for recipients, expected an identity file")
            pyrage.decrypt_io(sealed, writer, load_identities(key.identities))
            return
        _check_work_factor(header)
        passphrase = key.passphrase() if callable(key.passphrase) else key.passphrase
        if passphrase is None:
            raise SealingError("cannot be opened: it is sealed with a passphrase, and none is given")
        writer.write(_decrypt(sealed.read(), passphrase))
    except (pyrage.DecryptError, OSError) as error:  # decrypt_io calls a damaged chunk an OSError
        if writer.error:
            raise OutputError(f"the opened message cannot be written: {writer.error.strerror}") from error
        reason = one_line(error)
        wrong = "passphrase" if needs_passphrase(start) else "identity"
        raise SealingError(f"cannot be opened: {reason[:1].lower()}{reason[1:]}; wrong {wrong}, or damaged") from error


def _decrypt(sealed: bytes, passphrase: str) -> bytes:
    """Returns the plaintext of an age file; raises as pyrage if none of the passphrase's spellings opens it."""
    import pyrage  # noqa: PLC0415

    *others, last = spellings(passphrase)
    for text in others:
        with contextlib.suppress(pyrage.DecryptError):
            return pyrage.passphrase.decrypt(sealed, text)
    return pyrage.passphrase.decrypt(sealed, last)


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


def needs_passphrase(sealed: bytes) -> bool:
    """Returns whether an age file, of which its header is enough, is sealed with a passphrase."""
    return _binary(sealed).startswith(_SCRYPT)


def _header(sealed: bytes) -> bytes:
    """Returns the header of an age file; raises SealingError if it is too long to be parsed in reasonable time."""
    header, end, _ = _binary(sealed)[:MAX_HEADER].partition(_HEADER_END)
    if not end or header.count(b"\n-> ") > MAX_STANZAS:
        most = f"{MAX_HEADER:,} bytes and {MAX_STANZAS:,} recipients"
        raise SealingError(f"cannot be opened: its header is damaged, or longer than {most}")
    return header


def _binary(sealed: bytes) -> bytes:
    """Returns the start of an age file, taken out of its armor if it is in one, as far as that is undamaged."""
    start = sealed[:_START_BYTES]
    if not start.startswith(ARMOR_MAGIC):
        return start
    text = re.match(rb"[A-Za-z0-9+/]*", start[len(ARMOR_MAGIC) :].translate(None, b"\r\n"))[0]
    return base64.b64decode(text[: len(text) // 4 * 4])


def _check_work_factor(header: bytes) -> None:
    """Raises SealingError before the time and memory is spent that an age file asks for.

    A factor that is not written exactly as the format has it is refused: pyrage may still read a number in it.
    """
    found = _SALT_AND_FACTOR.match(header, len(_SCRYPT))
    if not found:
        raise SealingError("cannot be opened: its scrypt work factor is no number from 1 to 99, or is damaged")
    factor = int(found[1])
    if factor > MAX_WORK_FACTOR:
        expected = f"expected at most 2^{MAX_WORK_FACTOR}"
        raise SealingError(f"cannot be opened: its scrypt work factor is 2^{factor}, {expected}")
    needed = 1024 << factor  # 128 r N bytes, r being 8
    try:
        mmap.mmap(-1, needed).close()  # within the limits of the process: pyrage would end it
        enough = needed <= psutil.virtual_memory().available
    except OSError:
        enough = False
    if not enough:
        found = f"its scrypt work factor of 2^{factor} takes {needed / 1e6:,.0f} MB of memory"
        raise SealingError(f"cannot be opened: {found}, and there is not so much")
