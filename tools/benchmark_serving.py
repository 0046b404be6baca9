"""Measures `stegano-tf serve` under load beside the same SavedModel in a bare loop, and its memory over minutes.

    python tools/benchmark_serving.py --json=tools/results/benchmark_serving.json

The server is a process of its own, with its default settings, on this machine; so the load takes its share of the same
cores. Bare loop and server take turns within each repeat, so a busy machine slows both; medians of the ratios of the
repeats are reported, latencies over all of them.

* `grpc`: signature `reveal`, uint8 pixels as gRPC sends them. Beside a loop that calls `reveal` of
  `tf.saved_model.load`, one picture a call, as many as fit into the time.
* `rest_b64`: `reveal_bytes`, PNG files as base64 in JSON. Beside a loop that calls `reveal_bytes`.
* `rest_json`: `reveal`, pixels as nested lists in JSON. Beside the loop of `grpc`.
* `soak`: `grpc` and `rest_b64` at the same time; the server's resident memory, the median of each minute.
"""

import asyncio
import base64
import contextlib
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import grpc
import numpy as np
import psutil
import tensorflow as tf
from absl import app, flags, logging
from publishing import publish
from tensorflow_serving.apis import predict_pb2

from stegano_tf import demo_pictures, images, presets, savedmodels

_SAVEDMODELS = flags.DEFINE_string("savedmodels", None, "Folder of the exported models; else the installed ones.")
_PRESET = flags.DEFINE_string("preset", presets.DEFAULT, "Which of them.")
_SIDE = flags.DEFINE_integer("side", 256, "Side of the stego image, in pixels.", lower_bound=16)
_CONNECTIONS = flags.DEFINE_integer("connections", 16, "Clients at a time, each on its own connection.", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 6.0, "How long each turn lasts.", lower_bound=0.1)
_REPEATS = flags.DEFINE_integer("repeats", 3, "How many turns each takes.", lower_bound=1)
_SOAK_MINUTES = flags.DEFINE_integer("soak_minutes", 3, "How long memory is watched.", lower_bound=0)
_SERVER_FLAGS = flags.DEFINE_multi_string("server_flag", [], "Handed to the server, such as --num-batch-threads=1.")
_ALL_WAYS = ["grpc", "rest_b64", "rest_json"]
_WAYS = flags.DEFINE_multi_enum("way", _ALL_WAYS, _ALL_WAYS, "Which of the ways in are compared.")
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")

# A request's answer is compared with it, so that what is counted is right, too.
Ask = Callable[[], Awaitable[bool]]


@contextlib.contextmanager
def serving(folder: str, preset: str, server_flags: list[str]) -> Iterator[tuple[psutil.Process, str, str]]:
    """Runs a server; yields its process and where its REST and gRPC interfaces are."""
    command = [sys.executable, "-m", "stegano_tf", "serve", f"--savedmodels={folder}", f"--preset={preset}"]
    process = subprocess.Popen(
        [*command, "--port=0", "--grpc-port=0", *server_flags], stdout=subprocess.PIPE, text=True
    )
    try:
        for line in process.stdout:
            if found := re.match(r"REST on (http://[^/]+)/.*, gRPC on (\S+)", line):
                break
        else:
            raise SystemExit("benchmark_serving: the server did not start")
        yield psutil.Process(process.pid), found[1], found[2]
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextlib.asynccontextmanager
async def grpc_clients(address: str, request: predict_pb2.PredictRequest, expected: bytes, count: int):
    """Yields `count` clients that send one request again and again, each on its own connection."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(count)]
    message = request.SerializeToString()

    def ask(channel) -> Ask:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

        async def once() -> bool:
            return expected in await call(message)

        return once

    try:
        yield [ask(channel) for channel in channels]
    finally:
        for channel in channels:
            await channel.close()


@contextlib.asynccontextmanager
async def rest_clients(url: str, document: dict, expected: bytes, count: int):
    """As `grpc_clients`."""
    body = json.dumps(document).encode()
    sessions = [aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) for _ in range(count)]

    def ask(session) -> Ask:
        async def once() -> bool:
            async with session.post(url, data=body) as response:
                return expected in await response.read()

        return once

    try:
        yield [ask(session) for session in sessions]
    finally:
        for session in sessions:
            await session.close()


async def load(clients: list[Ask], seconds: float) -> tuple[float, list[float], int]:
    """Keeps all clients asking; returns answers per second, their latencies in seconds, and the number of errors."""
    latencies, errors = [], 0
    end = time.perf_counter() + seconds

    async def keep_asking(ask: Ask) -> None:
        nonlocal errors
        while (start := time.perf_counter()) < end:
            try:
                right = await ask()
            except (grpc.RpcError, aiohttp.ClientError):
                right = False
            latencies.append(time.perf_counter() - start)
            errors += not right

    start = time.perf_counter()
    await asyncio.gather(*(keep_asking(ask) for ask in clients))
    return len(latencies) / (time.perf_counter() - start), latencies, errors


def bare(call: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Calls in a loop; returns calls per second and processor seconds a call."""
    count, start, used = 0, time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - start) < seconds:
        call()
        count += 1
    return count / elapsed, (time.process_time() - used) / count


def cpu_seconds(process: psutil.Process) -> float:
    """The processor time that a process has used so far."""
    times = process.cpu_times()
    return times.user + times.system


async def compare(process: psutil.Process, ways: dict, seconds: float, repeats: int) -> dict:
    """Lets bare loops and the server take turns; `ways` is (the bare call, the clients) by name."""
    found: dict = {name: {"bare": [], "server": [], "latencies": [], "errors": 0, "cpu": []} for name in ways}
    for turn in range(repeats + 1):
        logging.info("Turn %d of %d", turn, repeats)
        for name, (call, clients) in ways.items():
            bare_rate, bare_cpu = bare(call, seconds if turn else 1)
            used = cpu_seconds(process)
            rate, latencies, errors = await load(clients, seconds if turn else 1)
            used = cpu_seconds(process) - used
            if not turn:  # the first one warms up
                continue
            entry = found[name]
            entry["bare"].append(bare_rate)
            entry["server"].append(rate)
            entry["latencies"] += latencies
            entry["errors"] += errors
            entry["cpu"].append(used / len(latencies) / bare_cpu)
    return {name: summary(**entry) for name, entry in found.items()}


def summary(bare: list[float], server: list[float], latencies: list[float], errors: int, cpu: list[float]) -> dict:
    """The figures of one way in."""
    p50, p99 = np.percentile(latencies, [50, 99])
    return {
        "requests": len(latencies),
        "errors": errors,
        "bare_per_second": statistics.median(bare),
        "server_per_second": statistics.median(server),
        "server_to_bare": statistics.median(s / b for s, b in zip(server, bare, strict=True)),
        "server_to_bare_each": [s / b for s, b in zip(server, bare, strict=True)],
        "server_to_bare_processor_time": statistics.median(cpu),
        "p50_ms": 1e3 * p50,
        "p99_ms": 1e3 * p99,
        "p99_to_p50": p99 / p50,
    }


async def soak(process: psutil.Process, clients: list[Ask], minutes: int) -> dict:
    """Watches the server's memory under load."""
    megabytes = []

    async def watch() -> None:
        while True:
            megabytes.append(process.memory_info().rss / 2**20)
            await asyncio.sleep(0.5)

    watching = asyncio.create_task(watch())
    medians, requests, errors = [], 0, 0
    for minute in range(minutes):
        logging.info("Minute %d of %d", minute + 1, minutes)
        megabytes.clear()
        _, latencies, failed = await load(clients, 60)
        medians.append(statistics.median(megabytes))
        requests, errors = requests + len(latencies), errors + failed
    watching.cancel()
    return {"minutes": minutes, "requests": requests, "errors": errors, "resident_mb_each_minute": medians}


async def measure(folder: str, preset: str, side: int, connections: int, seconds: float) -> dict:
    """Returns the figures."""
    version = savedmodels.versions(preset, folder)[-1]
    loaded = tf.saved_model.load(str(version))
    reveal, reveal_bytes = loaded.signatures["reveal"], loaded.signatures["reveal_bytes"]
    _, cover, secret = next(iter(demo_pictures.pairs()))
    cover, secret = (images.resize(picture, (side, side)) for picture in (cover, secret))
    stego = loaded.signatures["hide"](cover=cover[None], secret=secret[None])["stego"].numpy()
    stego_png = tf.io.encode_png(stego[0]).numpy()
    revealed = reveal(stego=tf.constant(stego))["secret"].numpy()
    revealed_png = reveal_bytes(stego_bytes=tf.constant([stego_png]))["secret_bytes"].numpy()[0]

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = preset, "reveal"
    request.inputs["stego"].CopyFrom(tf.make_tensor_proto(stego))
    as_lists = {"signature_name": "reveal", "instances": stego.tolist()}
    as_png = {"signature_name": "reveal_bytes", "instances": [{"b64": base64.b64encode(stego_png).decode()}]}

    def bare_reveal() -> np.ndarray:
        return reveal(stego=tf.constant(stego))["secret"].numpy()

    def bare_reveal_bytes() -> np.ndarray:
        return reveal_bytes(stego_bytes=tf.constant([stego_png]))["secret_bytes"].numpy()

    calls = {"grpc": bare_reveal, "rest_b64": bare_reveal_bytes, "rest_json": bare_reveal}
    with serving(folder, preset, _SERVER_FLAGS.value) as (process, rest, grpc_address):
        url = f"{rest}/v1/models/{preset}:predict"
        lists = json.dumps(revealed.tolist(), separators=(",", ":")).encode()
        async with (
            grpc_clients(grpc_address, request, revealed.tobytes(), connections) as by_grpc,
            rest_clients(url, as_png, base64.b64encode(revealed_png), connections) as by_png,
            rest_clients(url, as_lists, lists, connections) as by_lists,
        ):
            clients = {"grpc": by_grpc, "rest_b64": by_png, "rest_json": by_lists}
            ways = {name: (calls[name], clients[name]) for name in _WAYS.value}
            figures = await compare(process, ways, seconds, _REPEATS.value)
            if _SOAK_MINUTES.value:
                mixed = by_grpc[: connections // 2] + by_png[connections // 2 :]
                figures["soak"] = await soak(process, mixed, _SOAK_MINUTES.value)
    return {
        "preset": preset,
        "side": side,
        "connections": connections,
        "server_flags": _SERVER_FLAGS.value,
        "seconds": seconds,
        "repeats": _REPEATS.value,
        "figures": figures,
    }


def main(argv: list[str]) -> None:
    """Measures and prints."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    if _JSON.value and _SAVEDMODELS.value:
        raise app.UsageError("--json takes the installed models: a result names no others")
    folder = _SAVEDMODELS.value or str(savedmodels.FOLDER)
    figures = asyncio.run(measure(folder, _PRESET.value, _SIDE.value, _CONNECTIONS.value, _SECONDS.value))
    publish(figures, _JSON.value, presets=[_PRESET.value])


if __name__ == "__main__":
    app.run(main)
