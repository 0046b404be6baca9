"""Commands in processes of their own, forked from one that has imported TensorFlow: that takes longest of all.

A command ends without Python's exit handlers here; `test_run.py` has one that does not.
"""

import multiprocessing
import os
import resource
import runpy
import signal
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tensorflow", "stegano_tf.training.run"])


class Process:
    """Runs `python -m stegano_tf.train` with `arguments`, or a script in its place; all output is appended to `out`.

    Its methods are those of `subprocess.Popen`. `before` runs in the process first; it must be a function of a module,
    or a `functools.partial` of one.
    """

    def __init__(
        self,
        arguments: list[str],
        out: Path,
        *,
        environment: Mapping[str, str] = types.MappingProxyType({}),
        before: Callable[[], Any] | None = None,
        script: Path | None = None,
    ):
        out.touch()
        self._process = _CONTEXT.Process(target=_run, args=(arguments, out, dict(environment), before, script))
        self._process.start()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        assert self._process.exitcode is not None, "takes too long"
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()


def _run(arguments, out, environment, before, script):
    with out.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    sys.argv = ["stegano_tf.train", *arguments]
    program = ["-m", "stegano_tf.train"] if script is None else [str(script)]
    sys.orig_argv = [sys.executable, *program, *arguments]  # a worker that has lost another one runs this
    if before:
        before()
    if script is None:
        runpy.run_module("stegano_tf.train", run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(str(script), run_name="__main__")


def killed_after_checkpoint(step: int):
    """As `before`: kills the process when the checkpoint of `step` has been written."""
    from stegano_tf.training import checkpoints

    write = checkpoints.write

    def deadly(folder, at, *arguments):
        write(folder, at, *arguments)
        if at == step:
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoints.write = deadly


def killed_before_validation(epoch: int):
    """As `before`: kills the process when the last step of `epoch`, counted from 1, is done."""
    from stegano_tf.training import loop

    evaluate, calls = loop.evaluate, []

    def deadly(*arguments):
        calls.append(arguments)
        if len(calls) == epoch:
            os.kill(os.getpid(), signal.SIGKILL)
        return evaluate(*arguments)

    loop.evaluate = deadly


def stopped_after_first_checkpoint():
    """As `before`: stops the process, until SIGCONT comes, when the first checkpoint has been written."""
    from stegano_tf.training import checkpoints

    write = checkpoints.write

    def halting(*arguments):
        written = write(*arguments)
        os.kill(os.getpid(), signal.SIGSTOP)
        return written

    checkpoints.write = halting


def limited_to_small_files():
    """As `before`: lets no file grow beyond 60 kB, so that checkpoints do not fit."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))


def killed_after_seconds(seconds: float):
    """As `before`: kills the process when it has used so much CPU time, whatever it does then."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # which ends it at once, as SIGKILL does
    signal.setitimer(signal.ITIMER_PROF, max(seconds, 1e-3))
