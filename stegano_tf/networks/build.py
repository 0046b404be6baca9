"""What all families have in common: networks of a preset, with fresh, installed or given weights."""

import os
from pathlib import Path

from stegano_tf import presets, savedmodels
from stegano_tf.errors import PresetError
from stegano_tf.networks.family import Networks


def build(preset: presets.Preset | str) -> Networks:
    """Returns the networks of a preset with fresh weights, computing in the global Keras dtype policy.

    Raises:
      PresetError: there is no preset of that name.
    """
    return (presets.get(preset) if isinstance(preset, str) else preset).networks.build()


def save_weights(networks: Networks, path: str | os.PathLike) -> None:
    """Writes the weights of both networks to `path`, a file called `*.weights.h5`, replacing an existing one."""
    networks.pair.save_weights(path)


def load_weights(networks: Networks, path: str | os.PathLike) -> None:
    """Reads what `save_weights` wrote.

    Raises:
      PresetError: the file does not exist, is no weights file, or belongs to other networks.
    """
    if not Path(path).is_file():
        raise PresetError(f"{path}: does not exist, expected a weights file")
    try:
        networks.pair.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PresetError(f"{path}: does not hold the weights of these networks: {reason}") from error


def load(name: str, weights: str | os.PathLike | None = None) -> Networks:
    """Returns the networks of preset `name` with `weights`, by default those that are installed.

    Raises:
      PresetError: no such preset, or it has no installed weights, or they don't fit.
    """
    preset = presets.get(name)
    if weights is None:
        weights = savedmodels.weights_file(preset.name)
        if not weights.is_file():
            raise PresetError(
                f"preset {preset.name!r} is not shipped with weights; train it, and name them with --weights"
            )
    networks = build(preset)
    load_weights(networks, weights)
    return networks
