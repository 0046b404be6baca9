"""What runs the networks: each backend takes and gives batches of 8-bit pictures, whatever engine is behind it."""

import functools
import importlib.util
import json
import math
import os
import threading
from pathlib import Path
from typing import Protocol

import numpy as np

from stegano_tf import presets, savedmodels
from stegano_tf.errors import BackendError
from stegano_tf.networks import build
from stegano_tf.runtime import exported

# How much of a picture the activations of a codebook fit into a core's cache for: measured.
CACHED_PIXELS = 2**14

_process: int | None = None  # the one that uses TensorFlow or Keras


class Backend(Protocol):
    """The two networks of a preset on one engine.

    Pictures are uint8[B, h, w, 3] with sides that are multiples of the reveal network's (`multiples[1]` of the
    preset's networks), and so are results; secret and cover are of the same shape.
    """

    network: bytes  # 8 that name the weights, as a frame records them
    overhead: float  # how many bytes the engine takes for each byte of activations: measured
    workers: int = 1  # how many tiles may be given to it at once, from so many threads
    tile_pixels: float = math.inf  # more than this in a tile makes it slower

    def hide(self, cover: np.ndarray, secret: np.ndarray) -> np.ndarray: ...

    def reveal(self, stego: np.ndarray) -> np.ndarray: ...

    def release(self) -> bool:
        """Frees the buffers of the runs so far; returns False if the engine keeps them for its next run."""
        return False


class LitertBackend(Backend):
    """Exported TFLite files on LiteRT, without TensorFlow or Keras.

    A network is read when it is first used; PresetError if its file is missing or was altered. Where a network looks at
    one block at a time, each core takes small tiles, whose activations fit into its cache. Elsewhere small tiles would
    overlap too much, so all cores share one. Calls from further threads wait.
    """

    overhead = 3.5

    def __init__(self, found: exported.Exported, variant: str = "float32", threads: int | None = None):
        """Takes the files of `variant`; BackendError if the package ai-edge-litert is not installed.

        `threads` is how many compute, by default as many as the process may use cores.
        """
        try:
            from ai_edge_litert import interpreter  # noqa: PLC0415  (an engine of several)
        except ImportError as error:
            raise BackendError(f"the runtime 'litert' needs the package ai-edge-litert: {error}") from error
        self.network = found.network
        self._interpreter = interpreter.Interpreter
        networks = presets.get(found.preset).networks
        self._multiples, self._threads = networks.multiples, threads or usable_cores()
        if networks.halos == (0, 0):
            self._threads, self.workers, self.tile_pixels = 1, self._threads, CACHED_PIXELS
        self._content = functools.cache(lambda name: found.content(tflite_file(found.preset, name, variant)))
        self._idle, self._free = {"hide": [], "reveal": []}, threading.BoundedSemaphore(self.workers)

    def hide(self, cover, secret):
        return self._run("hide", self._multiples[0], cover=cover, secret=secret)["stego"]

    def reveal(self, stego):
        return self._run("reveal", self._multiples[1], stego=stego)["secret"]

    def release(self):
        for runners in self._idle.values():
            runners.clear()
        return True

    def _run(self, name: str, multiple: int, **pictures: np.ndarray) -> dict[str, np.ndarray]:
        height, width = next(iter(pictures.values())).shape[1:3]
        border = (0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0)
        if np.any(border):
            pictures = {key: np.pad(picture, border, "symmetric") for key, picture in pictures.items()}
        with self._free:
            try:
                runner = self._idle[name].pop()
            except IndexError:
                interpreter = self._interpreter(model_content=self._content(name), num_threads=self._threads)
                runner = interpreter.get_signature_runner(name)
            results = runner(**pictures)
            self._idle[name].append(runner)
        return {key: result[:, :height, :width] for key, result in results.items()}


class SavedModelBackend(Backend):
    """An exported SavedModel on TensorFlow, without Keras."""

    overhead = 6.0  # its allocator keeps more than is alive

    def __init__(self, found: exported.Exported):
        """Loads it; BackendError if TensorFlow is not installed, PresetError if a file is missing or was altered."""
        try:
            import tensorflow as tf  # noqa: PLC0415  (takes seconds)
        except ImportError as error:
            raise BackendError(f"the runtime 'savedmodel' needs the package tensorflow: {error}") from error
        check_process()
        for part in ("saved_model.pb", "fingerprint.pb", "variables/"):
            found.check(part)
        self.network = found.network
        self._model = tf.saved_model.load(found.folder)  # owns the variables of its signatures

    def hide(self, cover, secret):
        check_process()
        return self._model.signatures["hide"](cover=cover, secret=secret)["stego"].numpy()

    def reveal(self, stego):
        check_process()
        return self._model.signatures["reveal"](stego=stego)["secret"].numpy()


class KerasBackend(Backend):
    """The networks on Keras, with any weights file; `networks` are the models."""

    overhead = 6.0  # with TensorFlow, whose allocator keeps more than is alive

    def __init__(self, preset: presets.Preset, weights: str | os.PathLike | None = None):
        """Loads `weights` (as `build.load`); BackendError if Keras or what it computes with is not installed."""
        try:
            file = build.weights_file(preset.name, weights)
            from stegano_tf.networks import pictures  # noqa: PLC0415  (Keras takes seconds to import)
        except ImportError as error:
            raise BackendError(f"the runtime 'keras' needs the packages keras and tensorflow: {error}") from error
        check_process()
        self._pictures = pictures
        self.networks = build.load(preset.name, weights)
        self._multiples = preset.networks.multiples
        self.network = exported.network_id(file)

    def hide(self, cover, secret):
        check_process()
        return np.asarray(self._pictures.hide(self.networks, self._multiples, cover, secret))

    def reveal(self, stego):
        check_process()
        return np.asarray(self._pictures.reveal(self.networks, self._multiples, stego))


def make(
    preset: presets.Preset,
    weights: str | os.PathLike | None = None,
    name: str | None = None,
    threads: int | None = None,
) -> Backend:
    """Returns the backend that is called `name`, one of `presets.RUNTIMES`.

    By default that is litert where the preset's exported networks and the package are installed, and keras elsewhere
    and for a weights file. `threads` is how many compute, by default as many as there are cores.

    Raises:
      BackendError: there is no backend of that name, or its package is missing, or it cannot run what was asked for.
      PresetError: there are no such weights or they do not fit; or the exported networks are incomplete or altered.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"{threads} threads, expected at least 1")
    if name is None:
        light = weights is None and savedmodels.versions(preset.name) and importlib.util.find_spec("ai_edge_litert")
        name = "litert" if light else "keras"
    if name not in presets.RUNTIMES:
        raise BackendError(f"there is no runtime {name!r}, expected one of {', '.join(presets.RUNTIMES)}")
    if threads and name != "litert":
        _limit_tensorflow(threads)
    if name == "keras":
        return KerasBackend(preset, weights)
    if weights is not None:
        raise BackendError(f"{weights}: a weights file is run by the runtime 'keras', not by {name!r}")
    found = exported.installed(preset.name)
    if found is None:
        raise BackendError(f"preset {preset.name!r} has no exported networks for {name!r}: python -m stegano_tf.export")
    return LitertBackend(found, threads=threads) if name == "litert" else SavedModelBackend(found)


def _limit_tensorflow(threads: int) -> None:
    """Lets TensorFlow compute on so many threads; BackendError if it has begun with others, or is not installed."""
    try:
        import tensorflow as tf  # noqa: PLC0415  (takes seconds)

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except ImportError as error:
        raise BackendError(
            f"a number of threads needs the package tensorflow or the runtime 'litert': {error}"
        ) from error
    except RuntimeError as error:
        raise BackendError(f"TensorFlow has begun with another number of threads than {threads}") from error


def check_process() -> None:
    """Raises BackendError in a process that was forked from one in which TensorFlow, or what Keras runs on, has run.

    The threads of these engines do not survive that: whatever is asked of them would wait for ever.
    """
    global _process  # noqa: PLW0603
    _process = _process or os.getpid()
    if _process != os.getpid():
        expected = "start it with multiprocessing's method 'spawn' or 'forkserver', or use the runtime 'litert'"
        raise BackendError(f"this process was forked from one that has run TensorFlow or Keras: {expected}")


def keras_is_there(preset: presets.Preset) -> bool:
    """Returns whether Keras on TensorFlow and installed weights are there, importing nothing; False if in doubt."""
    try:
        packages = all(map(importlib.util.find_spec, ("keras", "tensorflow")))
    except ImportError:
        return False
    engine = os.environ.get("KERAS_BACKEND") or _engine_of_keras_json()
    return packages and engine == "tensorflow" and savedmodels.weights_file(preset.name).is_file()


def _engine_of_keras_json() -> str | None:
    """Returns what Keras' settings name; None if they cannot be read."""
    file = Path(os.environ.get("KERAS_HOME", os.path.expanduser("~/.keras")), "keras.json")  # noqa: PTH111  (no HOME)
    try:
        return json.loads(file.read_bytes()).get("backend", "tensorflow") if file.exists() else "tensorflow"
    except (OSError, ValueError, AttributeError):
        return None


def tflite_file(preset: str, name: str, variant: str = "float32") -> str:
    """Returns where the TFLite file of network `name`, "hide" or "reveal", lies in an exported version."""
    return f"tflite/{preset}-{name}{'' if variant == 'float32' else f'-{variant}'}.tflite"


def usable_cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
