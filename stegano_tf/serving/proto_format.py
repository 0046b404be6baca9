"""Predict requests as protocol buffers, read without TensorFlow: its modules would take a reader process 400 MB.

The message classes are made from the descriptors that `descriptors` collects in the server's process.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from google.protobuf import descriptor_pool, message, message_factory

from stegano_tf.serving import catalog as catalog_
from stegano_tf.serving.catalog import DEFAULT_SIGNATURE, Entry, Names, Tensor
from stegano_tf.serving.errors import RequestError, invalid


@dataclasses.dataclass(frozen=True)
class Request:
    """What a Predict message asks for, before its tensors are looked at."""

    model: str
    signature: str
    names: Names
    outputs: tuple[str, ...]  # those that the answer shall have, each once
    tensors: Mapping  # TensorProto by name: the inputs of the signature, all of them and no others


def descriptors(file) -> list[bytes]:
    """Returns the FileDescriptorProtos of `file` and of all that it imports, each after what it imports."""
    found: dict[str, bytes] = {}

    def add(file) -> None:
        for other in file.dependencies:
            add(other)
        found.setdefault(file.name, file.serialized_pb)

    add(file)
    return list(found.values())


def message_class(files: Sequence[bytes]) -> type[message.Message]:
    """Returns the class of PredictRequest, whose `descriptors` are `files`."""
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.AddSerializedFile(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.PredictRequest"))


def parse(body: bytes, cls: type[message.Message], catalog: Mapping[str, Entry]) -> Request:
    """Reads a message and checks all its names; raises RequestError as TensorFlow Serving does."""
    try:
        request = cls.FromString(body)
    except message.DecodeError as error:
        raise invalid(f"the message is no PredictRequest: {error}") from error
    spec = model_spec(request)
    entry = catalog_.find(catalog, *spec)
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    names = entry.signatures.get(name)
    if names is None:
        raise RequestError("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
    wanted = dict.fromkeys(request.output_filter) or dict.fromkeys(names.outputs)
    if unknown := wanted.keys() - set(names.outputs):
        found, known = ", ".join(sorted(unknown)), ", ".join(names.outputs)
        raise invalid(f"output tensor alias not found in signature: {found}, expected {known}")
    if names.inputs.keys() != request.inputs.keys():
        missing, unknown = names.inputs.keys() - request.inputs.keys(), request.inputs.keys() - names.inputs.keys()
        raise invalid(
            f"signature {name} takes {', '.join(sorted(names.inputs))}; "
            f"missing: {', '.join(sorted(missing)) or 'none'}, unknown: {', '.join(sorted(unknown)) or 'none'}"
        )
    return Request(spec[0], name, names, tuple(wanted), request.inputs)


def model_spec(request) -> tuple[str, int | None, str | None]:
    """Returns name, version and label that a message names; raises RequestError if it names no model."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    choice = spec.WhichOneof("version_choice")
    return spec.name, spec.version.value if choice == "version" else None, spec.version_label


def array(name: str, tensor, expected: Tensor, limit: int) -> np.ndarray:
    """Returns the values of a TensorProto; raises RequestError, INVALID_ARGUMENT.

    The type and the shape are checked first, which may state at most `limit` values: in a TensorProto the last value
    stands for all that are missing, so a small message can state any size.
    """
    known = tensor.DESCRIPTOR.fields_by_name["dtype"].enum_type.values_by_number
    dtype = known[tensor.dtype].name[3:].lower() if tensor.dtype in known else str(tensor.dtype)  # without DT_
    if dtype != expected.dtype:
        raise invalid(f"input {name}: is of type {dtype}, expected {expected.dtype}")
    shape = [dim.size for dim in tensor.tensor_shape.dim[:8]]
    if tensor.tensor_shape.unknown_rank or min(shape, default=0) < 0 or math.prod(shape) > limit:
        raise invalid(f"input {name}: is of shape {shape}, expected at most {limit:,} values")
    if len(shape) != len(expected.shape):
        raise invalid(f"input {name}: is of shape {shape}, expected {list(expected.shape)}")
    count = math.prod(shape)
    if dtype == "string":
        values = np.empty(len(tensor.string_val), object)
        values[:] = list(tensor.string_val)
    elif tensor.tensor_content:
        values = np.frombuffer(tensor.tensor_content, np.uint8)
    else:
        values = _bytes(name, tensor.int_val)
    if not len(values) <= count or (count and not len(values)) or (tensor.tensor_content and len(values) != count):
        raise invalid(f"input {name}: tensor parsing error: {len(values)} values, expected {count}")
    return np.concatenate([values, np.repeat(values[-1:], count - len(values))]).reshape(shape)


def _bytes(name: str, numbers: Sequence[int]) -> np.ndarray:
    try:
        return np.frombuffer(bytes(numbers), np.uint8)
    except ValueError as error:
        found = f"{min(numbers)} to {max(numbers)}"
        raise invalid(f"input {name}: holds {found}, expected integers from 0 to 255") from error
