"""What happens to sound on its way: encoders of the ffmpeg command, a room, and other changes, by name in `CHANGES`."""

import dataclasses
import functools
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import scipy.signal
import soundfile
import soxr

from stegano_tf.audio import files
from stegano_tf.audio.forms.modem.profiles import RATE

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


_ALL = (
    "1 s cut in front > inverted > direct current > 44100 Hz > +200 ppm > "
    "music around > gain 0.03 > other channel silent"
)


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


def through_amr(sound: Sound) -> Sound:
    """Encodes and decodes a sound as AMR at 12.2 kb/s, what mobile phones speak; PyAV has an encoder, ffmpeg none."""
    samples = resampled(sound, 8000, 8000).samples
    samples = np.rint(32767 * samples[: len(samples) // 160 * 160]).clip(-32768, 32767).astype(np.int16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "coded.amr")
        with av.open(path, "w") as file:
            track = file.add_stream("libopencore_amrnb", rate=8000, layout="mono", bit_rate=12_200)
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate = 8000
            file.mux([*track.encode(frame), *track.encode(None)])
        with files.opened(path) as reader:
            samples = np.concatenate(list(reader.mono_blocks()))
    return dataclasses.replace(sound, samples=samples, rate=8000)


def music(seed: int, seconds: float) -> np.ndarray:
    """Returns made-up music, float64[N] at `RATE`: chords of decaying harmonics and a drum of noise."""
    random = np.random.default_rng(seed)
    samples = np.zeros(int(seconds * RATE))
    time_ = np.arange(RATE) / RATE
    scale = {
        note: sum(np.sin(2 * np.pi * 110 * 2 ** (note / 12) * k * time_) / k for k in range(1, 9)) * np.exp(-4 * time_)
        for note in (0, 3, 5, 7, 10, 12, 15, 19, 24)
    }
    for start in range(0, len(samples), RATE // 4):
        tone = sum(scale[note] for note in random.choice(list(scale), 4))
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
    "AMR 12.2": through_amr,
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
    "all at once": lambda sound: through(sound, _ALL),
}


def through(sound: Sound, way: str) -> Sound:
    """Sends a sound through the changes that a way names, such as "MP3 128 > AAC 128"."""
    for step in way.split(" > "):
        sound = CHANGES[step](sound)
    return sound
