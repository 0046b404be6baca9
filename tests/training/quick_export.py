"""`python -m stegano_tf.export` without TensorFlow's part, which takes seconds and writes to a partial folder alone."""

import os
import runpy
import signal

from stegano_tf.exporting import signatures, tflite


def save(networks, multiples, folder):
    for name in ("saved_model.pb", "fingerprint.pb"):
        (folder / name).write_bytes(name.encode() * 10_000)


def convert(networks, name, variant, *, scratch):
    if number := os.environ.get("STOPPED_BY"):
        signal.raise_signal(signal.Signals[number])
    return f"{name} {variant}".encode() * 10_000


signatures.save, signatures.write_warmup, tflite.convert = save, lambda folder, preset: None, convert
runpy.run_module("stegano_tf.export", run_name="__main__", alter_sys=True)
