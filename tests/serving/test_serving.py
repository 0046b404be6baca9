"""The server as its users meet it: a process, asked over HTTP and gRPC, on ports of this machine."""

import base64
import concurrent.futures
import contextlib
import gzip
import io
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from crafted import calls
from google.protobuf import json_format
from PIL import Image
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from stegano_tf import commands
from stegano_tf.serving import models
from stegano_tf.serving import server as server_module
from stegano_tf.serving.errors import RequestError, ServerError
from stegano_tf.serving.service import Service
from stegano_tf.serving.settings import Settings


def png(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def b64(content):
    return {"b64": base64.b64encode(content).decode()}


def post(server, body, path="/v1/models/tiny:predict", **options):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(server.url + path, data=data, timeout=60, **options)


def refused(response, status):
    """The message of an error in TensorFlow Serving's shape."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json().keys() == {"error"}
    return response.json()["error"]


@pytest.fixture(scope="module")
def stubs(server):
    with grpc.insecure_channel(server.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
        yield (
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )


def predict_request(signature="", *, name="tiny", version=None, **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    if version is not None:
        request.model_spec.version.value = version
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(
            value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
        )
    return request


def status_of(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=60)
    return caught.value.code().name, caught.value.details()


# What is right


def test_rows_and_columns(server, functions, pictures):
    expected = functions["reveal"](pictures).tolist()
    assert len(np.unique(expected)) > 50  # so that no answer is right by chance
    for path in ("tiny:predict", "tin%79%3Apredict?a=b", "tiny/versions/3:predict", "tiny/versions/003:predict"):
        response = post(server, {"instances": pictures.tolist()}, f"/v1/models/{path}")
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"].startswith("application/json")
        assert response.json() == {"predictions": expected}
    assert post(server, {"inputs": {"stego": pictures.tolist()}}).json() == {"outputs": expected}


def test_named_inputs_and_a_signature(server, functions, pictures):
    covers, secrets = pictures[:2], pictures[2:]
    expected = functions["hide"](covers, secrets).tolist()
    rows = [{"cover": c.tolist(), "secret": s.tolist()} for c, s in zip(covers, secrets, strict=True)]
    assert post(server, {"signature_name": "hide", "instances": rows}).json() == {"predictions": expected}
    columns = {"cover": covers.tolist(), "secret": secrets.tolist()}
    assert post(server, {"signature_name": "hide", "inputs": columns}).json() == {"outputs": expected}


def test_picture_files(server, functions, pictures):
    stego = functions["hide"](pictures[:1], pictures[1:2])
    row = {"cover_bytes": b64(png(pictures[0])), "secret_bytes": b64(png(pictures[1]))}
    (prediction,) = post(server, {"signature_name": "hide_bytes", "instances": [row]}).json()["predictions"]
    assert prediction.keys() == {"b64"}
    hidden = base64.b64decode(prediction["b64"])
    assert np.array_equal(Image.open(io.BytesIO(hidden)), stego[0])

    answer = post(server, {"signature_name": "reveal_bytes", "inputs": [b64(hidden)]}).json()
    (revealed,) = answer["outputs"]
    assert np.array_equal(Image.open(io.BytesIO(base64.b64decode(revealed["b64"]))), functions["reveal"](stego)[0])


def test_compressed_bodies(server, functions, pictures):
    body = gzip.compress(json.dumps({"inputs": pictures[:1].tolist()}).encode())
    response = post(server, body, headers={"Content-Encoding": "gzip"})
    assert response.json() == {"outputs": functions["reveal"](pictures[:1]).tolist()}


def test_a_body_that_is_not_compressed_as_it_says(server):
    refused(post(server, b"not compressed", headers={"Content-Encoding": "gzip"}), 400)


def test_grpc(stubs, functions, pictures):
    predictions, _ = stubs
    response = predictions.Predict(predict_request(stego=pictures), timeout=60)
    assert response.outputs.keys() == {"secret"}
    assert np.array_equal(tf.make_ndarray(response.outputs["secret"]), functions["reveal"](pictures))
    assert (response.model_spec.name, response.model_spec.version.value) == ("tiny", 3)
    assert response.model_spec.signature_name == "serving_default"

    request = predict_request("hide", version=3, cover=pictures[:2], secret=pictures[2:])
    request.output_filter.append("stego")
    response = predictions.Predict(request, timeout=60)
    stego = tf.make_ndarray(response.outputs["stego"])
    assert np.array_equal(stego, functions["hide"](pictures[:2], pictures[2:]))

    files = [png(picture) for picture in stego]
    response = predictions.Predict(predict_request("reveal_bytes", stego_bytes=files), timeout=60)
    revealed = [np.asarray(Image.open(io.BytesIO(file))) for file in response.outputs["secret_bytes"].string_val]
    assert np.array_equal(revealed, functions["reveal"](stego))


def test_grpc_takes_values_one_by_one_and_repeats_the_last(stubs, functions, pictures):
    tensor = tf.make_tensor_proto(pictures[:1])
    single = tensor_pb2.TensorProto(dtype=tensor.dtype, tensor_shape=tensor.tensor_shape)
    single.int_val.extend([*pictures[:1].ravel().tolist()[:-6], 9])
    pixels = pictures[:1].copy().ravel()
    pixels[-6:] = 9
    response = stubs[0].Predict(predict_request(stego=single), timeout=60)
    expected = functions["reveal"](pixels.reshape(1, 20, 26, 3))
    assert np.array_equal(tf.make_ndarray(response.outputs["secret"]), expected)


def test_status(server, stubs):
    expected = {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/tiny", "/v1/models/tiny/versions/3"):
        response = requests.get(server.url + path, timeout=10)
        assert (response.status_code, response.json()) == (200, {"model_version_status": [expected]})
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "tiny"
    response = stubs[1].GetModelStatus(request, timeout=10)
    assert json_format.MessageToDict(response, preserving_proto_field_name=True)["model_version_status"] == [
        {"version": "3", "state": "AVAILABLE", "status": {}}
    ]


def test_metadata(server, stubs):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "tiny"
    response = stubs[0].GetModelMetadata(request, timeout=10)
    assert (response.model_spec.name, response.model_spec.version.value) == ("tiny", 3)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    hide = signatures.signature_def["hide_bytes"]
    assert hide.inputs.keys() == {"cover_bytes", "secret_bytes"}
    assert hide.method_name == "tensorflow/serving/predict"
    assert [dim.size for dim in signatures.signature_def["reveal"].inputs["stego"].tensor_shape.dim] == [-1, -1, -1, 3]

    document = requests.get(f"{server.url}/v1/models/tiny/versions/3/metadata", timeout=10).json()
    assert document["model_spec"] == {"name": "tiny", "signature_name": "", "version": "3"}
    assert document["metadata"]["signature_def"]["signature_def"]["reveal"]["outputs"]["secret"]["dtype"] == "DT_UINT8"


def test_health_and_metrics(server, pictures):
    assert requests.get(f"{server.url}/healthz", timeout=10).text == "ok\n"
    labels = 'model="tiny",signature="reveal"'
    before = [
        server.metric(f'requests_total{{code="{code}",entrypoint="REST",{labels}}}')
        for code in ("OK", "INVALID_ARGUMENT")
    ]
    rows = server.metric(f"batch_rows_sum{{{labels}}}")
    assert post(server, {"signature_name": "reveal", "inputs": pictures.tolist()}).ok
    assert not post(server, {"signature_name": "reveal", "inputs": [1]}).ok
    after = [
        server.metric(f'requests_total{{code="{code}",entrypoint="REST",{labels}}}')
        for code in ("OK", "INVALID_ARGUMENT")
    ]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1]
    assert server.metric(f"batch_rows_sum{{{labels}}}") == rows + 4
    assert server.metric("requests_in_progress") == 0
    page = requests.get(f"{server.url}/monitoring/prometheus/metrics", timeout=10)
    assert page.headers["Content-Type"].startswith("text/plain")
    assert "process_resident_memory_bytes" in page.text


def test_many_at_a_time_each_get_their_own_answer(servers, functions, photograph):
    _, server = servers
    sizes = [(20, 26), (16, 16), (33, 40)]
    stegos = [photograph(*sizes[index % 3], index) for index in range(24)]
    expected = [functions["reveal"](stego[None])[0] for stego in stegos]

    def by_rest(stego):
        return np.array(post(server, {"instances": [stego.tolist()]}).json()["predictions"][0])

    def by_grpc(stego):
        with grpc.insecure_channel(server.grpc) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            response = stub.Predict(predict_request(stego=stego[None]), timeout=60)
        return tf.make_ndarray(response.outputs["secret"])[0]

    count = 'batch_rows_{}{{model="tiny",signature="serving_default"}}'
    batches, rows = server.metric(count.format("count")), server.metric(count.format("sum"))
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        tasks = [pool.submit(by_rest if index % 2 else by_grpc, stego) for index, stego in enumerate(stegos)]
        found = [task.result() for task in tasks]
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    assert server.metric(count.format("sum")) == rows + 24
    assert server.metric(count.format("count")) <= batches + 12, "hardly any ran together"


# What is wrong: status codes and shapes as TensorFlow Serving gives them, and the server goes on


PREDICT = "POST /v1/models/tiny:predict"
SMALL = np.zeros((1, 8, 8, 3), np.uint8)
GOOD = np.zeros((1, 16, 16, 3), np.uint8)
CUT = png(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))[:2000]
HUGE = png(np.zeros((3000, 3000, 3), np.uint8))


@pytest.mark.parametrize(
    ("target", "body", "status", "said"),
    [
        (
            "POST /v1/models/nothing:predict",
            {"instances": [1]},
            404,
            r"Servable not found for request: Latest\(nothing\)",
        ),
        ("POST /v1/models/tiny/versions/2:predict", {"instances": [1]}, 404, r"Specific\(tiny, 2\)"),
        ("POST /v1/models/tiny/labels/stable:predict", {"instances": [1]}, 400, "version label: stable"),
        (
            "POST /v1/models/tiny/versions/x:predict",
            {"instances": [1]},
            400,
            "Malformed request: POST /v1/models/tiny/v",
        ),
        ("GET /v1/models/tiny:predict", None, 400, "Malformed request: GET"),
        ("PUT /v1/models/tiny:predict", {"instances": [1]}, 400, "Malformed request: PUT"),
        ("POST /v1/models/tiny", {}, 400, "Malformed request: POST"),
        ("GET /v1/models", None, 400, "Malformed request"),
        ("GET /v1/models/nothing", None, 404, "any versions of model nothing"),
        ("GET /v1/models/tiny/versions/2", None, 404, "version 2 of model tiny"),
        ("GET /v1/models/tiny/versions/" + "9" * 5000, None, 400, "Failed to convert version"),
        ("GET /v1/models/nothing/metadata", None, 404, "Servable not found"),
        ("GET /", None, 404, "Not Found"),
        ("GET /v1/models/tiny/", None, 400, "Malformed request: GET /v1/models/tiny/$"),
        ("GET /v1//models/tiny", None, 400, "Malformed request"),
        ("GET /v1/models/tiny/metadata/", None, 400, "Malformed request"),
        ("GET /v1/models/tiny/labels/a:b", None, 400, "Malformed request"),
        ("GET /v1/models/tiny/labels/a%2Fb", None, 400, "version label: a/b$"),
        ("GET /v1/models/a%2Fb", None, 404, "any versions of model a/b$"),
        ("GET /v1/models/tiny/versions/+3", None, 400, "Malformed request"),
        ("GET /v1/models/tiny/versions/%D9%A3", None, 400, "Malformed request"),  # 3 in Arabic digits
        ("GET /v1/models/tiny%0A", None, 404, "^Not Found$"),
        ("POST /v1/models/tiny:predict:predict", {}, 400, "Malformed request"),
        ("POST /v1/models/tiny:multi", {}, 400, "Malformed request"),
        ("OPTIONS /v1/models/tiny", None, 400, "Malformed request: OPTIONS"),
        ("POST /v1/models/tiny:classify", {"examples": []}, 501, "classify"),
        (PREDICT, b"", 400, "JSON Parse error: The document is empty"),
        (PREDICT, b"instances = [1]", 400, "JSON Parse error"),
        (PREDICT, {"signature_name": "nothing", "instances": [1]}, 400, '"nothing" not found in signature def'),
        (
            PREDICT,
            {"signature_name": "__saved_model_init_op", "instances": [1]},
            400,
            "not found in signature def",
        ),
        (PREDICT, {"instances": [1.5]}, 400, "input stego: holds a fraction"),
        (PREDICT, {"instances": [[[1, 2, 3]]]}, 400, r"of shape \[1, 1, 3\], expected \[None, None, None, 3\]"),
        (PREDICT, {"instances": [[[[1, 2]]]]}, 400, r"of shape \[1, 1, 1, 2\]"),
        (PREDICT, {"instances": [[[[]]]]}, 400, "not empty"),
        (PREDICT, {"inputs": {"secret": GOOD.tolist()}}, 400, "has no stego"),
        (PREDICT, {"instances": SMALL.tolist()}, 400, "at least 16"),
        (PREDICT, {"instances": [GOOD[0].tolist(), SMALL[0].tolist()]}, 400, "different lengths"),
        (
            PREDICT,
            {"signature_name": "hide", "inputs": {"cover": GOOD.tolist(), "secret": SMALL.tolist()}},
            400,
            "input secret: 1 picture of 8x8, but 1 picture of 16x16 in cover",
        ),
        (
            PREDICT,
            {"signature_name": "hide", "inputs": {"cover": GOOD.tolist() * 2, "secret": GOOD.tolist()}},
            400,
            "input secret: 1 picture of 16x16, but 2 pictures of 16x16 in cover",
        ),
        (
            PREDICT,
            {"signature_name": "reveal_bytes", "instances": [b64(b"no picture")]},
            400,
            "start with b'no pictu'",
        ),
        (PREDICT, {"signature_name": "reveal_bytes", "instances": [b64(b"")]}, 400, "0 bytes"),
        (
            PREDICT,
            {"signature_name": "reveal_bytes", "instances": [b64(CUT)]},
            400,
            "cannot be decoded",
        ),
        (PREDICT, {"signature_name": "reveal_bytes", "instances": [b64(HUGE)]}, 400, "9,000,000 pixels"),
        (
            PREDICT,
            {
                "signature_name": "reveal_bytes",
                "instances": [b64(png(GOOD[0])), b64(png(np.zeros((17, 16, 3), np.uint8)))],
            },
            400,
            "input stego_bytes: pictures of 16x16, 16x17 in one request",
        ),
    ],
)
def test_bad_rest_requests(server, target, body, status, said):
    method, path = target.split()
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    message = refused(requests.request(method, server.url + path, data=data, timeout=60), status)
    assert re.search(said, message), message
    assert "\n" not in message
    assert post(server, {"instances": GOOD.tolist()}).ok


def without_spec():
    request = predict_request(stego=GOOD)
    request.ClearField("model_spec")
    return request


def labelled():
    request = predict_request(stego=GOOD)
    request.model_spec.version_label = "stable"
    return request


def filtered():
    request = predict_request(stego=GOOD)
    request.output_filter.append("cover")
    return request


def bomb():
    """One value that is to be repeated to 3 GB."""
    tensor = tf.make_tensor_proto(GOOD)
    tensor.ClearField("tensor_content")
    tensor.int_val.append(1)
    for dim in tensor.tensor_shape.dim[:3]:
        dim.size = 1000
    return predict_request(stego=tensor)


def torn():
    tensor = tf.make_tensor_proto(GOOD)
    tensor.tensor_content = tensor.tensor_content[:-1]
    return predict_request(stego=tensor)


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        (predict_request(name="nothing", stego=GOOD), "NOT_FOUND", "Servable not found for request: Latest(nothing)"),
        (predict_request(version=7, stego=GOOD), "NOT_FOUND", "Specific(tiny, 7)"),
        (predict_request("nothing", stego=GOOD), "FAILED_PRECONDITION", 'Serving signature key "nothing" not found.'),
        (without_spec(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (labelled(), "INVALID_ARGUMENT", "version label: stable"),
        (filtered(), "INVALID_ARGUMENT", "not found in signature: cover"),
        (predict_request(), "INVALID_ARGUMENT", "takes stego; missing: stego, unknown: none"),
        (predict_request(stego=GOOD, cover=GOOD), "INVALID_ARGUMENT", "missing: none, unknown: cover"),
        (predict_request(secret=GOOD), "INVALID_ARGUMENT", "missing: stego, unknown: secret"),
        (predict_request(stego=GOOD.astype(np.float32)), "INVALID_ARGUMENT", "is of type float, expected uint8"),
        (predict_request(stego=GOOD.astype(np.int32)), "INVALID_ARGUMENT", "is of type int32, expected uint8"),
        (predict_request(stego=["a"]), "INVALID_ARGUMENT", "is of type string, expected uint8"),
        (predict_request("reveal_bytes", stego_bytes=GOOD), "INVALID_ARGUMENT", "is of type uint8, expected string"),
        (predict_request(stego=GOOD[0]), "INVALID_ARGUMENT", "of shape [16, 16, 3]"),
        (predict_request(stego=GOOD[:0]), "INVALID_ARGUMENT", "not empty"),
        (predict_request(stego=SMALL), "INVALID_ARGUMENT", "at least 16"),
        (predict_request("hide", cover=GOOD, secret=SMALL), "INVALID_ARGUMENT", "input secret: 1 picture of 8x8"),
        (
            predict_request("reveal_bytes", stego_bytes=[b"no picture"]),
            "INVALID_ARGUMENT",
            "item 0: 10 bytes that start",
        ),
        (predict_request("reveal_bytes", stego_bytes=b"no list"), "INVALID_ARGUMENT", "of shape []"),
        (predict_request(stego=np.zeros((1, 201, 200, 3), np.uint8)), "INVALID_ARGUMENT", "at most 120,000 values"),
        (bomb(), "INVALID_ARGUMENT", "of shape [1000, 1000, 1000, 3]"),
        (torn(), "INVALID_ARGUMENT", "tensor parsing error"),
    ],
)
def test_bad_grpc_requests(stubs, request_, code, said):
    predictions, _ = stubs
    found, details = status_of(predictions.Predict, request_)
    assert (found, said in details) == (code, True), details
    assert predictions.Predict(predict_request(stego=GOOD), timeout=60).outputs["secret"].tensor_shape.dim[1].size == 16


def test_bad_grpc_questions(stubs):
    predictions, models = stubs
    status, metadata = get_model_status_pb2.GetModelStatusRequest(), get_model_metadata_pb2.GetModelMetadataRequest()
    assert status_of(models.GetModelStatus, status)[0] == "INVALID_ARGUMENT"
    assert status_of(predictions.GetModelMetadata, metadata)[0] == "INVALID_ARGUMENT"
    status.model_spec.name = metadata.model_spec.name = "tiny"
    assert status_of(predictions.GetModelMetadata, metadata)[0] == "INVALID_ARGUMENT"
    metadata.metadata_field.append("nothing")
    assert status_of(predictions.GetModelMetadata, metadata)[0] == "INVALID_ARGUMENT"
    metadata.metadata_field[:] = ["signature_def"]
    status.model_spec.version.value = metadata.model_spec.version.value = 9
    assert status_of(models.GetModelStatus, status) == ("NOT_FOUND", "Could not find version 9 of model tiny")
    assert status_of(predictions.GetModelMetadata, metadata)[0] == "NOT_FOUND"
    assert status_of(predictions.Classify, classification_pb2.ClassificationRequest())[0] == "UNIMPLEMENTED"


def test_bodies_over_the_limit(server, stubs):
    said = "larger than 1,048,576 bytes"
    assert said in refused(post(server, b" " * (2**20 + 1)), 413)
    server.wait_for('requests_total{code="RESOURCE_EXHAUSTED",entrypoint="REST",model="tiny",signature=""}', 1)
    assert said in refused(post(server, gzip.compress(bytes(2**24)), headers={"Content-Encoding": "gzip"}), 413)
    code, details = status_of(stubs[0].Predict, predict_request(stego=np.zeros((1, 600, 600, 3), np.uint8)))
    assert (code, "larger than max" in details) == ("RESOURCE_EXHAUSTED", True)
    assert post(server, {"instances": GOOD.tolist()}).ok


class Half:
    """A REST request of which only half has been sent."""

    def __init__(self, server, picture):
        body = json.dumps({"instances": [picture.tolist()]}).encode()
        head = (
            f"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        self.socket.sendall(head + body[:100])
        self._rest = body[100:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def finish(self):
        """Sends the other half and returns the answer."""
        self.socket.sendall(self._rest)
        return self.answer()

    def answer(self):
        """Status and document."""
        response = b""
        while b"\r\n\r\n" not in response:
            response += self.socket.recv(65536)
        head, _, body = response.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        while len(body) < length:
            body += self.socket.recv(65536)
        return int(head.split()[1]), json.loads(body)


def test_a_full_server_says_so_and_half_requests_do_not_fill_it(servers, photograph):
    _, server = servers
    stegos = [photograph(16, 16 + index, index) for index in range(24)]  # each waits 1.5 s for its own batch
    with (
        grpc.insecure_channel(server.grpc) as channel,
        concurrent.futures.ThreadPoolExecutor(24) as pool,
        contextlib.ExitStack() as stack,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for _ in range(30):
            stack.enter_context(Half(server, stegos[0]))
        server.wait_for("requests_in_progress", 30)
        tasks = [pool.submit(post, server, {"inputs": [stego.tolist()]}) for stego in stegos]
        server.wait_for("requests_in_progress", 54)
        time.sleep(0.3)  # so that their bodies have been read
        assert "24 requests already" in refused(post(server, {"instances": GOOD.tolist()}), 503)
        code, details = status_of(stub.Predict, predict_request(stego=GOOD))
        assert (code, "24 requests already" in details) == ("RESOURCE_EXHAUSTED", True)
        assert requests.get(f"{server.url}/v1/models/tiny", timeout=10).ok
        assert requests.get(f"{server.url}/healthz", timeout=10).ok
        assert all(task.result().ok for task in tasks)


def test_who_goes_away_is_not_counted(server, pictures):
    labels = 'code="CANCELLED",entrypoint="REST",model="tiny",signature=""'
    before = server.metric(f"requests_total{{{labels}}}")
    with Half(server, pictures[0]):
        server.wait_for("requests_in_progress", 1)
    server.wait_for(f"requests_total{{{labels}}}", before + 1)
    assert server.metric("requests_in_progress") == 0


def test_a_slow_client_is_given_up(server, pictures):
    with Half(server, pictures[0]) as half, grpc.insecure_channel(server.grpc) as channel:

        def never():
            yield from iter(threading.Event().wait, None)

        call = channel.stream_unary("/tensorflow.serving.PredictionService/Predict")
        with pytest.raises(grpc.RpcError) as caught:
            call(never(), timeout=30)
        assert (caught.value.code().name, caught.value.details()) == (
            *("DEADLINE_EXCEEDED", "the client took more than 3 s"),
        )
        assert half.answer() == (504, {"error": "the client took more than 2 s"})


def test_an_answer_that_nobody_reads_is_given_up(server):
    # A short message that stands for 120,000 values. An answer of less than 64 kB would wait within gRPC.
    tensor = tensor_pb2.TensorProto(dtype=tf.uint8.as_datatype_enum, int_val=[1])
    for size in (1, 200, 200, 3):
        tensor.tensor_shape.dim.add(size=size)
    message = predict_request(stego=tensor).SerializeToString()
    with socket.create_connection(("127.0.0.1", server.grpc_port), timeout=30) as connection:
        connection.sendall(calls(b"/tensorflow.serving.PredictionService/Predict", message, 1, window=1))
        server.wait_for("requests_in_progress", 1)
        while connection.recv(65536):
            pass  # until it is closed
    assert server.metric("requests_in_progress") == 0


def test_connections_that_say_nothing_give_way_to_new_ones(server, functions, pictures):
    silent = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(60)]
    assert post(server, {"instances": pictures[:1].tolist()}).json() == {
        "predictions": functions["reveal"](pictures[:1]).tolist()
    }
    silent[-1].settimeout(0.2)
    with pytest.raises(TimeoutError):
        silent[-1].recv(1)  # still open
    assert silent[0].recv(1) == b""  # closed
    for connection in silent:
        connection.close()


def test_an_answer_is_no_larger_than_a_request_may_be():
    service = SimpleNamespace(settings=Settings(max_body_mb=1))
    Service.check_answer(service, 2**20)
    with pytest.raises(RequestError, match="the answer is larger than 1,048,576 bytes"):
        Service.check_answer(service, 2**20 + 1)


def test_pages_of_other_sites_are_refused(server):
    body = {"instances": GOOD.tolist()}
    assert "pages of other sites" in refused(post(server, body, headers={"Origin": "http://evil.example"}), 403)
    assert "evil.example" in refused(post(server, body, headers={"Host": "evil.example"}), 403)
    assert "application/json" in refused(post(server, body, headers={"Content-Type": "text/plain"}), 415)
    assert not {name for name in post(server, body).headers if name.startswith("Access-Control")}


@pytest.mark.parametrize("body", [b"\xff\xff", b"\x12\x00" * 1000, b""])
def test_broken_messages(server, body):
    with grpc.insecure_channel(server.grpc) as channel:
        for method in (
            "PredictionService/Predict",
            "PredictionService/GetModelMetadata",
            "ModelService/GetModelStatus",
        ):
            code, details = status_of(channel.unary_unary(f"/tensorflow.serving.{method}"), body)
            assert code == "INVALID_ARGUMENT", details


def test_the_server_ends_when_its_requests_are_answered(servers, functions, pictures):
    _, server = servers
    expected = functions["reveal"](pictures[:1]).tolist()
    with (
        requests.Session() as session,
        grpc.insecure_channel(server.grpc) as channel,
        Half(server, pictures[0]) as half,
    ):
        assert session.get(f"{server.url}/healthz", timeout=10).ok  # its connection stays open
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        call = stub.Predict.future(predict_request(stego=pictures[:1]), timeout=60)  # waits 1.5 s for its batch
        server.wait_for("requests_in_progress", 2)
        server.process.send_signal(signal.SIGTERM)
        for line in server.process.stdout:
            if line.startswith("stopping"):
                break
        assert tf.make_ndarray(call.result().outputs["secret"]).tolist() == expected
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=60)
        assert "being stopped" in refused(session.post(server.url + "/v1/models/tiny:predict", data=b"{}"), 503)
        assert half.finish() == (200, {"predictions": expected})
    assert server.process.wait(timeout=60) == 0
    assert server.process.stderr.read() == ""


# What keeps it from starting


def fails(capsys, *flags):
    """Runs a server that must not start, and returns what it says."""
    with pytest.raises(SystemExit) as exit_:
        commands.main(commands.parse(["stegano-tf", "serve", *map(str, flags)]))
    assert exit_.value.code == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.fixture
def copy(tree, tmp_path):
    """A copy of the models to break."""
    shutil.copytree(tree, tmp_path / "models")
    return tmp_path / "models"


@pytest.mark.parametrize(
    "name", ["saved_model.pb", "variables/variables.index", "assets.extra/tf_serving_warmup_requests", "manifest.json"]
)
def test_an_incomplete_model_is_refused_by_name(copy, capsys, name):
    (copy / "tiny" / "3" / name).unlink()
    assert f"{copy / 'tiny' / '3' / name}: does not exist" in fails(capsys, "--savedmodels", copy)


def test_an_altered_model_is_refused_by_name(copy, capsys):
    file = copy / "tiny" / "3" / "variables" / "variables.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    assert f"{file}: was altered" in fails(capsys, "--savedmodels", copy)


def test_an_unknown_model_or_an_empty_folder(tree, tmp_path, capsys):
    assert f"{tree}: holds no model nothing, expected one of tiny" in fails(
        capsys, "--savedmodels", tree, "--preset=nothing"
    )
    assert f"{tmp_path}: holds no model" in fails(capsys, "--savedmodels", tmp_path)


def test_versions_come_and_go(copy):
    """One that is dropped in is served, a broken one is refused by name, one that goes is let go."""
    found = models.Models(copy)
    assert found.latest["tiny"].version == 3
    assert found.look() == []

    shutil.copytree(copy / "tiny" / "3", copy / "tiny" / "12")
    (copy / "tiny" / "12" / "fingerprint.pb").write_bytes(b"")
    assert found.look() == []  # it may still be being written
    file = copy / "tiny" / "12" / "fingerprint.pb"
    (line,) = found.look()
    assert line.startswith(f"refused tiny version 12: {file}: was altered")
    assert found.latest["tiny"].version == 3
    assert found.look() == []  # said once

    shutil.copy(copy / "tiny" / "3" / "fingerprint.pb", file)
    assert found.look() == []
    assert found.look() == ["let go tiny version 3", "serving tiny version 12"]
    assert (found.latest["tiny"].version, found.refused) == (12, {})

    shutil.rmtree(copy / "tiny" / "12")
    assert found.look() == ["let go tiny version 12", "serving tiny version 3"]
    shutil.rmtree(copy / "tiny")
    assert found.look() == ["let go tiny version 3"]
    assert found.latest == {}


def test_an_altered_model_does_not_stop_the_others(copy):
    shutil.copytree(copy / "tiny", copy / "other")
    file = copy / "other" / "3" / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:-1])
    found = models.Models(copy)
    assert found.latest.keys() == {"tiny"}
    assert [f"{file}: was altered" in str(error) for error in found.refused.values()] == [True]


@pytest.mark.parametrize("taken", ["port", "grpc_port"])
def test_a_port_that_is_taken(server, taken):
    ports = {"port": 0, "grpc_port": 0, taken: server.port}
    with pytest.raises(ServerError, match=f"127.0.0.1:{server.port}: cannot be listened on"):
        server_module.run(SimpleNamespace(latest={}, refused={}), Settings(**ports))


@pytest.mark.parametrize("flag", ["--port=65536", "--num_batch_threads=0", "--max_pixels=-1", "--max_requests=x"])
def test_settings_that_cannot_be(flag, capsys):
    with pytest.raises(SystemExit) as exit_:
        commands.parse(["stegano-tf", "serve", flag])
    assert exit_.value.code == 2
    assert "expected an integer from" in capsys.readouterr().err


def test_a_package_that_is_missing_is_named():
    script = "import sys; sys.modules['aiohttp'] = None; from stegano_tf import commands; commands.run()"
    done = subprocess.run([sys.executable, "-c", script, "serve"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "stegano-tf: serve needs the package aiohttp, which is not installed\n",
    )
