"""What all families have in common: networks of a preset, with fresh, installed or given weights."""

import os
from pathlib import Path

from stegano_tf import presets, savedmodels
from stegano_tf.errors import PresetError
from stegano_tf.networks.family import Networks

_HDF5 = b"\x89HDF\r\n\x1a\n"  # how such a file begins


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
    except OSError as error:
        raise PresetError(f"{path}: cannot be read as HDF5, expected a weights file") from error
    except (ValueError, KeyError) as error:  # Keras' words name its classes, and none of the user's
        raise PresetError(f"{path}: does not hold the weights of these networks") from error


def load(name: str, weights: str | os.PathLike | None = None) -> Networks:
    """Returns the networks of preset `name` with `weights`, by default the installed ones.

    Raises PresetError as `weights_file` and `load_weights`.
    """
    file = weights_file(name, weights)
    networks = build(name)
    load_weights(networks, file)
    return networks


def weights_file(name: str, weights: str | os.PathLike | None = None) -> Path:
    """Returns the file with the weights of preset `name`; PresetError if it is none, before Keras is imported."""
    preset = presets.get(name)
    file = Path(weights or savedmodels.weights_file(preset.name))
    if not file.is_file():
        if weights is not None:
            raise PresetError(f"{file}: does not exist, expected a weights file")
        message = f"preset {preset.name!r} is not shipped with weights: train it"
        raise PresetError(message, option="weights", effect="names the file then")
    with file.open("rb") as opened:
        if opened.read(len(_HDF5)) != _HDF5:
            raise PresetError(f"{file}: is no HDF5 file, expected a weights file")
    return file
