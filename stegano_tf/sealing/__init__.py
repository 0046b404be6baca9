"""Who can open what is sealed: passphrases, recipients (X25519, ssh-ed25519, ssh-rsa) and identities.

`age` seals and opens with them.
"""

import codecs
import dataclasses
import os
import stat
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stegano_tf import outputs
from stegano_tf.errors import SteganoError

PASSPHRASE_VARIABLE = "STEGANO_TF_PASSPHRASE"
_LONGEST = 1 << 16  # bytes of the first line of a passphrase file
_LONGEST_TYPED = 4095  # bytes of a line that a terminal passes on (Linux; others pass on fewer)


class SealingError(SteganoError):
    """A passphrase, recipient or identity is unusable, or a sealed message cannot be opened."""


class KeyFileError(SealingError):
    """A file of identities or of a passphrase cannot be used; the message names that file, so no caller adds a name."""


class SealingWarning(UserWarning):
    """A secret lies where others may read it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Who can open what is sealed: either whoever knows the passphrase or the owners of the recipients' identities.

    The passphrase becomes the first of its `spellings`. Raises SealingError if neither or both are given, there is
    nothing but blanks in the passphrase, or a recipient is mistyped.
    """

    passphrase: str | None = dataclasses.field(default=None, repr=False)
    recipients: Sequence[str] = ()  # "age1…", "ssh-ed25519 …" or "ssh-rsa …"

    def __post_init__(self):
        if (self.passphrase is None) == (not self.recipients):
            raise SealingError("sealing takes either a passphrase or recipients (age keeps the two apart)")
        if self.passphrase is not None:
            object.__setattr__(self, "passphrase", spellings(self.passphrase)[0])
        for recipient in self.recipients:
            parse_recipient(recipient)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What opens a sealed message. The passphrase may be a function, which is called only when a message needs it."""

    passphrase: str | Callable[[], str] | None = dataclasses.field(default=None, repr=False)
    # Files as `age-keygen` writes them, or unencrypted SSH private keys; or what `load_identities` made of them.
    identities: Sequence[str | os.PathLike | Any] = ()
    bare: bool = False  # whether to take a sound for the bare form, which nothing tells from noise


def keygen(path: str | os.PathLike, *, force: bool = False) -> str:
    """Writes a new X25519 identity, readable by its owner alone (mode 0600), and returns its recipient, "age1…".

    Raises OutputError as `outputs.replacing`.
    """
    import pyrage  # noqa: PLC0415

    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    with outputs.replacing(path, force=force, mode=0o600) as partial:
        partial.write_text(f"# public key: {recipient}\n{identity}\n", encoding="ascii")
    return recipient


def read_identities(path: str | os.PathLike) -> list:
    """Returns the identities in a file: AGE-SECRET-KEY-1… lines, or one SSH private key.

    Warns with SealingWarning if others than the owner may read the file.

    Raises:
      KeyFileError: the file cannot be read or holds no identity.
    """
    import pyrage  # noqa: PLC0415

    path = Path(path)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(1 << 20)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {error.strerror}, expected an identity file") from error
    if os.name == "posix" and mode & 0o077:
        text = f"{path}: mode {mode:04o} lets others read the identity; expected 0600"
        warnings.warn(text, SealingWarning, stacklevel=2)
    try:
        if b"PRIVATE KEY-----" in data:
            return [pyrage.ssh.Identity.from_buffer(data)]
        lines = [line.strip() for line in data.decode("ascii").splitlines()]
        identities = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (pyrage.IdentityError, UnicodeDecodeError) as error:
        expected = "expected AGE-SECRET-KEY-1… lines or an unencrypted SSH private key"
        raise KeyFileError(f"{path}: is no identity file, {expected}") from error
    if not identities:
        raise KeyFileError(f"{path}: holds no identity, expected a line AGE-SECRET-KEY-1…")
    return identities


def load_identities(given: Sequence[str | os.PathLike | Any]) -> list:
    """Returns a key's identities as pyrage has them; those that are names of files are read, as `read_identities`."""
    names = (str, os.PathLike)
    return [one for item in given for one in (read_identities(item) if isinstance(item, names) else [item])]


def parse_recipient(text: str):
    """Returns a recipient as pyrage has it; raises SealingError if it is mistyped."""
    import pyrage  # noqa: PLC0415

    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        shown, hint = text if len(text) <= 70 else f"{text[:67]}...", ""
        if text.upper().startswith("AGE-SECRET-KEY-"):
            shown, hint = "AGE-SECRET-KEY-…", " (this is a SECRET key: give its public key)"
        expected = "expected age1… or ssh-ed25519 … or ssh-rsa …"
        raise SealingError(f"recipient {shown!r} is mistyped{hint}, {expected}") from error


def spellings(passphrase: str) -> list[str]:
    """Returns how a passphrase may be spelled where it opens, without repeats; the first spelling is what seals.

    That is Unicode's NFC, without a byte order mark and without blanks at both ends. Then comes the passphrase as it is
    given, and in NFD, as some systems type it: older messages are sealed with what was typed.

    Raises SealingError if there is nothing else than blanks, or what is no text.

    Example:
      >>> spellings(" horse ")
      ['horse', ' horse ']
    """
    text = passphrase.removeprefix("\ufeff").strip()
    if not text:
        raise SealingError("the passphrase is empty, or of blanks alone")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SealingError("the passphrase is no text in the encoding of this system") from error
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    return list(dict.fromkeys([composed, passphrase, decomposed]))


def variable() -> str | None:
    """Returns the passphrase in the environment, None if there is none; raises SealingError if that is blank."""
    passphrase = os.environ.get(PASSPHRASE_VARIABLE)
    if passphrase is not None:
        try:
            spellings(passphrase)
        except SealingError as error:
            raise SealingError(f"{PASSPHRASE_VARIABLE}: {error}") from error
    return passphrase


def read_passphrase(path: str | os.PathLike) -> str:
    """Returns the first line of a file of UTF-8, or of UTF-16 with a byte order mark, without its line end.

    Raises KeyFileError if the file cannot be read, is no such text, or the line is blank or longer than 64 KiB.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.readline(_LONGEST + 1)
            utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            if utf_16:  # its line ends are no bytes
                data += file.read(_LONGEST)
        text = data.decode("utf-16" if utf_16 else "utf-8")
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {error.strerror}, expected a passphrase file") from error
    except UnicodeDecodeError as error:
        raise KeyFileError(f"{path}: is no text in UTF-8, expected a passphrase in its first line") from error
    if len(data) > _LONGEST:
        raise KeyFileError(f"{path}: its first line is longer than {_LONGEST:,} bytes, expected a passphrase")
    line = text.partition("\n")[0].partition("\r")[0]
    try:
        spellings(line)
    except SealingError as error:
        raise KeyFileError(f"{path}: its first line is empty or blank, expected a passphrase") from error
    return line


def ask_passphrase(*, twice: bool = False) -> str:
    """Returns what is typed on the terminal, without showing it.

    Raises SealingError if nothing is typed, or too much, the two entries differ, or there is no terminal.
    """
    import getpass  # noqa: PLC0415

    try:
        with Path(os.ctermid()).open("rb"):  # getpass would fall back to a prompt that shows what is typed
            pass
        passphrase = getpass.getpass("Passphrase: ")
        if twice and getpass.getpass("Passphrase again: ") != passphrase:
            raise SealingError("the two passphrases differ")
    except (EOFError, SystemExit) as error:  # Ctrl-D, or a signal
        with Path(os.ctermid()).open("w") as terminal:
            terminal.write("\n")  # what is said next has a line of its own
        if isinstance(error, SystemExit):
            raise
        raise SealingError("no passphrase was typed: the input ended") from error
    except UnicodeDecodeError as error:
        raise SealingError("the passphrase is no text in the encoding of this terminal") from error
    except (OSError, AttributeError) as error:
        expected = f"expected --passphrase-file or {PASSPHRASE_VARIABLE}"
        raise SealingError(f"no terminal to ask for the passphrase, {expected}") from error
    spellings(passphrase)
    if len(passphrase.encode()) >= _LONGEST_TYPED:
        raise SealingError("the passphrase is too long for a terminal, which cuts it; expected --passphrase-file")
    return passphrase
