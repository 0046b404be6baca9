"""Feeds damaged and invented sounds to the reader, and stops at the first crash, hang or allocation out of proportion.

    python tools/fuzz_audio.py --inputs=1000000 [--seed=0] [--json=tools/results/fuzz_audio.json]

Inputs are the golden vectors, which tests/vectors/ holds as seeds, changed: bits flipped, fields overwritten by extreme
values, pieces cut out, doubled or swapped between two files, in the WAV file itself or in the bytes behind its samples.
An input is its number, so every finding is repeatable with --first=NUMBER --inputs=1. Allowed is a picture or a
SteganoError of one line; a scrypt work factor that is lawful but slow is not drawn (key derivation is age's business).
Time is processor time. Memory is what numpy and Python allocate (tracemalloc), looked at in every 100th input, because
looking is slow.
"""

import json
import random
import struct
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import rich.progress
from absl import app, flags

from stegano_tf.audio import codec, pcm, sealing
from stegano_tf.errors import SteganoError

_INPUTS = flags.DEFINE_integer("inputs", 1_000_000, "How many.", lower_bound=1)
_FIRST = flags.DEFINE_integer("first", 0, "Number of the first one.", lower_bound=0)
_FOLDER = flags.DEFINE_string("folder", "/tmp", "Where the file under test is written; best in memory.")
_VECTORS = flags.DEFINE_string("vectors", str(Path(__file__).parent.parent / "tests" / "vectors"), "The seeds.")
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")
_LONGEST = 1.0  # seconds
_MEMORY = 64 << 20
_EXTREME = [0, 1, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]
_WAV_HEADER = 44


def change(data: bytearray, dice: random.Random, other: bytes) -> bytearray:
    """Returns `data` with one to four changes."""
    for _ in range(dice.choice([1, 1, 2, 4])):
        # Most of what a reader decides on stands in front.
        place = dice.randrange(min(len(data), dice.choice([64, 200, len(data)])) or 1)
        kind = dice.randrange(6)
        if kind == 0 and data:
            data[place % len(data)] ^= 1 << dice.randrange(8)
        elif kind == 1:
            value = struct.pack("<Q", dice.choice(_EXTREME))[: dice.choice([1, 2, 4, 8])]
            data[place : place + len(value)] = value
        elif kind == 2:
            del data[place : place + dice.choice([1, 2, 3, 100, len(data)])]
        elif kind == 3:
            data[place:place] = data[place : place + dice.choice([1, 2, 80, 500])]
        elif kind == 4:
            start = dice.randrange(len(other))
            piece = other[start : start + dice.choice([1, 16, 200])]
            data[place : place + len(piece)] = piece
        else:
            data[place : place + 24] = dice.randbytes(24)
    return data


def make(number: int, seeds: list[bytes]) -> bytes:
    """Returns input `number`, a file."""
    dice = random.Random(number)
    # Repair and the search of recordings take most of the time, so their seeds come up in one input of fifty.
    light = [seed for seed in seeds if len(seed) < 2000]
    seed, other = dice.choice(seeds if dice.random() < 0.02 else light), dice.choice(seeds)
    if dice.random() < 0.3:
        return bytes(change(bytearray(seed), dice, other))
    behind = [
        pcm.decode(np.frombuffer(file[_WAV_HEADER:][: len(file) // 2 * 2 - 44], "<i2")).tobytes()
        for file in (seed, other)
    ]
    data = change(bytearray(behind[0]), dice, behind[1] or b"\0")
    samples = pcm.encode(data).tobytes() if data else b""
    header = bytearray(seed[:_WAV_HEADER])
    header[4:8], header[40:44] = struct.pack("<I", 36 + len(samples)), struct.pack("<I", len(samples))
    return bytes(header) + samples


def main(_):
    folder = Path(_VECTORS.value)
    # Scrypt takes a second by design, and large files are read slowly without finding anything new.
    paths = [path for path in sorted(folder.glob("*.wav")) if "passphrase" not in path.name and "bare" not in path.name]
    seeds = [path.read_bytes() for path in paths if 60 < path.stat().st_size < 50_000]
    identity = Path(_FOLDER.value, "fuzz_identity.txt")
    identity.write_text(json.loads((folder / "vectors.json").read_text(encoding="utf-8"))["identity"] + "\n")
    identity.chmod(0o600)
    keys = [None, sealing.Key(identities=[identity])]
    path = Path(_FOLDER.value, "fuzz_audio.wav")
    outcomes: dict[str, int] = {}
    slowest, largest = 0.0, 0
    warnings.simplefilter("ignore")
    for number in rich.progress.track(range(_FIRST.value, _FIRST.value + _INPUTS.value), "fuzzing"):
        data = make(number, seeds)
        path.write_bytes(data)
        watched = number % 100 == 0
        if watched:
            tracemalloc.start()
        start = time.process_time()
        try:
            codec.decode(path, key=keys[number % 2])
            outcome = "picture"
        except SteganoError as error:
            outcome = type(error).__name__
            if "\n" in str(error) or not str(error).startswith(str(path)):
                raise AssertionError(f"input {number}: {str(error)!r}") from error
        except BaseException as error:
            error.add_note(f"input {number}")
            raise
        taken = time.process_time() - start
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if watched:
            largest = max(largest, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            if largest > _MEMORY + 8 * len(data):
                raise AssertionError(f"input {number}: {largest:,} bytes for a file of {len(data):,}")
        else:
            slowest = max(slowest, taken)
            if taken > _LONGEST:
                raise AssertionError(f"input {number}: {taken:.1f} s")
    figures = {
        "inputs": _INPUTS.value,
        "first": _FIRST.value,
        "outcomes": outcomes,
        "slowest_s": slowest,
        "largest_bytes": largest,
    }
    text = json.dumps(figures, indent=2)
    print(text)
    if _JSON.value:
        Path(_JSON.value).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    app.run(main)
