"""Exported networks for tests: the preset `tiny` with weights of its own, written once a session."""

import contextlib
import io

import numpy as np

from stegano_tf.exporting import Options
from stegano_tf.exporting.run import export
from stegano_tf.networks import build


def options(**changes) -> Options:
    """The options of an export of `tiny`, with float32 TFLite files alone."""
    return Options(**{"preset": "tiny", "tflite": []} | changes)


def random_weights(path):
    """Writes weights of `tiny` that are not those of a fresh one."""
    networks = build.build("tiny")
    random = np.random.default_rng(0)
    for variable in networks.pair.trainable_variables:
        variable.assign(variable + random.normal(0, 0.1, variable.shape))
    build.save_weights(networks, path)
    return path


def export_quietly(**changes):
    """Exports `tiny` and returns the folder of the version."""
    with contextlib.redirect_stderr(io.StringIO()):
        return export(options(**changes))
