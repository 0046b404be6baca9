"""Runs requests on a few threads, those that fit together as one batch.

Requests for one signature whose pictures have one size gather in a batch until a thread is free. With
`batch_timeout_micros` a batch that is not full waits longer; without, no request waits for another. On a CPU only small
pictures run faster in batches, so a batch has a limit in pixels.

Large pictures yield to small ones: they wait longer for their turn, and leave one thread to small ones.
"""

import asyncio
import contextlib
import dataclasses
import logging
import math
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import tensorflow as tf

from stegano_tf.serving.errors import RequestError
from stegano_tf.serving.metrics import Metrics
from stegano_tf.serving.models import Arrays, Model, Signature
from stegano_tf.serving.settings import Settings

_CODES = {code.value[0]: code.name for code in grpc.StatusCode}
_LARGE = 2**18  # pixels; a batch of so many counts as if it had come `_YIELD` seconds later, one of twice as many twice
_YIELD = 0.25


@dataclasses.dataclass(eq=False)
class _Task:
    inputs: Arrays
    rows: int
    answer: asyncio.Future


@dataclasses.dataclass(eq=False)
class _Batch:
    model: Model
    signature: Signature
    size: tuple[int, int]  # height and width of all its pictures
    due: float  # from then on it runs even if it is not full
    tasks: list[_Task] = dataclasses.field(default_factory=list)

    @property
    def pixels(self) -> int:
        height, width = self.size
        return height * width * sum(task.rows for task in self.tasks)

    @property
    def turn(self) -> float:
        """When it is this batch's turn, beside those of others."""
        return self.due + _YIELD * (self.pixels // _LARGE)


class Batcher:
    """Runs the requests of one event loop."""

    def __init__(self, settings: Settings, metrics: Metrics):
        self._settings = settings
        self._metrics = metrics
        self._waiting: list[_Batch] = []
        self._changed = asyncio.Condition()
        self._threads = ThreadPoolExecutor(settings.num_batch_threads, "batch")
        # The last of several takes only small pictures.
        pixels = [math.inf] * max(1, settings.num_batch_threads - 1) + [_LARGE]
        self._workers = [asyncio.create_task(self._work(most)) for most in pixels[: settings.num_batch_threads]]

    async def run(self, model: Model, signature: Signature, inputs: Arrays, size: tuple[int, int]) -> Arrays:
        """Returns the outputs for `inputs`, whose pictures are all of `size` (height, width).

        Raises RequestError if the graph fails on them. A request does not run if its caller is cancelled before.
        """
        task = _Task(inputs, len(next(iter(inputs.values()))), asyncio.get_running_loop().create_future())
        async with self._changed:
            for batch in self._waiting:
                if (batch.signature, batch.size) == (signature, size) and self._has_room(batch, task.rows):
                    batch.tasks.append(task)
                    break
            else:
                due = time.monotonic() + self._settings.batch_timeout_micros / 1e6
                self._waiting.append(_Batch(model, signature, size, due, [task]))
            self._changed.notify_all()
        return await task.answer

    async def close(self) -> None:
        """Cancels what still waits; a batch that runs can't be stopped."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for batch in self._waiting:
            for task in batch.tasks:
                task.answer.cancel()
        self._threads.shutdown(wait=False)

    def _has_room(self, batch: _Batch, rows: int) -> bool:
        height, width = batch.size
        rows += sum(task.rows for task in batch.tasks)
        return rows <= self._settings.max_batch_size and rows * height * width <= self._settings.max_batch_pixels

    async def _work(self, most: float) -> None:
        while True:
            batch = await self._next_batch(most)
            try:
                await self._run(batch, batch.tasks)
            except Exception as error:  # No request may end the worker: others need it.
                logging.exception("a batch of %s failed", batch.signature.name)
                for task in batch.tasks:
                    _set(task, _request_error(error))

    async def _next_batch(self, most: float) -> _Batch:
        """Waits for a batch of fewer than `most` pixels that is due or full, and takes the one whose turn it is."""
        async with self._changed:
            while True:
                now = time.monotonic()
                waiting = [batch for batch in self._waiting if batch.pixels < most]
                ready = [batch for batch in waiting if batch.due <= now or not self._has_room(batch, 1)]
                if not ready:
                    due = min((batch.due for batch in waiting), default=None)
                    # Until a request arrives or the next batch is due; then the loop looks again.
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), due and due - now)
                    continue
                batch = min(ready, key=lambda batch: batch.turn)
                self._waiting.remove(batch)
                batch.tasks = [task for task in batch.tasks if not task.answer.done()]  # done: its caller was cancelled
                if batch.tasks:
                    return batch

    async def _run(self, batch: _Batch, tasks: list[_Task]) -> None:
        names = batch.model.name, batch.signature.name
        inputs = tasks[0].inputs
        if len(tasks) > 1:
            inputs = {name: np.concatenate([task.inputs[name] for task in tasks]) for name in inputs}
        start = time.monotonic()
        try:
            outputs = await asyncio.get_running_loop().run_in_executor(self._threads, batch.signature.run, inputs)
        except tf.errors.OpError as error:
            for task in tasks:  # If one of several is bad, each runs alone, so that the others get their results.
                if len(tasks) > 1:
                    await self._run(batch, [task])
                else:
                    _set(task, _request_error(error))
            return
        self._metrics.run_seconds.labels(*names).observe(time.monotonic() - start)
        self._metrics.batch_rows.labels(*names).observe(sum(task.rows for task in tasks))
        end = 0
        for task in tasks:
            begin, end = end, end + task.rows
            _set(task, {name: value[begin:end] for name, value in outputs.items()})


def _set(task: _Task, answer: Arrays | RequestError) -> None:
    if task.answer.done():
        return
    if isinstance(answer, RequestError):
        task.answer.set_exception(answer)
    else:
        task.answer.set_result(answer)


def _request_error(error: Exception) -> RequestError:
    if not isinstance(error, tf.errors.OpError):
        return RequestError("INTERNAL", f"{type(error).__name__}; the server's log has more")
    # TensorFlow puts a place in the source before the message and a place in the graph behind it.
    message = error.message.rpartition("<stack traces unavailable>")[2].partition("[[{{node")[0]
    return RequestError(_CODES.get(error.error_code, "UNKNOWN"), " ".join(message.split()))
