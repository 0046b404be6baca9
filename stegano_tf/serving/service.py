"""What REST and gRPC share: finds models, admits, reads and runs requests, and describes models."""

import asyncio
import contextlib
import time
import types
from collections.abc import Callable, Iterator, Mapping

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from stegano_tf.serving import budget, catalog, proto_format, reading
from stegano_tf.serving.batching import Batcher
from stegano_tf.serving.catalog import Entry
from stegano_tf.serving.errors import RequestError, invalid
from stegano_tf.serving.metrics import Metrics
from stegano_tf.serving.models import Arrays, Model, Models
from stegano_tf.serving.settings import Settings
from stegano_tf.serving.workers import Workers

_SHORT_SECONDS, _LONG_SECONDS = 2.0, 10.0  # of processor time that a reader process may take for a request
_FILES = tuple(proto_format.descriptors(predict_pb2.DESCRIPTOR))


class Service:
    """The models, and how many requests may use them at a time."""

    def __init__(self, models: Models, settings: Settings, batcher: Batcher, metrics: Metrics):
        self.settings = settings
        self.metrics = metrics
        body = settings.max_body_mb * 2**20
        waiting = max(settings.max_waiting_mb * 2**20, 4 * body)
        self.budget = budget.Budget(waiting, settings.client_timeout_in_ms / 1e3)
        self._models = models
        self._batcher = batcher
        # Long bodies take turns in one process: neither do they keep short ones waiting, nor multiply their memory.
        memory = 160 * 2**20 + 6 * body  # for the interpreter and pictures, and for what a body becomes
        self._short = Workers(2, _SHORT_SECONDS, memory)
        self._long = Workers(1, _LONG_SECONDS, memory, fresh=True)
        self._limits = reading.Limits(body, settings.max_pixels, memory=6 * body)
        self._open = 0
        self._running = 0
        self._stopping = False
        self._idle = asyncio.Event()

    async def stop(self) -> None:
        """Takes no more requests, and returns when none is in progress."""
        self._stopping = True
        if self._open:
            await self._idle.wait()

    def close(self) -> None:
        """Ends the reader processes."""
        self._short.close()
        self._long.close()

    @contextlib.contextmanager
    def request(self, entrypoint: str) -> Iterator[types.SimpleNamespace]:
        """Counts a predict request, from before its body is read, and how it ends.

        Yields its `model` and `signature` for the metrics, which REST and gRPC set when they know them, and its `share`
        of the bytes that may wait. Raises RequestError: UNAVAILABLE, the server is being stopped.
        """
        start, code = time.monotonic(), "OK"
        call = types.SimpleNamespace(model="", signature="")
        self._count(1)
        try:
            if self._stopping:
                raise RequestError("UNAVAILABLE", "the server is being stopped")
            with self.budget.share() as call.share:
                yield call
        except RequestError as error:
            code = error.code
            raise
        except (Exception, asyncio.CancelledError) as error:
            code = "CANCELLED" if isinstance(error, asyncio.CancelledError) else "INTERNAL"
            raise
        finally:
            self._count(-1)
            self.metrics.answered(call.model, call.signature, entrypoint, code, time.monotonic() - start)

    def _count(self, change: int) -> None:
        self._open += change
        self.metrics.in_progress.set(self._open)
        if self._stopping and not self._open:
            self._idle.set()

    @contextlib.contextmanager
    def _admitted(self, short: bool) -> Iterator[None]:
        """Counts a request whose body has come as one that is being answered; long ones leave places for short ones."""
        most = self.settings.max_requests
        if not short:
            most = max(1, 3 * most // 4)
        if self._running >= most:
            message = f"the server is answering {self._running} requests already, its limit; try again later"
            raise RequestError("RESOURCE_EXHAUSTED", message)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def model(self, name: str, version: int | None = None, label: str | None = None) -> Model:
        """Returns a model; raises RequestError as `catalog.find`."""
        catalog.find(self._catalog(), name, version, label)
        return self._models.latest[name]

    def _catalog(self) -> dict[str, Entry]:
        return {name: model.entry for name, model in self._models.latest.items()}

    def status(self, name: str, version: int | None = None, label: str | None = None):
        """Returns a GetModelStatusResponse; raises as `model`."""
        try:
            model = self.model(name, version, label)
        except RequestError as error:
            if error.code != "NOT_FOUND":
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

    async def predict_json(
        self, call: types.SimpleNamespace, model: Model, body: bytes, coding: str
    ) -> tuple[Arrays, str]:
        """Reads and runs the body of a REST request; returns the outputs, and the key of the answer.

        `coding` is how the body is compressed, "" if it is not.
        Strings are arrays of `bytes` objects, one encoded picture each. Raises RequestError: what the body asks for
        can't be, or the server is full.
        """
        arguments = body, coding, model.name, model.entry.signatures, self._limits
        short = not coding and len(body) <= budget.SHORT
        _, request, outputs = await self._predict(call, {model.name: model}, short, reading.from_json, *arguments)
        return outputs, request.key

    async def predict_proto(self, call: types.SimpleNamespace, body: bytes) -> tuple[Arrays, Model]:
        """As `predict_json`, for the message of a gRPC request; returns the outputs that it asks for, and the model."""
        arguments = body, _FILES, self._catalog(), self._limits
        short = len(body) <= budget.SHORT
        model, _, outputs = await self._predict(call, self._models.latest, short, reading.from_proto, *arguments)
        return outputs, model

    async def _predict(
        self, call: types.SimpleNamespace, models: Mapping[str, Model], short: bool, read: Callable, *arguments
    ) -> tuple[Model, reading.Request, Arrays]:
        with self._admitted(short):
            try:
                request = await (self._short if short else self._long).call(read, *arguments)
            except RequestError as error:
                call.signature = error.signature
                raise
            del arguments
            call.model, call.signature = request.model, request.signature
            call.share.resize(_size(request.inputs))
            model = models[request.model]
            signature = model.signatures[request.signature]
            outputs = await self._batcher.run(model, signature, request.inputs, request.size)
        outputs = {name: outputs[name] for name in request.outputs}
        call.share.resize(size := _size(outputs))
        self.check_answer(size)
        return model, request, outputs

    def check_answer(self, size: int) -> None:
        """Raises RequestError, INVALID_ARGUMENT, if an answer of `size` bytes is larger than a request may be."""
        if size > (most := self.settings.max_body_mb * 2**20):
            raise invalid(f"the answer is larger than {most:,} bytes, the limit of this server; ask for picture files")


def _size(arrays: Arrays) -> int:
    return sum(sum(map(len, value)) if value.dtype == object else value.nbytes for value in arrays.values())
