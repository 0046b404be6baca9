"""One export: a version folder that is whole or absent, and the preset's model card."""

import dataclasses
import hashlib
import json
import math
from pathlib import Path

import rich.console
import rich.progress
import tensorflow as tf

from stegano_tf import __version__, outputs, presets, savedmodels, scoreboard
from stegano_tf.errors import OutputError, PresetError
from stegano_tf.exporting import Options, card, signatures, tflite
from stegano_tf.networks import build
from stegano_tf.networks.family import Networks
from stegano_tf.pairing import list_pictures
from stegano_tf.runtime import Runtime, network_id
from stegano_tf.runtime.backends import LitertBackend, tflite_file
from stegano_tf.runtime.exported import MANIFEST, Exported, sha256_of_files

MAX_LOSS = 0.5
"""dB: an int8 variant is written only if it was measured and scores less than this below float32, for both pictures."""


def export(options: Options) -> Path:
    """Writes OUT/PRESET/VERSION and OUT/PRESET/README.md, and returns the former.

    Raises:
      OutputError: the version exists, and `force` is not set; or it cannot be written, or another export writes there.
      PresetError: the weights do not exist or do not fit, or there is no such TFLite variant.
      DataError, ImageError: `data` holds no pictures to measure the variants on.
    """
    home = Path(options.out, presets.get(options.preset).name)
    with outputs.alone(home):
        return _export(options, home)


def _export(options: Options, home: Path) -> Path:
    preset = presets.get(options.preset)
    # The runtime "litert" takes float32, and the other precisions are measured against it.
    variants = list(dict.fromkeys(tflite.Variant.parse(text) for text in ["float32", *options.tflite]))
    pictures = list_pictures(options.data)[: options.limit] if options.data else []
    scoreboard.check(pictures)
    found = savedmodels.versions(preset.name, options.out)
    version = options.version or (int(found[-1].name) + 1 if found else 1)
    target = home / str(version)
    if target.exists() and not options.force:
        raise OutputError(f"{target}: exists already; --force replaces it")
    networks = build.load(preset.name, options.weights)
    weights = Path(options.weights or savedmodels.weights_file(preset.name))
    digest = hashlib.sha256(weights.read_bytes()).digest()

    try:
        # The partial folder's name is no number, so TF Serving, which may be watching, does not take it for a version.
        with outputs.replacing_folder(target, force=options.force) as partial:
            made = Exported(folder=partial, preset=preset.name, version=version, network=digest[:8], files={})
            signatures.save(networks, preset.networks.multiples, partial)
            signatures.write_warmup(partial, preset.name)
            preset.networks.freeze(networks)
            _write_tflite(made, networks, variants)
            losses = _losses(made, variants, pictures) if pictures else {}
            for variant in variants:
                loss = losses.get(variant.precision, {"unmeasured": math.inf})
                if variant.precision == "int8" and max(loss.values()) >= MAX_LOSS:
                    for name in tflite.INPUTS:
                        (partial / tflite_file(preset.name, name, str(variant))).unlink()
            made = dataclasses.replace(made, files=sha256_of_files(partial))
            made.write(
                weights_sha256=digest.hex(),
                parameters=preset.parameters,
                multiples=preset.networks.multiples,
                stegano_tf=__version__,
                losses=losses,
                losses_measured_on=len(pictures),
            )
            text = card.text(made, weights, losses, len(pictures))
    except tf.errors.ResourceExhaustedError as error:
        raise OutputError(f"{target}: cannot be written: {error.message}") from error
    _write(home, text)
    return target


def write_card(options: Options) -> Path:
    """Writes OUT/PRESET/README.md anew, for the highest version there, and returns its name.

    Raises:
      PresetError: there is no version, or it was made from other weights, or a file of it is missing or altered.
    """
    versions = savedmodels.versions(options.preset, options.out)
    if not versions:
        raise PresetError(f"{Path(options.out, options.preset)}: holds no version, expected exported networks")
    made = Exported.read(versions[-1])
    made.check()
    weights = Path(options.weights or savedmodels.weights_file(options.preset))
    if made.network != network_id(weights):
        raise PresetError(f"{made.folder}: was not made from {weights}; export anew")
    manifest = json.loads((made.folder / MANIFEST).read_text())
    text = card.text(made, weights, manifest["losses"], manifest["losses_measured_on"])
    with outputs.alone(made.folder.parent):
        return _write(made.folder.parent, text)


def _write(home: Path, text: str) -> Path:
    file = home / "README.md"
    with outputs.replacing(file, force=True) as partial:
        partial.write_text(text)
    return file


def _write_tflite(made: Exported, networks: Networks, variants: list[tflite.Variant]) -> None:
    (made.folder / "tflite").mkdir()
    jobs = [(variant, name) for variant in variants for name in tflite.INPUTS]
    for variant, name in rich.progress.track(jobs, "TFLite files", console=rich.console.Console(stderr=True)):
        file = made.folder / tflite_file(made.preset, name, str(variant))
        file.write_bytes(tflite.convert(networks, name, variant, scratch=made.folder))


def _losses(made: Exported, variants: list[tflite.Variant], pictures: list[Path]) -> dict[str, dict[str, float]]:
    """Returns by how many dB each precision scores below float32, in "cover" and in "secret", on `pictures`."""
    made = dataclasses.replace(made, files=sha256_of_files(made.folder))
    console = rich.console.Console(stderr=True)

    def measured(precision: str) -> dict[str, float]:
        networks = Runtime(made.preset, runtime=LitertBackend(made, precision))
        scoring = rich.progress.track(scoreboard.scores(pictures, networks), precision, len(pictures), console=console)
        return scoreboard.means(list(scoring))

    # Fixing the size changes no figure.
    precisions = sorted({variant.precision for variant in variants if variant.size is None} - {"float32"})
    reference = measured("float32")
    return {
        precision: {name: reference[f"{name}_psnr"] - figures[f"{name}_psnr"] for name in ("cover", "secret")}
        for precision in precisions
        for figures in [measured(precision)]
    }
