"""Preset name -> hide and reveal network, with or without trained weights."""

import os
from pathlib import Path
from typing import NamedTuple

import keras

from stegano_tf import presets, savedmodels
from stegano_tf.errors import PresetError
from stegano_tf.networks import hide_unet, invertible, reveal_cnn


class Networks(NamedTuple):
    """hide: [cover, secret] -> stego; reveal: stego -> secret; pair: [cover, secret] -> [stego, secret].

    float32[B, H, W, 3] in [0, 1]. `pair` is both, one after the other, in the form in which they are trained, saved and
    counted: gradients go through it, and weights that both have are in it once.
    """

    hide: keras.Model
    reveal: keras.Model
    pair: keras.Model


def build(preset: presets.Preset | str) -> Networks:
    """Returns the networks of a preset with fresh weights, computing in the global Keras dtype policy.

    Raises:
      PresetError: there is no preset of that name.
    """
    if isinstance(preset, str):
        preset = presets.get(preset)
    match preset.networks:
        case presets.Codebook() as config:
            return Networks(*invertible.build(config))
        case presets.UNet() as config:
            return composed(hide_unet.build(config), reveal_cnn.build(config))
        case presets.Paper() as config:
            return composed(hide_unet.build_paper(config), reveal_cnn.build_paper(config))


def composed(hide: keras.Model, reveal: keras.Model) -> Networks:
    """Returns networks whose gradients go through the stego image."""
    cover, secret = (keras.Input((None, None, 3), name=name) for name in ("cover", "secret"))
    stego = hide([cover, secret])
    return Networks(hide, reveal, keras.Model([cover, secret], [stego, reveal(stego)], name="pair"))


def count_parameters(networks: Networks) -> int:
    """Returns how many weights the pair has, those of both networks once."""
    return networks.pair.count_params()


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
    networks = build(name)
    if weights is None:
        weights = savedmodels.weights_file(name)
        if not weights.is_file():
            raise PresetError(f"preset {name!r} is not shipped with weights; train it, and name them with --weights")
    load_weights(networks, weights)
    return networks
