"""How many bytes of requests and answers the server holds, and who gives way when they run short.

A request that its client is still sending, and an answer that its client does not read, cost the client nothing. So
when room is needed, the one that has waited longest for its client is given up. A short request is sent and read within
milliseconds, so it passes.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

from stegano_tf.serving.errors import RequestError

SHORT = 2**20  # bytes of a short request
PATIENCE = 0.2  # seconds that nobody is given up
_FULL = "too many bytes wait in this server; try again later"
MIN_RATE = 2**20  # bytes a second that a client is expected to send or read


class Budget:
    """A number of bytes that the requests of one event loop share; short ones may use all, others three quarters."""

    def __init__(self, size: int, seconds: float):
        """A client has `seconds`, and more for what is large (`MIN_RATE`), to send a request or to read an answer."""
        self._size = size
        self._seconds = seconds
        self._used = 0
        self._freed = asyncio.Event()
        self._slow: dict[Share, tuple[asyncio.Timeout, float]] = {}  # waiting for a client since then; oldest first

    @contextlib.contextmanager
    def share(self) -> Iterator["Share"]:
        """Yields what one request uses."""
        share = Share(self)
        try:
            yield share
        finally:
            share.resize(0)

    async def _room(self, size: int, *, wait: bool) -> None:
        most = self._size if size <= SHORT else 3 * self._size // 4
        while self._used + size > most:
            found = self._give_up_the_slowest()
            if not wait:
                if not found:
                    raise RequestError("RESOURCE_EXHAUSTED", _FULL)
                return  # the other one frees its room within a moment
            self._freed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._freed.wait(), PATIENCE)

    def _give_up_the_slowest(self) -> bool:
        """Returns whether there was one."""
        now = asyncio.get_running_loop().time()
        share, (limit, since) = next(iter(self._slow.items()), (None, (None, now)))
        if now - since <= PATIENCE:
            return False
        del self._slow[share]
        limit.reschedule(now)
        return True


class Share:
    """The bytes that one request uses at present."""

    def __init__(self, budget: Budget):
        self._budget = budget
        self._size = 0

    def resize(self, size: int) -> None:
        """States what the request uses from now on."""
        self._budget._used += size - self._size
        self._size = size
        self._budget._freed.set()

    @contextlib.asynccontextmanager
    async def receiving(self, size: int, *, wait: bool = True) -> AsyncIterator[None]:
        """Waits for room for a body of `size` bytes, or takes it only if it is there; within, the client is waited for.

        Raises RequestError: DEADLINE_EXCEEDED, the client is too slow; RESOURCE_EXHAUSTED, there is no room, or another
        request needs this one's.
        """
        async with self._client(size) as begin:
            await self._budget._room(size, wait=wait)
            begin()
            yield

    @contextlib.asynccontextmanager
    async def sending(self, size: int) -> AsyncIterator[None]:
        """Within, the client is waited for, which reads an answer of `size` bytes; raises as `receiving`."""
        async with self._client(size) as begin:
            begin()
            yield

    @contextlib.asynccontextmanager
    async def _client(self, size: int) -> AsyncIterator[Callable[[], None]]:
        budget, loop = self._budget, asyncio.get_running_loop()
        seconds = budget._seconds + size / MIN_RATE

        def begin() -> None:
            self.resize(size)
            budget._slow[self] = limit, loop.time()

        try:
            async with asyncio.timeout(seconds) as limit:
                yield begin
        except TimeoutError as error:
            if not limit.expired():
                raise
            if self in budget._slow:
                raise RequestError("DEADLINE_EXCEEDED", f"the client took more than {seconds:.0f} s") from error
            raise RequestError("RESOURCE_EXHAUSTED", _FULL) from error
        finally:
            budget._slow.pop(self, None)
