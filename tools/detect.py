"""Measures how often detectors tell stego images from covers: every preset, lowest bits, and the ways into a picture.

    pip install '.[detect]'
    python tools/detect.py --train=DIR --test=DIR --cache=DIR --json=tools/results/detect.json

A detector is trained on pairs of the pictures in some folders and judged on those in others, so that no picture is on
both sides. Its error is the least mean of false alarms and misses over all thresholds: 0.5 is a guess. Covers are
centre-cropped to 256 x 256, `--shrink` times smaller than they were. Messages are random and as long as the rate
allows. Of `lsb` half as many of all samples as the rate says change by 1.

Stego images and features go to `--cache`, so that a run that was stopped goes on. Take another folder after a change of
the package. `capacity` is left out where this version does not have it.
"""

import concurrent.futures
import functools
import hashlib
import importlib
import importlib.util
import itertools
import multiprocessing
import os
from pathlib import Path

import detectors
import numpy as np
import rich.console
import rich.progress
from absl import app, flags
from publishing import publish

import stegano_tf
from stegano_tf import images, provenance
from stegano_tf.message.ways.stealth import Stealth
from stegano_tf.pairing import list_pictures

RATES = ("0.02", "0.05", "0.1", "0.2", "0.4")
SETS = ("codebook", "unet", "capacity", *(f"{way}-{rate}" for way in ("lsb", "stealth") for rate in RATES))
SIDE = 256
_LATTICE = "stegano_tf.message.ways.lattice"

_TRAIN = flags.DEFINE_multi_string("train", None, "Folders of pictures to train on.", required=True)
_TEST = flags.DEFINE_multi_string("test", None, "Folders of other pictures to judge with.", required=True)
_CACHE = flags.DEFINE_string("cache", None, "Folder for stego images and features.", required=True)
_SETS = flags.DEFINE_list("sets", list(SETS), "What to look for.")
_FEATURES = flags.DEFINE_list("features", list(detectors.FEATURES), "What to look with.")
_MOST = flags.DEFINE_integer("most", None, "Pictures of each side at most, evenly from all.", lower_bound=2)
_SHRINK = flags.DEFINE_integer("shrink", 1, "How many times smaller to make pictures first.", lower_bound=1)
_EPOCHS = flags.DEFINE_integer("epochs", 0, "Epochs to train a network for, too.", lower_bound=0)
_PROCESSES = flags.DEFINE_integer("processes", os.cpu_count(), "How many run at once.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")


def cover(file: Path, shrink: int) -> np.ndarray:
    """Returns the middle of a picture, uint8[SIDE, SIDE, 3], or all of it if it is smaller."""
    picture = images.read(file)
    size = tuple(side // shrink for side in picture.shape[:2])
    picture = picture if shrink == 1 else images.resize(picture, size)
    return images.centre_crop(picture, tuple(min(side, SIDE) for side in size))


def stego(name: str, picture: np.ndarray, secret: np.ndarray, seed: int) -> np.ndarray:
    """Returns the stego image of a set, uint8[H, W, 3]."""
    random = np.random.default_rng(seed)
    if name == "cover":
        return picture
    if name in ("codebook", "unet"):
        return _hider(name).hide(picture, secret)
    kind, _, rate = name.partition("-")
    if kind == "lsb":
        change = random.choice([-1, 1], picture.shape) * (random.random(picture.shape) < float(rate) / 2)
        change = np.where((picture == 0) | (picture == 255), np.abs(change) * (1 - 2 * (picture == 255)), change)
        return (picture + change).astype(np.uint8)
    way = Stealth(float(rate)) if kind == "stealth" else importlib.import_module(_LATTICE).WAY()
    size = way.capacity(picture) if kind == "stealth" else way.room(picture)
    return way.embed(picture, {random.bytes(32): random.bytes(size)})


@functools.cache
def _hider(preset: str):
    return stegano_tf.load(preset, threads=1)


def prepare(files: tuple[Path, Path], folder: Path, sets: list[str], features: list[str], shrink: int) -> None:
    """Makes what the cache does not have of a cover and a secret: stego images and their features."""
    picture = cover(files[0], shrink)
    seed = int.from_bytes(hashlib.sha256(picture.tobytes()).digest()[:8])
    for name in sets:
        image, made = folder / f"{name}.png", None
        if not image.is_file():
            secret = images.resize(cover(files[1], shrink), picture.shape[:2])
            made = stego(name, picture, secret, seed)
            images.write(image, made, force=True)
        for feature in features:
            target = folder / f"{name}.{feature}.npy"
            if not target.is_file():
                made = images.read(image) if made is None else made
                _save(target, detectors.FEATURES[feature](made))


def _save(file: Path, values: np.ndarray) -> None:
    part = file.with_suffix(".part")
    with part.open("wb") as opened:
        np.save(opened, values)
    part.replace(file)


def folders(files: list[Path], cache: Path, shrink: int) -> list[Path]:
    """Returns where the cache has what belongs to pictures."""
    return [cache / f"{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}-{shrink}" for file in files]


def judge(train: list[Path], test: list[Path], name: str, feature: str) -> dict[str, float]:
    """Returns the error and the area under the curve of one detector for one set."""
    cover_train, stego_train, cover_test, stego_test = (
        np.stack([np.load(folder / f"{which}.{feature}.npy") for folder in side])
        for side, which in itertools.product((train, test), ("cover", name))
    )
    return detectors.errors(*detectors.ensemble(cover_train, stego_train, [cover_test, stego_test]))


def judge_by_network(train: list[Path], test: list[Path], name: str, epochs: int) -> dict[str, float]:
    """Returns the error and the area under the curve of a network that was trained for one set."""
    pairs = [
        [np.stack([images.read(f / f"{which}.png") for f in side]) for which in ("cover", name)]
        for side in (train, test)
    ]
    model = detectors.train_network(*pairs[0], epochs)
    return detectors.errors(*(model.predict(x, batch_size=32, verbose=0)[:, 0] for x in pairs[1]))


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    sets = [name for name in _SETS.value if name != "capacity" or importlib.util.find_spec(_LATTICE)]
    sides = [
        _evenly([f for folder in side for f in list_pictures(folder)], _MOST.value)
        for side in (_TRAIN.value, _TEST.value)
    ]
    places = [folders(side, Path(_CACHE.value), _SHRINK.value) for side in sides]
    jobs = [((f, side[i - 1]), place[i]) for side, place in zip(sides, places, strict=True) for i, f in enumerate(side)]
    for _, folder in jobs:
        folder.mkdir(parents=True, exist_ok=True)
    rest = ["cover", *sets], _FEATURES.value, _SHRINK.value
    spawn = multiprocessing.get_context("spawn")  # a fork would copy the locks of threads that it does not copy
    with concurrent.futures.ProcessPoolExecutor(_PROCESSES.value, spawn) as pool:
        waiting = [pool.submit(prepare, *job, *rest) for job in jobs]
        done = concurrent.futures.as_completed(waiting)
        for job in rich.progress.track(done, "pictures", len(jobs), console=rich.console.Console(stderr=True)):
            job.result()
    found = {name: {feature: judge(*places, name, feature) for feature in _FEATURES.value} for name in sets}
    if _EPOCHS.value:
        for name in sets:
            found[name]["network"] = judge_by_network(*places, name, _EPOCHS.value)
    result = {
        "train": {"pictures": len(sides[0]), "sha256": provenance.sha256(sides[0])},
        "test": {"pictures": len(sides[1]), "sha256": provenance.sha256(sides[1])},
        "side": SIDE,
        "shrink": _SHRINK.value,
        "epochs": _EPOCHS.value,
        "sets": found,
    }
    publish(result, _JSON.value, presets=[name for name in ("codebook", "unet") if name in sets])


def _evenly(files: list[Path], most: int | None) -> list[Path]:
    count = min(most or len(files), len(files))
    return [files[i * len(files) // count] for i in range(count)]


if __name__ == "__main__":
    app.run(main)
