"""Predict requests as JSON, without a server."""

import base64
import json

import numpy as np
import pytest

from stegano_tf.serving import json_format
from stegano_tf.serving.catalog import Names, Tensor
from stegano_tf.serving.errors import RequestError

MEMORY = 2**20  # bytes that a document may take


def names(dtype, *inputs):
    shape = (None,) if dtype == "string" else (None, None, None, 3)
    return Names(dict.fromkeys(inputs, Tensor(dtype, shape)), ("output",))


SIGNATURES = {
    "serving_default": names("uint8", "stego"),
    "hide": names("uint8", "cover", "secret"),
    "reveal_bytes": names("string", "stego_bytes"),
}


def read(body):
    document, signature = json_format.document(body, SIGNATURES, MEMORY)
    return signature, *json_format.inputs(document, SIGNATURES[signature].inputs)


def parse(**document):
    return read(json.dumps(document).encode())


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [[1, 2], [3, 4]]},
        {"instances": [{"stego": [1, 2]}, {"stego": [3, 4]}]},
        {"inputs": [[1, 2], [3, 4]]},
        {"inputs": {"stego": [[1, 2], [3, 4]]}},
        {"inputs": {"stego": [[1, 2], [3, 4]], "unread": "as TensorFlow Serving does it"}},
        {"signature_name": "serving_default", "inputs": [[1, 2], [3, 4]]},
        {"signature_name": "", "inputs": [[1, 2], [3, 4]], "other": 1},
    ],
)
def test_one_input_in_all_forms(document):
    signature, inputs, _ = parse(**document)
    assert signature == "serving_default"
    assert inputs.keys() == {"stego"}
    assert inputs["stego"].dtype == np.uint8
    assert inputs["stego"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [{"cover": [1], "secret": [2]}, {"secret": [4], "cover": [3]}]},
        {"inputs": {"cover": [[1], [3]], "secret": [[2], [4]]}},
    ],
)
def test_two_inputs_have_names(document):
    _, inputs, _ = parse(signature_name="hide", **document)
    assert {name: value.tolist() for name, value in inputs.items()} == {"cover": [[1], [3]], "secret": [[2], [4]]}


@pytest.mark.parametrize("form", ["instances", "inputs"])
@pytest.mark.parametrize("text", ["AP8K", "AP\n8K "])
def test_bytes(form, text):
    _, inputs, _ = parse(signature_name="reveal_bytes", **{form: [{"b64": text}, "ä"]})
    assert inputs["stego_bytes"].tolist() == [b"\x00\xff\n", "ä".encode()]


def test_the_extremes_of_uint8():
    assert parse(inputs=[[0, 255]])[1]["stego"].tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([1], "body is a list"),
        ({}, "either 'instances' or 'inputs'"),
        ({"instances": [1], "inputs": [1]}, "either 'instances' or 'inputs'"),
        ({"signature_name": 1, "instances": [1]}, "'signature_name' is an integer"),
        ({"signature_name": "nothing", "instances": [1]}, '"nothing" not found in signature def'),
        ({"instances": []}, "'instances' is an empty list"),
        ({"instances": {"stego": [1]}}, "'instances' is an object"),
        ({"instances": [1, {"stego": 1}]}, "mixes"),
        ({"instances": [{"stego": 1}, 1]}, "item 1: an integer"),
        ({"instances": [{"cover": 1}]}, "item 0: cover, expected an object with stego"),
        ({"instances": [{"stego": 1, "cover": 1}]}, "item 0: cover, stego"),
        ({"signature_name": "hide", "instances": [1]}, "expected objects with cover, secret"),
        ({"signature_name": "hide", "instances": [{"cover": 1}]}, "item 0: cover, expected .* cover, secret"),
        ({"signature_name": "hide", "inputs": [1]}, "expected an object with cover, secret"),
        ({"signature_name": "hide", "inputs": {"cover": [1]}}, "has no secret"),
        ({"inputs": {"secret": [1]}}, "has no stego"),
        ({"inputs": [[1, 2], [3]]}, "different lengths"),
        ({"inputs": [[1], 2]}, "different lengths or depths"),
        ({"inputs": [1, [2]]}, "holds a list"),
        ({"inputs": [1, 2.0]}, "holds a fraction"),
        ({"inputs": [1, True]}, "holds a truth value"),
        ({"inputs": [1, None]}, "holds null"),
        ({"inputs": ["1"]}, "holds a string"),
        ({"inputs": {"b64": "AP8K"}}, "holds an object"),
        ({"inputs": [256, 0]}, "holds 0 to 256"),
        ({"inputs": [-1, 5]}, "holds -1 to 5"),
        ({"signature_name": "reveal_bytes", "inputs": [{"b64": "AP8"}]}, "base64 decode"),
        ({"signature_name": "reveal_bytes", "inputs": [{"b64": "ä"}]}, "base64 decode"),
        ({"signature_name": "reveal_bytes", "inputs": [{"b64": "A!P8K"}]}, "base64 decode"),
        ({"signature_name": "reveal_bytes", "inputs": [{"b64": 1}]}, "an object"),
        ({"signature_name": "reveal_bytes", "inputs": [3]}, "an integer"),
    ],
)
def test_what_is_refused(document, said):
    with pytest.raises(RequestError, match=said) as caught:
        read(json.dumps(document).encode())
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"inputs": NaN}', b"[" * 5000, b'["\\ud800"]'])
def test_what_is_no_json(body):
    with pytest.raises(RequestError, match="JSON Parse error"):
        read(body)


@pytest.mark.parametrize(
    "document",
    [b'{"inputs": ' + depth * b"[" + item + depth * b"]" + b"}" for depth in (5, 70, 900) for item in (b"", b"1")],
)
def test_what_is_nested_deeper_than_pictures_is_refused(document):
    with pytest.raises(RequestError, match="nested too deep") as caught:
        read(document)
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("item", [b"[]", b'{"":0}', b"0"])
def test_what_would_take_too_much_memory_is_refused_before_it_is_parsed(item):
    with pytest.raises(RequestError, match="bytes of memory, expected at most 1,048,576") as caught:
        read(b'{"inputs": [' + b",".join([item] * 140_000) + b"]")  # no JSON either: nobody finds out
    assert caught.value.code == "INVALID_ARGUMENT"


def write(outputs, key):
    return json.loads(b"".join(json_format.write(outputs, key)))


def test_answers():
    numbers = np.arange(4, dtype=np.uint8).reshape(2, 2)
    strings = np.array([b"\x00", b"\xff"], object)
    encoded = [{"b64": base64.b64encode(text).decode()} for text in (b"\x00", b"\xff")]
    assert write({"a": numbers}, "predictions") == {"predictions": [[0, 1], [2, 3]]}
    assert write({"a": numbers}, "outputs") == {"outputs": [[0, 1], [2, 3]]}
    assert write({"b_bytes": strings}, "predictions") == {"predictions": encoded}
    assert write({"a": numbers, "b_bytes": strings}, "predictions") == {
        "predictions": [{"a": [0, 1], "b_bytes": encoded[0]}, {"a": [2, 3], "b_bytes": encoded[1]}]
    }
    assert write({"a": numbers, "b_bytes": strings}, "outputs") == {
        "outputs": {"a": [[0, 1], [2, 3]], "b_bytes": encoded}
    }


def test_the_key_of_an_answer_follows_the_form_of_the_request():
    assert parse(instances=[1])[2] == "predictions"
    assert parse(inputs=[1])[2] == "outputs"
