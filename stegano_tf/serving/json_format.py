"""Predict requests and answers as JSON: the row and the column form of TensorFlow Serving's REST interface.

https://www.tensorflow.org/tfx/serving/api_rest#predict_api. The answer to rows, {"instances": [...]}, is
{"predictions": [...]}; the answer to columns, {"inputs": ...}, is {"outputs": ...}. A request may leave out the name of
an only input; an answer leaves out the name of an only output. Bytes are {"b64": "..."}, and numbers are uint8, as in
all signatures here.
"""

import base64
import binascii
import itertools
from collections.abc import Iterable, Iterator, Mapping, Set

import msgspec
import numpy as np

from stegano_tf.serving.catalog import DEFAULT_SIGNATURE, Names, Tensor
from stegano_tf.serving.errors import invalid

Arrays = Mapping[str, np.ndarray]

# Bytes of memory that a parsed list, object and value take: the largest body may hold 16 million of them.
_LIST, _OBJECT, _VALUE = 64, 248, 8

_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a truth value",
    int: "an integer",
    float: "a fraction",
    type(None): "null",
}
_RAGGED = "of different lengths or depths, expected an array"


def document(body: bytes, signatures: Mapping[str, Names], memory: int) -> tuple[dict, str]:
    """Returns what a request's body holds, and the signature that it names.

    Raises RequestError, INVALID_ARGUMENT, also if parsing would take more than `memory` bytes.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    needed = _LIST * body.count(b"[") + _OBJECT * body.count(b"{") + _VALUE * body.count(b",")
    if needed > memory:
        raise invalid(f"the document takes {needed:,} bytes of memory, expected at most {memory:,}; send picture files")
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(found, dict):
        raise invalid(f"the body is {_kind(found)}, expected an object with 'instances' or 'inputs'")
    name = found.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(f"'signature_name' is {_kind(name)}, expected a string")
    name = name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    if ("instances" in found) == ("inputs" in found):
        raise invalid("expected either 'instances' or 'inputs' in the body")
    return found, name


def inputs(found: dict, expected: Mapping[str, Tensor]) -> tuple[Arrays, str]:
    """Returns the inputs of a `document` by name, and the key of its answer; raises RequestError, INVALID_ARGUMENT.

    Strings are arrays of `bytes` objects.
    """
    if "instances" in found:
        columns, key = _from_rows(found["instances"], expected.keys()), "predictions"
    else:
        columns, key = _from_columns(found["inputs"], expected.keys()), "outputs"
    return {name: _array(name, values, expected[name]) for name, values in columns.items()}, key


def _from_rows(rows, names: Set[str]) -> dict[str, list]:
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


def _from_columns(columns, names: Set[str]) -> dict[str, list]:
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


def _array(name: str, values, expected: Tensor) -> np.ndarray:
    return _strings(name, values) if expected.dtype == "string" else _numbers(name, values, len(expected.shape))


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


def _numbers(name: str, values, rank: int) -> np.ndarray:
    """Returns uint8 values of at most `rank` dimensions."""
    if rank > 2 and isinstance(values, list) and set(map(type, values)) == {list}:  # row by row: it takes less memory
        parts = [_numbers(name, item, rank - 1) for item in values]
        if len({part.shape for part in parts}) > 1:
            raise invalid(f"input {name}: its lists are {_RAGGED}")
        return np.stack(parts)
    # Flattens level by level. This is as fast as np.asarray, which would accept true as 1.
    level, shape = [values], []
    while level and isinstance(level[0], list):
        if set(map(type, level)) != {list} or len(sizes := set(map(len, level))) != 1:
            raise invalid(f"input {name}: its lists are {_RAGGED}")
        shape += sizes
        if len(shape) > rank:
            raise invalid(f"input {name}: is nested too deep, expected an array of pictures, rows, pixels, colours")
        level = list(itertools.chain.from_iterable(level))
    if found := set(map(type, level)) - {int}:
        raise invalid(f"input {name}: holds {_KINDS[found.pop()]}, expected integers from 0 to 255")
    try:
        return np.frombuffer(bytes(level), np.uint8).reshape(shape)
    except ValueError as error:
        raise invalid(f"input {name}: holds {min(level)} to {max(level)}, expected integers from 0 to 255") from error


def _kind(value) -> str:
    return "an empty list" if value == [] else _KINDS[type(value)]


def write(outputs: Arrays, key: str) -> Iterator[bytes]:
    """Yields the answer piece by piece: a document with one `key`, "predictions" (rows) or "outputs" (columns).

    Nothing here holds the interpreter's lock for longer than a picture's row takes.
    """
    columns = {name: [_value(item) for item in value] for name, value in outputs.items()}
    yield b'{"%s":' % key.encode()
    if len(columns) == 1:
        yield from _list(*columns.values())
    elif key == "predictions":
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        yield from _list(map(_object, rows))
    else:
        yield from _object({name: _list(column) for name, column in columns.items()})
    yield b"}"


def _value(item: np.ndarray | bytes) -> Iterator[bytes]:
    if isinstance(item, np.ndarray):
        return _list([msgspec.json.encode(row.tolist())] for row in item)
    # TensorFlow Serving writes b64 for outputs called *_bytes; all string outputs here are.
    return iter([b'{"b64":"', base64.b64encode(item), b'"}'])


def _list(items: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    yield b"["
    for index, item in enumerate(items):
        yield b"," * bool(index)
        yield from item
    yield b"]"


def _object(values: Mapping[str, Iterable[bytes]]) -> Iterator[bytes]:
    yield b"{"
    for index, (name, value) in enumerate(values.items()):
        yield b"," * bool(index) + msgspec.json.encode(name) + b":"
        yield from value
    yield b"}"
