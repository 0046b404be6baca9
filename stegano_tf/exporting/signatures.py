"""The networks of a preset as a SavedModel with named signatures, for TF Serving and `tf.saved_model.load`.

`card` has the table of signatures. TF Serving's REST interface takes and returns `{"b64": ...}` for names in `_bytes`.
"""

import functools
import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from stegano_tf.networks import pictures
from stegano_tf.networks.family import Networks
from stegano_tf.runtime import MIN_SIDE

PICTURES = (None, None, None, 3)


class Serving(tf.Module):
    """What `save` saves: the weights of both networks, and the functions behind the signatures."""

    def __init__(self, networks: Networks, multiples: tuple[int, int]):
        super().__init__(name="stegano_tf")
        # TensorFlow tracks the bare variables, and must not find the networks. It would save functions of each Keras
        # layer, and each variable a second time.
        self._weights = [variable.value for variable in networks.pair.variables]
        self._hide = functools.partial(pictures.hide, networks, multiples)
        self._reveal = functools.partial(pictures.reveal, networks, multiples)

    @tf.function(input_signature=[tf.TensorSpec(PICTURES, tf.uint8, name) for name in ("cover", "secret")])
    def hide(self, cover, secret):
        return {"stego": self._hide(*_checked(cover, secret))}

    @tf.function(input_signature=[tf.TensorSpec(PICTURES, tf.uint8, "stego")])
    def reveal(self, stego):
        return {"secret": self._reveal(*_checked(stego))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name) for name in ("cover_bytes", "secret_bytes")])
    def hide_bytes(self, cover_bytes, secret_bytes):
        return {"stego_bytes": _encode(self.hide(_decode(cover_bytes), _decode(secret_bytes))["stego"])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "stego_bytes")])
    def reveal_bytes(self, stego_bytes):
        return {"secret_bytes": _encode(self.reveal(_decode(stego_bytes))["secret"])}


def save(networks: Networks, multiples: tuple[int, int], folder: str | os.PathLike) -> Serving:
    """Writes the SavedModel to `folder`, and returns what it holds."""
    serving = Serving(networks, multiples)
    signatures = {name: getattr(serving, name) for name in ("hide", "reveal", "hide_bytes", "reveal_bytes")}
    tf.saved_model.save(serving, os.fspath(folder), signatures | {"serving_default": serving.reveal})
    return serving


def write_warmup(folder: str | os.PathLike, preset: str) -> None:
    """Writes one request a signature into the SavedModel in `folder`: TF Serving runs them when it loads a version."""
    # https://www.tensorflow.org/tfx/serving/saved_model_warmup: TFRecords of PredictionLog.
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    picture = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], ramp[::-1, None]), axis=-1)
    batch, file = tf.constant(picture[None]), tf.io.encode_png(picture)[None]
    requests = {
        "reveal": {"stego": batch},
        "hide": {"cover": batch, "secret": batch},
        "reveal_bytes": {"stego_bytes": file},
        "hide_bytes": {"cover_bytes": file, "secret_bytes": file},
    }
    path = Path(folder, "assets.extra", "tf_serving_warmup_requests")
    path.parent.mkdir()
    with tf.io.TFRecordWriter(os.fspath(path)) as records:
        for signature, inputs in requests.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = preset
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictLog(request=request)
            records.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def _checked(*batches):
    """Returns the batches if they are of one shape and large enough; otherwise the graph ends in InvalidArgument."""
    shape = tf.shape(batches[0])
    small = f"height or width is below {MIN_SIDE} pixels, expected at least {MIN_SIDE}"
    checks = [tf.debugging.assert_greater_equal(shape[1:3], MIN_SIDE, small)]
    for batch in batches[1:]:
        other = "cover and secret differ in shape, expected the same"
        checks.append(tf.debugging.assert_equal(tf.shape(batch), shape, other))
    with tf.control_dependencies(checks):
        return [tf.identity(batch) for batch in batches]


def _decode(files):
    """string[B], PNG, JPEG, BMP or GIF -> uint8[B, H, W, 3]; InvalidArgument if the pictures differ in size."""
    picture = tf.TensorSpec(PICTURES[1:], tf.uint8)
    return tf.map_fn(
        lambda data: tf.io.decode_image(data, channels=3, expand_animations=False), files, fn_output_signature=picture
    )


def _encode(batch):
    return tf.map_fn(tf.io.encode_png, batch, fn_output_signature=tf.string)
