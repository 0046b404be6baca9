"""Installed networks: which there are, and exported ones as PRESET/VERSION folders on disk.

    manifest.json
    saved_model.pb, fingerprint.pb, variables/, assets.extra/     the SavedModel, which TF Serving takes as it is
    tflite/PRESET-hide.tflite, tflite/PRESET-reveal.tflite        and variants with a suffix: -float16, -int8, -256x256

The manifest names every file by its SHA-256. It is read first; a file is hashed when it is loaded, and only then.
"""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

from stegano_tf import presets, savedmodels
from stegano_tf.errors import PresetError

MANIFEST = "manifest.json"
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Exported:
    """One version of a preset's exported networks."""

    folder: Path
    preset: str
    version: int
    network: bytes  # 8 that name the weights, as a frame records them
    files: dict[str, str]  # SHA-256, in hexadecimal, of every file of the folder by its name in there

    @classmethod
    def read(cls, folder: str | os.PathLike) -> "Exported":
        """Returns what the manifest of `folder` says; PresetError if it is missing or cannot be read."""
        file = Path(folder, MANIFEST)
        try:
            manifest = json.loads(file.read_bytes())
            if manifest["format"] != FORMAT:
                raise PresetError(f"{file}: has format {manifest['format']}, expected {FORMAT}")
            network, files = bytes.fromhex(manifest["network"]), dict(manifest["files"])
            return cls(Path(folder), manifest["preset"], manifest["version"], network, files)
        except FileNotFoundError as error:
            raise PresetError(f"{file}: does not exist, expected the manifest of exported networks") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PresetError(f"{file}: is no manifest of exported networks: {error}") from error

    def write(self, **facts) -> None:
        """Writes the manifest: what `read` needs, and `facts` for people and other programs."""
        own = {"format": FORMAT, "preset": self.preset, "version": self.version, "network": self.network.hex()}
        manifest = own | facts | {"files": self.files}
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")

    def content(self, name: str) -> bytes:
        """Returns the bytes of one of `files`; PresetError if it is missing, or not what was exported."""
        file = self.folder / name
        if name not in self.files:
            raise PresetError(f"{file}: is not among the exported files that {MANIFEST} lists")
        try:
            content = file.read_bytes()
        except FileNotFoundError as error:
            raise PresetError(f"{file}: does not exist, expected it beside {MANIFEST}") from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.files[name]:
            raise PresetError(f"{file}: was altered: its SHA-256 is {found}, expected {self.files[name]}")
        return content

    def check(self, prefix: str = "") -> None:
        """Raises PresetError if one of `files` whose name starts with `prefix` is missing or altered."""
        for name in self.files:
            if name.startswith(prefix):
                self.content(name)


def sha256_of_files(folder: Path) -> dict[str, str]:
    """Returns what `Exported.files` is for a folder, in the order of names."""
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names if name != MANIFEST}


def installed(preset: str) -> Exported | None:
    """Returns the highest installed version of a preset's exported networks, or None; raises as `Exported.read`."""
    versions = savedmodels.versions(preset)
    return Exported.read(versions[-1]) if versions else None


def network_id(weights: str | os.PathLike) -> bytes:
    """Returns the 8 bytes that name a weights file: the first of its SHA-256."""
    return hashlib.sha256(Path(weights).read_bytes()).digest()[:8]


def preset_of(network: bytes) -> str:
    """Returns the preset whose installed networks are called `network`; PresetError, which lists them, if none are."""
    known = {}
    for name in installed_presets():
        found = installed(name)
        known[name] = found.network if found else network_id(savedmodels.weights_file(name))
        if known[name] == network:
            return name
    known = ", ".join(f"{name} {identity.hex()}" for name, identity in known.items()) or "none"
    raise PresetError(f"the secret was hidden by network {network.hex()}, expected one that is installed ({known})")


def installed_presets() -> list[str]:
    """Returns the names of the presets that have installed networks, exported ones or weights."""
    return [name for name in presets.PRESETS if savedmodels.versions(name) or savedmodels.weights_file(name).is_file()]
