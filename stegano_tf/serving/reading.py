"""Bodies of requests to the arrays that a network takes, in a process of its own: `workers` starts and ends it.

It imports neither TensorFlow nor a network library, so a new one starts within milliseconds.
"""

import contextlib
import dataclasses
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import numpy as np

from stegano_tf.serving import json_format, pictures, proto_format
from stegano_tf.serving.catalog import Entry, Names
from stegano_tf.serving.errors import BodyError, RequestError, invalid

MIN_PIXELS = 16 * 16  # of a picture that a network takes


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a request may take."""

    body: int  # bytes of a body that was compressed
    pixels: int  # of all pictures of an input
    memory: int  # bytes for what a JSON document becomes


@dataclasses.dataclass(frozen=True)
class Request:
    """A checked request. Strings are arrays of `bytes` objects: BMP files, all of `size`."""

    model: str
    signature: str
    inputs: Mapping[str, np.ndarray]
    size: tuple[int, int]  # height and width of all pictures
    outputs: Sequence[str]  # those that the answer shall have
    key: str = ""  # of a JSON document: "predictions" or "outputs"


def from_json(body: bytes, coding: str, model: str, signatures: Mapping[str, Names], limits: Limits) -> Request:
    """Reads the body of a REST request for `model`, compressed as `coding` says; raises RequestError."""
    if coding:
        body = _decompressed(body, coding, limits.body)
    document, signature = json_format.document(body, signatures, limits.memory)
    names = signatures[signature]
    with _about(signature):
        arrays, key = json_format.inputs(document, names.inputs)
        inputs, size = _checked(names, arrays, limits)
    return Request(model, signature, inputs, size, names.outputs, key)


def from_proto(body: bytes, files: tuple[bytes, ...], catalog: Mapping[str, Entry], limits: Limits) -> Request:
    """Reads the message of a gRPC request, whose `proto_format.descriptors` are `files`; raises RequestError."""
    request = proto_format.parse(body, _message_class(files), catalog)
    most = {"uint8": 3 * limits.pixels, "string": limits.pixels // MIN_PIXELS}
    with _about(request.signature):
        arrays = {
            name: proto_format.array(name, request.tensors[name], expected, most[expected.dtype])
            for name, expected in request.names.inputs.items()
        }
        inputs, size = _checked(request.names, arrays, limits)
    return Request(request.model, request.signature, inputs, size, request.outputs)


@contextlib.contextmanager
def _about(signature: str) -> Iterator[None]:
    try:
        yield
    except RequestError as error:
        error.signature = signature
        raise


def _decompressed(body: bytes, coding: str, most: int) -> bytes:
    if coding not in ("gzip", "deflate"):
        raise invalid(f"Content-Encoding: {coding}: expected gzip or deflate")
    decoder = zlib.decompressobj(zlib.MAX_WBITS + 32)  # either header
    try:
        content = decoder.decompress(body, most + 1)
    except zlib.error as error:
        raise invalid(f"the body cannot be read: {error}, expected {coding}") from error
    if len(content) > most:
        raise BodyError(most)
    if not decoder.eof:
        raise invalid(f"the body cannot be read: it is cut short, expected {coding}")
    return content


_message_class = cache(proto_format.message_class)


def _checked(names: Names, inputs: Mapping[str, np.ndarray], limits: Limits) -> tuple[dict, tuple[int, int]]:
    """Returns the inputs, picture files decoded, and the size of all pictures in them."""
    first, shape = "", None
    for name, value in sorted(inputs.items()):
        expected = names.inputs[name].shape
        fits = len(value.shape) == len(expected) and all(
            want in (None, have) for want, have in zip(expected, value.shape, strict=True)
        )
        if not fits or not value.size:
            raise invalid(f"input {name}: is of shape {list(value.shape)}, expected {list(expected)}, not empty")
        found = _files(name, value, limits.pixels) if value.dtype == object else value.shape[:3]
        if shape is None:
            first, shape = name, found
        elif found != shape:
            raise invalid(f"input {name}: {_describe(found)}, but {_describe(shape)} in {first}; expected the same")
        _check_pixels(name, shape, limits.pixels)
    return {name: _decoded(name, value) if value.dtype == object else value for name, value in inputs.items()}, shape[
        1:
    ]


def _files(name: str, files: np.ndarray, most: int) -> tuple[int, int, int]:
    """Returns number, height and width as picture files state them: a small file can be a huge picture."""
    sizes = set()
    for index, data in enumerate(files):
        sizes.add(pictures.size(f"input {name}, item {index}", data))
        if len(sizes) > 1:
            found = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
            raise invalid(f"input {name}: pictures of {found} in one request, expected one size")
        if not index:
            _check_pixels(name, (len(files), *next(iter(sizes))), most)
    return len(files), *sizes.pop()


def _check_pixels(name: str, shape: tuple[int, int, int], most: int) -> None:
    if (pixels := math.prod(shape)) > most:
        raise invalid(f"input {name}: {_describe(shape)}, {pixels:,} pixels in all, expected at most {most:,}")


def _decoded(name: str, files: np.ndarray) -> np.ndarray:
    decoded = np.empty(len(files), object)
    decoded[:] = [pictures.as_bmp(f"input {name}, item {index}", data) for index, data in enumerate(files)]
    return decoded


def _describe(shape: tuple[int, int, int]) -> str:
    rows, height, width = shape
    return f"{rows} picture{'s' * (rows > 1)} of {width}x{height}"
