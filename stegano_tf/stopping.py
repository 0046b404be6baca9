"""Signals that end long work, as an exception: what is half-written is removed on the way out."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

_PATIENCE = 5.0  # seconds in which further signals do not disturb the removing


@contextlib.contextmanager
def noticed(program: str | None = None, hint: str = "") -> Iterator[None]:
    """Ends the process with status 128 + N if signal N comes while the block runs, and says so if `program` is given.

    A signal that is ignored, as SIGHUP is under nohup, stays so. Call it in the main thread.
    """
    stopped: list[signal.Signals] = []
    last = -_PATIENCE

    def stop(number, frame):
        nonlocal last
        if time.monotonic() - last >= _PATIENCE:
            last = time.monotonic()
            stopped.append(signal.Signals(number))
            sys.exit(128 + number)

    def unraisable(found):
        """Python drops an exception that it finds in a destructor or a callback: the signal is sent again."""
        nonlocal last
        if stopped and found.exc_type is SystemExit:
            last = -_PATIENCE
            threading.Timer(0.01, os.kill, (os.getpid(), stopped[-1])).start()
        else:
            sys.__unraisablehook__(found)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    hook, sys.unraisablehook = sys.unraisablehook, unraisable
    for number in SIGNALS:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    except BaseException as error:
        if not stopped:
            raise
        if program:
            print(f"{program}: stopped by {stopped[0].name}{hint}", file=sys.stderr)
        raise SystemExit(128 + stopped[0]) from error  # a library may have made another exception of it
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            if handler is not None:  # which Python did not set
                signal.signal(number, handler)
