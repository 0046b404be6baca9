"""Who is connected to the REST port, and who gives way when there are too many.

The next connection always gets in. If there is no room, the one that has waited longest for its client is closed: it is
idle, or has sent half a request. It is one of the address that has most connections, so an address that takes many
loses its own. aiohttp closes whoever takes longer than `IDLE` for headers, or between two requests.
"""

import asyncio
import collections
import contextlib
import os
import socket
import urllib.parse
from collections.abc import Iterator

import psutil
from aiohttp import web

IDLE = 20.0  # seconds


class Connections:
    """The connections to a web server, at most `most`; `admit` is what makes the protocol of a new one."""

    def __init__(self, most: int):
        self._most = most
        self._waiting: dict[web.RequestHandler, None] = {}  # in the order in which they began to wait
        self._answering: set[web.RequestHandler] = set()

    def admit(self, server: web.Server) -> asyncio.Protocol:
        """Returns the protocol of a new connection to `server`; closes others if there are too many."""
        connected = {handler: None for handler in server.connections if handler.transport}
        self._waiting = {handler: None for handler in self._waiting if handler in connected}
        self._waiting |= {handler: None for handler in connected if handler not in self._answering}
        for _ in range(len(connected) - self._most + 1):
            if not self._waiting:
                return _Refusal()
            self._close_the_slowest(connected)
        return server()

    def _close_the_slowest(self, connected: dict[web.RequestHandler, None]) -> None:
        addresses = collections.Counter(map(_address, connected))
        most = max(addresses[_address(handler)] for handler in self._waiting)
        slowest = next(handler for handler in self._waiting if addresses[_address(handler)] == most)
        del self._waiting[slowest], connected[slowest]
        slowest.force_close()

    @contextlib.contextmanager
    def answering(self, handler: web.RequestHandler) -> Iterator[None]:
        """Within, the server works for this connection, which has sent a whole request."""
        self._waiting.pop(handler, None)
        self._answering.add(handler)
        try:
            yield
        finally:
            self._answering.discard(handler)
            self._waiting[handler] = None


def cut(peer: str) -> None:
    """Closes the gRPC connection from `peer`, as gRPC writes it: ipv4:127.0.0.1:45678 or ipv6:[::1]:45678, escaped.

    gRPC itself has no call for it. Its own descriptor stays: it finds the connection shut.
    """
    address, _, port = urllib.parse.unquote(peer).partition(":")[2].rpartition(":")
    # gRPC listens on IPv6 for both, and writes an IPv4 address as such.
    wanted = [(prefix + address.strip("[]"), int(port)) for prefix in ("", "::ffff:")]
    for connection in psutil.Process().net_connections("tcp"):
        if connection.raddr in wanted:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fd)) as duplicate:
                if duplicate.getpeername()[:2] == connection.raddr:
                    duplicate.shutdown(socket.SHUT_RDWR)


class _Refusal(asyncio.Protocol):
    def connection_made(self, transport) -> None:
        transport.abort()


def _address(handler: web.RequestHandler) -> str | None:
    return handler.peername[0] if handler.peername else None
