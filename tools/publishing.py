"""How the scripts of this folder give their figures, and which figures may be quoted."""

import json
import os
from collections.abc import Iterable

from absl import app, flags

import stegano_tf
from stegano_tf import outputs, provenance, savedmodels
from stegano_tf.audio import framing

_ALLOW_DIRTY = flags.DEFINE_boolean(
    "allow_dirty", False, "Write --json although files differ from the commit. Nothing will quote the result."
)


def publish(figures: dict, file: str | os.PathLike | None, *, presets: Iterable[str] = ()) -> None:
    """Prints figures as JSON with commit, packages and machine, and writes them to `file`, if there is one.

    Args:
      figures: what was measured.
      file: is replaced if it exists.
      presets: whose installed networks were measured; the result then names these networks. Without any, it is a
        result of sound alone and names the version of the sound format.

    Raises:
      SystemExit: `file` is given, files differ from the commit, and --allow_dirty is not given.
    """
    origin = {"commit": provenance.commit(), "packages": provenance.versions(), "machine": provenance.machine()}
    networks = {preset: installed(preset) for preset in presets}
    result = figures | origin | ({"networks": networks} if networks else {"format": framing.VERSION})
    print(json.dumps(result, indent=1))
    if file:
        _refuse_dirty()
        outputs.write_json(file, result, force=True)


def installed(preset: str) -> str | None:
    """Returns the network id of a preset's installed networks, 16 hexadecimal digits; None if there are none."""
    if not savedmodels.weights_file(preset).is_file():
        return None
    return stegano_tf.load(preset).network.hex()


def faults(result: dict) -> list[str]:
    """Returns why a result may not be quoted: nothing if it may.

    A result names its networks as `publish` does, or one network as `stegano_tf.evaluate` does.
    """
    commit, networks = result.get("commit"), result.get("networks", {})
    if "network" in result:
        networks = {result["preset"]: result["network"]}
    found = []
    if not commit or commit.endswith("-dirty"):
        found.append(f"was taken at commit {commit}, expected one without changes")
    if not networks and result.get("format") != framing.VERSION:
        found.append(f"is of sound format {result.get('format')}, expected {framing.VERSION}")
    for preset, network in networks.items():
        if network != (expected := installed(preset)):
            found.append(f"is of {preset} {network}, expected the installed one, {expected}")
    return found


def _refuse_dirty() -> None:
    """Ends the script if a result would name a commit that doesn't have the code."""
    commit = provenance.commit()
    if not _ALLOW_DIRTY.value and (not commit or commit.endswith("-dirty")):
        raise SystemExit(f"commit {commit}: expected one without changes; --allow_dirty writes a result for yourself")


def _check_early() -> None:
    """Refuses before anything is measured."""
    if "json" in flags.FLAGS and flags.FLAGS.json:
        outputs.check(flags.FLAGS.json, force=True)
        _refuse_dirty()


app.call_after_init(_check_early)
