"""Who may ask: programs that know the server's address, and its token if it has one; no page of another site.

A page in a browser on this machine can send requests to localhost. It cannot hide where it comes from: the browser
states its `Origin`. A page whose own name was pointed at this server's address (DNS rebinding) asks for that name, so
only known names are answered. There are no CORS headers, so no other page can read an answer.
"""

import hmac
import ipaddress
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from stegano_tf.serving.errors import RequestError, ServerError
from stegano_tf.serving.settings import Settings

MIN_TOKEN = 16  # characters


class Access:
    """What a server's settings allow."""

    def __init__(self, settings: Settings):
        """Reads the token; raises ServerError."""
        address = _address(settings.host)
        self.is_local = settings.host == "localhost" or (address is not None and address.is_loopback)
        # Who listens on all addresses may be called by any of them. An address can't be pointed elsewhere.
        self._any_address = address is not None and address.is_unspecified
        hosts = [*settings.allowed_hosts.split(","), settings.host, "localhost", "127.0.0.1", "::1"]
        self._hosts = {host.strip().lower() for host in hosts} - {""}
        self._token = _token(settings.token_file) if settings.token_file else None

    @property
    def is_open(self) -> bool:
        """Whether anybody in the network may ask."""
        return not self.is_local and self._token is None

    def check_token(self, headers: Mapping[str, str]) -> None:
        """Raises RequestError, UNAUTHENTICATED, unless `headers` (lower case) have the token that the server wants."""
        if self._token is None:
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token):
            raise RequestError("UNAUTHENTICATED", "expected 'Authorization: Bearer' and the token of this server")

    @web.middleware
    async def middleware(self, request: web.Request, handler) -> web.StreamResponse:
        """Refuses requests of other sites' pages, and without the token; /healthz needs none."""
        self._check_host(request.headers.get("Host"))
        # A browser says one or both of them. No page is served here, so any page is another site's.
        if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") != "none":
            raise RequestError("PERMISSION_DENIED", "pages of other sites may not ask this server")
        if request.path != "/healthz":
            self.check_token({name.lower(): value for name, value in request.headers.items()})
        found = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        # Clients of TensorFlow Serving say application/json, what curl and aiohttp say by default, or nothing.
        if request.method == "POST" and found and not found.startswith("application/"):
            raise web.HTTPUnsupportedMediaType(reason="expected Content-Type: application/json")
        return await handler(request)

    def _check_host(self, header: str | None) -> None:
        """`header` is None if a program of HTTP/1.0 asks; browsers always say it."""
        if header is None:
            return
        host = header.rpartition(":")[0] if header.rpartition(":")[2].isdecimal() else header
        host = host.strip("[]").lower()
        if host in self._hosts or (self._any_address and _address(host) is not None):
            return
        message = f"this server is not called {host or 'nothing'}; --allowed-hosts names more"
        raise RequestError("PERMISSION_DENIED", message)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _token(file: str) -> bytes:
    try:
        token = Path(file).read_bytes().strip()
    except OSError as error:
        raise ServerError(f"{file}: cannot be read: {error.strerror}") from error
    if len(token) < MIN_TOKEN or not token.isascii():
        raise ServerError(f"{file}: holds {len(token)} characters, expected a token of at least {MIN_TOKEN}, ASCII")
    return token
