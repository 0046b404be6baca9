"""The server process: loads the models, opens the two ports, and answers until it is told to stop."""

import asyncio
import contextlib
import gc
import logging
import signal
from pathlib import Path

import grpc
from aiohttp import web

from stegano_tf.errors import PresetError
from stegano_tf.serving import grpc_api, models, rest
from stegano_tf.serving.batching import Batcher
from stegano_tf.serving.errors import ServerError
from stegano_tf.serving.metrics import Metrics
from stegano_tf.serving.service import Service
from stegano_tf.serving.settings import Settings

GRACE = 30.0
"""Seconds that requests in progress have to end after SIGTERM or SIGINT."""


def load(tree: Path, names: list[str]) -> dict[str, models.Model]:
    """Returns the latest versions of the models called `names` in `tree`, by default of all.

    Raises:
      PresetError: there is no such model, or it is not whole.
    """
    folders = models.latest_versions(tree)
    for name in names:
        if name not in folders:
            raise PresetError(f"{tree}: holds no model {name}, expected one of {', '.join(folders)}")
    return {name: models.Model(folder) for name, folder in folders.items() if not names or name in names}


def run(loaded: dict[str, models.Model], settings: Settings) -> None:
    """Serves `loaded` until SIGTERM or SIGINT; prints where, when it can be reached.

    Raises:
      ServerError: a port cannot be listened on.
    """
    # What is there by now stays. Each JSON array of pixels is a hundred thousand new objects, after which the collector
    # would walk through all of TensorFlow: half of the time of such a request.
    gc.collect()
    gc.freeze()
    asyncio.run(_run(loaded, settings))


async def _run(loaded: dict[str, models.Model], settings: Settings) -> None:
    stop = asyncio.Event()
    stops = signal.SIGTERM, signal.SIGINT
    for number in stops:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics()
    batcher = Batcher(settings, metrics)
    service = Service(loaded, settings, batcher, metrics)
    # What is no HTTP gets its 400 and concerns nobody else; what fails in here, `rest` logs itself.
    silent = logging.getLogger(f"{__name__}.http")
    silent.setLevel(logging.CRITICAL)
    runner = web.AppRunner(
        rest.application(service),
        access_log=None,
        logger=silent,
        handler_cancellation=True,  # a client that goes away takes its request along
        shutdown_timeout=1.0,
    )
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", settings.max_body_mb * 2**20),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # or a second server on the port would get half of the requests unnoticed
        ],
        # Refused before their messages are kept; the rest is for questions about models.
        maximum_concurrent_rpcs=settings.max_requests + 16,
    )
    grpc_api.add_to(server, service)
    try:
        await runner.setup()
        rest_port, grpc_port = await _listen(runner, server, settings)
        for model in loaded.values():
            print(f"{model.name} version {model.version}: {', '.join(sorted(model.signatures))}")
        print(
            f"REST on http://{_host(settings)}:{rest_port}/v1/models/, gRPC on {_host(settings)}:{grpc_port}",
            flush=True,
        )
        await stop.wait()
        for number in stops:  # a second one ends the process at once
            asyncio.get_running_loop().remove_signal_handler(number)
        print("stopping: requests in progress are answered first", flush=True)
        for site in list(runner.sites):
            await site.stop()
        # Before the runner's own clean-up, which would read no more of bodies that are still coming in.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(server.stop(GRACE), service.stop()), GRACE)
    finally:
        await server.stop(0)
        await runner.cleanup()
        await batcher.close()


async def _listen(runner: web.AppRunner, server: grpc.aio.Server, settings: Settings) -> tuple[int, int]:
    """Opens both ports and returns them."""
    site = web.TCPSite(runner, settings.host, settings.port)
    try:
        await site.start()
    except OSError as error:
        raise ServerError(f"{settings.host}:{settings.port}: cannot be listened on: {error.strerror}") from error
    try:
        grpc_port = server.add_insecure_port(f"{_host(settings)}:{settings.grpc_port}")
    except RuntimeError as error:
        raise ServerError(f"{settings.host}:{settings.grpc_port}: cannot be listened on, is it in use?") from error
    await server.start()
    return runner.addresses[0][1], grpc_port


def _host(settings: Settings) -> str:
    return f"[{settings.host}]" if ":" in settings.host else settings.host
