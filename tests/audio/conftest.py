"""WAV files written field by field, independent of the library that reads them."""

import struct

import numpy as np
import pytest


@pytest.fixture
def make_wav(tmp_path):
    """Returns a function that writes a WAV file from its fields and returns its path."""

    def make(samples, *, name="made.wav", channels=1, rate=44100, tag=1, bits=16, data_size=None, riff_size=None):
        data = samples if isinstance(samples, bytes) else np.asarray(samples, "<i2").tobytes()
        data_size = len(data) if data_size is None else data_size
        riff_size = 36 + len(data) if riff_size is None else riff_size
        frame = channels * bits // 8
        path = tmp_path / name
        path.write_bytes(
            struct.pack("<4sI4s", b"RIFF", riff_size, b"WAVE")
            + struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * frame, frame, bits)
            + struct.pack("<4sI", b"data", data_size)
            + data
        )
        return path

    return make


@pytest.fixture
def image():
    """A picture whose rows need padding: uint8[5, 7, 3] noise."""
    return np.random.default_rng(7).integers(0, 256, (5, 7, 3), dtype=np.uint8)
