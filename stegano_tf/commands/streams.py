"""Standard input, output and error as they are found: closed, full, or of an encoding that cannot say everything."""

import contextlib
import io
import os
import sys
import unicodedata
from collections.abc import Iterator

from stegano_tf.errors import OutputError

_CLOSED_PIPE = 128 + 13  # the exit status that SIGPIPE would give


def prepare() -> None:
    """Replaces closed streams by the null device, and lets the others write any character."""
    # Otherwise the next file to be opened would be taken for the closed stream.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name, mode in ("stdin", "r"), ("stdout", "w"), ("stderr", "w"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115
        elif mode == "w" and isinstance(getattr(sys, name), io.TextIOWrapper):
            getattr(sys, name).reconfigure(errors="backslashreplace")


def plain(text: str) -> str:
    r"""Returns text as one line that does nothing to a terminal: control characters are written as \x1b.

    Example:
      >>> plain("a\nb ü")
      'a\\nb ü'
    """
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else ascii(c)[1:-1] for c in text)


def show(text: str) -> None:
    """Prints lines that were asked for, as `showing`."""
    with showing():
        print(text, flush=True)


@contextlib.contextmanager
def showing() -> Iterator[None]:
    """Raises OutputError if what the block prints cannot be written, and exits if nobody reads on."""
    try:
        yield
    except BrokenPipeError:
        _give_up()
        sys.exit(_CLOSED_PIPE)
    except OSError as error:
        _give_up()
        raise OutputError(f"standard output: cannot be written: {error.strerror}") from error


def say(text: str) -> None:
    """Prints a line about a file that was written; warns if that is not possible, because the file is whole."""
    try:
        show(plain(text))
    except (OutputError, SystemExit) as error:
        if isinstance(error, OutputError):
            complain(f"stegano-tf: warning: {error}")


def complain(text: str) -> None:
    """Prints a line on stderr, if that can be written."""
    with contextlib.suppress(OSError):
        print(plain(text), file=sys.stderr, flush=True)


def _give_up() -> None:
    """Lets what Python still holds for stdout go nowhere, or it would complain at the end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
