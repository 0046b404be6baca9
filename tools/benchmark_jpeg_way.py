"""Measures what bytes in a picture survive: JPEG encoders, their qualities, and one after the other.

    python tools/benchmark_jpeg_way.py --photographs=../shared/data --json=FILE

Covers of 1600x1200 pixels are made from a seed, a third of each kind: mosaics of crops that never were JPEG files,
mosaics of photographs that were, and single photographs that are cut and enlarged. So mosaics have borders that no
photograph has, and enlarged photographs are smoother than those of a camera. Seeded random bytes are embedded, the
stego image goes through each channel, and those are counted of which each byte comes back. ImageMagick is measured if
it is there.

`damaged` counts what is said of files that are worse than the design, cut or scaled: never may bytes come back that are
not right. `measure_large` gives the time and the memory for 12 megapixels in a fresh process.
"""

import collections
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jpeglib
import numpy as np
import psutil
from absl import app, flags
from PIL import Image
from publishing import publish

from stegano_tf import metrics
from stegano_tf.channels import jpeg
from stegano_tf.errors import SteganoError
from stegano_tf.message.ways.jpeg import Jpeg
from stegano_tf.message.ways.jpeg.channel import FAST, compress_fast

_PHOTOGRAPHS = flags.DEFINE_string("photographs", "../shared/data", "Folder with linnaeus5_layout and never_jpeg.")
_COVERS = flags.DEFINE_integer("covers", 100, "How many covers.", lower_bound=1)
_DESIGNS = flags.DEFINE_list("designs", ["75:28000", "60:25000"], "Design qualities and bytes of a message.")
_LARGE = flags.DEFINE_boolean("large", True, "Measure 12 megapixels, too.")
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")

WIDTH, HEIGHT = 1600, 1200
_MAGICK = shutil.which("magick") or shutil.which("convert-im6.q16")  # its name since version 7, and Debian's before
_BETTER = (0, 1, 3, 5, 10, 15, 20)  # than the design quality, and 95


def mozjpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """Returns a picture after MozJPEG with its own tables, trellis quantisation and 4:2:0."""
    with jpeglib.version("mozjpeg403"), tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        coded = jpeglib.from_spatial(picture)
        coded.samp_factor = "4:2:0"
        coded.write_spatial(file.name, qt=quality)
        return np.asarray(Image.open(file.name).convert("RGB"))


def imagemagick(picture: np.ndarray, quality: int) -> np.ndarray:
    """Returns a picture after ImageMagick's `-quality`."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PPM")
    command = [_MAGICK, "ppm:-", "-quality", str(quality), "jpeg:-"]
    done = subprocess.run(command, input=file.getvalue(), stdout=subprocess.PIPE, check=True)
    return np.asarray(Image.open(io.BytesIO(done.stdout)).convert("RGB"))


def channels(way: Jpeg) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Returns what happens to a stego image, by name."""
    design = way.quality

    def own(picture: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, **way.file_options)
        return np.asarray(Image.open(file))

    result = {"PNG": lambda picture: picture, "own JPEG": own, "own JPEG, then 80": lambda x: jpeg(own(x), 80)}
    for quality in sorted({design + more for more in _BETTER} | {95}):
        result[f"libjpeg {quality}"] = lambda x, q=quality: jpeg(x, q)
    for quality in sorted({design, design + 5, 85, 90, 95}):
        result[f"libjpeg {quality}, 4:4:4"] = lambda x, q=quality: jpeg(x, q, "4:4:4")
        if quality <= FAST:
            result[f"TurboJPEG {quality}"] = lambda x, q=quality: compress_fast(x, q)
    result[f"libjpeg 90, then {design}"] = lambda x: jpeg(jpeg(x, 90), design)
    for quality in (85, 90):
        result[f"MozJPEG {quality}"] = lambda x, q=quality: mozjpeg(x, q)
    for quality in (design, 80, 85, 90):
        if _MAGICK:
            result[f"ImageMagick {quality}"] = lambda x, q=quality: imagemagick(x, q)
    return result


def damages(way: Jpeg) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Returns what no message needs to survive, by name."""
    return {
        **{f"libjpeg {way.quality - less}": lambda x, q=way.quality - less: jpeg(x, q) for less in (5, 10, 15, 25)},
        "cut by 5 pixels": lambda x: x[5:, 5:],
        "cut by 8 pixels": lambda x: x[8:, 8:],
        "scaled to 80 %": lambda x: np.asarray(Image.fromarray(x).resize((WIDTH * 4 // 5, HEIGHT * 4 // 5))),
    }


def covers(folder: Path, count: int):
    """Yields `count` covers, uint8[1200, 1600, 3]."""
    never = sorted((folder / "never_jpeg").glob("t*/*.png"))
    were = sorted((folder / "linnaeus5_layout/test").glob("*/*.jpg"))
    whole = sorted((folder / "never_jpeg/full").glob("*.png")) + _bundled()
    for number in range(count):
        rng = np.random.default_rng(number)
        if number % 3 == 2:
            picture = Image.open(whole[rng.integers(len(whole))]).convert("RGB")
            size = np.array(picture.size)
            part = size * rng.uniform(0.6, 1) * min(size / (WIDTH, HEIGHT)) / (size / (WIDTH, HEIGHT))
            left, top = rng.uniform(size * 0, size - part)
            box = (left, top, left + part[0], top + part[1])
            yield np.asarray(picture.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box))
        else:
            chosen = rng.choice(never if number % 3 else were, 35, replace=False)
            rows = np.stack([np.asarray(Image.open(file).convert("RGB"))[:256, :256] for file in chosen]).reshape(
                5, 7, 256, 256, 3
            )
            whole_mosaic = rows.swapaxes(1, 2).reshape(1280, 1792, 3)
            top, left = rng.integers(0, (1280 - HEIGHT, 1792 - WIDTH))
            yield np.ascontiguousarray(whole_mosaic[top : top + HEIGHT, left : left + WIDTH])


def _bundled() -> list[Path]:
    import bundled  # noqa: PLC0415  (needs the networks' packages)

    return bundled.files()


def measure(way: Jpeg, size: int, pictures) -> dict:
    """Returns how many messages of `size` bytes came through each channel, and the quality of the stego images."""
    right, damaged, quality = collections.Counter(), collections.defaultdict(collections.Counter), []
    seconds, count = collections.Counter(), 0
    for number, cover in enumerate(pictures):
        rng = np.random.default_rng(1000 + number)
        key, salt, data = rng.bytes(32), rng.bytes(32), rng.bytes(size)
        start = time.perf_counter()
        stego = way.embed(way.with_salt(cover, salt), {key: data})
        seconds["embed"] += time.perf_counter() - start
        quality.append((metrics.psnr(stego, cover), metrics.ssim(stego, cover), way.capacity(cover)))
        count += 1
        for name, channel in channels(way).items():
            changed = channel(stego)
            start = time.perf_counter()
            right[name] += outcome(way, changed, key, data) == "right" and way.salt(changed) == salt
            seconds["extract"] += time.perf_counter() - start
        for name, channel in damages(way).items():
            damaged[name][outcome(way, channel(stego), key, data)] += 1
        print(number, [round(value, 4) for value in quality[-1]], count, dict(right), file=sys.stderr, flush=True)
    psnr, ssim, capacity = np.array(quality).T
    return {
        **{"covers": count, "bytes": size, "psnr": float(psnr.mean()), "psnr_least": float(psnr.min())},
        **{"ssim": float(ssim.mean()), "ssim_least": float(ssim.min()), "capacity_least": int(capacity.min())},
        **{"right": dict(right), "damaged": {name: dict(found) for name, found in damaged.items()}},
        **{"embed_s": seconds["embed"] / count, "extract_s": seconds["extract"] / count / len(right)},
    }


def outcome(way: Jpeg, picture: np.ndarray, key: bytes, data: bytes) -> str:
    """Returns what reading ends in: right, wrong, none or damaged."""
    try:
        found = way.extract(picture, key)
    except SteganoError:
        return "damaged"
    return "none" if found is None else "right" if found == data else "wrong"


def measure_large() -> dict:
    """Returns seconds and peak megabytes for a message that fills most of 12 megapixels, in a fresh process."""
    done = subprocess.run([sys.executable, __file__, "large"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def large() -> None:
    """Prints the figures of `measure_large`."""
    photograph = next(file for file in _bundled() if file.name == "retina.jpg")
    cover = np.asarray(Image.open(photograph).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC))
    way, key, process = Jpeg(), bytes(32), psutil.Process()
    base = process.memory_info().rss
    data = np.random.default_rng(0).bytes(175_000)
    start = time.perf_counter()
    stego = way.embed(way.with_salt(cover, bytes(range(32))), {key: data})
    embedded = time.perf_counter()
    assert way.extract(stego, key) == data
    ended = time.perf_counter()
    peak = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    figures = {"bytes": len(data), "embed_s": embedded - start, "extract_s": ended - embedded}
    print(json.dumps(figures | {"peak_mb": peak / 1024, "before_mb": base / 2**20, "psnr": metrics.psnr(stego, cover)}))


def main(argv: list[str]) -> None:
    if argv[1:] == ["large"]:
        large()
        return
    figures = {"size": [WIDTH, HEIGHT], "designs": {}}
    for design in _DESIGNS.value:
        quality, size = map(int, design.split(":"))
        pictures = covers(Path(_PHOTOGRAPHS.value), _COVERS.value)
        figures["designs"][str(quality)] = measure(Jpeg(quality), size, pictures)
    if _LARGE.value:
        figures["large"] = measure_large()
    publish(figures, _JSON.value)


if __name__ == "__main__":
    app.run(main)
