"""The networks by name: plain data, without Keras and TensorFlow."""

import functools
import importlib
import warnings

from stegano_tf.errors import PresetError
from stegano_tf.networks.family import Preset

# Packages of stegano_tf.networks, each with its presets (networks/family.py says how to add one).
_FAMILIES = (
    "codebook",
    "unet",
    "paper",
)

_PACKAGES = [importlib.import_module(f"stegano_tf.networks.{family}") for family in _FAMILIES]
PRESETS: dict[str, Preset] = {preset.name: preset for package in _PACKAGES for preset in package.PRESETS}
PRESETS["tiny"] = PRESETS.pop("tiny")  # for tests: the last one in lists

DEFAULT = "codebook"

RUNTIMES = ("litert", "savedmodel", "keras")
"""What networks run on, by name, lightest first (`stegano_tf.runtime.backends`)."""

_RENAMED = {"invertible": "codebook"}


class RenamedWarning(FutureWarning):
    """A preset was asked for by a name that it had before."""


def get(name: str) -> Preset:
    """Returns the preset called `name`, by today's name or an old one; PresetError if there is none."""
    name = current(name)
    if name not in PRESETS:
        raise PresetError(f"there is no preset {name!r}, expected one of {', '.join(PRESETS)}")
    return PRESETS[name]


@functools.cache  # the warning is given once
def current(name: str) -> str:
    """Returns today's name of a preset that was renamed, with one warning a process, and any other name as it is."""
    if name in _RENAMED:
        warnings.warn(f"the preset {name!r} is called {_RENAMED[name]!r} now", RenamedWarning, stacklevel=2)
    return _RENAMED.get(name, name)
