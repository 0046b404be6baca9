"""Feeds damaged and invented sounds to the reader, and stops at the first crash, hang or allocation out of proportion.

    python tools/fuzz_audio.py --inputs=1000000 --jobs=2 --largest=8000

`--largest=8000` takes the vectors with parity, too. `--modem --largest=400000` begins with the modem's vectors, WAV and
lossy, instead. Some it changes as files and some in their samples, and it makes sounds with blocks that lie and have
right checksums. `tools/fuzz_pictures.py` is the same for pictures.

Atheris (libFuzzer) chooses the inputs by what code of stegano_tf.audio they reach, beginning with the golden vectors of
tests/vectors/. A third of them it changes as files, the others in the bytes behind the samples, and half of those then
get right checksums, without which no change would come past them; one in ten is made of random bytes. Allowed is a
picture or a SteganoError of one line that names the file. There is no passphrase: scrypt takes a second by design.

Time is processor time. Memory is bounded by the operating system (RLIMIT_AS) for every single input, beyond what the
process has before it: libFuzzer's own grows all the time. What stops a run is left in --folder, as crash-… or as the
sound under test.
"""

import collections
import ctypes
import hashlib
import json
import multiprocessing
import os
import random
import resource
import struct
import sys
import time
import warnings
import zlib
from pathlib import Path

import atheris
import numpy as np
import scipy.signal  # noqa: F401 (the reader imports it late: OpenBLAS waits for ever if memory is limited meanwhile)
from absl import app, flags

with atheris.instrument_imports(include=["stegano_tf.audio"]):
    from stegano_tf import sealing
    from stegano_tf.audio import codec, framing, pcm
    from stegano_tf.audio.forms.modem import PROFILES, blocks, ofdm
from publishing import publish  # after those that are instrumented: it imports parts of them

from stegano_tf.errors import SteganoError

_INPUTS = flags.DEFINE_integer("inputs", 1_000_000, "How many.", lower_bound=1)
_JOBS = flags.DEFINE_integer(
    "jobs", 1, "Processes, each of its own share of the inputs and its own seed.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 1, "Of the first process's choices; those of the others follow.", lower_bound=1)
_FOLDER = flags.DEFINE_string("folder", "/tmp", "Where the files under test are written; best in memory.")
_VECTORS = flags.DEFINE_string("vectors", str(Path(__file__).parent.parent / "tests" / "vectors"), "The seeds.")
_LARGEST = flags.DEFINE_integer(
    "largest", 2_000, "Most bytes of an input; sounds with parity take 8,000.", lower_bound=1
)
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")
_MODEM = flags.DEFINE_boolean("modem", False, "Whether the modem's sounds are the seeds; larger files and slower.")
_LONGEST = {False: 1.0, True: 10.0}  # seconds, with --modem or not
_MEMORY = {False: 64 << 20, True: 512 << 20}
_WAV_HEADER = 44
_M_ARENA_MAX = -8  # of malloc.h


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Returns a file of up to `max_size` bytes made of `data`, one that was tried before."""
    return (_mutate_modem if _MODEM.value else _mutate)(data, max_size, seed)[:max_size]


def _mutate_modem(data: bytes, max_size: int, seed: int) -> bytes:
    dice = random.Random(seed)
    kind = dice.choice(["file", "samples", "blocks"])
    if kind == "file" or (kind == "samples" and data[:4] != b"RIFF") or len(data) < 4 * _WAV_HEADER:
        return atheris.Mutate(data, max_size)
    if kind == "samples":
        samples = np.frombuffer(data[_WAV_HEADER : len(data) // 2 * 2], "<i2").astype(float)
        first, last = sorted(dice.randrange(len(samples)) for _ in range(2))
        changes = [
            lambda: np.delete(samples, slice(first, last)),
            lambda: np.concatenate([samples[:last], samples[first:]]),
            lambda: samples * dice.uniform(-2, 2) + dice.uniform(-9000, 9000),
            lambda: samples + np.random.default_rng(seed).normal(0, 10 ** dice.uniform(1, 4), len(samples)),
            lambda: np.concatenate([samples[last:], samples[:first]]),
        ]
        return _wav(dice.choice(changes)(), dice.choice([24_000, 24_000, 48_000, 8_000, 23_990]))
    profile = PROFILES[dice.choice(["narrow", "robust"])]
    label = blocks.Label(dice.choice([0, 1, 5, 700, 1 << 20, (1 << 32) - 1]), dice.choice([0, zlib.crc32(b""), seed]))
    sounds = []
    for number in dice.choice([[0], [0, 1, 2], [65_535], [7, 7], [3, 2, 1, 0]]):
        text = np.frombuffer(
            blocks._pack(label, number, dice.randbytes(profile.block_bytes - blocks.OVERHEAD)), np.uint8
        )
        sounds.append(ofdm.modulate(profile.code.encode(np.unpackbits(text)[None]), profile))
    return _wav(np.concatenate([*sounds, ofdm.closing(profile)]), profile.rate)


def _wav(samples: np.ndarray, rate: int) -> bytes:
    data = np.clip(samples, -32768, 32767).astype("<i2").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return head + struct.pack("<4sI", b"data", len(data)) + data


def _mutate(data: bytes, max_size: int, seed: int) -> bytes:
    dice = random.Random(seed)
    kind = dice.choice(["random file", "random samples"] if dice.random() < 0.1 else ["file", "samples", "message"])
    if kind == "random file":
        return dice.choice([b"", b"RIFF", b"fLaC", b"FORM", b"caff", data[:_WAV_HEADER]]) + dice.randbytes(300)
    if kind == "file" or len(data) < _WAV_HEADER + 2:
        return atheris.Mutate(data, max_size)
    behind = pcm.decode(np.frombuffer(data[_WAV_HEADER : len(data) // 2 * 2], "<i2")).tobytes()
    if kind == "random samples":
        behind = dice.choice([b"", framing.MAGIC, b"BM", behind[:80]]) + dice.randbytes(dice.choice([20, 200, 9000]))
    else:
        behind = atheris.Mutate(behind, max_size // 2)
    if kind == "message" and behind.startswith(framing.MAGIC) and len(behind) > 72:
        frame = behind[:12] + struct.pack("<Q", len(behind) - 72) + behind[20:36]
        behind = frame + struct.pack("<I", zlib.crc32(frame)) + behind[40:-32]
        behind += hashlib.sha256(behind[40:]).digest()
    samples = pcm.encode(behind).tobytes() if behind else b""
    sizes = struct.pack("<I", 36 + len(samples)), struct.pack("<I", len(samples))
    return data[:4] + sizes[0] + data[8:40] + sizes[1] + samples


class Check:
    """Reads one input after the other and keeps count; raises what stops the run."""

    def __init__(self, folder: Path, identity: str):
        self._path = folder / "sound.wav"
        path = folder / "identity.txt"
        path.write_text(identity + "\n")
        path.chmod(0o600)
        self._keys = [None, sealing.Key(identities=[path])]
        self.limited = False
        self.most_memory = 0
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.slowest = 0.0

    def __call__(self, data: bytes) -> None:
        self._path.write_bytes(data)
        memory, peak = _status("VmSize"), _status("VmPeak")
        if self.limited:
            resource.setrlimit(
                resource.RLIMIT_AS, (memory + _MEMORY[_MODEM.value] + 8 * len(data), resource.RLIM_INFINITY)
            )
        start = time.process_time()
        try:
            codec.decode(self._path, key=self._keys[len(data) % 2])
            outcome = "picture"
        except SteganoError as error:
            outcome = type(error).__name__
            if "\n" in str(error) or not str(error).startswith(f"{self._path}: ") or _of_memory(error):
                raise AssertionError(repr(error)) from error
        taken = time.process_time() - start
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if self.limited and _status("VmPeak") > peak:  # otherwise this input took less than an earlier one
            self.most_memory = max(self.most_memory, _status("VmPeak") - memory)
        self.outcomes[outcome] += 1
        self.slowest = max(self.slowest, taken)
        if taken > _LONGEST[_MODEM.value]:
            raise AssertionError(f"{taken:.1f} s")

    def figures(self) -> dict:
        """Returns what was found so far."""
        return {
            "inputs": self.outcomes.total(),
            "outcomes": dict(self.outcomes),
            "slowest_s": self.slowest,
            "most_memory_bytes": self.most_memory,
        }


def _of_memory(error: BaseException | None) -> bool:
    """Returns whether a refusal is really one of memory: Pillow's errors of all kinds are taken for damage."""
    if isinstance(error, sealing.SealingError):  # scrypt's need is stated, not met
        return False
    while error and not (isinstance(error, MemoryError) or "memory" in str(error) or "malloc" in str(error)):
        error = error.__cause__ or error.__context__
    return error is not None


def _status(name: str) -> int:
    """Returns a size that Linux states of this process, in bytes."""
    return 1024 * int(Path("/proc/self/status").read_text(encoding="ascii").partition(f"{name}:")[2].split()[0])


def run(seed: int, inputs: int) -> None:
    """Reads that many inputs, writes what was found into a folder of this seed, and ends the process."""
    folder = Path(_FOLDER.value, f"fuzz_audio_{seed}")
    folder.mkdir(exist_ok=True)
    vectors = Path(_VECTORS.value)
    seeds = [
        path
        for path in vectors.glob("modem_*" if _MODEM.value else "*.wav")
        if path.stat().st_size <= _LARGEST.value and "bare" not in path.name
    ]
    check = Check(folder, json.loads((vectors / "vectors.json").read_text(encoding="utf-8"))["identity"])
    warnings.simplefilter("ignore")
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)  # further ones would reserve 64 MB each, for nothing
    for path in seeds:
        check(path.read_bytes())
    check.outcomes.clear()
    check.limited = True

    def one(data: bytes) -> None:
        check(data)
        count = check.outcomes.total()
        if count % 10_000 == 0 or count == inputs:
            (folder / "figures.json").write_text(json.dumps({"seed": seed} | check.figures()))
        if count == inputs:
            os._exit(0)  # libFuzzer has no other end

    options = [f"-max_len={_LARGEST.value}", "-timeout=60", "-rss_limit_mb=0", f"-artifact_prefix={folder}/"]
    corpus = ",".join(map(str, sorted(seeds)))
    atheris.Setup([sys.argv[0], *options, f"-seed={seed}", f"-seed_inputs={corpus}"], one, custom_mutator=mutate)
    atheris.Fuzz()


def main(_):
    seeds = range(_SEED.value, _SEED.value + _JOBS.value)
    share = -(-_INPUTS.value // _JOBS.value)
    jobs = [multiprocessing.get_context("fork").Process(target=run, args=(seed, share)) for seed in seeds]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    found = [json.loads(Path(_FOLDER.value, f"fuzz_audio_{seed}", "figures.json").read_text()) for seed in seeds]
    outcomes = sum((collections.Counter(job["outcomes"]) for job in found), collections.Counter())
    figures = {
        "inputs": outcomes.total(),
        "largest_file_bytes": _LARGEST.value,
        "crashes": sum(job.exitcode != 0 for job in jobs),
        "outcomes": outcomes,
        "slowest_s": max(job["slowest_s"] for job in found),
        "most_memory_bytes": max(job["most_memory_bytes"] for job in found),
        "seeds": list(seeds),
    }
    publish(figures, _JSON.value)
    sys.exit(min(1, figures["crashes"]))


if __name__ == "__main__":
    app.run(main)
