"""What a reader process makes of bodies, without a process: right values first, then what must cost nothing."""

import base64
import gzip
import io
import json
import pickle
import struct
import zlib

import numpy as np
import pytest
from crafted import encoded, gif_of_frames, jpeg_of_scans
from PIL import Image

from stegano_tf.serving import pictures, reading
from stegano_tf.serving.catalog import Entry, Names, Tensor
from stegano_tf.serving.errors import BodyError, RequestError

LIMITS = reading.Limits(body=10_000, pixels=10_000, memory=2**20)
PIXELS, FILES = Tensor("uint8", (None, None, None, 3)), Tensor("string", (None,))
SIGNATURES = {
    "serving_default": Names({"stego": PIXELS}, ("secret",)),
    "hide": Names({"cover": PIXELS, "secret": PIXELS}, ("stego",)),
    "reveal_bytes": Names({"stego_bytes": FILES}, ("secret_bytes",)),
}
CATALOG = {"tiny": Entry(3, SIGNATURES)}


def pixels_of(bmp):
    assert bmp.startswith(b"BM")
    return np.asarray(Image.open(io.BytesIO(bmp)))


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 256, (20, 26, 3), dtype=np.uint8)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})])
def test_lossless_files_become_bmp_files_of_the_same_pixels(picture, kind, options):
    file = encoded(picture, kind, **options)
    assert pictures.size("it", file) == (20, 26)
    assert np.array_equal(pixels_of(pictures.as_bmp("it", file)), picture)


def test_a_jpeg_file_and_one_of_a_telephone(picture):
    grey = np.full((20, 26, 3), 77, np.uint8)
    assert pixels_of(pictures.as_bmp("it", encoded(grey, "JPEG"))).tolist() == grey.tolist()
    second = Image.fromarray(picture[:10])
    both = encoded(grey, "MPO", save_all=True, append_images=[second])
    assert pixels_of(pictures.as_bmp("it", both)).tolist() == grey.tolist()
    # Random bytes behind the end, such as a film, are not looked at: they hold what looks like scans.
    assert pictures.size("it", encoded(grey, "JPEG") + 200 * b"\xff\xda") == (20, 26)


def test_alpha_is_ignored_and_16_bits_are_cut(picture):
    transparent = np.dstack([picture, picture[:, :, 0]])
    assert np.array_equal(pixels_of(pictures.as_bmp("it", encoded(transparent, "PNG"))), picture)
    grey = picture[:, :, 0].astype(np.uint16) * 256 + 255
    assert np.array_equal(pixels_of(pictures.as_bmp("it", encoded(grey, "PNG")))[:, :, 1], picture[:, :, 0])


FRAMES = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green")]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (gif_of_frames(16, 400), "expected a picture file"),
        (encoded(FRAMES[0], "TIFF"), "expected a picture file"),
        (encoded(FRAMES[0], "PPM"), "expected a picture file"),
        (b"", "0 bytes"),
        (encoded(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]), "holds 2 frames, expected one"),
        (encoded(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:]), "holds 2 frames, expected one"),
        (jpeg_of_scans(16, 101), "more than 100 scans"),
        (b"\xff\xd8" + b"\xff" * 1000 + encoded(FRAMES[0], "JPEG")[2:], "1000 bytes lie between"),
        (b"\xff\xd8" + b"\xff\xe0\0\x02" * 1001 + encoded(FRAMES[0], "JPEG")[2:], "1000 segments"),
        (b"\xff\xd8" + b"\xff" * 100_000, "without a picture"),
    ],
)
def test_what_is_refused_before_it_is_decoded(file, said):
    with pytest.raises(RequestError, match=said) as caught:
        pictures.size("it", file)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_jpeg_file_of_many_scans_that_still_may_be():
    assert pictures.as_bmp("it", jpeg_of_scans(16, 90)).startswith(b"BM")


def test_a_damaged_file(picture):
    with pytest.raises(RequestError, match=r"^it: cannot be decoded \(.*\), expected an undamaged file$"):
        pictures.as_bmp("it", encoded(picture, "PNG")[:700])


def from_json(**document):
    return reading.from_json(json.dumps(document).encode(), "", "tiny", SIGNATURES, LIMITS)


def b64(content):
    return {"b64": base64.b64encode(content).decode()}


def test_json(picture):
    request = from_json(inputs=[picture.tolist(), picture.tolist()])
    assert (request.model, request.signature, request.size, request.key) == (
        *("tiny", "serving_default", (20, 26), "outputs"),
    )
    assert np.array_equal(request.inputs["stego"], [picture, picture])
    request = from_json(signature_name="reveal_bytes", instances=[b64(encoded(picture, "PNG"))])
    assert (request.size, request.key) == ((20, 26), "predictions")
    assert np.array_equal(pixels_of(request.inputs["stego_bytes"][0]), picture)


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_bodies(coding, compress):
    def read(body, coding=coding):
        return reading.from_json(body, coding, "tiny", SIGNATURES, LIMITS)

    picture = [[[[7, 8, 9]] * 16] * 16]
    assert read(compress(json.dumps({"inputs": picture}).encode())).inputs["stego"].tolist() == picture
    with pytest.raises(BodyError, match="larger than 10,000 bytes") as caught:
        read(compress(b'{"inputs": [' + bytes(2**24)))  # no JSON: nobody finds out
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    for body, said in ((b"none", "cannot be read"), (compress(b"{}")[:-1], "cut short")):
        with pytest.raises(RequestError, match=said):
            read(body)
    with pytest.raises(RequestError, match="expected gzip or deflate"):
        read(b"{}", "br")


def test_pixels_are_counted_before_a_file_is_decoded():
    huge = encoded(Image.new("L", (3000, 3000)), "PNG")[:200]  # its pixels are not even there
    with pytest.raises(RequestError, match="9,000,000 pixels in all, expected at most 10,000") as caught:
        from_json(signature_name="reveal_bytes", instances=[b64(huge)])
    assert caught.value.signature == "reveal_bytes"
    small = encoded(Image.new("L", (50, 50)), "PNG")
    with pytest.raises(RequestError, match="5 pictures of 50x50, 12,500 pixels in all"):
        from_json(signature_name="reveal_bytes", instances=5 * [b64(small)])


@pytest.fixture(scope="module")
def messages():
    """Makes PredictRequest messages, and reads them as a reader process does."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    from stegano_tf.serving import proto_format

    files = tuple(proto_format.descriptors(predict_pb2.DESCRIPTOR))

    class Messages:
        @staticmethod
        def make(signature="", outputs=(), **inputs):
            request = predict_pb2.PredictRequest(output_filter=outputs)
            request.model_spec.name, request.model_spec.signature_name = "tiny", signature
            for name, value in inputs.items():
                array = value if isinstance(value[0], bytes) else np.array(value)
                request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
            return request

        @staticmethod
        def read(request):
            body = request if isinstance(request, bytes) else request.SerializeToString()
            return reading.from_proto(body, files, CATALOG, LIMITS)

        @classmethod
        def refused(cls, request):
            with pytest.raises(RequestError) as caught:
                cls.read(request)
            return caught.value.code, str(caught.value)

    return Messages


def test_messages(messages, picture):
    request = messages.read(messages.make("hide", cover=[picture], secret=[picture[::-1]]))
    assert (request.model, request.signature, request.size) == ("tiny", "hide", (20, 26))
    assert np.array_equal(request.inputs["cover"][0], picture)
    assert np.array_equal(request.inputs["secret"][0], picture[::-1])
    request = messages.read(messages.make("reveal_bytes", stego_bytes=[encoded(picture, "WEBP", lossless=True)]))
    assert np.array_equal(pixels_of(request.inputs["stego_bytes"][0]), picture)


def test_each_output_is_given_once(messages, picture):
    assert messages.read(messages.make(stego=[picture], outputs=2000 * ["secret"])).outputs == ("secret",)


def test_names_are_refused_before_tensors_are_read(messages, picture):
    request = messages.make(stego=[picture], other=[picture])
    for tensor in request.inputs.values():
        tensor.tensor_content = b""  # no whole tensors: nobody finds out
    assert messages.refused(request) == (
        "INVALID_ARGUMENT",
        "signature serving_default takes stego; missing: none, unknown: other",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensor: tensor.int_val.append(256), "holds 256 to 256, expected integers from 0 to 255"),
        (lambda tensor: tensor.int_val.append(-1), "holds -1 to -1"),
        (lambda tensor: tensor.int_val.extend(range(0)), "0 values, expected 1560"),
        (lambda tensor: tensor.int_val.extend(1561 * [1]), "1561 values, expected 1560"),
        (lambda tensor: setattr(tensor, "tensor_content", bytes(1559)), "1559 values, expected 1560"),
        (lambda tensor: setattr(tensor, "dtype", 1), "is of type float, expected uint8"),
        (lambda tensor: setattr(tensor, "dtype", 999), "is of type 999, expected uint8"),
        (lambda tensor: setattr(tensor.tensor_shape, "unknown_rank", True), "expected at most 30,000 values"),
        (lambda tensor: setattr(tensor.tensor_shape.dim[0], "size", -1), "of shape [-1, 20, 26, 3]"),
        (lambda tensor: setattr(tensor.tensor_shape.dim[0], "size", 2**62), "expected at most 30,000 values"),
        (lambda tensor: tensor.tensor_shape.dim.extend(100 * [tensor.tensor_shape.dim[0]]), "of shape [1, 20, 26, 3,"),
        (lambda tensor: tensor.ClearField("tensor_shape"), "of shape []"),
    ],
)
def test_broken_tensors(messages, picture, change, said):
    request = messages.make(stego=[picture])
    tensor = request.inputs["stego"]
    tensor.tensor_content = b""
    change(tensor)
    code, message = messages.refused(request)
    assert (code, said in message) == ("INVALID_ARGUMENT", True), message


@pytest.mark.parametrize("body", [b"\xff\xff", b"\x0a\x05abc", b"\x12" + struct.pack("B", 3) + b"\x12\x01\x08"])
def test_broken_messages(messages, body):
    code, message = messages.refused(body)
    assert (code, "no PredictRequest" in message) == ("INVALID_ARGUMENT", True), message
