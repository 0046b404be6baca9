"""Measures which codecs and which other changes of a sound the modem survives, and at what rate.

    python tools/benchmark_modem.py --messages=100 --json=tools/results/modem.json

Seeded random messages are framed, written as WAV, sent through each channel with the ffmpeg command, and read back.
Counted are those of which each byte is right. The rate is that of the payload over the whole sound, silence included.
`--only` takes a part of a channel's name.

Message n is made from seed n in every channel. `CODECS` names each encoder's options.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import soxr
from absl import app, flags
from publishing import publish

from stegano_tf.audio import codec, files, framing
from stegano_tf.audio.forms.modem import PROFILES, Modem
from stegano_tf.audio.forms.modem.profiles import RATE
from stegano_tf.errors import SteganoError

_MESSAGES = flags.DEFINE_integer("messages", 100, "Messages for each channel.", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 40, "How long the sounds are, about.", lower_bound=5)
_ONLY = flags.DEFINE_list("only", [], "Parts of the names of the channels to measure; all by default.")
_PROCESSES = flags.DEFINE_integer("processes", 2, "How many run at once.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")

# ffmpeg's output options, and the suffix.
CODECS = {
    **{f"MP3 {rate}": (f"-c:a libmp3lame -b:a {rate}k", ".mp3") for rate in (32, 64, 96, 128)},
    "MP3 V2": ("-c:a libmp3lame -q:a 2", ".mp3"),
    **{f"AAC {rate}": (f"-c:a aac -b:a {rate}k", ".m4a") for rate in (32, 64, 96, 128)},
    **{f"Opus {rate}": (f"-c:a libopus -b:a {rate}k", ".opus") for rate in (64, 96, 128)},
    **{f"Opus {rate} voip": (f"-c:a libopus -b:a {rate}k -application voip", ".opus") for rate in (12, 16, 24)},
    **{f"Vorbis q{quality}": (f"-c:a libvorbis -q:a {quality}", ".ogg") for quality in (2, 4, 6)},
    "G.711 mu-law": ("-ar 8000 -c:a pcm_mulaw", ".wav"),
    "G.722": ("-ar 16000 -c:a g722", ".wav"),
    "GSM 06.10": ("-ar 8000 -c:a libgsm_ms", ".wav"),
    "Speex 15": ("-ar 8000 -c:a libspeex -b:a 15k", ".spx"),
}
WAYS = {
    "hifi": ["MP3 128", "MP3 V2", "AAC 128", "Opus 128", "Vorbis q6", "MP3 128 > AAC 128"],
    "music": [
        "MP3 96",
        "MP3 128",
        "AAC 96",
        "AAC 128",
        "Opus 96",
        "Vorbis q4",
        "MP3 128 > AAC 128",
        "Opus 96 > MP3 128",
    ],
    "wide": [
        *("MP3 64", "MP3 96", "MP3 128", "AAC 64", "AAC 96", "AAC 128", "Opus 64", "Opus 96", "Vorbis q2", "Vorbis q4"),
        *("MP3 128 > AAC 128", "Opus 96 > MP3 128", "gain 0.03", "direct current", "inverted", "other channel silent"),
        *("32000 Hz", "44100 Hz", "96000 Hz", "+200 ppm", "-200 ppm", "1 s cut in front", "1 s cut behind"),
        *("music around", "Opus 64 > 44100 Hz > +200 ppm > music around > gain 0.1"),
    ],
    "narrow": [
        "Opus 24 voip",
        "MP3 32",
        "AAC 32",
        "G.711 mu-law",
        "G.722",
        "8000 Hz",
        "+200 ppm",
        "-200 ppm",
        "1 s cut in front",
        "1 s cut behind",
        "music around",
        "simulated air",
    ],
    "robust": ["Opus 16 voip", "Opus 12 voip", "GSM 06.10", "Speex 15", "8000 Hz", "+200 ppm", "simulated air"],
}


@dataclasses.dataclass(frozen=True)
class Sound:
    """Samples, float64[N] or [N, channels], of full scale 1."""

    samples: np.ndarray
    rate: int
    seed: int


def through_codec(sound: Sound, options: str, suffix: str) -> Sound:
    """Encodes and decodes a sound with ffmpeg."""
    with tempfile.TemporaryDirectory() as folder:
        before, coded, after = (str(Path(folder, name)) for name in ("before.wav", f"coded{suffix}", "after.wav"))
        soundfile.write(before, sound.samples, sound.rate, "PCM_16")
        for command in ([before, *options.split(), coded], [coded, "-c:a", "pcm_s16le", after]):
            subprocess.run(["ffmpeg", "-loglevel", "error", "-i", *command], check=True)
        samples, rate = soundfile.read(after)
    return dataclasses.replace(sound, samples=samples, rate=rate)


def music(seed: int, seconds: float) -> np.ndarray:
    """Returns made-up music, float64[N] at `RATE`: chords of decaying harmonics and a drum of noise."""
    random = np.random.default_rng(seed)
    samples = np.zeros(int(seconds * RATE))
    time_ = np.arange(RATE) / RATE
    for start in range(0, len(samples), RATE // 4):
        notes = 110 * 2 ** (random.choice([0, 3, 5, 7, 10, 12, 15, 19, 24], 4) / 12)
        tone = sum(np.sin(2 * np.pi * note * k * time_) / k for note in notes for k in range(1, 9)) * np.exp(-4 * time_)
        tone += random.normal(size=RATE) * np.exp(-40 * time_)
        piece = samples[start : start + RATE]
        piece += tone[: len(piece)]
    return samples / np.abs(samples).max() * 0.8


def air(sound: Sound) -> Sound:
    """A loudspeaker, a room and a microphone: 0.3 s of reverberation, 20 dB of noise, another clock, gain control.

    The room is Gaussian noise that decays by 60 dB in 0.3 s, 3 dB below the direct sound (Polack's model). The
    loudspeaker passes 150 Hz to 7 kHz. The gain follows the level within 0.5 s, as a telephone's does.
    """
    random = np.random.default_rng(sound.seed)
    tail = random.normal(size=int(0.3 * sound.rate)) * 10 ** (
        -3 * np.arange(int(0.3 * sound.rate)) / (0.3 * sound.rate)
    )
    room = np.concatenate([[1], tail * np.sqrt(0.5 / np.sum(tail**2))])
    samples = scipy.signal.fftconvolve(sound.samples, room)
    band = scipy.signal.butter(2, [150, 7000], "bandpass", fs=sound.rate, output="sos")
    samples = scipy.signal.sosfilt(band, samples)
    samples += random.normal(size=len(samples)) * samples.std() * 0.1
    level = scipy.signal.lfilter([1 / (0.5 * sound.rate)], [1, 1 / (0.5 * sound.rate) - 1], samples**2)
    samples *= 0.1 / np.sqrt(level + 1e-3 * level.max())
    return resampled(
        dataclasses.replace(sound, samples=samples), sound.rate * (1 + random.choice([-2e-4, 2e-4])), sound.rate
    )


def resampled(sound: Sound, rate: float, stated: int) -> Sound:
    samples = soxr.resample(sound.samples, sound.rate, rate, "VHQ")
    return dataclasses.replace(sound, samples=samples, rate=stated)


def around(sound: Sound) -> Sound:
    parts = [resampled(Sound(music(sound.seed + n, 10), RATE, 0), sound.rate, 0).samples for n in (0, 1)]
    return dataclasses.replace(sound, samples=np.concatenate([parts[0], sound.samples, parts[1]]))


def _samples(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Sound], Sound]:
    return lambda sound: dataclasses.replace(sound, samples=change(sound.samples))


CHANGES: dict[str, Callable[[Sound], Sound]] = {
    **{name: functools.partial(through_codec, options=one[0], suffix=one[1]) for name, one in CODECS.items()},
    "gain 0.03": _samples(lambda x: 0.03 * x),
    "gain 0.1": _samples(lambda x: 0.1 * x),
    "direct current": _samples(lambda x: 0.5 * x + 0.3),
    "inverted": _samples(lambda x: -x),
    "other channel silent": _samples(lambda x: np.stack([0 * x, x], axis=1)),
    **{f"{hertz} Hz": lambda s, hertz=hertz: resampled(s, hertz, hertz) for hertz in (8000, 32000, 44100, 96000)},
    **{f"{ppm:+} ppm": lambda s, ppm=ppm: resampled(s, s.rate * (1 + ppm * 1e-6), s.rate) for ppm in (-200, 200)},
    "1 s cut in front": lambda s: dataclasses.replace(s, samples=s.samples[s.rate :]),
    "1 s cut behind": lambda s: dataclasses.replace(s, samples=s.samples[: -s.rate]),
    "music around": around,
    "simulated air": air,
}


def message_size(profile: str, seconds: float) -> int:
    """Returns how many bytes of payload make a sound of at most so many seconds."""
    form, low, high = Modem(survive=profile), 0, 1 << 24
    while high - low > 1:
        middle = (low + high) // 2
        fits = form.samples(middle + framing.OVERHEAD) <= seconds * form.profile.rate
        low, high = (middle, high) if fits else (low, middle)
    return low


def trial(profile: str, way: str, seed: int, seconds: float) -> dict:
    """Sends a message through a channel; returns whether it came back, its rate and the times."""
    payload = np.random.default_rng(seed).bytes(message_size(profile, seconds))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sent.wav")
        with framing.Digest() as digest:
            frame = b"".join(framing.frame(framing.Header(len(payload)), [payload], digest))
        form = Modem(survive=profile)
        start = time.process_time()
        count, blocks = form.encode(len(frame), [frame])
        files.write(path, blocks, count, sample_rate=form.profile.rate)
        encoding = time.process_time() - start
        samples, rate = soundfile.read(path)
        sound = Sound(samples, rate, seed)
        for step in way.split(" > "):
            sound = CHANGES[step](sound)
        soundfile.write(path, sound.samples, sound.rate, "PCM_16")
        start = time.process_time()
        try:
            found, error = codec.read_payload(path) == payload, None
        except SteganoError as failure:
            found, error = False, str(failure).partition(": ")[2]
        decoding = time.process_time() - start
    lasts = len(samples) / rate
    return {
        "right": found,
        "error": error,
        "rate": 8 * len(payload) / lasts,
        "encode": lasts / encoding,
        "decode": lasts / decoding,
    }


def main(_):
    ways = [(profile, way) for profile in PROFILES for way in WAYS[profile]]
    ways = [one for one in ways if not _ONLY.value or any(part in " ".join(one) for part in _ONLY.value)]
    results = collections.defaultdict(dict)
    os.environ["OMP_NUM_THREADS"] = "1"
    with concurrent.futures.ProcessPoolExecutor(_PROCESSES.value) as pool:
        for profile, way in ways:
            run = functools.partial(trial, profile, way, seconds=_SECONDS.value)
            trials = list(pool.map(run, range(_MESSAGES.value)))
            results[profile][way] = {
                "right": sum(one["right"] for one in trials),
                "of": len(trials),
                "kbps": round(trials[0]["rate"] / 1000, 2),
                "encode_times_real_time": round(float(np.median([one["encode"] for one in trials])), 1),
                "decode_times_real_time": round(float(np.median([one["decode"] for one in trials])), 1),
                "errors": [one["error"] for one in trials if one["error"]][:3],
            }
            print(profile, way, results[profile][way], flush=True)
    publish({"seconds": _SECONDS.value, "codecs": sorted(CODECS), "modem": results}, _JSON.value)


if __name__ == "__main__":
    app.run(main)
