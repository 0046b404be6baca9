"""Measures which codecs and which other changes of a sound the modem survives, and at what rate.

    python tools/benchmark_modem.py --json=tools/results/modem.json

Seeded random messages are framed, written as WAV, sent through each channel (`channels`), and read back. Counted are
those of which each byte is right. Message n is made from seed n in every channel.

Many messages are short, so that the whole table takes about 80 minutes of processor time. A few last a minute. The rate
is that of a sound of a minute: payload over everything, silence, known symbols and spare blocks included.

A run that was stopped goes on: a row that is in --json already, of the same code and of as many messages, is kept.
`--only` takes parts of the names of profiles and channels. Rows that it leaves out are kept as well, if they are of the
same code.

The speed in a row is that of the processor's time, beside all that ran then. `--only=speed` measures it alone, by the
clock, and wants two quiet cores.
"""

import concurrent.futures
import functools
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

import channels
import numpy as np
import soundfile
from absl import app, flags
from publishing import publish

from stegano_tf.audio import files, framing
from stegano_tf.audio.forms.form import Sound
from stegano_tf.audio.forms.modem import PROFILES, Modem
from stegano_tf.errors import SteganoError

_MESSAGES = flags.DEFINE_integer("messages", 100, "Short messages for each channel.", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 7, "How long their sounds are, about.", lower_bound=5)
_LONG = flags.DEFINE_integer("long", 2, "Messages of a minute for each channel.", lower_bound=0)
_ONLY = flags.DEFINE_list("only", [], "Parts of the names of the channels to measure; all by default.")
_PROCESSES = flags.DEFINE_integer("processes", 2, "How many run at once.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to, row by row.")
_MINUTE = 60  # seconds

_MOVED = ("+200 ppm", "-200 ppm", "1 s cut in front", "1 s cut behind", "music around")
WAYS = {
    "hifi": ["MP3 128", "MP3 V2", "AAC 128", "Opus 128", "Vorbis q6", "MP3 128 > AAC 128", "all at once"],
    "music": [
        *("MP3 96", "MP3 128", "AAC 96", "AAC 128", "Opus 96", "Vorbis q4"),
        *("MP3 128 > AAC 128", "Opus 96 > MP3 128", "all at once"),
    ],
    "wide": [
        *("MP3 64", "MP3 96", "MP3 128", "AAC 64", "AAC 96", "AAC 128", "Opus 64", "Opus 96", "Vorbis q2", "Vorbis q4"),
        *("MP3 128 > AAC 128", "Opus 96 > MP3 128", "gain 0.03", "direct current", "inverted", "other channel silent"),
        *("32000 Hz", "44100 Hz", "96000 Hz", *_MOVED, "Opus 64 > all at once"),
    ],
    "narrow": [
        *("Opus 24 voip", "MP3 32", "AAC 32", "G.711 mu-law", "G.722", "8000 Hz", *_MOVED),
        *("simulated air", "all at once"),
    ],
    "robust": [
        *("Opus 16 voip", "Opus 12 voip", "AMR 12.2", "GSM 06.10", "Speex 15", "8000 Hz", "+200 ppm"),
        *("simulated air", "all at once"),
    ],
}

_SLOWEST = {
    "hifi": "AAC 128",
    "music": "Opus 96 > MP3 128",
    "wide": "MP3 64",
    "narrow": "Opus 24 voip",
    "robust": "Opus 12 voip",
}


def message_size(profile: str, seconds: float) -> int:
    """Returns how many bytes of payload make a sound of at most so many seconds."""
    form, low, high = Modem(survive=profile), 0, 1 << 24
    while high - low > 1:
        middle = (low + high) // 2
        fits = form.samples(middle + framing.OVERHEAD) <= seconds * form.rate
        low, high = (middle, high) if fits else (low, middle)
    return low


def kbps(profile: str) -> float:
    """Returns the rate of the payload in a sound of a minute, everything counted, in kb/s."""
    size, form = message_size(profile, _MINUTE), Modem(survive=profile)
    return 8e-3 * size * form.rate / form.samples(size + framing.OVERHEAD)


def trial(profile: str, way: str, seconds: float, seed: int, clock=time.process_time) -> dict:
    """Sends a message through a channel; returns whether it came back, how many blocks did not, and the speeds."""
    payload = np.random.default_rng(seed).bytes(message_size(profile, seconds))
    with framing.Digest() as digest:
        frame = b"".join(framing.frame(framing.Header(len(payload)), [payload], digest))
    with tempfile.TemporaryDirectory() as folder:
        path, form = Path(folder, "sent.wav"), Modem(survive=profile)
        start = clock()
        count, blocks = form.encode(len(frame), [frame])
        files.write(path, blocks, count, sample_rate=form.rate)
        encoding = clock() - start
        samples, rate = soundfile.read(path)
        sound = channels.through(channels.Sound(samples, rate, seed), way)
        soundfile.write(path, sound.samples, sound.rate, "PCM_16")
        start = clock()
        lost, error = 1.0, "no message"
        with files.Reader(path) as reader:
            try:
                found = Modem.search(Sound(reader), None)
                if found and found.read(found.size).tobytes() == frame:
                    how, error = found.facts["reception"], None
                    lost = how.lost / how.blocks
            except SteganoError as failure:
                error = str(failure)
        decoding = clock() - start
    lasts, heard = len(samples) / rate, len(sound.samples) / sound.rate
    return {"error": error, "lost": lost, "encode": lasts / encoding, "decode": heard / decoding}


def speed(profile: str) -> dict:
    """Returns how many times faster than real time a sound of a minute is written, and read after its worst codec."""
    times = [trial(profile, _SLOWEST[profile], _MINUTE, seed, time.perf_counter) for seed in range(5)]
    speeds = {what: round(float(np.median([one[what] for one in times])), 1) for what in ("encode", "decode")}
    return {"way": _SLOWEST[profile]} | speeds


def row(pool, profile: str, way: str) -> dict:
    """Returns what became of the messages of a channel."""
    run = functools.partial(trial, profile, way)
    long = list(pool.map(functools.partial(run, _MINUTE), range(_LONG.value)))
    short = list(pool.map(functools.partial(run, _SECONDS.value), range(_MESSAGES.value)))
    trials = long + short
    return {
        "right": sum(one["error"] is None for one in short),
        "of": len(short),
        "right_of_a_minute": sum(one["error"] is None for one in long),
        "of_a_minute": len(long),
        "seconds": _SECONDS.value,
        "kbps": round(kbps(profile), 2),
        "lost_blocks": round(float(np.mean([one["lost"] for one in trials])), 4),
        "most_lost_blocks": round(max(one["lost"] for one in trials), 3),
        "encode_times_real_time": round(float(np.median([one["encode"] for one in trials])), 1),
        "decode_times_real_time": round(float(np.median([one["decode"] for one in trials])), 1),
        "errors": [one["error"] for one in trials if one["error"]][:3],
        "code": code(),
    }


def code() -> str:
    """Returns the hash of all code that decides what a row says."""
    root = Path(__file__).parent.parent
    parts = [*(root / "stegano_tf/audio/forms/modem").glob("*.py"), *(root / "stegano_tf/coding").glob("*.py")]
    texts = [path.read_bytes() for path in [*sorted(parts), Path(channels.__file__)]]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]


def kept() -> dict[str, dict]:
    """Returns what --json says of this code: the rows, and the speeds."""
    if not (_JSON.value and Path(_JSON.value).exists()):
        return {"modem": {}, "speed": {}}
    found = json.loads(Path(_JSON.value).read_text(encoding="utf-8"))
    rows = {
        profile: {way: one for way, one in ways.items() if one.get("code") == code()}
        for profile, ways in found["modem"].items()
    }
    speeds = found.get("speed", {})
    return {"modem": rows, "speed": speeds if speeds.get("code") == code() else {}}


def main(_):
    os.environ["OMP_NUM_THREADS"] = "1"
    results = kept()
    with concurrent.futures.ProcessPoolExecutor(_PROCESSES.value) as pool:
        for profile, ways in WAYS.items():
            rows = results["modem"].setdefault(profile, {})
            for way in ways:
                asked = not _ONLY.value or any(part in f"{profile} {way}" for part in _ONLY.value)
                if asked and not (way in rows and rows[way]["of"] >= _MESSAGES.value):
                    rows[way] = row(pool, profile, way)
                    print(profile, way, rows[way], flush=True)
                    _write(results)
    if _ONLY.value == ["speed"]:
        results["speed"] = {"profiles": {profile: speed(profile) for profile in PROFILES}, "code": code()}
        print(results["speed"])
    _write(results)
    worst = sorted(
        (
            (one["most_lost_blocks"], profile, way)
            for profile, ways in results["modem"].items()
            for way, one in ways.items()
        ),
        reverse=True,
    )
    for lost, profile, way in worst[:10]:
        one = results["modem"][profile][way]
        print(f"{profile}, {way}: {one['right']} of {one['of']}, at worst {lost:.0%} of the blocks lost")


def _write(results: dict) -> None:
    ordered = {
        profile: {way: results["modem"][profile][way] for way in ways if way in results["modem"][profile]}
        for profile, ways in WAYS.items()
    }
    publish({"codecs": [*channels.CODECS, "AMR 12.2"], **results, "modem": ordered}, _JSON.value)


if __name__ == "__main__":
    app.run(main)
