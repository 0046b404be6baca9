"""Bytes, connections, reader processes and who may ask: each limit alone, without a server."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from stegano_tf.serving import access, budget, connections, workers
from stegano_tf.serving.errors import RequestError, ServerError, invalid
from stegano_tf.serving.settings import Settings

MIB = 2**20


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


# Bytes


async def hold(shared, size, began, seconds=60.0):
    """Receives a body of `size` bytes that takes so long to come."""
    with shared.share() as share:
        async with share.receiving(size):
            began.set()
            await asyncio.sleep(seconds)


async def begin(shared, size, seconds=60.0):
    began = asyncio.Event()
    task = asyncio.create_task(hold(shared, size, began, seconds))
    await began.wait()
    return task


def test_the_slowest_gives_way_and_the_next_gets_its_room():
    async def main():
        shared = budget.Budget(8 * MIB, seconds=30)
        slow = [await begin(shared, 2 * MIB) for _ in range(3)]
        assert [task.done() for task in slow] == [False, False, False]
        start = time.monotonic()
        await begin(shared, 2 * MIB)
        assert time.monotonic() - start < 5
        with pytest.raises(RequestError, match="too many bytes wait") as caught:
            await slow[0]
        assert caught.value.code == "RESOURCE_EXHAUSTED"
        assert [task.done() for task in slow] == [True, False, False]

    run(main())


def test_a_short_request_needs_nobody_to_give_way():
    async def main():
        shared = budget.Budget(8 * MIB, seconds=30)
        long = [await begin(shared, 2 * MIB) for _ in range(3)]
        await asyncio.gather(*(hold(shared, MIB, asyncio.Event(), 0) for _ in range(2)))
        assert not any(task.done() for task in long)

    run(main())


def test_a_client_that_is_too_slow_is_given_up():
    async def main():
        shared = budget.Budget(8 * MIB, seconds=0.1)
        with pytest.raises(RequestError, match="the client took more than") as caught:
            await hold(shared, 1000, asyncio.Event())
        assert caught.value.code == "DEADLINE_EXCEEDED"
        with shared.share() as share, pytest.raises(RequestError, match="the client took more than"):
            async with share.sending(1000):
                await asyncio.sleep(60)

    run(main())


def test_what_is_computed_for_nobody_waits_for_room():
    async def main():
        shared = budget.Budget(8 * MIB, seconds=0.1)
        with shared.share() as computing:
            computing.resize(8 * MIB)
            with pytest.raises(RequestError, match="too many bytes wait"):
                await hold(shared, MIB, asyncio.Event(), 0)
        await hold(shared, MIB, asyncio.Event(), 0)

    run(main())


# Connections


class Handler:
    """A connection, as `Connections` sees it."""

    def __init__(self, web):
        self._web = web
        self.peername = web.address, 1
        self.transport = "open"

    def force_close(self):
        self._web.connections.remove(self)


class Web:
    """What `Connections` uses of a web server: calling it makes the protocol of a new connection."""

    def __init__(self):
        self.connections = []
        self.address = "10.0.0.1"

    def __call__(self):
        self.connections.append(Handler(self))
        return self.connections[-1]


def test_the_connection_that_waits_longest_gives_way():
    async def main():
        door, web = connections.Connections(3), Web()
        first, second, third = (door.admit(web) for _ in range(3))
        with door.answering(first):
            assert web.connections == [first, second, third]
            fourth = door.admit(web)
            assert web.connections == [first, third, fourth]
        fifth = door.admit(web)
        assert web.connections == [first, fourth, fifth]
        with door.answering(first), door.answering(fourth), door.answering(fifth):
            door.admit(web)
            assert web.connections == [first, fourth, fifth]  # all are being answered: the new one is refused

    run(main())


def test_an_address_with_many_connections_loses_its_own():
    async def main():
        door, web = connections.Connections(4), Web()
        other = door.admit(web)
        web.address = "10.0.0.2"
        many = [door.admit(web) for _ in range(3)]
        web.address = "10.0.0.3"
        new = door.admit(web)
        assert web.connections == [other, *many[1:], new]

    run(main())


# Reader processes


def spin():
    while True:
        pass


def refuse():
    error = invalid("no")
    error.signature = "reveal"
    raise error


def test_a_process_that_takes_too_much_ends_and_the_next_call_has_another():
    async def main():
        pool = workers.Workers(1, 0.2, 256 * MIB)
        try:
            assert await pool.call(divmod, 17, 5) == (3, 2)
            with pytest.raises(RequestError, match=r"^no$") as caught:
                await pool.call(refuse)
            assert (caught.value.code, caught.value.signature) == ("INVALID_ARGUMENT", "reveal")
            with pytest.raises(RequestError, match=r"more than 0.2 s of processor time"):
                await pool.call(spin)
            assert await pool.call(divmod, 17, 5) == (3, 2)
            with pytest.raises(RequestError, match="more than 256 MiB of memory"):
                await pool.call(bytearray, 2**30)
            assert await pool.call(divmod, 17, 5) == (3, 2)
        finally:
            pool.close()

    run(main())


# Who may ask


@pytest.fixture
def token(tmp_path):
    file = tmp_path / "token"
    file.write_text("correct horse battery\n")
    return str(file)


async def ask(settings, method="POST", path="/v1/models/tiny:predict", **headers):
    """The code of the refusal, or "asked"."""
    request = SimpleNamespace(headers={k.replace("_", "-"): v for k, v in headers.items()}, method=method, path=path)

    async def handler(_):
        return "asked"

    try:
        return await access.Access(settings).middleware(request, handler)
    except RequestError as error:
        return error.code
    except access.web.HTTPException as error:
        return error.status


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"Host": "localhost:8501"}, "asked"),
        ({"Host": "127.0.0.1:8501"}, "asked"),
        ({"Host": "[::1]:8501"}, "asked"),
        ({"Host": "LOCALHOST"}, "asked"),
        ({}, "asked"),
        ({"Host": "stegano.example"}, "asked"),
        ({"Host": "evil.example"}, "PERMISSION_DENIED"),
        ({"Host": "localhost.evil.example:8501"}, "PERMISSION_DENIED"),
        ({"Host": "192.0.2.1"}, "PERMISSION_DENIED"),
        ({"Host": ""}, "PERMISSION_DENIED"),
        ({"Host": "localhost", "Origin": "http://evil.example"}, "PERMISSION_DENIED"),
        ({"Host": "localhost", "Origin": "null"}, "PERMISSION_DENIED"),
        ({"Host": "localhost:8501", "Origin": "http://localhost:8000"}, "PERMISSION_DENIED"),
        ({"Host": "localhost", "Sec_Fetch_Site": "cross-site"}, "PERMISSION_DENIED"),
        ({"Host": "localhost", "Content_Type": "text/plain"}, 415),
        ({"Host": "localhost", "Content_Type": "multipart/form-data; boundary=x"}, 415),
        ({"Host": "localhost", "Content_Type": "application/json; charset=utf-8"}, "asked"),
        ({"Host": "localhost", "Content_Type": "application/x-www-form-urlencoded"}, "asked"),
    ],
)
def test_pages_of_other_sites_are_refused(headers, found):
    assert asyncio.run(ask(Settings(allowed_hosts="stegano.example, other.example"), **headers)) == found


def test_a_server_on_all_addresses_is_called_by_any_of_them_but_by_no_unknown_name():
    settings = Settings(host="0.0.0.0")
    assert asyncio.run(ask(settings, Host="192.0.2.1:8501")) == "asked"
    assert asyncio.run(ask(settings, Host="evil.example")) == "PERMISSION_DENIED"


def test_a_token(token):
    settings = Settings(token_file=token)
    right = "Bearer correct horse battery"
    assert asyncio.run(ask(settings, Authorization=right)) == "asked"
    assert asyncio.run(ask(settings, Authorization=right.upper())) == "UNAUTHENTICATED"
    assert asyncio.run(ask(settings, Authorization="Bearer")) == "UNAUTHENTICATED"
    assert asyncio.run(ask(settings, Authorization="Bearer ä")) == "UNAUTHENTICATED"
    assert asyncio.run(ask(settings)) == "UNAUTHENTICATED"
    assert asyncio.run(ask(settings, "GET", "/metrics")) == "UNAUTHENTICATED"
    assert asyncio.run(ask(settings, "GET", "/healthz")) == "asked"


def test_only_a_server_beyond_this_machine_without_a_token_is_open(token):
    hosts = "127.0.0.1", "localhost", "::1", "0.0.0.0", "192.0.2.1", "example"
    assert [access.Access(Settings(host=host)).is_open for host in hosts] == [False, False, False, True, True, True]
    assert not access.Access(Settings(host="0.0.0.0", token_file=token)).is_open


@pytest.mark.parametrize(("content", "said"), [(b"short", "holds 5 characters"), (None, "cannot be read")])
def test_a_token_that_is_none(tmp_path, content, said):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ServerError, match=said):
        access.Access(Settings(token_file=str(file)))
