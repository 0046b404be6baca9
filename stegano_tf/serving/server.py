"""The server process: opens two ports, and answers until a signal stops it."""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import sys
from typing import NoReturn

import grpc
from aiohttp import web

from stegano_tf.serving import connections, grpc_api, rest
from stegano_tf.serving.access import Access
from stegano_tf.serving.batching import Batcher
from stegano_tf.serving.connections import Connections
from stegano_tf.serving.errors import ServerError
from stegano_tf.serving.metrics import Metrics
from stegano_tf.serving.models import Models
from stegano_tf.serving.service import Service
from stegano_tf.serving.settings import Settings

GRACE = 20.0  # seconds that requests in progress may still take after SIGTERM or SIGINT
_OPEN = "stegano-tf: warning: anybody who reaches this address may ask; --token-file lets in only who has the token"
_BACKLOG = 32  # connections that are accepted before the first of them counts
_OTHER_FILES = 96 + 2 * _BACKLOG  # that the process opens: models, pipes to reader processes, libraries


def run(models: Models, settings: Settings) -> NoReturn:
    """Serves until SIGTERM or SIGINT, then ends the process with status 0.

    Prints its addresses when they can be reached; raises ServerError if they can't be.
    """
    # A JSON array of pixels becomes a hundred thousand objects, which makes the garbage collector run. Frozen objects
    # are left out then: to look at all of TensorFlow's would take half of the time of such a request.
    gc.collect()
    gc.freeze()
    asyncio.run(_run(models, settings))
    # A thread may still run a batch that nobody waits for, and a network can't be stopped in the middle.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def _run(models: Models, settings: Settings) -> None:
    access = Access(settings)
    stop = asyncio.Event()
    stops = signal.SIGTERM, signal.SIGINT
    for number in stops:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    most = _most_connections(settings)
    metrics = Metrics()
    batcher = Batcher(settings, metrics)
    service = Service(models, settings, batcher, metrics)
    door = Connections(most)
    runner = _runner(rest.application(service, door, access))
    server = _grpc_server(settings, most)
    server.add_generic_rpc_handlers((grpc_api.Handler(service, access),))
    watching = asyncio.create_task(_watch(models, settings.file_system_poll_wait_seconds))
    listening = None
    try:
        await runner.setup()
        listening, rest_address, grpc_address = await _listen(runner, door, server, settings)
        for model in models.latest.values():
            print(f"{model.name} version {model.version}: {', '.join(sorted(model.signatures))}")
        for error in models.refused.values():
            print(f"stegano-tf: refused {error}", file=sys.stderr)
        if access.is_open:
            print(_OPEN, file=sys.stderr)
        print(f"REST on http://{rest_address}/v1/models/, gRPC on {grpc_address}", flush=True)
        await stop.wait()
        for number in stops:  # a second one ends the process at once
            asyncio.get_running_loop().remove_signal_handler(number)
        print("stopping: requests in progress are answered first", flush=True)
        listening.close()
        # The runner's own clean-up comes later, because it would stop reading bodies that are still coming in.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(server.stop(GRACE), service.stop()), GRACE)
    finally:
        watching.cancel()
        await server.stop(0)
        if listening:
            listening.close()
        await runner.cleanup()
        await batcher.close()
        service.close()


def _runner(application: web.Application) -> web.AppRunner:
    # Bytes that are no HTTP get status 400 and no line in the log. `rest` logs what fails inside the server.
    silent = logging.getLogger(f"{__name__}.http")
    silent.setLevel(logging.CRITICAL)
    return web.AppRunner(
        application,
        access_log=None,
        logger=silent,
        handler_cancellation=True,  # a request ends when its client goes away
        auto_decompress=False,  # `reading` does it
        keepalive_timeout=connections.IDLE,
        shutdown_timeout=1.0,
    )


def _grpc_server(settings: Settings, most: int) -> grpc.aio.Server:
    size = settings.max_body_mb * 2**20
    return grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", size),
            ("grpc.max_send_message_length", size + 2**16),
            ("grpc.so_reuseport", 0),  # else a second server could listen on the port, too
            ("grpc.max_allowed_incoming_connections", most),
            ("grpc.max_concurrent_streams", 32),  # of a connection
            ("grpc.server_handshake_timeout_ms", 5_000),
            ("grpc.max_connection_idle_ms", int(1e3 * connections.IDLE)),
            # An answer that its client doesn't read lives as long as its connection.
            ("grpc.max_connection_age_ms", 60_000),
            ("grpc.max_connection_age_grace_ms", 30_000),
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.http2.max_ping_strikes", 2),
        ]
    )


async def _watch(models: Models, seconds: int) -> None:
    """Looks for newer versions every few seconds, and says what changed."""
    while seconds:
        await asyncio.sleep(seconds)
        try:
            lines = await asyncio.to_thread(models.look)
        except OSError as error:  # a folder that changes while it is looked at
            lines = [f"cannot look for versions: {error}"]
        for line in lines:
            print(f"stegano-tf: {line}", file=sys.stderr, flush=True)


def _most_connections(settings: Settings) -> int:
    """Returns how many connections each port may have, so that the process can still open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return settings.max_connections
    return max(1, min(settings.max_connections, (soft - _OTHER_FILES) // 2))


async def _listen(
    runner: web.AppRunner, door: Connections, server: grpc.aio.Server, settings: Settings
) -> tuple[asyncio.Server, str, str]:
    """Opens both ports; returns what listens for REST, and HOST:PORT of each."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        listening = await asyncio.get_running_loop().create_server(
            lambda: door.admit(runner.server), settings.host, settings.port, backlog=_BACKLOG
        )
    except OSError as error:
        raise ServerError(f"{settings.host}:{settings.port}: cannot be listened on: {error.strerror}") from error
    try:
        grpc_port = server.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError as error:
        raise ServerError(f"{settings.host}:{settings.grpc_port}: cannot be listened on, is it in use?") from error
    await server.start()
    return listening, f"{host}:{listening.sockets[0].getsockname()[1]}", f"{host}:{grpc_port}"
