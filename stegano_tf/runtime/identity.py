"""Which networks hid a message: 8 bytes of the hash of their weights."""

import hashlib
import os
from pathlib import Path

from stegano_tf import presets, savedmodels
from stegano_tf.errors import PresetError
from stegano_tf.runtime import exported


def network_id(weights: str | os.PathLike) -> bytes:
    """Returns the 8 bytes that name a weights file: the first of its SHA-256."""
    return hashlib.sha256(Path(weights).read_bytes()).digest()[:8]


def preset_of(network: bytes) -> str:
    """Returns the preset whose installed networks are called `network`.

    Raises:
      PresetError: none are, and the message lists those that are installed; or an exported version has no readable
        manifest.
    """
    installed = {name: _installed_network(name) for name in installed_presets()}
    for name, known in installed.items():
        if known == network:
            return name
    known = ", ".join(f"{name} {identity.hex()}" for name, identity in installed.items()) or "none"
    raise PresetError(f"the secret was hidden by network {network.hex()}, expected one that is installed ({known})")


def installed_presets() -> list[str]:
    """Returns the names of the presets that have installed networks, exported ones or weights."""
    return [name for name in presets.PRESETS if savedmodels.versions(name) or savedmodels.weights_file(name).is_file()]


def _installed_network(preset: str) -> bytes:
    found = exported.installed(preset)
    return found.network if found else network_id(savedmodels.weights_file(preset))
