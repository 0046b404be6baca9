"""Measures the way `stealth`: time and memory at 12 megapixels, and what its code makes of the costs.

    python tools/benchmark_stealth.py --data=DIR --json=tools/results/stealth.json

The picture is the first of the folder, enlarged to 4000 x 3000, with noise as a sensor has it. It holds as much as the
rate allows. Efficiency is the bits of a message beside the most bits that changes by 1 can say at the same total cost
(equation 5 of the paper named in coding/stc.py). It is measured on the HILL costs of each of ten pictures, all channels
together, without what makes changes follow their neighbours: with that, costs do not add up. No time counts compiling.
"""

import resource
import time

import numpy as np
import rich.console
import rich.progress
from absl import app, flags
from publishing import publish

from stegano_tf import images, metrics, provenance
from stegano_tf.coding import layers, stc
from stegano_tf.message.ways.stealth import Stealth, costs
from stegano_tf.pairing import list_pictures

_DATA = flags.DEFINE_string("data", None, "Folder of pictures, read with its subfolders.", required=True)
_RATE = flags.DEFINE_float("rate", 0.1, "Bits a sample of the large picture.", lower_bound=0.001, upper_bound=0.5)
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")

RATES = (0.02, 0.05, 0.1, 0.2, 0.4)
_KEY = bytes(range(32))


def large(picture: np.ndarray) -> np.ndarray:
    """Returns a picture as a camera has it, uint8[3000, 4000, 3]."""
    random, enlarged = np.random.default_rng(1), images.resize(picture, (3000, 4000))
    for row in enlarged:
        row[:] = (row + 2 * random.standard_normal(row.shape, np.float32)).clip(0, 255)
    return enlarged


def timed(function, *arguments) -> tuple[object, float]:
    """Returns what a function returns, and the seconds that it takes."""
    start = time.perf_counter()
    return function(*arguments), time.perf_counter() - start


def speed(cover: np.ndarray, rate: float) -> dict[str, float]:
    """Returns seconds, the peak of the memory, and the cover's PSNR."""
    way = Stealth(rate)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = np.random.default_rng(2).bytes(way.capacity(cover))
    stego, embedding = timed(way.embed, cover, {_KEY: message})
    found, extraction = timed(way.extract, stego, _KEY)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    nothing, refusal = timed(way.extract, stego, bytes(32))
    if found != message or nothing is not None:
        raise AssertionError("what came back is not what was hidden")
    return {
        "bytes": len(message),
        "embed_s": embedding,
        "extract_s": extraction,
        "wrong_key_s": refusal,
        "memory_mb": (peak - before) / 1000,
        "cover_psnr": metrics.psnr(cover, stego),
    }


def efficiency(cover: np.ndarray, rate: float) -> float:
    """Returns the bits of a message beside the most that its cost allows."""
    random = np.random.default_rng(3)
    order = random.permutation(cover.size)
    levels, prices = cover.reshape(-1)[order], costs.of_picture(cover).reshape(-1)[order]
    bits = random.integers(0, 2, int(rate * np.count_nonzero(prices < stc.WET))).astype(np.uint8)
    factor = layers.scale(prices, prices, len(bits))
    both = layers.entropies(prices, prices, factor)
    changes = layers.write(levels, *layers.nats(prices, prices, factor), bits, round(256 * both[0] / sum(both)))
    cost, low, high = np.abs(changes) @ prices.astype(np.float64), -10.0, 25.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        weights = np.exp(-np.minimum(np.exp(middle) * prices.astype(np.float64), 700))
        low, high = (middle, high) if (2 * prices * weights / (1 + 2 * weights)).sum() > cost else (low, middle)
    return len(bits) / sum(layers.entropies(prices, prices, np.exp(low)))


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    files = list_pictures(_DATA.value)
    files = files[:: max(1, len(files) // 10)][:10]
    small = [images.read(file) for file in files]
    efficiency(small[0], RATES[-1])  # compiles
    found = {}
    for rate in rich.progress.track(RATES, "efficiency", console=rich.console.Console(stderr=True)):
        values = [efficiency(cover, rate) for cover in small]
        found[str(rate)] = {"mean": float(np.mean(values)), "least": float(np.min(values))}
    result = {"pictures_sha256": provenance.sha256(files), "rate": _RATE.value, "efficiency": found}
    publish(result | {"megapixels_12": speed(large(small[0]), _RATE.value)}, _JSON.value)


if __name__ == "__main__":
    app.run(main)
