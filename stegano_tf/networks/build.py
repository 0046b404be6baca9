"""What all families have in common: networks of a preset, with fresh, installed or given weights."""

import os
from pathlib import Path

from stegano_tf import presets, savedmodels
from stegano_tf.errors import PresetError, one_line
from stegano_tf.networks.family import Networks


def build(preset: presets.Preset | str) -> Networks:
    """Returns the networks of a preset, given or named, with fresh weights, in the global Keras dtype policy."""
    return (presets.get(preset) if isinstance(preset, str) else preset).networks.build()


def save_weights(networks: Networks, path: str | os.PathLike) -> None:
    """Writes the weights of both networks to `path`, a file called `*.weights.h5`, replacing an existing one."""
    networks.pair.save_weights(path)


def load_weights(networks: Networks, path: str | os.PathLike) -> None:
    """Reads what `save_weights` wrote; PresetError if that is missing, no weights file, or of other networks."""
    if not Path(path).is_file():
        raise PresetError(f"{path}: does not exist, expected a weights file")
    try:
        networks.pair.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise PresetError(f"{path}: does not hold the weights of these networks: {one_line(error)}") from error


def load(name: str, weights: str | os.PathLike | None = None) -> Networks:
    """Returns the networks of preset `name` with `weights`, by default the installed ones.

    Raises PresetError if there are none, or as `load_weights`.
    """
    preset = presets.get(name)
    installed = savedmodels.weights_file(preset.name)
    if weights is None and not installed.is_file():
        raise PresetError(f"preset {preset.name!r} is not shipped with weights; train it, and name them with --weights")
    networks = build(preset)
    load_weights(networks, installed if weights is None else weights)
    return networks
