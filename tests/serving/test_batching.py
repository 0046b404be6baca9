"""What runs together, in which order, and what happens to the others when one fails; without a network."""

import asyncio
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from stegano_tf.serving.batching import Batcher
from stegano_tf.serving.errors import RequestError
from stegano_tf.serving.metrics import Metrics
from stegano_tf.serving.settings import Settings

MODEL = SimpleNamespace(name="model")


class Signature:
    """Adds 1 to its input, once `free` is set; remembers its batches; fails where it meets a 13 or a 14."""

    def __init__(self, name="signature"):
        self.name = name
        self.batches = []
        self.free = threading.Event()

    def run(self, inputs):
        assert self.free.wait(30)
        values = inputs["x"]
        self.batches.append(values[:, 0, 0].tolist())
        if 13 in values:
            raise tf.errors.InvalidArgumentError(None, None, "Graph execution error: a 13 [[{{node x}}]]")
        if 14 in values:
            raise ZeroDivisionError
        return {"y": values + 1}


def batch(*values, height=16, width=16):
    return {"x": np.array(values, np.uint8)[:, None, None] * np.ones((height, width), np.uint8)}


def run(main, **settings):
    """Runs `main(batcher, signature)` on one thread."""

    async def whole():
        batcher = Batcher(Settings(num_batch_threads=1, **settings), Metrics())
        try:
            return await main(batcher, Signature())
        finally:
            await batcher.close()

    return asyncio.run(asyncio.wait_for(whole(), 60))


def ask(batcher, signature, *values, size=(16, 16)):
    height, width = size
    return asyncio.ensure_future(batcher.run(MODEL, signature, batch(*values, height=height, width=width), size))


async def settled():
    """Lets all that can happen without the thread happen, then lets the thread go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def values(task):
    answer = await task
    return answer["y"][:, 0, 0].tolist()


def test_what_waits_runs_together_and_is_taken_apart_again():
    async def main(batcher, signature):
        tasks = [ask(batcher, signature, 1)]
        await settled()  # the thread has the first one
        tasks += [ask(batcher, signature, *values) for values in ([2], [3, 4], [5], [6, 7, 8], [9])]
        await settled()
        signature.free.set()
        assert [await values(task) for task in tasks] == [[2], [3], [4, 5], [6], [7, 8, 9], [10]]
        assert signature.batches == [[1], [2, 3, 4, 5], [6, 7, 8, 9]]

    run(main, max_batch_size=4)


def test_only_the_same_size_and_signature_run_together():
    async def main(batcher, signature):
        other = Signature("other")
        other.batches = signature.batches
        tasks = [ask(batcher, signature, 1)]
        await settled()
        tasks += [ask(batcher, signature, 2), ask(batcher, signature, 3, size=(16, 17)), ask(batcher, other, 4)]
        tasks += [ask(batcher, signature, 5), ask(batcher, signature, 6, size=(16, 17)), ask(batcher, other, 7)]
        await settled()
        other.free.set()
        signature.free.set()
        assert [await values(task) for task in tasks] == [[2], [3], [4], [5], [6], [7], [8]]
        assert signature.batches == [[1], [2, 5], [3, 6], [4, 7]]

    run(main)


def test_pixels_limit_a_batch_but_not_a_request():
    async def main(batcher, signature):
        tasks = [ask(batcher, signature, *values) for values in ([1], [2, 3, 4], [5], [6], [7])]
        await settled()
        signature.free.set()
        await asyncio.gather(*tasks)
        assert signature.batches == [[1, 5], [2, 3, 4], [6, 7]]

    run(main, max_batch_pixels=2 * 16 * 16, batch_timeout_micros=50_000)


def test_a_batch_waits_for_others_until_it_is_due_or_full():
    async def main(batcher, signature):
        signature.free.set()
        tasks = [ask(batcher, signature, 1)]
        await asyncio.sleep(0.05)
        assert not tasks[0].done()
        tasks += [ask(batcher, signature, 2)]
        await asyncio.sleep(0.05)
        assert not tasks[0].done()
        await asyncio.gather(*tasks)
        assert signature.batches == [[1, 2]]
        start = asyncio.get_running_loop().time()
        await asyncio.gather(*(ask(batcher, signature, value) for value in range(8)))
        assert asyncio.get_running_loop().time() - start < 0.5
        assert signature.batches[1:] == [list(range(8))]

    run(main, batch_timeout_micros=600_000)


def test_a_bad_request_does_not_spoil_its_batch():
    async def main(batcher, signature):
        tasks = [ask(batcher, signature, value) for value in (1, 13, 3)]
        await settled()
        signature.free.set()
        assert await values(tasks[0]) == [2]
        assert await values(tasks[2]) == [4]
        with pytest.raises(RequestError, match=r"^Graph execution error: a 13$") as caught:
            await tasks[1]
        assert caught.value.code == "INVALID_ARGUMENT"

    run(main, batch_timeout_micros=50_000)


def test_an_unknown_error_is_internal_and_the_thread_goes_on():
    async def main(batcher, signature):
        signature.free.set()
        with pytest.raises(RequestError, match="ZeroDivisionError") as caught:
            await ask(batcher, signature, 14)
        assert caught.value.code == "INTERNAL"
        assert await values(ask(batcher, signature, 1)) == [2]

    run(main)


def test_who_goes_away_is_not_waited_for():
    async def main(batcher, signature):
        first, gone, last = (ask(batcher, signature, value, size=(16, 16 + value)) for value in (1, 2, 3))
        await settled()
        gone.cancel()
        signature.free.set()
        assert [await values(first), await values(last)] == [[2], [4]]
        assert signature.batches == [[1], [3]]

    run(main)
