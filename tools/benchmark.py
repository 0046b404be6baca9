"""Measures what the README states: quality through real WAV files, speed and memory of the codec, cost of an import.

    python tools/benchmark.py --data=DIR --json=tools/results/benchmark.json --card

Run it on an otherwise idle machine: speed is quoted as ratios of medians within this run, but a busy core still shows.
"""

import os
import platform
import statistics
import subprocess
import sys
import time

import benchmark_codec
import rich.progress
from absl import app, flags
from publishing import publish

from stegano_tf import __version__, outputs, presets, savedmodels, scoreboard
from stegano_tf.demo_pictures import pairs as demo_pairs
from stegano_tf.pairing import list_pictures
from stegano_tf.runtime import Runtime

_DATA = flags.DEFINE_string("data", None, "Folder of pictures for the scoreboard.", required=True)
_LIMIT = flags.DEFINE_integer("limit", None, "Use the first so many pictures only.", lower_bound=2)
_PRESET = flags.DEFINE_enum("preset", presets.DEFAULT, list(presets.PRESETS), "Which networks to measure.")
_CARD = flags.DEFINE_boolean("card", False, "Write what `stegano-tf presets` shows beside the installed weights.")


def measure_quality(networks: Runtime, folder: str, limit: int | None) -> dict:
    """Returns the scoreboard's means, the worst pictures, and whether every stego image came back identical."""
    files = list_pictures(folder)[:limit]
    scores = list(rich.progress.track(scoreboard.scores(files, networks), "scoreboard", len(files)))
    return scoreboard.summary(scores) | {
        "pictures": len(scores),
        "stego_identical": sum(score.stego_identical for score in scores),
    }


def measure_speed(networks: Runtime, repeats: int = 7) -> dict:
    """Returns median seconds of hiding in and revealing from a picture of 256x256, the first, slower call left out."""
    _, cover, secret = demo_pairs()[0]
    stego = networks.hide(cover, secret)
    networks.reveal(stego)
    return {
        "hide_256_s": _median(lambda: networks.hide(cover, secret), repeats),
        "reveal_256_s": _median(lambda: networks.reveal(stego), repeats),
    }


def measure_import(repeats: int = 15) -> dict:
    """Returns by how many ms `import stegano_tf` outlasts bare Python, and which heavy modules it brings."""
    times = {"pass": [], "import stegano_tf": []}
    for _ in range(repeats):
        for code, values in times.items():
            values.append(_median(lambda code=code: subprocess.run([sys.executable, "-c", code], check=True), 1))
    listing = "import sys, stegano_tf; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", listing], check=True, capture_output=True, text=True).stdout.split()
    bare, ours = (statistics.median(values) for values in times.values())
    heavy = sorted({"tensorflow", "keras", "librosa", "matplotlib"} & set(modules))
    return {"import_ms": 1000 * (ours - bare), "bare_python_ms": 1000 * bare, "import_brings": heavy}


def _median(function, repeats: int) -> float:
    values = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        values.append(time.perf_counter() - start)
    return statistics.median(values)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    flags_ = flags.FLAGS
    if flags_.json:
        outputs.check(flags_.json, force=True)
    networks = Runtime(_PRESET.value)
    result = {
        "version": __version__,
        "preset": _PRESET.value,
        "network": networks.network.hex(),
        "weights_bytes": savedmodels.weights_file(_PRESET.value).stat().st_size,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "import": measure_import(),
        "codec": benchmark_codec.measure_codec(flags_.megapixels, flags_.repeats, flags_.folder),
        "memory": benchmark_codec.measure_memory(flags_.megapixels, flags_.folder),
        "speed": measure_speed(networks),
        "scoreboard": measure_quality(networks, _DATA.value, _LIMIT.value),
    }
    publish(result, flags_.json)
    if _CARD.value:
        card = {name: result["scoreboard"][name] for name in scoreboard.FIGURES} | {"network": result["network"]}
        speed = result["speed"]
        card["speed"] = f"hide {speed['hide_256_s']:.2f} s, reveal {speed['reveal_256_s']:.2f} s (256x256, 2 cores)"
        outputs.write_json(savedmodels.card_file(_PRESET.value), card, force=True)


if __name__ == "__main__":
    app.run(main)
