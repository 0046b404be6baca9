"""Attacks `stegano-tf serve` in all known ways at the same time, beside honest clients.

    python tools/attack.py --json=tools/results/attack.json                 # 13 minutes; the machine must be quiet
    python tools/attack.py --minutes=1 --quiet_seconds=20                   # a look at it

Four clients ask honestly, each by another way in: first alone, then beside all `attacks`. Reported are their latencies
and errors, the memory of the server's processes (proportional set size), its descriptors, and how long it takes to end
while it is attacked. Before, one client asks for the largest pictures that are allowed: the quiet peak of the memory
includes them. The attackers are a process of lower priority, because they share the cores with the server.
"""

import asyncio
import base64
import collections
import contextlib
import gzip
import json
import multiprocessing
import os
import random
import time
from collections.abc import Awaitable, Callable

import aiohttp
import grpc
import numpy as np
import tensorflow as tf
from absl import app, flags, logging
from crafted import calls, encoded, gif_of_frames, jpeg_of_scans
from publishing import publish
from running import Server, serving
from tensorflow_serving.apis import predict_pb2

from stegano_tf import demo_pictures, images, presets, savedmodels

_MINUTES = flags.DEFINE_float("minutes", 10.0, "How long all attacks last.", lower_bound=0.1)
_QUIET = flags.DEFINE_float("quiet_seconds", 120.0, "How long the honest clients are alone before.", lower_bound=1)
_PRESET = flags.DEFINE_string("preset", presets.DEFAULT, "The model that is served.")
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")

PREDICT = "/tensorflow.serving.PredictionService/Predict"
SIDE = 256  # of the honest clients' pictures
PAUSE = 0.1  # seconds between two requests of an honest client


def predict(preset: str, signature: str, filters: int = 0, **inputs) -> bytes:
    """Returns a PredictRequest; inputs are uint8 arrays or lists of bytes."""
    request = predict_pb2.PredictRequest(output_filter=filters * ["secret"])
    request.model_spec.name, request.model_spec.signature_name = preset, signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request.SerializeToString()


def document(signature: str, **inputs) -> bytes:
    """Returns the body of a REST request; inputs are lists, or lists of bytes."""
    columns = {
        name: [{"b64": base64.b64encode(item).decode()} if isinstance(item, bytes) else item for item in value]
        for name, value in inputs.items()
    }
    return json.dumps({"signature_name": signature, "inputs": columns}).encode()


def repeated(preset: str, side: int) -> bytes:
    """Returns a PredictRequest of one value, which stands for side**2 pixels."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = preset
    tensor = request.inputs["stego"]
    tensor.dtype = tf.uint8.as_datatype_enum
    tensor.int_val.append(1)
    for size in (1, side, side, 3):
        tensor.tensor_shape.dim.add(size=size)
    return request.SerializeToString()


def attacks(preset: str) -> dict[str, tuple[str, list[bytes]]]:
    """Returns the attacks by name: the way in, and the bodies or bytes that are sent by it in turn."""
    zeros = np.zeros((1, 512, 512, 3), np.uint8)
    path = PREDICT.encode()
    head = f"POST /v1/models/{preset}:predict HTTP/1.1\r\nHost: localhost\r\n".encode()
    row = b"[" + b",".join([b"[0,0,0]"] * 1000) + b"]"
    compressed = gzip.compress(b'{"inputs":[[' + b",".join([row] * 1000) + b"]]}", 9)
    coded = head + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    bomb = gzip.compress(bytes(2**30), 9)
    files = {
        "gif": gif_of_frames(16, 4000),
        "scans": jpeg_of_scans(2048, 31_500),
        "padding": b"\xff\xd8" + 20_000_000 * b"\xff",
        "segments": b"\xff\xd8" + 5_000_000 * b"\xff\xe0\0\2",
        "not a picture": bytes(1000),
    }
    return {
        "files": ("post", [document("reveal_bytes", stego_bytes=[file]) for file in files.values()]),
        "lists": ("post", [b'{"inputs":[' + b",".join([b"[]"] * 11_000_000) + b"]}"]),
        "objects": ("post", [b'{"inputs":[' + b",".join([b'{"":0}'] * 4_700_000) + b"]}"]),
        "depth": ("post", [b'{"inputs":' + 900 * b"[" + 900 * b"]" + b"}"]),
        "other site": ("page", [document("reveal", stego=zeros[:, :16, :16].tolist())]),
        "half bodies": ("hold", [head + b"Content-Length: 1000000\r\n\r\n{"] * 64),
        "half headers": ("hold", [head] * 300),
        "unread answers": ("hold", [coded % len(compressed) + compressed] * 10),
        "compressed": ("hold", [coded % len(bomb) + bomb] * 2),
        "pipelined": ("hold", [b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000] * 2),
        "noise": ("hold", [random.Random(0).randbytes(10_000)] * 8),
        "one filter often": ("call", [predict(preset, "reveal", 2000, stego=zeros)]),
        "unknown inputs": ("call", [predict(preset, "reveal", stego=zeros, **{f"x{i}": zeros for i in range(20)})]),
        "repeated values": ("call", [repeated(preset, 30_000), b"\x12\0" * 15_000_000, b"\x1a\0" * 15_000_000]),
        "half messages": ("hold grpc", [calls(path, b"abc", 80, missing=30_000_000)] * 2),
        "unread messages": (
            "hold grpc",
            [calls(path, repeated(preset, 512), 4, window=1)],
        ),
        "no message": ("hold grpc", [b""] * 50),
    }


def attack(rest: str, grpc_address: str, url: str, todo: dict[str, tuple[str, list[bytes]]]) -> None:
    """The attackers' process: repeats all attacks until it is ended."""
    os.nice(10)
    asyncio.run(_attack(rest, grpc_address, url, todo))


async def _attack(rest: str, grpc_address: str, url: str, todo: dict[str, tuple[str, list[bytes]]]) -> None:
    async with aiohttp.ClientSession() as session, grpc.aio.insecure_channel(grpc_address) as channel:

        async def post(body: bytes, **headers: str) -> None:
            async with session.post(url, data=body, headers=headers) as response:
                await response.read()

        async def page(body: bytes) -> None:
            await post(body, Origin="http://evil.example", Host="evil.example")

        async def call(body: bytes) -> None:
            await channel.unary_unary(PREDICT)(body, timeout=60)

        ways = {"post": post, "page": page, "call": call}
        tasks = []
        for way, bodies in todo.values():
            if way.startswith("hold"):
                tasks += [_hold(grpc_address if "grpc" in way else rest, data) for data in bodies]
            else:
                tasks.append(_again(ways[way], bodies))
        await asyncio.gather(*tasks)


async def _again(send: Callable[[bytes], Awaitable[None]], bodies: list[bytes]) -> None:
    while True:
        for body in bodies:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(send(body), 60)
            await asyncio.sleep(0.05)


async def _hold(address: str, data: bytes) -> None:
    """Keeps a connection that sends `data`, a space now and then, and reads nothing; opens it again when closed."""
    host, _, port = address.rpartition(":")
    while True:
        with contextlib.suppress(Exception):
            _, writer = await asyncio.open_connection(host, int(port), limit=1024)
            writer.write(data)
            for _ in range(10):
                await asyncio.sleep(5)
                if b"Content-Length" in data[:200]:
                    writer.write(b" ")
                if writer.is_closing():
                    break
            writer.close()
        await asyncio.sleep(0.5)


# Honest clients

Ask = Callable[[], Awaitable[bool]]  # whether the answer was right


@contextlib.asynccontextmanager
async def clients(server: Server, preset: str, side: int):
    """Yields clients by the way in, each of which asks for what it knows the answer of."""
    loaded = tf.saved_model.load(str(savedmodels.versions(preset)[-1])).signatures
    _, cover, secret = next(iter(demo_pictures.pairs()))
    cover, secret = (images.resize(picture, (side, side)) for picture in (cover, secret))
    stego = loaded["hide"](cover=cover[None], secret=secret[None])["stego"].numpy()
    revealed = loaded["reveal"](stego=tf.constant(stego))["secret"].numpy()
    png = encoded(stego[0], "PNG")
    revealed_png = loaded["reveal_bytes"](stego_bytes=tf.constant([png]))["secret_bytes"].numpy()[0]
    lists = json.dumps(revealed.tolist(), separators=(",", ":")).encode()
    async with aiohttp.ClientSession() as session, grpc.aio.insecure_channel(server.grpc, _OPTIONS) as channel:

        def rest(body: bytes, expected: bytes) -> Ask:
            async def ask() -> bool:
                async with session.post(server.url, data=body, raise_for_status=True) as response:
                    return expected in await response.read()

            return ask

        def call(body: bytes, expected: bytes) -> Ask:
            async def ask() -> bool:
                return expected in await channel.unary_unary(PREDICT)(body, timeout=60)

            return ask

        yield {
            "rest_files": rest(document("reveal_bytes", stego_bytes=[png]), base64.b64encode(revealed_png)),
            "rest_lists": rest(document("reveal", stego=stego.tolist()), lists),
            "grpc_files": call(predict(preset, "reveal_bytes", stego_bytes=[png]), revealed_png),
            "grpc_pixels": call(predict(preset, "reveal", stego=stego), revealed.tobytes()),
        }


_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


async def ask_for(asks: dict[str, Ask], seconds: float, server: Server) -> dict:
    """Lets each client ask again and again; returns the figures of all of them."""
    latencies: dict[str, list[float]] = {name: [] for name in asks}
    errors: collections.Counter[str] = collections.Counter()
    memory, descriptors = [], []
    end = time.monotonic() + seconds

    async def one(name: str, ask: Ask) -> None:
        while (start := time.monotonic()) < end:
            try:
                if not await ask():
                    errors["wrong answer"] += 1
            except (aiohttp.ClientError, grpc.RpcError, TimeoutError) as error:
                status = error.code().name if isinstance(error, grpc.RpcError) else getattr(error, "status", "")
                errors[f"{type(error).__name__} {status}".strip()] += 1
            latencies[name].append(time.monotonic() - start)
            await asyncio.sleep(PAUSE)

    async def watch() -> None:
        while True:
            memory.append(await asyncio.to_thread(server.memory))
            descriptors.append(server.descriptors())
            await asyncio.sleep(0.5)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(one(name, ask) for name, ask in asks.items()))
    watching.cancel()
    return {
        "requests": sum(map(len, latencies.values())),
        "errors": dict(errors),
        "p50_ms": {name: 1e3 * float(np.percentile(found, 50)) for name, found in latencies.items()},
        "p99_ms": {name: 1e3 * float(np.percentile(found, 99)) for name, found in latencies.items()},
        "peak_mb": max(memory),
        "descriptors": max(descriptors),
    }


async def measure(server: Server, preset: str, minutes: float, quiet_seconds: float) -> dict:
    """Returns the figures."""
    todo = attacks(preset)
    largest = predict(preset, "reveal", stego=np.zeros((1, 2048, 2048, 3), np.uint8))
    async with grpc.aio.insecure_channel(server.grpc, _OPTIONS) as channel:

        async def ask() -> bool:
            return bool(await channel.unary_unary(PREDICT)(largest, timeout=300))

        largest_mb = (await ask_for({"largest": ask}, 1, server))["peak_mb"]
    async with clients(server, preset, SIDE) as asks:
        logging.info("Quiet for %.0f s", quiet_seconds)
        quiet = await ask_for(asks, quiet_seconds, server)
        attackers = multiprocessing.get_context("spawn").Process(
            target=attack, args=(server.rest, server.grpc, server.url, todo), daemon=True
        )
        attackers.start()
        logging.info("Attacked for %.0f minutes", minutes)
        attacked = await ask_for(asks, 60 * minutes, server)
        seconds, status = server.end()
        attackers.kill()
    return {
        "attacks": list(todo),
        "quiet": quiet | {"peak_mb": max(quiet["peak_mb"], largest_mb)},
        "attacked": attacked,
        "p99_attacked_to_quiet": {
            name: attacked["p99_ms"][name] / quiet["p99_ms"][name] for name in sorted(quiet["p99_ms"])
        },
        "end": {"seconds": seconds, "status": status},
        "log": server.log()[:20],
    }


def main(_) -> None:
    with serving(_PRESET.value) as server:
        found = asyncio.run(measure(server, _PRESET.value, _MINUTES.value, _QUIET.value))
    publish({"minutes": _MINUTES.value, "side": SIDE} | found, _JSON.value, presets=[_PRESET.value])


if __name__ == "__main__":
    app.run(main)
