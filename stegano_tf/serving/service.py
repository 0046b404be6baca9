"""What REST and gRPC share: finds models, checks and runs requests, and describes models."""

import asyncio
import contextlib
import io
import math
import time
import types
from collections.abc import Iterator, Mapping

import grpc
import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from stegano_tf.serving.batching import Batcher
from stegano_tf.serving.errors import RequestError, invalid
from stegano_tf.serving.metrics import Metrics
from stegano_tf.serving.models import Arrays, Model, Signature
from stegano_tf.serving.settings import Settings

_PICTURES = ("PNG", "JPEG", "BMP", "GIF")  # what tf.io.decode_image reads


class Service:
    """The models, and how many requests may use them at a time."""

    def __init__(self, models: Mapping[str, Model], settings: Settings, batcher: Batcher, metrics: Metrics):
        self.settings = settings
        self.metrics = metrics
        self._models = models
        self._batcher = batcher
        self._in_progress = 0
        self._stopping = False
        self._idle = asyncio.Event()

    async def stop(self) -> None:
        """Admits no more requests, and returns when none is in progress."""
        self._stopping = True
        if self._in_progress:
            await self._idle.wait()

    @contextlib.contextmanager
    def admitted(self, entrypoint: str) -> Iterator[types.SimpleNamespace]:
        """Counts a predict request as in progress, from before its body is read, and how it ends.

        Yields its `model` and `signature` for the metrics; REST and gRPC set these names when they know them. Raises
        RequestError: RESOURCE_EXHAUSTED, too many are in progress; UNAVAILABLE, the server is being stopped.
        """
        start, call, code = time.monotonic(), types.SimpleNamespace(model="", signature=""), grpc.StatusCode.OK
        try:
            if self._stopping:
                raise RequestError(grpc.StatusCode.UNAVAILABLE, "the server is being stopped")
            if self._in_progress >= self.settings.max_requests:
                message = f"the server is answering {self._in_progress} requests already, its limit; try again later"
                raise RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, message)
            self._in_progress += 1
            self.metrics.in_progress.set(self._in_progress)
            try:
                yield call
            finally:
                self._in_progress -= 1
                self.metrics.in_progress.set(self._in_progress)
                if self._stopping and not self._in_progress:
                    self._idle.set()
        except RequestError as error:
            code = error.code
            raise
        except (Exception, asyncio.CancelledError) as error:
            code = grpc.StatusCode.CANCELLED if isinstance(error, asyncio.CancelledError) else grpc.StatusCode.INTERNAL
            raise
        finally:
            self.metrics.answered(call.model, call.signature, entrypoint, code.name, time.monotonic() - start)

    def model(self, name: str, version: int | None = None, label: str | None = None) -> Model:
        """Returns a model; raises RequestError: NOT_FOUND, or INVALID_ARGUMENT for any label, as there are none."""
        if label:
            raise invalid(f"Unrecognized servable version label: {label}")
        model = self._models.get(name)
        if model is None or version not in (None, model.version):
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise RequestError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
        return model

    def status(self, name: str, version: int | None = None, label: str | None = None):
        """Returns a GetModelStatusResponse; raises as `model`."""
        try:
            model = self.model(name, version, label)
        except RequestError as error:
            if error.code != grpc.StatusCode.NOT_FOUND:
                raise
            what = "any versions" if version is None else f"version {version}"
            raise RequestError(error.code, f"Could not find {what} of model {name}") from error
        state = {"version": model.version, "state": "AVAILABLE", "status": {"error_code": "OK"}}
        return get_model_status_pb2.GetModelStatusResponse(model_version_status=[state])

    def metadata(self, name: str, version: int | None = None, label: str | None = None):
        """Returns a GetModelMetadataResponse with the signatures; raises as `model`."""
        model = self.model(name, version, label)
        response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=model.spec)
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.signature_defs)
        response.metadata["signature_def"].Pack(signatures)
        return response

    async def predict(self, model: Model, signature: Signature, inputs: Arrays) -> Arrays:
        """Checks and runs a request; strings are arrays of `bytes` objects, one encoded picture each.

        Raises RequestError: INVALID_ARGUMENT if the signature does not take these inputs, or if pictures are too large
        or differ in size; another code if the graph fails.
        """
        return await self._batcher.run(model, signature, inputs, self._check(signature, inputs))

    def _check(self, signature: Signature, inputs: Arrays) -> tuple[int, int]:
        """Returns the size of all pictures in `inputs`."""
        if signature.inputs.keys() != inputs.keys():
            missing, unknown = signature.inputs.keys() - inputs.keys(), inputs.keys() - signature.inputs.keys()
            raise invalid(
                f"signature {signature.name} takes {', '.join(sorted(signature.inputs))}; "
                f"missing: {', '.join(sorted(missing)) or 'none'}, unknown: {', '.join(sorted(unknown)) or 'none'}"
            )
        first, shape = "", None
        for name, value in sorted(inputs.items()):
            _check_tensor(name, value, signature.inputs[name])
            found = (len(value), *(self._encoded_size(name, value) if value.dtype == object else value.shape[1:3]))
            if shape is None:
                first, shape = name, found
            elif found != shape:
                raise invalid(f"input {name}: {_describe(found)}, but {_describe(shape)} in {first}; expected the same")
        if (pixels := math.prod(shape)) > (most := self.settings.max_pixels):
            raise invalid(f"input {first}: {_describe(shape)}, {pixels:,} pixels in all, expected at most {most:,}")
        return shape[1:]

    def _encoded_size(self, name: str, pictures: np.ndarray) -> tuple[int, int]:
        """Returns height and width as the headers of picture files state them: a small file can be a huge picture."""
        sizes = set()
        for index, encoded in enumerate(pictures):
            try:
                with Image.open(io.BytesIO(encoded), formats=_PICTURES) as picture:
                    sizes.add((picture.height, picture.width))
            except Exception as error:  # Pillow's parsers raise errors of any kind.
                found = f"item {index}: {len(encoded)} bytes that start with {bytes(encoded[:8])!r}"
                raise invalid(f"input {name}, {found}, expected a picture file ({', '.join(_PICTURES)})") from error
        if len(sizes) > 1:
            found = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
            raise invalid(f"input {name}: pictures of {found} in one request, expected one size")
        return sizes.pop()


def _check_tensor(name: str, value: np.ndarray, info) -> None:
    wanted = tf.dtypes.as_dtype(info.dtype)
    found = "string" if value.dtype == object else value.dtype.name
    if found != wanted.name:
        raise invalid(f"input {name}: is of type {found}, expected {wanted.name}")
    shape = tf.TensorShape(info.tensor_shape)
    if not shape.is_compatible_with(value.shape) or not value.size:
        raise invalid(f"input {name}: is of shape {list(value.shape)}, expected {shape.as_list()}, not empty")


def _describe(shape: tuple[int, int, int]) -> str:
    rows, height, width = shape
    return f"{rows} picture{'s' * (rows > 1)} of {width}x{height}"
