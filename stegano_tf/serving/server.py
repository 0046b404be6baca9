"""The server process: loads the models, opens two ports, and answers until a signal stops it."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Mapping

import grpc
from aiohttp import web

from stegano_tf.serving import grpc_api, rest
from stegano_tf.serving.batching import Batcher
from stegano_tf.serving.errors import ServerError
from stegano_tf.serving.metrics import Metrics
from stegano_tf.serving.models import Model
from stegano_tf.serving.service import Service
from stegano_tf.serving.settings import Settings

GRACE = 30.0  # seconds that requests in progress may still take after SIGTERM or SIGINT


def run(loaded: Mapping[str, Model], settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; prints its addresses when they can be reached, or raises ServerError."""
    # A JSON array of pixels becomes a hundred thousand objects, which makes the garbage collector run. Frozen objects
    # are left out then: to look at all of TensorFlow's would take half of the time of such a request.
    gc.collect()
    gc.freeze()
    asyncio.run(_run(loaded, settings))


async def _run(loaded: Mapping[str, Model], settings: Settings) -> None:
    stop = asyncio.Event()
    stops = signal.SIGTERM, signal.SIGINT
    for number in stops:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics()
    batcher = Batcher(settings, metrics)
    service = Service(loaded, settings, batcher, metrics)
    # Bytes that are no HTTP get status 400 and no line in the log. `rest` logs what fails inside the server.
    silent = logging.getLogger(f"{__name__}.http")
    silent.setLevel(logging.CRITICAL)
    runner = web.AppRunner(
        rest.application(service),
        access_log=None,
        logger=silent,
        handler_cancellation=True,  # a request ends when its client goes away
        shutdown_timeout=1.0,
    )
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", settings.max_body_mb * 2**20),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # else a second server could listen on the port, too
        ],
        # gRPC refuses further calls before it stores their messages. 16 more are for questions about models.
        maximum_concurrent_rpcs=settings.max_requests + 16,
    )
    grpc_api.add_to(server, service)
    try:
        await runner.setup()
        rest_address, grpc_address = await _listen(runner, server, settings)
        for model in loaded.values():
            print(f"{model.name} version {model.version}: {', '.join(sorted(model.signatures))}")
        print(f"REST on http://{rest_address}/v1/models/, gRPC on {grpc_address}", flush=True)
        await stop.wait()
        for number in stops:  # a second one ends the process at once
            asyncio.get_running_loop().remove_signal_handler(number)
        print("stopping: requests in progress are answered first", flush=True)
        for site in list(runner.sites):
            await site.stop()
        # The runner's own clean-up comes later, because it would stop reading bodies that are still coming in.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(server.stop(GRACE), service.stop()), GRACE)
    finally:
        await server.stop(0)
        await runner.cleanup()
        await batcher.close()


async def _listen(runner: web.AppRunner, server: grpc.aio.Server, settings: Settings) -> tuple[str, str]:
    """Opens both ports and returns HOST:PORT of each."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    site = web.TCPSite(runner, settings.host, settings.port)
    try:
        await site.start()
    except OSError as error:
        raise ServerError(f"{settings.host}:{settings.port}: cannot be listened on: {error.strerror}") from error
    try:
        grpc_port = server.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError as error:
        raise ServerError(f"{settings.host}:{settings.grpc_port}: cannot be listened on, is it in use?") from error
    await server.start()
    return f"{host}:{runner.addresses[0][1]}", f"{host}:{grpc_port}"
