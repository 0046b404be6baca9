"""The engine of a cluster: Ray. This is the only module that imports it.

A block is a Ray task. Ray places it, gives it to another process or node if one dies, and asks an autoscaler for nodes
where tasks wait. A process keeps its networks for the tasks that follow.
"""

import contextlib
import logging
import os
import socket
import warnings
from collections.abc import Iterable, Iterator

import ray
import ray.exceptions

from stegano_tf.batch import rows
from stegano_tf.batch.job import TRIES
from stegano_tf.errors import BackendError, SteganoError, one_line

_STORE = 200 << 20  # bytes of a local cluster's object store: only numbers and tallies pass through it
_LOST = (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError)


class ClusterWarning(UserWarning):
    """A job has to wait for a node that there may never be."""


@contextlib.contextmanager
def cluster(address: str | None, workers: int | None) -> Iterator[None]:
    """Connects to a cluster ("auto" finds the one of this machine), or without an address starts one for the block.

    The variable RAY_ADDRESS, which `ray job submit` sets, is an address, too.

    Raises BackendError if there is none, if it is of another version, or if it does not let us in.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    options = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options |= {"num_cpus": workers, "include_dashboard": False, "object_store_memory": _STORE}
    try:
        if address and address.count(":") == 1:  # where nobody answers, Ray asks for many minutes
            host, port = address.split(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address or "local", **options)
    except (RuntimeError, OSError, ValueError, ray.exceptions.RayError) as error:
        raise BackendError(f"no Ray cluster at {address or 'this machine'}: {one_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def run(
    work: rows.Work, numbers: Iterable[int], *, workers: int | None = None, threads: int = 1
) -> Iterator[tuple[int, rows.Tally | None]]:
    """Runs blocks on the cluster, as `job.Engine` says, on `threads` CPUs each.

    `workers` is how many may run at a time, by default as many as the cluster has room for.
    """
    _look_for_room(threads)
    task = ray.remote(num_cpus=threads, max_retries=TRIES - 1)(rows.run)
    shared, numbers = ray.put(work), iter(numbers)
    running = {}
    while True:
        # One more than fits, so that nodes that come later have something to do, and an autoscaler sees the need.
        room = workers or int(ray.cluster_resources().get("CPU", 1)) // threads + 1
        while len(running) < room and (number := next(numbers, None)) is not None:
            running[task.remote(shared, number)] = number
        if not running:
            return
        for done in ray.wait(list(running))[0]:
            number = running.pop(done)
            try:
                yield number, ray.get(done)
            except _LOST:
                yield number, None
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, SteganoError | OSError | MemoryError):
                    raise error.cause from error
                raise BackendError(f"a worker cannot run: {one_line(error.cause)}") from error
            except ray.exceptions.RayError as error:
                raise BackendError(f"the Ray cluster fails: {one_line(error)}") from error


def _look_for_room(threads: int) -> None:
    """Warns if no node can take a task: it may come later, from an autoscaler, or never, which nobody would see."""
    if not any(node["Alive"] and node["Resources"].get("CPU", 0) >= threads for node in ray.nodes()):
        warnings.warn(f"no node of the cluster has {threads} CPUs: waiting for one", ClusterWarning, stacklevel=3)
