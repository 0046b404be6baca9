"""Measures how hiding and revealing grow with the picture: time and peak memory.

    python tools/benchmark_scale.py --data=../shared/data/linnaeus5_layout/train --json=tools/results/scale.json

Pictures are mosaics of photographs of --data, each scaled to 500 pixels. Each size is hidden and revealed in a process
of its own, whose peak resident memory counts everything: Python, the engine, the pictures.
"""

import filecmp
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from absl import app, flags
from PIL import Image
from publishing import publish

from stegano_tf import images, outputs, presets, provenance
from stegano_tf.audio import sealing
from stegano_tf.audio.payloads import bmp
from stegano_tf.errors import SteganoError

_DATA = flags.DEFINE_string("data", None, "Folder of photographs, read with its subfolders.", required=True)
_SIZES = flags.DEFINE_list("megapixels", ["0.25", "1", "4", "12", "48"], "Sizes to measure.")
_SENT = flags.DEFINE_list("send", ["12", "48"], "Sizes, in megapixels, to send and receive.")
_ENCODED = flags.DEFINE_list("encode", ["100"], "Sizes, in megapixels, of BMP files to encode and decode.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "How often each size is hidden and revealed.", lower_bound=1)
_PRESET = flags.DEFINE_enum("preset", presets.DEFAULT, list(presets.PRESETS), "Which networks to measure.")
_RUNTIME = flags.DEFINE_enum("runtime", None, presets.RUNTIMES, "What runs them.")
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")

_PHOTOGRAPH = 500  # pixels each way

_HIDE_AND_REVEAL = """
import json, re, sys, time
from pathlib import Path
import numpy as np
from stegano_tf import images, runtime
cover, secret, preset, engine, repeats = sys.argv[1:]
small = np.zeros((64, 64, 3), np.uint8)
cover, secret = images.read(cover), images.read(secret)
figures = {name: [] for name in ("hide", "reveal", "hide_cpu", "reveal_cpu")}
for _ in range(int(repeats)):
    # Buffers of a small picture would be kept for the next one, those of a large one are not.
    networks = runtime.Runtime(preset, runtime=engine or None)
    networks.reveal(networks.hide(small, small))  # what is read at the first call does not count
    for name in ("hide", "reveal"):
        start, cpu = time.perf_counter(), time.process_time()
        stego = networks.hide(cover, secret) if name == "hide" else networks.reveal(stego) is None or stego
        figures[name].append(time.perf_counter() - start)
        figures[name + "_cpu"].append(time.process_time() - cpu)
# Not getrusage's ru_maxrss, which starts with that of the process that this one was forked from.
figures["peak_bytes"] = 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(json.dumps(figures))
"""

_WAIT = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
figures = {"s": time.perf_counter() - start, "cpu_s": usage.ru_utime + usage.ru_stime}
print(json.dumps(figures | {"peak_bytes": usage.ru_maxrss * 1024}))
sys.exit(bool(status))
"""


def mosaic(files: list[Path], megapixels: float, seed: int) -> np.ndarray:
    """Returns uint8[H, W, 3] with sides of 3 to 4 that holds as many photographs as it takes."""
    width = round((megapixels * 4e6 / 3) ** 0.5)
    height = round(megapixels * 1e6 / width)
    order = np.random.default_rng(seed).permutation(len(files))
    picture = np.empty((height, width, 3), np.uint8)
    places = ((top, left) for top in range(0, height, _PHOTOGRAPH) for left in range(0, width, _PHOTOGRAPH))
    for count, (top, left) in enumerate(places):
        photograph = Image.fromarray(images.read(files[order[count % len(files)]]))
        place = picture[top : top + _PHOTOGRAPH, left : left + _PHOTOGRAPH]
        place[...] = np.asarray(photograph.resize((_PHOTOGRAPH, _PHOTOGRAPH)))[: place.shape[0], : place.shape[1]]
    return picture


def measure_network(folder: Path, repeats: int) -> dict:
    """Returns medians of seconds, of CPU seconds, and the peak memory, for cover.png and secret.png in `folder`."""
    names = str(folder / "cover.png"), str(folder / "secret.png"), _PRESET.value, _RUNTIME.value or "", str(repeats)
    command = [sys.executable, "-c", _HIDE_AND_REVEAL, *names]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    return {name: float(np.median(value)) for name, value in figures.items()}


def measure_command(*arguments: str) -> dict:
    """Returns seconds and peak memory of the command with `arguments`."""
    # Waited for by a small process, because a child's peak starts with that of its parent.
    command = [sys.executable, "-c", _WAIT, sys.executable, "-m", "stegano_tf", *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_codec(folder: Path) -> dict:
    """Returns what it takes to turn cover.bmp in `folder` into a sound and back, in each form of the sound.

    Raises:
      AssertionError: the picture that comes back is another one.
    """
    cover, sound, back, identity = (str(folder / name) for name in ("cover.bmp", "sound.wav", "back.bmp", "identity"))
    sealed, parity = f"--recipient={sealing.keygen(identity)}", "--parity=10%"
    figures = {}
    for form, options in ("plain", []), ("parity", [parity]), ("sealed", [sealed]), ("sealed_parity", [sealed, parity]):
        opened = [f"--identity={identity}"] if sealed in options else []
        figures[form] = {
            "encode": measure_command("encode", cover, sound, "--force", *options),
            "decode": measure_command("decode", sound, back, "--force", *opened),
        }
        if not filecmp.cmp(cover, back, shallow=False):
            raise AssertionError(f"{form}: another picture came back")
    return figures


def slope(megapixels: list[float], seconds: list[float]) -> float:
    """Returns the exponent of growth: the slope of the logarithms' regression line."""
    return float(np.polyfit(np.log(megapixels), np.log(seconds), 1)[0])


def measure() -> dict:
    """Measures what the flags say.

    Raises:
      DataError, ImageError: the folder holds no pictures, or broken ones.
    """
    from stegano_tf.training.pairs import list_pictures  # noqa: PLC0415  (--help need not wait for it)

    files = list_pictures(_DATA.value)
    sizes, rows, sent, encoded = [float(size) for size in _SIZES.value], [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in sizes:
            for seed, picture in enumerate(("cover", "secret")):
                images.write(folder / f"{picture}.png", mosaic(files, size, seed), force=True)
            row = {"megapixels": size} | measure_network(folder, _REPEATS.value)
            for direction in ("hide", "reveal"):
                row[f"{direction}_s_per_megapixel"] = row[direction] / size
                row[f"{direction}_cpu_s_per_megapixel"] = row[f"{direction}_cpu"] / size
            rows.append(row)
            print(json.dumps(row), flush=True)
        for size in map(float, _SENT.value):
            for seed, picture in enumerate(("cover", "secret")):
                images.write(folder / f"{picture}.png", mosaic(files, size, seed), force=True)
            paths = {part: str(folder / part) for part in ("cover.png", "secret.png", "message.wav", "revealed.png")}
            send = ["send", paths["cover.png"], paths["secret.png"], paths["message.wav"], "--force"]
            receive = ["receive", paths["message.wav"], paths["revealed.png"], "--force"]
            sent.append({"megapixels": size, "send": measure_command(*send), "receive": measure_command(*receive)})
            print(json.dumps(sent[-1]), flush=True)
        for size in map(float, _ENCODED.value):
            with (folder / "cover.bmp").open("wb") as file:
                file.writelines(bmp.encode(mosaic(files, size, 0))[1])  # to the byte what decoding writes
            encoded.append({"megapixels": size} | measure_codec(folder))
            print(json.dumps(encoded[-1]), flush=True)
    return {
        "preset": _PRESET.value,
        "runtime": _RUNTIME.value or "default",
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "repeats": _REPEATS.value,
        "commit": provenance.commit(),
        "packages": provenance.versions(),
        "sizes": rows,
        "slope": {
            name: slope(sizes, [row[name] for row in rows]) for name in ("hide", "reveal", "hide_cpu", "reveal_cpu")
        },
        "sent": sent,
        "encoded": encoded,
    }


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    if _JSON.value:
        outputs.check(_JSON.value, force=True)
    try:
        figures = measure()
    except SteganoError as error:
        raise SystemExit(f"benchmark_scale: {error}") from error
    publish(figures, _JSON.value)


if __name__ == "__main__":
    app.run(main)
