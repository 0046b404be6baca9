"""Predict requests and answers as JSON: the row and the column form of TensorFlow Serving's REST interface.

https://www.tensorflow.org/tfx/serving/api_rest#predict_api. The answer to rows, {"instances": [...]}, is
{"predictions": [...]}; the answer to columns, {"inputs": ...}, is {"outputs": ...}. A request may leave out the name of
an only input; an answer leaves out the name of an only output. Bytes are {"b64": "..."}, and numbers are uint8, as in
all signatures here.
"""

import base64
import binascii
import itertools
from collections.abc import Callable

import numpy as np
import orjson
import tensorflow as tf

from stegano_tf.serving.errors import invalid
from stegano_tf.serving.models import DEFAULT_SIGNATURE, Arrays, Signature

_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a truth value",
    int: "an integer",
    float: "a fraction",
    type(None): "null",
}


def parse(body: bytes, find: Callable[[str], Signature]) -> tuple[Signature, Arrays, Callable[[Arrays], bytes]]:
    """Returns the signature that a request's body names, the inputs by name, and a function that formats the outputs.

    `find` returns the signature of a name. Raises RequestError, INVALID_ARGUMENT.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid(f"the body is {_kind(document)}, expected an object with 'instances' or 'inputs'")
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(f"'signature_name' is {_kind(name)}, expected a string")
    signature = find(name or DEFAULT_SIGNATURE)
    if ("instances" in document) == ("inputs" in document):
        raise invalid("expected either 'instances' or 'inputs' in the body")
    if "instances" in document:
        columns, formatted = _from_rows(document["instances"], signature), _to_rows
    else:
        columns, formatted = _from_columns(document["inputs"], signature), _to_columns
    inputs = {
        name: (_strings if signature.inputs[name].dtype == tf.string.as_datatype_enum else _numbers)(name, values)
        for name, values in columns.items()
    }
    return signature, inputs, formatted


def _from_rows(rows, signature: Signature) -> dict[str, list]:
    names = signature.inputs.keys()
    if not isinstance(rows, list) or not rows:
        raise invalid(f"'instances' is {_kind(rows)}, expected a list with at least one item")
    if not _is_named(rows[0]):
        if len(names) > 1:
            raise invalid(f"'instances' is a plain list, expected objects with {', '.join(sorted(names))}")
        if any(_is_named(row) for row in rows):
            raise invalid("'instances' mixes plain values and objects")
        return dict.fromkeys(names, rows)
    for index, row in enumerate(rows):
        if not _is_named(row) or row.keys() != names:
            found = ", ".join(sorted(row)) if _is_named(row) else _kind(row)
            raise invalid(f"'instances', item {index}: {found}, expected an object with {', '.join(sorted(names))}")
    return {name: [row[name] for row in rows] for name in names}


def _from_columns(columns, signature: Signature) -> dict[str, list]:
    names = signature.inputs.keys()
    if not _is_named(columns):
        if len(names) > 1:
            raise invalid(f"'inputs' is a plain value, expected an object with {', '.join(sorted(names))}")
        return dict.fromkeys(names, columns)
    if missing := names - columns.keys():
        raise invalid(f"'inputs' has no {', '.join(sorted(missing))}, expected {', '.join(sorted(names))}")
    return {name: columns[name] for name in names}  # others are ignored, as TensorFlow Serving does


def _is_named(value) -> bool:
    """Whether `value` is an object of named inputs, not {"b64": "..."}."""
    return isinstance(value, dict) and not (value.keys() == {"b64"} and isinstance(value["b64"], str))


def _strings(name: str, values) -> np.ndarray:
    values = values if isinstance(values, list) else [values]
    strings = np.empty(len(values), object)
    strings[:] = [_string(name, value) for value in values]
    return strings


def _string(name: str, value) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, dict) or _is_named(value):
        raise invalid(f'input {name}: {_kind(value)}, expected {{"b64": "..."}}')
    try:
        return base64.b64decode("".join(value["b64"].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"input {name}: unable to base64 decode: {error}") from error


def _numbers(name: str, values) -> np.ndarray:
    # Flattens level by level. This is as fast as np.asarray, which would accept true as 1.
    level, shape = [values], []
    while level and isinstance(level[0], list):
        if set(map(type, level)) != {list} or len(sizes := set(map(len, level))) != 1:
            raise invalid(f"input {name}: its lists are of different lengths or depths, expected an array")
        shape += sizes
        level = list(itertools.chain.from_iterable(level))
    if found := set(map(type, level)) - {int}:
        raise invalid(f"input {name}: holds {_KINDS[found.pop()]}, expected integers from 0 to 255")
    try:
        return np.frombuffer(bytes(level), np.uint8).reshape(shape)
    except ValueError as error:
        raise invalid(f"input {name}: holds {min(level)} to {max(level)}, expected integers from 0 to 255") from error


def _kind(value) -> str:
    return "an empty list" if value == [] else _KINDS[type(value)]


def _to_rows(outputs: Arrays) -> bytes:
    columns = list(map(_encoded, outputs.values()))
    rows = [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)] if columns[1:] else columns[0]
    return orjson.dumps({"predictions": rows}, option=orjson.OPT_SERIALIZE_NUMPY)


def _to_columns(outputs: Arrays) -> bytes:
    columns = {name: _encoded(value) for name, value in outputs.items()}
    (document,) = columns.values() if len(columns) == 1 else (columns,)
    return orjson.dumps({"outputs": document}, option=orjson.OPT_SERIALIZE_NUMPY)


def _encoded(value: np.ndarray) -> np.ndarray | list:
    if value.dtype != object:
        return np.ascontiguousarray(value)
    # TensorFlow Serving writes b64 for outputs called *_bytes; all string outputs here are.
    return [{"b64": base64.b64encode(item).decode()} for item in value]
