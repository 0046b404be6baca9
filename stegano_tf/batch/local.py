"""The engine of one machine: processes, each of which does one block after the other."""

import collections
import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterable, Iterator
from multiprocessing import connection

from stegano_tf.batch import rows
from stegano_tf.batch.job import TRIES

# Threads of TensorFlow and others would not survive a fork.
_CONTEXT = multiprocessing.get_context("spawn")


def run(work: rows.Work, numbers: Iterable[int], *, workers: int) -> Iterator[tuple[int, rows.Tally | None]]:
    """Runs blocks in so many processes, as `job.Engine` says. They end with this generator, or if this process dies."""
    waiting = collections.deque((number, 1) for number in numbers)
    idle, running = [], {}
    with contextlib.ExitStack() as processes:
        while waiting or running:
            while waiting and len(running) < workers:
                worker = idle.pop() if idle else processes.enter_context(_worker(work))
                running[worker] = waiting.popleft()
                with contextlib.suppress(OSError):  # it died while it was idle: what follows notices
                    worker.send(running[worker][0])
            for worker in connection.wait(list(running)):
                number, tries = running.pop(worker)
                try:
                    result = worker.recv()
                except (EOFError, OSError):
                    if tries < TRIES:
                        waiting.append((number, tries + 1))
                    else:
                        yield number, None
                    continue
                if isinstance(result, Exception):
                    raise result
                idle.append(worker)
                yield number, result


@contextlib.contextmanager
def _worker(work: rows.Work) -> Iterator[connection.Connection]:
    """Yields what a process takes numbers from and answers on."""
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=_serve, args=(work, theirs), daemon=True)
    process.start()
    theirs.close()  # so that reading ends if the process does
    try:
        yield ours
    finally:
        process.kill()
        process.join()


def _serve(work: rows.Work, numbers: connection.Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            result = rows.run(work, numbers.recv())
        except Exception as error:
            result = error
        numbers.send(result)


def _end_with_parent() -> None:
    """A block that is written after its job has died would be there twice when the job goes on."""
    connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
