"""Predict requests as JSON, without a server."""

import base64

import numpy as np
import orjson
import pytest

from stegano_tf.serving import json_format
from stegano_tf.serving.errors import RequestError, invalid


@pytest.fixture(scope="module")
def find():
    import tensorflow as tf

    from stegano_tf.serving.models import Signature

    def signature(name, dtype, *names):
        info = tf.TensorSpec([None], dtype)
        return Signature(name, {n: _info(info) for n in names}, {}, None)

    def _info(spec):
        return tf.compat.v1.saved_model.build_tensor_info(tf.compat.v1.placeholder(spec.dtype, spec.shape))

    with tf.Graph().as_default():
        known = {
            "serving_default": signature("serving_default", tf.uint8, "stego"),
            "hide": signature("hide", tf.uint8, "cover", "secret"),
            "reveal_bytes": signature("reveal_bytes", tf.string, "stego_bytes"),
        }

    def find_signature(name):
        if name not in known:
            raise invalid("no such signature")
        return known[name]

    return find_signature


def parse(find, **document):
    return json_format.parse(orjson.dumps(document), find)


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
def test_one_input_in_all_forms(find, document):
    signature, inputs, _ = parse(find, **document)
    assert signature.name == "serving_default"
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
def test_two_inputs_have_names(find, document):
    _, inputs, _ = parse(find, signature_name="hide", **document)
    assert {name: value.tolist() for name, value in inputs.items()} == {"cover": [[1], [3]], "secret": [[2], [4]]}


@pytest.mark.parametrize("form", ["instances", "inputs"])
@pytest.mark.parametrize("text", ["AP8K", "AP\n8K "])
def test_bytes(find, form, text):
    _, inputs, _ = parse(find, signature_name="reveal_bytes", **{form: [{"b64": text}, "ä"]})
    assert inputs["stego_bytes"].tolist() == [b"\x00\xff\n", "ä".encode()]


def test_the_extremes_of_uint8(find):
    assert parse(find, inputs=[[0, 255]])[1]["stego"].tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([1], "body is a list"),
        ({}, "either 'instances' or 'inputs'"),
        ({"instances": [1], "inputs": [1]}, "either 'instances' or 'inputs'"),
        ({"signature_name": 1, "instances": [1]}, "'signature_name' is an integer"),
        ({"signature_name": "nothing", "instances": [1]}, "no such signature"),
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
def test_what_is_refused(find, document, said):
    with pytest.raises(RequestError, match=said) as caught:
        json_format.parse(orjson.dumps(document), find)
    assert caught.value.code.name == "INVALID_ARGUMENT"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"inputs": NaN}', b"[" * 5000])
def test_what_is_no_json(find, body):
    with pytest.raises(RequestError, match="JSON Parse error"):
        json_format.parse(body, find)


def test_answers(find):
    numbers = np.arange(4, dtype=np.uint8).reshape(2, 2)
    strings = np.array([b"\x00", b"\xff"], object)
    rows = parse(find, instances=[1])[2]
    columns = parse(find, inputs=[1])[2]
    encoded = [{"b64": base64.b64encode(text).decode()} for text in (b"\x00", b"\xff")]
    assert orjson.loads(rows({"a": numbers})) == {"predictions": [[0, 1], [2, 3]]}
    assert orjson.loads(columns({"a": numbers})) == {"outputs": [[0, 1], [2, 3]]}
    assert orjson.loads(rows({"b_bytes": strings})) == {"predictions": encoded}
    assert orjson.loads(rows({"a": numbers, "b_bytes": strings})) == {
        "predictions": [{"a": [0, 1], "b_bytes": encoded[0]}, {"a": [2, 3], "b_bytes": encoded[1]}]
    }
    assert orjson.loads(columns({"a": numbers, "b_bytes": strings})) == {
        "outputs": {"a": [[0, 1], [2, 3]], "b_bytes": encoded}
    }
