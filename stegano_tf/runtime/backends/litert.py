"""The networks on LiteRT: exported TFLite files, without TensorFlow or Keras in the process."""

import os
import threading

import numpy as np

from stegano_tf.errors import BackendError
from stegano_tf.runtime.exported import Exported


class LitertBackend:
    """Exported networks as LiteRT runs them, on all cores that the process may use.

    A network is read when it is first used. Calls from several threads wait for each other.
    """

    overhead = 3.5

    def __init__(self, exported: Exported, variant: str = "float32"):
        """Takes the files of `variant`.

        Raises:
          BackendError: the package ai-edge-litert is not installed.
        """
        try:
            from ai_edge_litert import interpreter  # noqa: PLC0415  (an engine of several)
        except ImportError as error:
            raise BackendError(f"the runtime 'litert' needs the package ai-edge-litert: {error}") from error
        self.network = exported.network
        self._exported, self._variant, self._interpreter = exported, variant, interpreter.Interpreter
        self._runners, self._lock = {}, threading.Lock()

    def hide(self, cover: np.ndarray, secret: np.ndarray) -> np.ndarray:
        """As `Backend`; PresetError if the file is missing or was altered."""
        return self._run("hide", cover=cover, secret=secret)["stego"]

    def reveal(self, stego: np.ndarray) -> np.ndarray:
        """As `hide`."""
        return self._run("reveal", stego=stego)["secret"]

    def release(self) -> bool:
        """As `Backend`; the next run reads its network again."""
        with self._lock:
            self._runners.clear()
        return True

    def _run(self, name: str, **pictures: np.ndarray) -> dict[str, np.ndarray]:
        with self._lock:
            if name not in self._runners:
                content = self._exported.content(tflite_file(self._exported.preset, name, self._variant))
                interpreter = self._interpreter(model_content=content, num_threads=usable_cores())
                self._runners[name] = interpreter.get_signature_runner(name)
            return self._runners[name](**pictures)


def tflite_file(preset: str, name: str, variant: str = "float32") -> str:
    """Returns where the TFLite file of network `name`, "hide" or "reveal", lies in an exported version."""
    return f"tflite/{preset}-{name}{'' if variant == 'float32' else f'-{variant}'}.tflite"


def usable_cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
