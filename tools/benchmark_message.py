"""Measures bytes in pictures: how pictures are coded, what `capacity` reaches, how fast it is, and others beside it.

    python tools/benchmark_message.py --data=DIR --json=tools/results/message.json [--part=codes --part=capacity ...]

Parts, by default all:
* codes: PSNR and SSIM of JPEG XL (lossy, and lossless of fewer levels), JPEG 2000, AVIF and WebP at 0.1 to 8 bits a
  pixel. `message/code.py` chooses from these.
* capacity: the scoreboard's pairs, each secret coded to 2.5 bits a sample of its cover.
* megapixels: seconds and memory of a cover of 12 megapixels, in a process of its own.
* readback: covers of all kinds and sizes with secrets of all kinds and sizes, as `--trials` says; none may fail.
* wrong: seconds until a wrong passphrase, another picture and a picture without a message are refused.
* peers: other programs on the first ten pictures (`message_peers.py`).
"""

import concurrent.futures
import contextlib
import functools
import io
import json
import math
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import classical
import imagecodecs
import message_peers
import numpy as np
from absl import app, flags
from PIL import Image
from publishing import publish

from stegano_tf import images, metrics, pairing, provenance, sealing
from stegano_tf.message import code, contents, hiding, pictures, ways
from stegano_tf.message.frame import Secret
from stegano_tf.message.ways.way import RoomError

PARTS = ("codes", "capacity", "megapixels", "readback", "wrong", "peers")
_PARTS = flags.DEFINE_multi_enum("part", [], PARTS, "What to measure.")
_DATA = flags.DEFINE_string("data", None, "Folder of pictures, read with its subfolders.", required=True)
_LIMIT = flags.DEFINE_integer("limit", None, "Use the first so many pictures only.", lower_bound=2)
_TRIALS = flags.DEFINE_integer("trials", 1000, "Of the part readback.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File to write the figures to, replaced if it exists.")

SIDE = 256
RATES = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 7.5)  # bits a pixel


def _files() -> list[Path]:
    return pairing.list_pictures(_DATA.value)[: _LIMIT.value]


def _crop(file: Path) -> np.ndarray:
    return images.centre_crop(images.read(file), (SIDE, SIDE))


# --- codes ------------------------------------------------------------------------------------------------------------


def _webp(picture: np.ndarray, quality: float) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=round(100 * quality), method=6)
    return file.getvalue()


def _avif_8(picture: np.ndarray, quality: float) -> bytes:
    return imagecodecs.avif_encode(picture, level=round(100 * quality), speed=4, pixelformat="444")


def _jpeg_2000(picture: np.ndarray, quality: float) -> bytes:
    return imagecodecs.jpeg2k_encode(picture, level=15 + 55 * quality, mct=True)


def _jpeg_xl(picture: np.ndarray, quality: float) -> bytes:
    return imagecodecs.jpegxl_encode(picture, distance=25 * 2500**-quality, effort=7)


CODES = {
    "jpeg_xl": (_jpeg_xl, imagecodecs.jpegxl_decode),
    "jpeg_2000": (_jpeg_2000, imagecodecs.jpeg2k_decode),
    "avif_8": (_avif_8, imagecodecs.avif_decode),
    "webp": (_webp, imagecodecs.webp_decode),
}


def codes(files: list[Path]) -> dict:
    """Returns mean PSNR and SSIM by code and rate; a code is left out where a picture does not become so small.

    Pictures that fit without loss are only counted.
    """
    rates = {}
    for rate in RATES:
        room = int(rate * SIDE * SIDE / 8)
        tries = {name: functools.partial(_other_code, *both, room) for name, both in CODES.items()}
        for name, own in (("avif_10", code._AVIF_10), ("avif_12", code._AVIF_12), ("levels", code._NEAR)):
            tries[name] = functools.partial(_own_code, own, room)
        tries["chosen"] = functools.partial(_chosen, room)
        lossy = [file for file in files if len(code.lossless(_crop(file))) > room]  # the same pictures for all
        figures = {name: found for name, one in tries.items() if lossy and (found := _mean(lossy, one))}
        rates[str(rate)] = {"identical": len(files) - len(lossy)} | figures
    return rates


def _other_code(encode: Callable, decode: Callable, room: int, picture: np.ndarray) -> np.ndarray | None:
    with contextlib.suppress(ValueError):  # not even the coarsest fits
        return decode(classical._finest(lambda quality: encode(picture, quality), (0.0, 1.0), room))[..., :3]
    return None


def _own_code(own: code._Code, room: int, picture: np.ndarray) -> np.ndarray | None:
    coded = code._searched(own, 1.0, room, picture)
    return None if coded is None else code.decoded(coded, picture.size)


def _chosen(room: int, picture: np.ndarray) -> np.ndarray:
    exact = code.lossless(picture)
    return picture if len(exact) <= room else code.decoded(code.fitted(picture, room, picture.size), picture.size)


def _mean(files: list[Path], revealed: Callable) -> dict | None:
    found = [(picture, revealed(picture)) for picture in map(_crop, files)]
    if any(copy is None for _, copy in found):
        return None
    return _summary([metrics.quality(picture, copy) for picture, copy in found])


def _summary(found: list[metrics.Quality]) -> dict:
    """Means without the pictures that come back identical, whose PSNR is infinite, and how many these are."""
    lossy = [one for one in found if math.isfinite(one.psnr)]
    figures = {"identical": len(found) - len(lossy)}
    if lossy:
        figures |= {name: float(np.mean([getattr(one, name) for one in lossy])) for name in ("psnr", "ssim", "apd")}
    return figures


# --- capacity ---------------------------------------------------------------------------------------------------------


def capacity(files: list[Path]) -> dict:
    """Returns what sender and receiver see: cover i with secret i + N/2, at 2.5 bits a sample."""
    covers, secrets, rates = [], [], []
    for number, file in enumerate(files):
        cover, secret = _crop(file), _crop(files[(number + len(files) // 2) % len(files)])
        hidden = pictures.hide(cover, secret)
        found = pictures.find(hidden.stego)
        covers.append(metrics.quality(cover, hidden.stego))
        secrets.append(metrics.quality(secret, pictures.revealed(found, hidden.stego)))
        rates.append(8 * found.size / cover.size)
    return {
        "cover": _summary(covers),
        "secret": _summary(secrets),
        "bits_a_sample": float(np.mean(rates)),
        "pictures": len(files),
    }


# --- megapixels -------------------------------------------------------------------------------------------------------


def megapixels(files: list[Path]) -> dict:
    """Returns seconds to embed and to extract at 2.5 bits a sample, and MB at most, beyond what imports take."""
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        return pool.submit(_megapixels, files[0]).result()


def _megapixels(file: Path) -> dict:
    cover = images.resize(images.read(file), (3000, 4000))
    way, key = ways.make("capacity"), bytes(32)
    way.embed(cover[:100, :100], {key: b"imports"})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = np.random.default_rng(0).bytes(way.room(cover))
    start = time.perf_counter()
    stego = way.embed(cover, {key: message})
    middle = time.perf_counter()
    right = way.extract(stego, key) == message
    end = time.perf_counter()
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
    return {"bytes": len(message), "embed_s": middle - start, "extract_s": end - middle, "mb": memory, "right": right}


# --- readback ---------------------------------------------------------------------------------------------------------


def readback(files: list[Path]) -> dict:
    """Returns how many of the trials came back right, were refused for want of room, or failed."""
    random = np.random.default_rng(0)
    counts = {"right": 0, "no_room": 0, "failed": 0}
    for _ in range(_TRIALS.value):
        cover = _cover(random, files)
        source = _secret(random, files)
        try:
            hidden = pictures.hide(cover, source)
        except RoomError:
            counts["no_room"] += 1
            continue
        found = pictures.find(hidden.stego)
        right = found is not None and found.secret == hidden.secrets[0]
        if right and isinstance(source, bytes):
            right = found.secret.data == source
        elif right:
            revealed = pictures.revealed(found, hidden.stego)
            larger = source.size > contents.PICTURE_SHARE * cover.size  # is made smaller
            right = larger or revealed.shape == source.shape
        counts["right" if right else "failed"] += 1
    return counts


def _cover(random: np.random.Generator, files: list[Path]) -> np.ndarray:
    """A photograph, flat, saturated, noise or line art, of 16² to 1000x750 pixels; one in a hundred of 4000x3000."""
    height, width = np.exp(random.uniform(np.log(16), np.log([750, 1000]))).astype(int)
    if random.random() < 0.01:
        height, width = 3000, 4000
    kind = random.integers(5)
    if kind == 0:
        return images.resize(images.read(files[random.integers(len(files))]), (int(height), int(width)))
    if kind == 1:
        return np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)
    if kind == 2:
        return np.full((height, width, 3), random.choice([0, 255]), np.uint8)
    if kind == 3:
        return random.integers(0, 256, (height, width, 3), np.uint8)
    return np.where(random.random((height, width, 1)) < 0.05, 0, 255).astype(np.uint8).repeat(3, axis=2)


def _secret(random: np.random.Generator, files: list[Path]) -> bytes | np.ndarray:
    if random.random() < 0.5:
        return random.bytes(int(np.exp(random.uniform(0, np.log(1e6)))))
    side = int(np.exp(random.uniform(np.log(16), np.log(400))))
    return images.resize(images.read(files[random.integers(len(files))]), (side, side))


# --- wrong ------------------------------------------------------------------------------------------------------------


def wrong(files: list[Path]) -> dict:
    """Returns the seconds until each kind of refusal, the median of five, and their greatest difference."""
    cover, other = _crop(files[0]), _crop(files[1])
    secret = Secret(b"hello", "note.txt")
    stego = hiding.hide(ways.make("capacity"), cover, [(secret, sealing.Lock(passphrase="right"))]).stego
    cases = {"wrong_passphrase": (stego, "wrong"), "other_picture": (other, "right"), "no_message": (cover, "right")}
    seconds = {name: [] for name in cases}
    for _ in range(5):
        for name, (picture, passphrase) in cases.items():
            hiding.keys.stretching.stretch.cache_clear()
            start = time.perf_counter()
            if hiding.reveal(picture, sealing.Key(passphrase=passphrase)) is not None:
                raise AssertionError(f"{name}: found a message")
            seconds[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    return {"seconds": medians, "difference": max(medians.values()) / min(medians.values()) - 1}


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    files = _files()
    result = {"pictures": len(files), "pictures_sha256": provenance.sha256(files)}
    for part in _PARTS.value or PARTS:
        result[part] = message_peers.measure(map(_crop, files[:10])) if part == "peers" else globals()[part](files)
        print(part, json.dumps(result[part]), file=sys.stderr, flush=True)
    publish(result, _JSON.value)


if __name__ == "__main__":
    app.run(main)
