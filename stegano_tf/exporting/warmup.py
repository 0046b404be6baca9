"""Warm-up requests: TF Serving runs them when it loads a version, so that its first user need not wait.

https://www.tensorflow.org/tfx/serving/saved_model_warmup: TFRecords of PredictionLog in a file of the SavedModel.
"""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

FILE = "assets.extra/tf_serving_warmup_requests"
SIDE = 64


def write(folder: str | os.PathLike, preset: str) -> None:
    """Writes one request a signature, with a picture of 64x64 pixels, into the SavedModel in `folder`."""
    ramp = np.linspace(0, 255, SIDE, dtype=np.uint8)
    picture = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], ramp[::-1, None]), axis=-1)
    batch, file = tf.constant(picture[None]), tf.io.encode_png(picture)[None]
    requests = {
        "reveal": {"stego": batch},
        "hide": {"cover": batch, "secret": batch},
        "reveal_bytes": {"stego_bytes": file},
        "hide_bytes": {"cover_bytes": file, "secret_bytes": file},
    }
    path = Path(folder, FILE)
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
