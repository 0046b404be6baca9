"""Measures hiding and revealing on every runtime beside ONNX Runtime and OpenVINO, and the command as a process.

    python tools/benchmark_runtime.py --json=tools/results/runtime.json
    pip install '.[benchmark]'    # for ONNX Runtime and OpenVINO, which are left out where they are not installed

ONNX Runtime and OpenVINO run what tf2onnx and OpenVINO's own converter make of the same exported SavedModel, with as
many threads. All get the same pictures and take turns, so that a busy machine slows all of them. Medians are reported,
and medians of the ratios within a turn. All must reveal the same pixels to within 1 of 255, and hide as well to within
0.05 dB. Of ONNX Runtime and OpenVINO, one that doesn't is not timed, and named under `wrong`.

* `networks`: one pair in arrays, hidden and revealed by a backend that has done it before. `fastest_to_best_other` is
  the ratio of the fastest of this package's runtimes to the faster of the two others.
* `processes`: `stegano-tf hide` on PNG files, from the start of the interpreter to its end, and its peak memory.
"""

import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rich.progress
from absl import app, flags
from publishing import publish

from stegano_tf import demo_pictures, images, metrics, presets, savedmodels
from stegano_tf.runtime import backends, exported
from stegano_tf.runtime.backends import usable_cores

_PRESETS = flags.DEFINE_multi_enum(
    "preset", None, list(presets.PRESETS), "Which networks; by default all that are installed as exported ones."
)
_SIDE = flags.DEFINE_integer("side", 256, "Side of the pictures for `networks`, in pixels.", lower_bound=16)
_PROCESS_SIDE = flags.DEFINE_integer("process_side", 512, "The same for `processes`.", lower_bound=16)
_REPEATS = flags.DEFINE_integer("repeats", 15, "How many turns each takes.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")

_REST = 0.3  # seconds: the threads of some engines go on spinning when they are done, and slow the next one

OTHERS = [name for name in ("onnxruntime", "openvino") if importlib.util.find_spec(name)]

# The system counts a child's peak from before it was another program, so what starts the command must be small.
LAUNCHER = """
import os, sys, time
start = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
print(time.perf_counter() - start, usage.ru_maxrss * 1024 / 1e6)
sys.exit(os.waitstatus_to_exitcode(status))
"""

# uint8[1, H, W, 3] pictures, as many as the network has inputs -> uint8[1, H, W, 3]
Network = Callable[..., np.ndarray]


def onnx_runtime(folder: Path, name: str, threads: int) -> Network:
    """Returns a signature of a SavedModel on ONNX Runtime."""
    import onnxruntime  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, f"{name}.onnx")
        command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", folder, "--signature_def", name]
        subprocess.run([*command, "--opset", "18", "--output", file], check=True, capture_output=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(file, options)
    inputs = [tensor.name for tensor in session.get_inputs()]
    order = sorted(range(len(inputs)), key=lambda i: inputs[i])  # cover before secret
    return lambda *pictures: session.run(None, {inputs[i]: x for i, x in zip(order, pictures, strict=True)})[0]


def open_vino(folder: Path, name: str, threads: int) -> Network:
    """Returns a signature of a SavedModel on OpenVINO."""
    import openvino  # noqa: PLC0415
    import tensorflow as tf  # noqa: PLC0415

    loaded = tf.saved_model.load(folder)
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    model = openvino.Core().compile_model(openvino.convert_model(loaded.signatures[name]), "CPU", settings)
    names = sorted(tensor.any_name for tensor in model.inputs)
    return lambda *pictures: model(dict(zip(names, pictures, strict=True)))[0]


def measure_networks(preset: str, side: int, repeats: int) -> dict:
    """Returns seconds of hiding and revealing one pair on each runtime, and how the fastest compares."""
    folder, threads = exported.installed(preset).folder, usable_cores()
    own = {name: backends.make(presets.get(preset), name=name) for name in presets.RUNTIMES}
    _, cover, secret = demo_pictures.pairs(side)[0]
    stego = own["litert"].hide(cover[None], secret[None])

    def decibels(stego: np.ndarray) -> tuple[float, float]:
        return metrics.psnr(stego[0], cover), metrics.psnr(own["litert"].reveal(stego)[0], secret)

    result = {}
    for name, pictures in (("hide", (cover[None], secret[None])), ("reveal", (stego,))):
        networks = {runtime: getattr(backend, name) for runtime, backend in own.items()}
        convert = {"onnxruntime": onnx_runtime, "openvino": open_vino}
        networks |= {other: convert[other](folder, name, threads) for other in OTHERS}
        expected = networks["litert"](*pictures)
        wrong = []
        for runtime, network in networks.items():
            answer = network(*pictures)
            if name == "reveal":
                alike = np.abs(answer.astype(int) - expected).max() <= 1
            else:
                alike = np.allclose(*map(decibels, (answer, expected)), rtol=0, atol=0.05)
            if not alike:
                if runtime in own:
                    sys.exit(f"{runtime} does not {name} as LiteRT does with {preset}")
                wrong.append(runtime)
        networks = {runtime: network for runtime, network in networks.items() if runtime not in wrong}
        seconds = {runtime: [] for runtime in networks}
        for _ in rich.progress.track(range(repeats), f"{preset}: {name}"):
            for runtime, network in networks.items():
                time.sleep(_REST)
                start = time.perf_counter()
                network(*pictures)
                seconds[runtime].append(time.perf_counter() - start)
        medians = {f"{runtime}_s": statistics.median(values) for runtime, values in seconds.items()}
        fastest = min(presets.RUNTIMES, key=lambda runtime: medians[f"{runtime}_s"])
        others = [runtime for runtime in OTHERS if runtime in networks]
        result[name] = medians | {"fastest": fastest, "wrong": wrong}
        if others:
            best = min(others, key=lambda runtime: medians[f"{runtime}_s"])
            ratio = statistics.median(a / b for a, b in zip(seconds[fastest], seconds[best], strict=True))
            result[name] |= {"best_other": best, "fastest_to_best_other": ratio}
    return result


def measure_processes(preset: str, side: int, repeats: int) -> dict:
    """Returns seconds and peak memory of `stegano-tf hide` in a process of its own, on each runtime."""
    result = {name: {"seconds": [], "peak_mb": []} for name in presets.RUNTIMES}
    with tempfile.TemporaryDirectory() as folder:
        _, *pair = demo_pictures.pairs(side)[0]
        files = [str(Path(folder, name)) for name in ("cover.png", "secret.png", "stego.png")]
        for file, picture in zip(files, pair, strict=False):
            images.write(file, picture)
        for _ in rich.progress.track(range(repeats), f"{preset}: processes"):
            for name, values in result.items():
                command = [sys.executable, "-m", "stegano_tf", "hide", *files, "--force"]
                line = [sys.executable, "-c", LAUNCHER, *command, "--preset", preset, "--runtime", name]
                said = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout
                for figure, value in zip(("seconds", "peak_mb"), said.splitlines()[-1].split(), strict=True):
                    values[figure].append(float(value))
    return {
        name: {"hide_s": statistics.median(values["seconds"]), "peak_mb": max(values["peak_mb"])}
        for name, values in result.items()
    }


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    names = _PRESETS.value or [name for name in presets.PRESETS if savedmodels.versions(name)]
    result = {"side": _SIDE.value, "process_side": _PROCESS_SIDE.value, "repeats": _REPEATS.value, "presets": {}}
    for name in names:
        result["presets"][name] = {
            "networks": measure_networks(name, _SIDE.value, _REPEATS.value),
            "processes": measure_processes(name, _PROCESS_SIDE.value, max(1, _REPEATS.value // 5)),
        }
    publish(result, _JSON.value, presets=names)


if __name__ == "__main__":
    app.run(main)
