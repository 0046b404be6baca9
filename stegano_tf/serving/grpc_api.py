"""The gRPC interface: `PredictionService.Predict`, `GetModelMetadata`, and `ModelService.GetModelStatus`.

The other methods of these services (classify, regress, multi-inference, reloading the configuration) are UNIMPLEMENTED.
"""

import functools
import logging
import math

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc

from stegano_tf.serving.errors import RequestError, invalid
from stegano_tf.serving.models import DEFAULT_SIGNATURE
from stegano_tf.serving.service import Service


def add_to(server: grpc.aio.Server, service: Service) -> None:
    """Adds both services to `server`; `service` answers."""
    servicer = _Servicer(service)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(servicer, server)


def _answers(method):
    """Makes a method send its exceptions as statuses."""

    @functools.wraps(method)
    async def answer(self, request, context: grpc.aio.ServicerContext):
        try:
            return await method(self, request)
        except RequestError as error:
            code, message = error.code, str(error)
        except Exception:
            logging.exception(method.__name__)
            code, message = grpc.StatusCode.INTERNAL, "internal error; the server's log has more"
        return await context.abort(code, message)

    return answer


class _Servicer(prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, service: Service):
        self._service = service

    @_answers
    async def Predict(self, request, context=None):  # noqa: N802
        with self._service.admitted("GRPC") as call:
            model = self._service.model(*_spec(request))
            call.model = model.name
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            signature = model.signatures.get(name)
            if signature is None:
                raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
            call.signature = name
            wanted = list(request.output_filter) or list(signature.outputs)
            if unknown := set(wanted) - signature.outputs.keys():
                found, known = ", ".join(sorted(unknown)), ", ".join(signature.outputs)
                raise invalid(f"output tensor alias not found in signature: {found}, expected {known}")
            # `make_ndarray` repeats the last value until the shape is full: a tiny message could fill all memory.
            limit = 3 * self._service.settings.max_pixels
            inputs = {key: _array(key, tensor, limit) for key, tensor in request.inputs.items()}
            outputs = await self._service.predict(model, signature, inputs)
            tensors = {output: tf.make_tensor_proto(outputs[output]) for output in wanted}
            return predict_pb2.PredictResponse(model_spec=model.spec | {"signature_name": name}, outputs=tensors)

    @_answers
    async def GetModelMetadata(self, request, context=None):  # noqa: N802
        spec = _spec(request)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        if unknown := set(request.metadata_field) - {"signature_def"}:
            raise invalid(f"Metadata field {', '.join(sorted(unknown))} is not supported")
        return self._service.metadata(*spec)

    @_answers
    async def GetModelStatus(self, request, context=None):  # noqa: N802
        return self._service.status(*_spec(request))


def _spec(request) -> tuple[str, int | None, str | None]:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    choice = spec.WhichOneof("version_choice")
    return spec.name, spec.version.value if choice == "version" else None, spec.version_label


def _array(name: str, tensor, limit: int) -> np.ndarray:
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.tensor_shape.unknown_rank or min(shape, default=0) < 0 or math.prod(shape) > limit:
        raise invalid(f"input {name}: is of shape {shape}, expected at most {limit:,} values")
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise invalid(f"input {name}: tensor parsing error: {' '.join(str(error).split())}") from error
