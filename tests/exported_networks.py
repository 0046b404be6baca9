"""Exported networks for tests: the preset `tiny` with weights that do something, written once a session."""

import contextlib
import io

import keras

from stegano_tf.exporting.run import Options, export
from stegano_tf.networks import build


def options(**changes) -> Options:
    """The options of an export of `tiny`, with float32 TFLite files alone."""
    defaults = {"preset": "tiny", "weights": None, "out": None, "version": None, "tflite": [], "data": None}
    return Options(**defaults | {"limit": None, "force": False} | changes)


def random_weights(path):
    """Writes weights of `tiny` that change pictures: fresh couplings are the identity."""
    keras.utils.set_random_seed(0)
    networks = build.build("tiny")
    for variable in networks.hide.trainable_variables:
        variable.assign(keras.random.normal(variable.shape, stddev=0.2))
    build.save_weights(networks, path)
    return path


def export_quietly(**changes):
    """Exports `tiny` and returns the folder of the version."""
    with contextlib.redirect_stderr(io.StringIO()):
        return export(options(**changes))
