"""What the command shows while it works, and how it ends.

Exit status 0: done; 1: bad input, said in one line on stderr; 2: bad usage; 128 + N: stopped by signal N, as 130 by
Ctrl-C and 143 by SIGTERM.
"""

import argparse
import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from stegano_tf import stopping
from stegano_tf.audio.forms import OptionError
from stegano_tf.commands import streams
from stegano_tf.errors import BackendError, SteganoError

_BAD_INPUT = (SteganoError, OSError, MemoryError)
_PACKAGES = {"grpc": "grpcio", "skimage": "scikit-image", "tensorflow_serving": "tensorflow-serving-api"}


def show_warning(message: Warning | str, category: type[Warning], file: str, *_) -> None:
    """Shows a warning of this package in one line, and no other; it can stand in for `warnings.showwarning`."""
    of_an_old_name = category is FutureWarning and Path(file).is_relative_to(Path(__file__).parents[1])
    if of_an_old_name or category.__module__.startswith("stegano_tf"):
        streams.complain(f"stegano-tf: warning: {message}")


@contextlib.contextmanager
def session(args: argparse.Namespace) -> Iterator[None]:
    """Ends the process with a message and a status if the block fails for bad input or usage, or is stopped.

    For another reason, and for bad input with `--debug`, the exception goes on and its traceback is shown.
    """
    try:
        with stopping.noticed():
            yield
    except OptionError as error:
        args.usage_error(str(error))
    except _BAD_INPUT as error:
        if args.debug:
            raise
        streams.complain(f"stegano-tf: {_message(error, args)}")
        sys.exit(1)


def _message(error: Exception, args: argparse.Namespace) -> str:
    if isinstance(error, SteganoError):
        return error.spelled(f"--{error.option.replace('_', '-')}" if error.option in vars(args) else None)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error) or "there is not enough memory"


@contextlib.contextmanager
def working(args: argparse.Namespace) -> Iterator[Callable[[str, int, int], None] | None]:
    """Yields `progress(name, done, total)`, None if nobody watches; holds back what libraries say without --debug."""
    with contextlib.nullcontext() if args.debug else _quiet(), _progress() as progress:
        yield progress


def wrote(path: str, size: tuple[int, ...]) -> None:
    """Says that a picture was written, of (height, width)."""
    streams.say(f"{path}: a picture of {size[1]}x{size[0]}")


def need(what: str, *modules: str) -> None:
    """Imports the modules that `what` needs, before any work; raises BackendError if a package is not installed."""
    try:
        for module in modules:
            importlib.import_module(module)
    except ModuleNotFoundError as error:
        name = error.name.partition(".")[0]
        raise BackendError(f"{what} needs the package {_PACKAGES.get(name, name)}, which is not installed") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Holds back what C++ writes to stderr, which no setting silences, and shows it if the block crashes."""
    sys.stderr.flush()
    with os.fdopen(os.dup(2), "w", buffering=1) as stderr, tempfile.TemporaryFile() as held:
        # pytest puts something else in its place.
        redirected = contextlib.redirect_stderr(stderr) if sys.stderr is sys.__stderr__ else contextlib.nullcontext()
        os.dup2(held.fileno(), 2)
        try:
            with redirected:
                yield
        except Exception as error:
            if not isinstance(error, _BAD_INPUT):
                held.seek(0)
                stderr.write(held.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(stderr.fileno(), 2)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None] | None]:
    """Draws a bar with an estimate on stderr if that is a terminal, from the first report on.

    It would erase what stands on its line: before that, a passphrase may be asked for.
    """
    if not sys.stderr.isatty():
        yield None
        return
    import rich.console
    import rich.progress

    bars = rich.progress.Progress(console=rich.console.Console(file=sys.stderr), transient=True)
    task = bars.add_task("", start=False, visible=False)

    def progress(name: str, done: int, total: int) -> None:
        if bars.tasks[0].total != total:
            bars.reset(task, total=total, visible=total > 1)
        bars.update(task, description=name, completed=done)
        bars.start()

    try:
        yield progress
    finally:
        bars.stop()
