"""Serves the page on this machine, to this machine alone."""

import asyncio
import contextlib
import mimetypes
import signal
import threading
import webbrowser

from aiohttp import web

from stegano_tf.errors import PresetError
from stegano_tf.serving.errors import ServerError
from stegano_tf.web import site

HOST = "127.0.0.1"
_TYPES = {".js": "text/javascript", ".xz": "application/x-xz", ".webmanifest": "application/manifest+json"}
_PACKED = (".xz", ".png")


def run(port: int, *, browser: bool = False) -> None:
    """Serves until SIGTERM or SIGINT; prints the address, and opens it in a browser if asked to.

    Raises ServerError if the port is taken, or PresetError if there are no networks to serve.
    """
    asyncio.run(_run(port, browser=browser))


async def _run(port: int, *, browser: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(application(), access_log=None)
    await runner.setup()
    try:
        listening = web.TCPSite(runner, HOST, port)
        try:
            await listening.start()
        except OSError as error:
            raise ServerError(
                f"port {port} of {HOST} cannot be used: {error.strerror}; --port takes another"
            ) from error
        address = f"http://{HOST}:{runner.addresses[0][1]}/"
        print(f"the page is on {address} (Ctrl-C ends it)", flush=True)
        threading.Thread(target=site.pack_default, daemon=True).start()  # before somebody waits for it
        if browser:
            with contextlib.suppress(webbrowser.Error):
                await asyncio.to_thread(webbrowser.open, address)
        await stop.wait()
    finally:
        await runner.cleanup()


def application() -> web.Application:
    """Returns the server of the page as an aiohttp application."""
    made = web.Application()
    made.router.add_get("/{name:.*}", _answer)
    return made


async def _answer(request: web.Request) -> web.Response:
    name = request.match_info["name"] or "index.html"
    try:
        data = await asyncio.to_thread(site.content, name)
    except KeyError:
        raise web.HTTPNotFound(headers=site.HEADERS, text=f"there is no {name}\n") from None
    except PresetError as error:  # a network that was altered since it was installed
        raise web.HTTPInternalServerError(headers=site.HEADERS, text=f"{error}\n") from error
    suffix = f".{name.rpartition('.')[2]}"
    kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {**site.HEADERS, "Cache-Control": site.caching(name)}
    response = web.Response(body=data, content_type=kind, headers=headers)
    if suffix not in _PACKED:
        response.charset = "utf-8"
        response.enable_compression()
    return response
