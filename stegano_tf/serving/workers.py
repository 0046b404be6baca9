"""Processes that read what strangers send. One that takes too long or too much memory ends; its request is refused.

Each has a limit of processor time and of memory that the kernel enforces, so no decoder can overrun it. They are forked
from a small process (`multiprocessing`'s forkserver), so a new one takes milliseconds.
"""

import asyncio
import multiprocessing
import queue
import resource
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stegano_tf.serving.errors import RequestError, invalid

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["stegano_tf.serving.reading"])


class Workers:
    """A few processes that call functions, for one event loop.

    `seconds` of processor time and `memory`, in bytes, limit each call. With `fresh`, each call gets a new process: a
    used one may keep the memory of its call.
    """

    def __init__(self, count: int, seconds: float, memory: int, *, fresh: bool = False):
        self._limits = seconds, memory
        self._fresh = fresh
        self._threads = ThreadPoolExecutor(count, "reader")
        self._workers: set[_Worker] = set()
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for _ in range(count):
            self._start()

    async def call(self, function: Callable, *arguments) -> Any:
        """Returns `function(*arguments)`; raises what it raises, or RequestError, if the process ended instead."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, function, arguments)

    def close(self) -> None:
        """Ends the processes at once, and refuses the calls that they work for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in list(self._workers):
            worker.kill()

    def _call(self, function: Callable, arguments: tuple) -> Any:
        worker = self._idle.get()
        broken = self._fresh
        try:
            error, result = worker.call(function, arguments)
        except (EOFError, OSError) as gone:
            broken = True
            raise self._reason(worker.end()) from gone
        finally:
            if broken:
                worker.end()
                self._workers.discard(worker)
                self._start()
            else:
                self._idle.put(worker)
        if error is not None:
            raise error
        return result

    def _start(self) -> None:
        worker = _Worker(*self._limits)
        self._workers.add(worker)
        self._idle.put(worker)

    def _reason(self, signal_number: int) -> RequestError:
        """Returns the error of a call whose process was ended by a signal."""
        seconds, memory = self._limits
        if signal_number == signal.SIGPROF:
            return invalid(f"reading the request takes more than {seconds:g} s of processor time, the limit")
        return _too_much(memory)


class _Worker:
    """A process that calls functions one after the other."""

    def __init__(self, seconds: float, memory: int):
        self._connection, theirs = _PROCESSES.Pipe()
        self._process = _PROCESSES.Process(target=_work, args=(theirs, seconds, memory), daemon=True, name="reader")
        self._process.start()
        theirs.close()

    def call(self, function: Callable, arguments: tuple) -> tuple[Exception | None, Any]:
        self._connection.send((function, arguments))
        return self._connection.recv()

    def kill(self) -> None:
        """Ends the process; the call that it works for raises."""
        self._process.kill()

    def end(self) -> int:
        """Ends the process, and returns the signal that ended it; a second call does nothing more."""
        self._connection.close()
        self._process.join(0.1)
        self._process.kill()
        self._process.join()
        return -self._process.exitcode


def _work(connection, seconds: float, memory: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server ends its workers
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:  # the server has ended
            return
        except MemoryError:
            connection.send((_too_much(memory), None))
            return
        # The default action of SIGPROF ends the process, in the middle of a decoder too.
        signal.setitimer(signal.ITIMER_PROF, seconds)
        error, result = None, None
        try:
            result = function(*arguments)
        except MemoryError:
            error = _too_much(memory)
        except Exception as caught:
            error = caught
        signal.setitimer(signal.ITIMER_PROF, 0)
        del function, arguments
        connection.send((error, result))


def _too_much(memory: int) -> RequestError:
    return invalid(f"reading the request takes more than {memory // 2**20:,} MiB of memory, the limit")
