"""Looks for the modem's messages where there are none, and in a recording of two hours that has one.

    python tools/false_alarms.py --hours=10 --sounds=/usr/share/games --json=tools/results/false_alarms.json

A third of the time is speech that espeak-ng reads from the documents of the installed packages, in several languages
and speeds. A third is made-up music of seeded chords and drums (`channels.music`). The rest are all sound files of the
folders in --sounds, such as the music of Debian's games, as often as it takes at changed speeds. Counted are sounds in
which a message or a part of one is claimed, and places that look like a known symbol.
"""

import collections
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import channels
import numpy as np
import soundfile
from absl import app, flags
from publishing import publish

from stegano_tf.audio import codec, files
from stegano_tf.audio.forms.modem import reading, search
from stegano_tf.errors import FormatError, SteganoError

_HOURS = flags.DEFINE_float("hours", 10, "Of sound without a message.", lower_bound=0)
_SOUNDS = flags.DEFINE_list("sounds", [], "Folders with sound files.")
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")
_VOICES = ("en-us", "de", "fr", "es", "cmn", "ru")
_PIECE = 10  # minutes
_SUFFIXES = {".ogg", ".opus", ".wav", ".mp3", ".flac"}


def speech() -> Iterator[tuple[np.ndarray, int]]:
    """Yields speech, float32[N], and its rate in Hz."""
    texts = sorted(Path("/usr/share/doc").glob("*/copyright"))
    for number, text in enumerate(itertools.cycle(texts)):
        voice, speed = _VOICES[number % len(_VOICES)], 120 + 20 * (number % 5)
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            command = [
                "espeak-ng",
                "-v",
                voice,
                "-s",
                str(speed),
                "-p",
                str(number * 7 % 99),
                "-f",
                text,
                "-w",
                file.name,
            ]
            subprocess.run(command, check=True)
            yield soundfile.read(file.name, dtype="float32")


def music() -> Iterator[tuple[np.ndarray, int]]:
    """Yields made-up music, float32[N], and its rate in Hz."""
    for seed in itertools.count():
        yield channels.music(seed, 60 * _PIECE).astype(np.float32), channels.RATE


def recordings() -> Iterator[tuple[np.ndarray, int]]:
    """Yields the sound files of the folders, float32[N], at their rates in Hz, later rounds at others."""
    paths = [path for folder in _SOUNDS.value for path in sorted(Path(folder).rglob("*")) if path.suffix in _SUFFIXES]
    for faster in (1, 1.06, 0.94, 1.12, 0.89, 1.19, 0.84) if paths else ():
        for path in paths:
            with files.opened(path) as reader:
                blocks = list(reader.mono_blocks())
            if blocks:
                yield np.concatenate(blocks), round(reader.sample_rate * faster)


def listen(sounds: Iterator[tuple[np.ndarray, int]], hours: float) -> dict:
    """Returns how much was heard, up to so many hours, and what was taken for a message."""
    found = collections.Counter()
    for samples, rate in sounds:
        if found["seconds"] >= 3600 * hours:
            break
        start = time.process_time()
        try:
            claimed = reading.read(lambda samples=samples: [samples], rate) is not None
        except FormatError:
            claimed = True
        found["processor_seconds"] += time.process_time() - start
        found["alarms"] += claimed
        found["sounds"] += 1
        found["seconds"] += len(samples) / rate
        found["places"] += len(list(search.search([samples], rate)))
    return {"alarms": 0, **found, "hours": found["seconds"] / 3600}


def two_hours() -> dict:
    """Returns what it takes to find a message in a recording of two hours, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path, message = Path(folder, "long.wav"), Path(folder, "message.wav")
        picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        codec.encode(picture, message, survive="wide")
        sound, rate = soundfile.read(message)
        with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
            around = channels.music(0, 60 * _PIECE)
            for piece in range(120 // _PIECE):
                file.write(around)
                if piece == 120 // _PIECE // 2:
                    file.write(sound)
        code = (
            "import sys, time, numpy as np; from stegano_tf.audio import codec\n"
            "start = time.process_time(); image = codec.decode(sys.argv[1]).image; image.tofile(sys.argv[1] + '.raw')\n"
            # Not getrusage: that counts what the parent had when it forked.
            "status = open('/proc/self/status').read().partition('VmHWM:')[2].split()[0]\n"
            "print(time.process_time() - start, 1024 * int(status))"
        )
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SteganoError(done.stderr.splitlines()[-1])
        seconds, memory = map(float, done.stdout.split())
        right = Path(f"{path}.raw").read_bytes() == picture.tobytes()
        lasts = soundfile.info(path).duration
    return {"seconds": lasts, "right": right, "times_real_time": lasts / seconds, "peak_bytes": memory}


def main(_):
    os.environ["OMP_NUM_THREADS"] = "1"
    share = _HOURS.value / (3 if _SOUNDS.value else 2)
    found = {"speech": listen(speech(), share), "music": listen(music(), share)}
    if _SOUNDS.value:
        found["recordings"] = listen(recordings(), share)
    result = {"false_alarms": found, "hours": sum(one["hours"] for one in found.values()), "two_hours": two_hours()}
    result["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    publish(result, _JSON.value)


if __name__ == "__main__":
    app.run(main)
