"""The networks by name: plain data, without Keras and TensorFlow."""

import functools
import importlib
import warnings

from stegano_tf.errors import PresetError
from stegano_tf.networks.family import Preset, Training

__all__ = ["DEFAULT", "PRESETS", "RUNTIMES", "Preset", "Training", "current", "get"]

# Packages of stegano_tf.networks, each with its presets (networks/family.py says how to add one).
_FAMILIES = (
    "codebook",
    "unet",
    "paper",
)

_CONFIGS = [importlib.import_module(f"stegano_tf.networks.{family}.config") for family in _FAMILIES]
_ALL = [preset for config in _CONFIGS for preset in config.PRESETS]

# The preset for tests is the last one in lists.
PRESETS: dict[str, Preset] = {preset.name: preset for preset in sorted(_ALL, key=lambda preset: preset.name == "tiny")}

DEFAULT = "codebook"

RUNTIMES = ("litert", "savedmodel", "keras")
"""What networks run on, by name, lightest first (`stegano_tf.runtime.backends`)."""

_RENAMED = {"invertible": "codebook"}


class RenamedWarning(FutureWarning):
    """A preset was asked for by a name that it had before."""


def get(name: str) -> Preset:
    """Returns the preset called `name`; an old name will do, and gives one warning.

    Raises:
      PresetError: there is none of that name; the message lists those that exist.
    """
    name = current(name)
    if name not in PRESETS:
        raise PresetError(f"there is no preset {name!r}, expected one of {', '.join(PRESETS)}")
    return PRESETS[name]


def current(name: str) -> str:
    """Returns today's name of a preset that was renamed, with one warning a process, and any other name as it is.

    argparse takes this as the `type` of a flag, and `settings.setting` as its `parse`, beside `choices=list(PRESETS)`.
    """
    return _renamed(name) if name in _RENAMED else name


@functools.cache  # the warning is given once
def _renamed(name: str) -> str:
    warnings.warn(f"the preset {name!r} is called {_RENAMED[name]!r} now", RenamedWarning, stacklevel=3)
    return _RENAMED[name]
