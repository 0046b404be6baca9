"""Measures what sealing, parity, known levels and recordings reach: the table of docs/FORMAT.md's forms.

    python tools/benchmark_audio.py --trials=1000 --json=tools/results/audio.json

Speeds are megabytes of message a second of processor time, all threads together, medians of `--repeats`: other work on
the machine counts as little as it can. Every trial is seeded with its number and counts only if the message comes back
bit for bit. `candidates` are the libraries that were compared for `parity`; those that are not installed (galois is not
among the requirements) are left out.
"""

import io
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rich.progress
import soundfile
from absl import app, flags
from publishing import publish

from stegano_tf import sealing
from stegano_tf.audio import codec, files, parity
from stegano_tf.audio.forms import carried
from stegano_tf.sealing import age

_MEGABYTES = flags.DEFINE_float("megabytes", 10.0, "Size of what is timed.", lower_bound=0.1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "How often everything is timed.", lower_bound=1)
_TRIALS = flags.DEFINE_integer("trials", 1000, "Seeded trials of each kind of damage.", lower_bound=1)
_SIDE = flags.DEFINE_integer("side", 64, "Height and width of the picture of a trial.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")


def _median(run: Callable[[], object], repeats: int) -> float:
    times = []
    for turn in range(repeats + 1):
        start = time.process_time()
        run()
        if turn:  # the first one warms up
            times.append(time.process_time() - start)
    return statistics.median(times)


def measure_sealing(megabytes: float, repeats: int) -> dict:
    """Returns MB/s of sealing and opening for a recipient: the file key costs nothing there."""
    data = os.urandom(round(megabytes * 1e6))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "identity.txt")
        lock, key = sealing.Lock(recipients=[sealing.keygen(path)]), sealing.Key(identities=[path])
        sealed = io.BytesIO()
        age.seal(io.BytesIO(data), sealed, lock)
        return {
            "seal_mb_s": megabytes / _median(lambda: age.seal(io.BytesIO(data), io.BytesIO(), lock), repeats),
            "open_mb_s": megabytes
            / _median(lambda: age.unseal(io.BytesIO(sealed.getvalue()), io.BytesIO(), key), repeats),
        }


def measure_parity(megabytes: float, repeats: int) -> dict:
    """Returns MB/s of picture to WAV file and back with 10 % of parity, and what the sound is longer by."""
    side = round((megabytes * 1e6 / 3) ** 0.5)
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.wav")
        encoding = _median(lambda: codec.encode(image, path, parity=0.1, force=True), repeats)
        decoding = _median(lambda: codec.decode(path), repeats)
        info = codec.inspect(path)
    return {
        "encode_mb_s": image.nbytes / 1e6 / encoding,
        "decode_clean_mb_s": image.nbytes / 1e6 / decoding,
        "longer_by": info.frames / info.payload_bytes - 1,
    }


def measure_candidates(megabytes: float) -> dict:
    """Returns MB/s of 12 check symbols for every 243 bytes, and milliseconds to correct one codeword of 6 errors."""
    words = np.random.default_rng(0).integers(0, 256, (round(megabytes * 1e6) // 243, 243), dtype=np.uint8)
    found = {}

    def encoded(name, function, count):
        function(words[:2])
        start = time.process_time()
        function(words[:count])
        found[f"{name}_encode_mb_s"] = count * 243 / 1e6 / (time.process_time() - start)

    encoded("zfec", lambda part: parity.check_symbols(part.T, 12), len(words))
    import reedsolo  # noqa: PLC0415

    pure = reedsolo.RSCodec(12, nsize=255, fcr=0, prim=0x11D, generator=2)
    encoded("reedsolo", lambda part: [pure.encode(word.tobytes()) for word in part], 200)
    damaged = np.array([np.frombuffer(pure.encode(word.tobytes()), np.uint8) for word in words[:50]])
    damaged[:, ::43] ^= 1
    found["reedsolo_correct_ms"] = 1e3 / 50 * _median(lambda: [pure.decode(word.tobytes()) for word in damaged], 1)
    try:
        import galois  # noqa: PLC0415
    except ImportError:
        return found
    code = galois.ReedSolomon(255, 243, c=0)
    encoded("galois", lambda part: code.encode(code.field(part)), 20_000)
    found["galois_correct_ms"] = 1e3 / 50 * _median(lambda: code.decode(code.field(damaged)), 1)
    return found


def replaced(samples: np.ndarray, random: np.random.Generator) -> None:
    """Replaces 2 % of the samples, drawn at random, by random values."""
    where = random.choice(len(samples), len(samples) // 50, replace=False)
    samples[where] = random.integers(-32768, 32768, len(where))


def replaced_by_levels(samples: np.ndarray, random: np.random.Generator) -> None:
    """As `replaced`, but by values that are themselves exact levels: nothing shows where the damage is."""
    where = random.choice(len(samples), len(samples) // 50, replace=False)
    samples[where] = 256 * random.integers(0, 256, len(where)) - 32640


def burst(samples: np.ndarray, random: np.random.Generator, share: float = 0.03) -> None:
    """Replaces 3 % of the samples in one piece."""
    length = round(share * len(samples))
    start = random.integers(0, len(samples) - length + 1)
    samples[start : start + length] = random.integers(-32768, 32768, length)


def bursts(samples: np.ndarray, random: np.random.Generator) -> None:
    """Replaces 20 pieces of 0.1 %."""
    for _ in range(20):
        burst(samples, random, 0.001)


def _trials(name: str, trials: int, trial: Callable[[int], bool]) -> int:
    return sum(trial(seed) for seed in rich.progress.track(range(trials), name))


def measure_repairs(trials: int, side: int) -> dict:
    """Returns how many sounds with 10 % of parity, WAV files of a picture each, are read after each kind of damage."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.wav")

        def trial(damage, seed):
            random = np.random.default_rng(seed)
            image = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
            codec.encode(image, path, parity=0.1, force=True)
            samples = files.read_channel(path, 0)
            damage(samples, random)
            files.write(path, [samples], len(samples), force=True)
            return _same(path, image)

        kinds = {"2_per_cent_replaced": replaced, "burst_3_per_cent": burst, "20_bursts": bursts}
        kinds["2_per_cent_replaced_by_levels"] = replaced_by_levels
        return {name: _trials(name, trials, lambda seed, kind=kind: trial(kind, seed)) for name, kind in kinds.items()}


def measure_noise(trials: int, side: int) -> dict:
    """Returns how many sounds are read after gain 0.5 to 2, DC of up to 1000, and noise of ±127, all together.

    In 16-bit files the noise comes last, at a depth of 4 (at 8, a gain of 0.5 makes levels 128 apart, and one of 2
    clips); in floating-point files it comes first, at a depth of 8 with 10 % of parity.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.wav")

        def trial(depth, seed):
            random = np.random.default_rng(seed)
            image = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
            codec.encode(image, path, depth=depth, parity=0.1 if depth == 8 else 0, force=True)
            samples = files.read_channel(path, 0).astype(np.float64)
            noise = random.integers(-127, 128, len(samples))
            gain, offset = random.choice([-1, 1]) * random.uniform(0.5, 2), random.uniform(-1000, 1000)
            if depth == 4:
                soundfile.write(path, np.rint(gain * samples + offset + noise).astype(np.int16), 44100, "PCM_16")
            else:
                soundfile.write(path, (gain * (samples + noise) + offset) / 32768, 44100, "FLOAT")
            return _same(path, image)

        return {
            "depth_4_16_bit": _trials("noise, depth 4", trials, lambda seed: trial(4, seed)),
            "depth_8_float_parity": _trials("noise, depth 8", trials, lambda seed: trial(8, seed)),
        }


def _same(path: Path, image: np.ndarray) -> bool:
    try:
        return np.array_equal(codec.decode(path).image, image)
    except codec.FormatError:
        return False


def measure_carrier() -> dict:
    """Returns the carrier's signal-to-noise ratio in dB re full scale by bits, in a 16-bit recording that is full."""
    time_ = np.arange(500_000)
    song = np.rint(9000 * np.sin(time_ / 37) + np.random.default_rng(0).normal(0, 500, len(time_))).astype(np.int16)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        files.write(Path(folder, "song.wav"), [song], len(song))
        for bits in (1, 2, 4, 8):
            rows = (carried.capacity(len(song), bits) - 200) // 300  # 200: more than all headers
            picture = np.random.default_rng(bits).integers(0, 256, (rows, 100, 3), dtype=np.uint8)
            info = codec.encode(
                picture,
                Path(folder, "a.wav"),
                carrier=Path(folder, "song.wav"),
                bits=bits,
                force=True,
            )
            if not _same(Path(folder, "a.wav"), picture):
                raise AssertionError(f"the picture did not come back from {bits} bits a sample")
            found[f"snr_db_{bits}_bits"] = info.snr
    return found


def main(_):
    figures = {
        "machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()},
        "sealing": measure_sealing(_MEGABYTES.value, _REPEATS.value),
        "parity": measure_parity(_MEGABYTES.value, _REPEATS.value),
        "candidates": measure_candidates(_MEGABYTES.value),
        "carrier": measure_carrier(),
        "trials": _TRIALS.value,
        "repaired": measure_repairs(_TRIALS.value, _SIDE.value),
        "noise": measure_noise(_TRIALS.value, _SIDE.value),
    }
    publish(figures, _JSON.value)


if __name__ == "__main__":
    app.run(main)
