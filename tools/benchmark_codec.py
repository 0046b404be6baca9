"""Measures the speed and the memory of the picture <-> sound codec against python-soundfile alone.

    python tools/benchmark_codec.py --megapixels=16 --repeats=7 --json=FILE

`measure_codec` compares encoding with `soundfile.write` of the same samples from memory, and decoding with
`soundfile.read` of the same file, both as it comes (float64) and with dtype="int16". That last one does little but copy
from the page cache, faster than one core computes the payload's SHA-256. All take turns within each repeat, so a busy
machine slows all of them, and the ratios of the medians are what to quote. `measure_memory` reports the peak resident
memory that encoding and decoding add, each in a fresh process, as a multiple of the BMP's size.
"""

import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from absl import app, flags
from publishing import publish

from stegano_tf.audio import codec, framing, pcm
from stegano_tf.audio.payloads import bmp

_MEGAPIXELS = flags.DEFINE_float("megapixels", 16.0, "Size of the square test picture.", lower_bound=1e-3)
_REPEATS = flags.DEFINE_integer("repeats", 7, "How often everything is timed; medians are reported.", lower_bound=1)
_FOLDER = flags.DEFINE_string("folder", None, "Where the sound files are written; a temporary folder by default.")
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")


def noise(megapixels: float) -> np.ndarray:
    """Returns a square uint8[H, W, 3] picture of noise: what no container can compress."""
    side = math.isqrt(round(megapixels * 1e6))
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def measure_codec(megapixels: float = 16, repeats: int = 7, folder: str | None = None) -> dict:
    """Returns median seconds of encoding, decoding and their soundfile counterparts, and the two ratios."""
    image = noise(megapixels)
    size, blocks = bmp.encode(image)
    samples = np.concatenate(
        [pcm.encode(block) for block in framing.frame(framing.Header(size), blocks, framing.Digest())]
    )
    with tempfile.TemporaryDirectory(dir=folder) as name:
        ours, plain = Path(name, "ours.wav"), Path(name, "plain.wav")
        steps = {
            "soundfile_write_s": lambda: soundfile.write(plain, samples, 44100, "PCM_16"),
            "encode_s": lambda: codec.encode(image, ours, force=True),
            "soundfile_read_s": lambda: soundfile.read(ours),
            "soundfile_read_int16_s": lambda: soundfile.read(ours, dtype="int16"),
            "decode_s": lambda: codec.decode(ours),
        }
        times = {step: [] for step in steps}
        for turn in range(repeats + 1):
            for step, run in steps.items():
                start = time.perf_counter()
                run()
                if turn:  # the first turn warms up imports, thread pools and the page cache
                    times[step].append(time.perf_counter() - start)
        if ours.read_bytes() != plain.read_bytes() or not np.array_equal(codec.decode(ours).image, image):
            raise AssertionError("the codec and soundfile wrote different samples: the comparison would mean nothing")
    medians = {step: statistics.median(values) for step, values in times.items()}
    return {
        "megapixels": image.shape[0] * image.shape[1] / 1e6,
        "repeats": repeats,
        **medians,
        "encode_ratio": medians["encode_s"] / medians["soundfile_write_s"],
        "decode_ratio": medians["decode_s"] / medians["soundfile_read_s"],
        "decode_ratio_int16": medians["decode_s"] / medians["soundfile_read_int16_s"],
    }


def measure_memory(megapixels: float = 16, folder: str | None = None) -> dict:
    """Returns the peak memory that encoding (its input picture included) and decoding add, in BMP sizes.

    Each runs in a process of its own, above what that process had used after the imports.
    """
    with tempfile.TemporaryDirectory(dir=folder) as name:
        path = str(Path(name, "memory.wav"))
        peaks = {
            step: int(
                subprocess.run(
                    [
                        sys.executable,
                        __file__,
                        f"--peak_of={step}",
                        f"--peak_path={path}",
                        f"--megapixels={megapixels}",
                    ],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
            )
            for step in ("encode", "decode")
        }
        bmp_bytes = codec.inspect(path).payload_bytes
    return {
        "bmp_bytes": bmp_bytes,
        **{f"{step}_peak_bytes": peak for step, peak in peaks.items()},
        **{f"{step}_peak_ratio": peak / bmp_bytes for step, peak in peaks.items()},
    }


_PEAK_OF = flags.DEFINE_enum("peak_of", None, ["encode", "decode"], "Used by measure_memory for its child processes.")
_PEAK_PATH = flags.DEFINE_string("peak_path", None, "The sound file of --peak_of.")


def _peak_bytes(step: str, path: str, megapixels: float) -> int:
    """Runs one step in this process and returns by how many bytes the peak of its resident memory rose."""
    bmp.encode(noise(1e-4))  # numpy loads its random number generator
    before = _peak()
    if step == "encode":
        codec.encode(noise(megapixels), path)
    else:
        codec.decode(path)
    return _peak() - before


def _peak() -> int:
    """Returns the highest resident memory of this process so far, in bytes (Linux).

    Not getrusage's ru_maxrss: a child process starts with its parent's value, which may be far above its own.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def main(_):
    if _PEAK_OF.value:
        print(_peak_bytes(_PEAK_OF.value, _PEAK_PATH.value, _MEGAPIXELS.value))
        return
    figures = {
        "codec": measure_codec(_MEGAPIXELS.value, _REPEATS.value, _FOLDER.value),
        "memory": measure_memory(_MEGAPIXELS.value, _FOLDER.value),
    }
    publish(figures, _JSON.value)


if __name__ == "__main__":
    app.run(main)
