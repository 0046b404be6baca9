"""Sends random requests to `stegano-tf serve`, which must not stumble over any.

    nice -n 5 python tools/fuzz_serving.py --json=tools/results/fuzz_serving.json
    nice -n 5 python tools/fuzz_serving.py --rest=10000 --grpc=10000 --seed=1                    # a look at it

A seeded generator makes them of right ones: parts of paths, methods, headers, JSON documents, protocol buffers and
picture files are replaced, nested, repeated, cut or flipped. A fault is an answer that blames the server (status 500,
INTERNAL, UNKNOWN), one of another shape than TensorFlow Serving's, or none within 60 seconds. `log` is what the server
said meanwhile, and should be empty.
"""

import asyncio
import base64
import collections
import itertools
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import grpc
import numpy as np
import tensorflow as tf
from absl import app, flags, logging
from crafted import encoded
from publishing import publish
from running import Server, serving
from tensorflow_serving.apis import predict_pb2

from stegano_tf import presets

_REST = flags.DEFINE_integer("rest", 100_000, "Random REST requests.", lower_bound=0)
_GRPC = flags.DEFINE_integer("grpc", 100_000, "Random gRPC messages.", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the random requests.")
_PRESET = flags.DEFINE_string("preset", presets.DEFAULT, "The model that is served.")
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")

CLIENTS = 8  # at a time
SECONDS = 60.0  # that an answer may take
SIGNATURES = {
    "reveal": ["stego"],
    "hide": ["cover", "secret"],
    "reveal_bytes": ["stego_bytes"],
    "hide_bytes": ["cover_bytes", "secret_bytes"],
    "": ["stego"],
}
ODD_VALUES = [
    None,
    True,
    -1,
    256,
    1.5,
    2**63,
    10**400,
    "",
    "\0",
    "é",
    [],
    {},
    [[]],
    {"b64": 1},
    {"b64": "%"},
    {"b64": ""},
]
ODD_TEXTS = ["", "\0", "é", "a" * 5000, "serving_default", "%00", "../..", "__saved_model_init_op"]
METHODS = ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"]
CALLS = [f"/tensorflow.serving.{name}" for name in ("PredictionService/Predict", "PredictionService/GetModelMetadata")]
CALLS += ["/tensorflow.serving.ModelService/GetModelStatus", "/tensorflow.serving.PredictionService/Classify"]


def flipped(draw: random.Random, data: bytes) -> bytes:
    """Returns `data` with some bytes changed, removed, repeated or put in."""
    out = bytearray(data)
    for _ in range(draw.choice([0, 1, 1, 2, 5, 20])):
        at = draw.randrange(len(out) + 1)
        length = draw.choice([1, 1, 2, 8, 100])
        match draw.randrange(4):
            case 0:
                out[at : at + length] = draw.randbytes(length)
            case 1:
                del out[at : at + length]
            case 2:
                out[at:at] = out[at : at + length] * draw.choice([1, 1, 10, 1000])
            case 3:
                out[at : at + 1] = bytes([draw.choice([0, 1, 0x7F, 0x80, 0xFF])])
    return bytes(out)


def pixels(draw: random.Random) -> np.ndarray:
    """Returns one or two small pictures, sometimes of an odd shape."""
    shape = [draw.choice([1, 1, 2]), draw.choice([16, 17, 24]), draw.choice([16, 17, 24]), 3]
    if draw.random() < 0.2:
        shape = shape[: draw.randrange(5)] + [draw.choice([0, 1, 2])] * draw.randrange(3)
    return np.frombuffer(draw.randbytes(int(np.prod(shape))), np.uint8).reshape(shape)


def file(draw: random.Random) -> bytes:
    """Returns a small picture file, often a broken one."""
    picture = np.frombuffer(draw.randbytes(16 * 16 * 3), np.uint8).reshape(16, 16, 3)
    kind, options = draw.choice([("PNG", {}), ("BMP", {}), ("WEBP", {}), ("JPEG", {"progressive": True}), ("GIF", {})])
    return flipped(draw, encoded(picture, kind, **options))


def altered(draw: random.Random, value):
    """Returns a JSON value, of which a part is something else."""
    if draw.random() < 0.1 or not isinstance(value, list | dict) or not value:
        return draw.choice([*ODD_VALUES, [value], [value, value], {"stego": value}, {"b64": value}])
    if isinstance(value, list):
        at = draw.randrange(len(value))
        return [*value[:at], altered(draw, value[at]), *value[at + 1 :]] if draw.random() < 0.8 else value[:at]
    name = draw.choice(list(value))
    rest = {key: item for key, item in value.items() if key != name}
    return rest if draw.random() < 0.2 else rest | {draw.choice([name, name, *ODD_TEXTS]): altered(draw, value[name])}


def body(draw: random.Random) -> bytes:
    """Returns the body of a predict request, most of them wrong somewhere."""
    signature = draw.choice(list(SIGNATURES))
    inputs = {
        name: [{"b64": base64.b64encode(file(draw)).decode()}] if name.endswith("_bytes") else pixels(draw).tolist()
        for name in SIGNATURES[signature]
    }
    content: dict = {"signature_name": signature, "inputs": inputs}
    if draw.random() < 0.5:
        rows = [value if isinstance(value, list) else [value] for value in inputs.values()]
        content = {"instances": [dict(zip(inputs, row, strict=False)) for row in zip(*rows, strict=False)]}
        content |= {"signature_name": signature}
    for _ in range(draw.choice([0, 1, 1, 2])):
        content = altered(draw, content)
    try:
        text = json.dumps(content).encode()
    except ValueError:  # more digits than Python writes
        text = b"[1e999]"
    return flipped(draw, text) if draw.random() < 0.3 else text


def requests(seed: int, preset: str) -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    """Yields method, path, headers and body without end."""
    draw = random.Random(seed)
    while True:
        parts = ["v1", "models", preset, *draw.choice([[], ["versions", "1"], ["labels", "stable"]])]
        if draw.random() < 0.1:
            parts[draw.randrange(len(parts))] = draw.choice(ODD_TEXTS)
        path = "/" + "/".join(parts) + draw.choice(["", "/metadata", *[":predict"] * 12, ":classify", ":x"])
        headers = {}
        if draw.random() < 0.2:
            name = draw.choice(["Content-Type", "Content-Encoding", "Accept", "Host", "Origin", "Range", "X-Odd"])
            headers[name] = draw.choice(["gzip", "deflate", "br", "text/plain", "application/json", "localhost", "*/*"])
        method = draw.choice(METHODS) if draw.random() < 0.1 else "POST"
        yield method, path, headers, body(draw)


def messages(seed: int, preset: str) -> Iterator[tuple[str, bytes]]:
    """Yields method and message without end."""
    draw = random.Random(seed)
    while True:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = draw.choice([preset] * 9 + ["nothing"])
        request.model_spec.signature_name = signature = draw.choice(list(SIGNATURES))
        if draw.random() < 0.2:
            request.output_filter.extend(draw.choices(["secret", "stego", "secret_bytes", "x"], k=draw.randrange(5)))
        for name in SIGNATURES[signature] + ["x"] * (draw.random() < 0.05):
            value = [file(draw)] if name.endswith("_bytes") else pixels(draw)
            tensor = tf.make_tensor_proto(value)
            if draw.random() < 0.3:
                odd_tensor(draw, tensor)
            request.inputs[name].CopyFrom(tensor)
        message = request.SerializeToString()
        yield draw.choice(CALLS[:1] * 9 + CALLS), flipped(draw, message) if draw.random() < 0.5 else message


def odd_tensor(draw: random.Random, tensor) -> None:
    """Changes a part of a TensorProto."""
    match draw.randrange(5):
        case 0:
            tensor.dtype = draw.choice([0, 1, 3, 4, 7, 20, 104, 1000])
        case 1:
            tensor.tensor_content = tensor.tensor_content[: draw.randrange(100)]
        case 2:
            tensor.int_val.extend(draw.choices([-1, 0, 255, 256, 2**31 - 1], k=draw.randrange(4)))
        case 3:
            tensor.tensor_shape.dim.add(size=draw.choice([-1, 0, 1, 2**40, 2**63 - 1]))
        case 4:
            tensor.tensor_shape.unknown_rank = True


# Each returns the name of the answer's status, or raises AssertionError.
Send = Callable[[aiohttp.ClientSession, grpc.aio.Channel, str, tuple], Awaitable[str]]


async def by_rest(session: aiohttp.ClientSession, _, address: str, request: tuple) -> str:
    """Sends one of `requests`."""
    method, path, headers, content = request
    url = aiohttp.client.URL(f"http://{address}{path}", encoded=not ({"\0", "é"} & set(path)))
    async with session.request(method, url, data=content, headers=headers) as response:
        answer = await response.read()
        assert response.status != 500, answer
        no_http = response.status == 400 and response.content_type == "text/plain"  # aiohttp's answer
        assert answer.startswith(b"{") or response.status < 400 or no_http, answer
        return str(response.status)


async def by_grpc(_, channel: grpc.aio.Channel, _address: str, request: tuple) -> str:
    """Sends one of `messages`."""
    method, content = request
    try:
        await channel.unary_unary(method)(content, timeout=SECONDS)
    except grpc.aio.AioRpcError as error:
        assert error.code() not in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}, error.details()
        return error.code().name
    return "OK"


async def fuzz(server: Server, send: Send, todo: Iterator[tuple], count: int) -> dict:
    """Sends `count` of `todo`; returns how many got which status, and what went wrong."""
    statuses: collections.Counter[str] = collections.Counter()
    faults: list[str] = []
    left = itertools.islice(todo, count)
    start = time.monotonic()

    async def client(session, channel) -> None:
        for request in left:
            try:
                status = await asyncio.wait_for(send(session, channel, server.rest, request), SECONDS)
            except (AssertionError, aiohttp.ClientError, TimeoutError) as error:
                faults.append(f"{type(error).__name__}: {str(error)[:300]}: {str(request)[:300]}")
                status = "fault"
            statuses[status] += 1
            if not statuses.total() % 1000:
                logging.info("%d of %d, %d faults", statuses.total(), count, len(faults))

    async with aiohttp.ClientSession() as session, grpc.aio.insecure_channel(server.grpc) as channel:
        await asyncio.gather(*(client(session, channel) for _ in range(CLIENTS)))
    return {
        "requests": statuses.total(),
        "statuses": dict(sorted(statuses.items())),
        "faults": len(faults),
        "first_faults": faults[:20],
        "log": server.log()[:20],
        "seconds": time.monotonic() - start,
    }


def main(_) -> None:
    with serving(_PRESET.value) as server:
        figures = {
            "rest": asyncio.run(fuzz(server, by_rest, requests(_SEED.value, _PRESET.value), _REST.value)),
            "grpc": asyncio.run(fuzz(server, by_grpc, messages(_SEED.value, _PRESET.value), _GRPC.value)),
            "peak_mb": server.memory(),
        }
        seconds, status = server.end()
    publish(figures | {"end": {"seconds": seconds, "status": status}}, _JSON.value, presets=[_PRESET.value])


if __name__ == "__main__":
    app.run(main)
