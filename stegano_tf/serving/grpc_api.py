"""The gRPC interface: `PredictionService.Predict`, `GetModelMetadata`, and `ModelService.GetModelStatus`.

The other methods of these services (classify, regress, multi-inference, reloading the configuration) are UNIMPLEMENTED.

The methods are registered as streams of bytes. To a client a stream of one message is what it sends anyway. Here it
means that a call is known before its message has come, so that there is a time limit for it; and that the message is
parsed elsewhere (`reading`).
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable

import grpc
import tensorflow as tf
from google.protobuf import message
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from stegano_tf.serving import connections
from stegano_tf.serving.access import Access
from stegano_tf.serving.budget import Share
from stegano_tf.serving.errors import RequestError, invalid
from stegano_tf.serving.proto_format import model_spec
from stegano_tf.serving.service import Service

MAX_QUESTION = 2**14  # bytes of a message that asks about a model
AT_ONCE = 0.2  # seconds that a message may take without room for it

Context = grpc.aio.ServicerContext


class Handler(grpc.GenericRpcHandler):
    """Both services; `service` answers whom `access` lets in."""

    def __init__(self, service: Service, access: Access):
        self._service = service
        self._access = access
        self._methods = {
            "/tensorflow.serving.PredictionService/Predict": self._predict,
            "/tensorflow.serving.PredictionService/GetModelMetadata": self._metadata,
            "/tensorflow.serving.ModelService/GetModelStatus": self._status,
        }

    def service(self, handler_call_details) -> grpc.RpcMethodHandler | None:
        """Returns what answers a method; None is UNIMPLEMENTED."""
        method = self._methods.get(handler_call_details.method)
        return method and grpc.stream_stream_rpc_method_handler(functools.partial(self._answer, method))

    async def _answer(self, method: Callable[[Context], Awaitable[None]], _messages, context: Context) -> None:
        """Calls a method, and sends its exceptions as statuses."""
        try:
            self._access.check_token(dict(context.invocation_metadata()))
            await method(context)
            return
        except RequestError as error:
            code, text = error.code, str(error)
        except (grpc.aio.UsageError, grpc.RpcError, ConnectionError):  # the client has gone
            raise
        except Exception:
            logging.exception(method.__name__)
            code, text = "INTERNAL", "internal error; the server's log has more"
        await context.abort(grpc.StatusCode[code], text)

    async def _predict(self, context: Context) -> None:
        with self._service.request("GRPC") as call:
            body = await self._message(context, call.share, self._service.settings.max_body_mb * 2**20)
            outputs, model = await self._service.predict_proto(call, body)
            del body
            answer = await asyncio.to_thread(_response, outputs, model.spec | {"signature_name": call.signature})
            await self._send(context, call.share, answer)

    async def _metadata(self, context: Context) -> None:
        request = await self._question(context, get_model_metadata_pb2.GetModelMetadataRequest)
        spec = model_spec(request)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        if unknown := set(request.metadata_field) - {"signature_def"}:
            raise invalid(f"Metadata field {', '.join(sorted(unknown))} is not supported")
        await context.write(self._service.metadata(*spec).SerializeToString())

    async def _status(self, context: Context) -> None:
        request = await self._question(context, get_model_status_pb2.GetModelStatusRequest)
        await context.write(self._service.status(*model_spec(request)).SerializeToString())

    async def _question(self, context: Context, cls: type[message.Message]) -> message.Message:
        with self._service.budget.share() as share:
            body = await self._message(context, share, MAX_QUESTION)
        try:
            return cls.FromString(body)
        except message.DecodeError as error:
            raise invalid(f"the message is no {cls.__name__}: {error}") from error

    async def _message(self, context: Context, share: Share, most: int) -> bytes:
        """Returns the message of a call, at most `most` bytes."""
        reading = asyncio.ensure_future(context.read())
        try:
            # A short message comes with its call. How long another one is, gRPC doesn't say before it has come.
            await asyncio.wait({reading}, timeout=AT_ONCE)
            if not reading.done():
                async with share.receiving(self._service.settings.max_body_mb * 2**20, wait=False):
                    await reading
            body = reading.result()
        finally:
            reading.cancel()
        if body is grpc.aio.EOF:
            raise invalid("the call has no message")
        if len(body) > most:
            raise invalid(f"the message has {len(body):,} bytes, expected at most {most:,}")
        share.resize(len(body))
        return body

    async def _send(self, context: Context, share: Share, answer: bytes) -> None:
        try:
            async with share.sending(len(answer)):
                await context.write(answer)
        except RequestError as error:
            connections.cut(context.peer())  # gRPC itself would keep the answer
            raise asyncio.CancelledError from error


def _response(outputs, spec: dict) -> bytes:
    tensors = {name: tf.make_tensor_proto(value) for name, value in outputs.items()}
    return predict_pb2.PredictResponse(model_spec=spec, outputs=tensors).SerializeToString()
