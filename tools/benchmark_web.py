"""Measures the page in headless Chromium against the command: same bytes, both directions, time, memory, visits.

    python tools/benchmark_web.py --data=../shared/data/never_jpeg/test --full=../shared/data/never_jpeg/full \\
      --json=tools/results/web.json

It needs node, Debian's chromium, and `npm ci` in web/. `--data` has pictures of at least 256x256, of which pairs are
made as the scoreboard makes them; `--full` has some that are scaled to 1024x768 and 4000x3000. Ends with status 1 if a
secret is another one than the command's, but for rounding.
"""

import contextlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import browsing
import numpy as np
import psutil
import soundfile
from absl import app, flags
from PIL import Image
from publishing import publish

from stegano_tf import images, pipeline, sealing

_DATA = flags.DEFINE_string("data", None, "Folder of pictures of 256x256 or more.", required=True)
_FULL = flags.DEFINE_string("full", None, "Folder of pictures that are scaled to larger sizes.", required=True)
_PAIRS = flags.DEFINE_integer("pairs", 20, "How many pairs are compared with the command.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")

STEGO = "#sent .buttons button:nth-last-child(1)"
ROUNDING = 1  # of 255, by which a secret may differ: engines sum floats in different orders
PASSPHRASE = "a benchmark is no secret"
SIZES = ((256, 256), (768, 1024), (3000, 4000))  # height, width
BLOCKED = "new PerformanceObserver((l) => l.getEntries().forEach((e) => blocked.push(e.duration)))"
WATCH = f"window.blocked = []; {BLOCKED}.observe({{type: 'longtask'}})"


def pairs(folder: str, count: int, size: tuple[int, int], out: Path) -> Iterator[tuple[Path, Path]]:
    """Yields covers and secrets as PNG files of `size`: crops, or scaled pictures if the crop would be too small."""
    files = sorted(Path(folder).rglob("*.png"))
    for number in range(count):
        pair = []
        for name, index in (("cover", number), ("secret", number + len(files) // 2)):
            picture = images.read(files[index % len(files)])
            fits = picture.shape[0] >= size[0] and picture.shape[1] >= size[1]
            picture = images.centre_crop(picture, size) if fits else images.resize(picture, size)
            file = out / f"{name}-{size[1]}-{number}.png"
            Image.fromarray(picture).save(file, compress_level=1)
            pair.append(file)
        yield tuple(pair)


def differing(found: Path, expected: np.ndarray) -> np.ndarray:
    """Returns by how much the values of a picture file differ from a picture, where they do: int[N]."""
    difference = np.abs(np.asarray(Image.open(found)).astype(int) - expected)
    return difference[difference > 0]


def same_bytes(page: browsing.Page, folder: Path) -> dict:
    """Compares the page's plain sounds, stego images and secrets with the command's."""
    same, stegos, secrets = 0, [], []
    for cover, secret in pairs(_DATA.value, _PAIRS.value, SIZES[0], folder):
        page.send(cover, secret, folder / "page.wav")
        page.browser.download(selector=STEGO, path=str(folder / "stego.png"))
        page.receive(folder / "page.wav", folder / "secret.png")
        page.browser.evaluate(code="location.hash = 'send'")
        sent = pipeline.send(cover, secret, folder / "command.wav", force=True)
        same += (folder / "page.wav").read_bytes() == (folder / "command.wav").read_bytes()
        stegos.append(differing(folder / "stego.png", sent.stego))
        secrets.append(differing(folder / "secret.png", pipeline.receive(folder / "page.wav").secret))
    figures = {"pairs": _PAIRS.value, "same_sounds": same}
    for name, parts in (("stego", stegos), ("secret", secrets)):
        found = np.concatenate(parts)
        figures |= {f"{name}_values": found.size, f"{name}_most": int(found.max(initial=0))}
    return figures


def both_ways(page: browsing.Page, folder: Path) -> dict[str, bool]:
    """Returns of each kind of message whether the command gets the page's secret, and the page the command's."""
    identity, song = folder / "identity.txt", folder / "song.wav"
    recipient = sealing.keygen(identity)
    soundfile.write(song, np.random.default_rng(0).normal(0, 0.1, (20 * 44100, 2)), 44100, subtype="PCM_16")
    sealed = sealing.Lock(passphrase=PASSPHRASE), {"passphrase": PASSPHRASE}
    locked = {"seal": "passphrase", "passphrase": PASSPHRASE}
    # The page's options, the command's, and what opens it there and here.
    kinds = {
        "plain": ({}, {}, {}, {}),
        "png": ({"payload": "png"}, {"payload": "png"}, {}, {}),
        "webp": ({"payload": "webp"}, {"payload": "webp"}, {}, {}),
        "raw": ({"form": "raw"}, {"raw_bmp": True}, {}, {}),
        "recipient": (
            {"seal": "recipients", "recipients": recipient},
            {"lock": sealing.Lock(recipients=[recipient])},
            {"identities": [identity]},
            {"identity": identity},
        ),
        "passphrase": (locked, {"lock": sealed[0]}, sealed[1], sealed[1]),
        "bare": (locked | {"form": "bare"}, {"lock": sealed[0], "bare": True}, sealed[1], sealed[1] | {"bare": True}),
        "carried": ({"form": "carried", "carrier": song}, {"carrier": str(song)}, {}, {}),
        "carried, passphrase": (
            locked | {"form": "carried", "carrier": song},
            {"lock": sealed[0], "carrier": str(song)},
            sealed[1],
            sealed[1],
        ),
        "parity": (None, {"parity": 0.1}, {}, {}),
        "flac": (None, {}, {}, {}),
    }
    ((cover, secret),) = pairs(_DATA.value, 1, SIZES[0], folder)
    right = {}
    for name, (options, written, opens, typed) in kinds.items():
        key = sealing.Key(**opens, bare=bool(typed.get("bare")))
        theirs = folder / f"command.{'flac' if name == 'flac' else 'wav'}"
        sounds = [theirs]
        pipeline.send(cover, secret, theirs, force=True, **written)
        if options is not None:
            page.browser.reload()
            page.send(cover, secret, folder / "page.wav", **options)
            sounds.append(folder / "page.wav")
        right[name] = True
        for sound in sounds:
            page.browser.reload()
            page.receive(sound, folder / "revealed.png", **typed)
            expected = pipeline.receive(sound, key=key).secret
            right[name] &= differing(folder / "revealed.png", expected).max(initial=0) <= ROUNDING
            page.browser.evaluate(code="location.hash = 'send'")
    return right


@contextlib.contextmanager
def watching(browser: browsing.Browser) -> Iterator[list[float]]:
    """Yields a list whose only number is the highest resident set, in bytes, of the browser's process of the page."""
    peak, over = [0.0], threading.Event()

    def watch():
        while not over.wait(0.1):
            for process in psutil.Process(browser.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "--type=renderer" in process.cmdline():
                        peak[0] = max(peak[0], process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def speed(browser: browsing.Browser, address: str, folder: Path, size: tuple[int, int], trials: int) -> dict:
    """Returns the seconds of sending and of receiving a pair on a page that has done one, and what that takes of it."""
    ((cover, secret),) = pairs(_FULL.value, 1, size, folder)
    browser.open(url=address)
    page = browsing.Page(browser)
    page.send(*next(pairs(_DATA.value, 1, SIZES[0], folder)))
    browser.evaluate(code=WATCH)
    sending, receiving = [], []
    with watching(browser) as peak:
        for _ in range(trials):
            browser.evaluate(code="location.hash = 'send'")
            page.choose(cover, secret)
            begun = time.perf_counter()
            page.send(cover, secret, seconds=600)
            sending.append(time.perf_counter() - begun)
            browser.download(selector="#sent .primary", path=str(folder / "timed.wav"))
            begun = time.perf_counter()
            page.receive(folder / "timed.wav", seconds=600)
            receiving.append(time.perf_counter() - begun)
    blocked = max(browser.evaluate(code="blocked"), default=0)
    return {
        "size": list(size),
        "send_s": round(statistics.median(sending), 3),
        "receive_s": round(statistics.median(receiving), 3),
        "memory_mb": round(peak[0] / 1e6),
        "longest_blocked_ms": round(blocked),
    }


def visits(browser: browsing.Browser, address: str, answers: list[browsing.Answer]) -> dict:
    """Returns what a first visit and the next one take from the server, and what the page asks of others."""
    answers.clear()
    browser.open(url=address)
    browser.wait(selector="#offline:not(:empty)")
    first = list(answers)
    answers.clear()
    browser.tab(url=address)
    time.sleep(2)
    log = browser.log()
    return {
        "first_visit_bytes": sum(answer.size for answer in first),
        "repeat_requests": [answer.path for answer in answers],
        "other_hosts": [url for url in log["requests"] if not url.removeprefix("blob:").startswith(address)],
        "console": log["console"],
        "axe": browser.axe(),
    }


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    if reason := browsing.missing():
        sys.exit(reason)
    with (
        browsing.serving() as (address, answers),
        browsing.browsing() as browser,
        tempfile.TemporaryDirectory() as temporary,
    ):
        folder = Path(temporary)
        result = {"visits": visits(browser, address, answers)}
        page = browsing.Page(browser)
        result |= {"compared": same_bytes(page, folder), "both_ways": both_ways(page, folder)}
        trials = (5, 2, 1)
        result["speed"] = [
            speed(browser, address, folder, size, count) for size, count in zip(SIZES, trials, strict=True)
        ]
        result["workers"] = browser.evaluate(code="Math.min(4, navigator.hardwareConcurrency)")
    publish(result, _JSON.value, presets=["codebook"])
    right = result["compared"]["secret_most"] <= ROUNDING and all(result["both_ways"].values())
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    app.run(main)
