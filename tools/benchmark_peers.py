"""Sends the same kind of messages with other modems through the same codecs: amodem, ggwave, minimodem.

    python tools/benchmark_peers.py --messages=10 --json=tools/results/peers.json

amodem and ggwave are on PyPI, minimodem is in Debian. Each has settings that its own documentation offers, from slow to
fast. Counted are messages of which each byte is right. The rate is that of the payload over the whole sound.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import channels
import numpy as np
import soundfile
import soxr
from absl import app, flags
from publishing import publish

_MESSAGES = flags.DEFINE_integer("messages", 10, "For each peer, setting and channel.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File that the figures are also written to.")
_WAYS = ("WAV", "MP3 128", "MP3 64", "AAC 64", "Opus 64", "Vorbis q4", "Opus 24 voip", "G.711 mu-law", "GSM 06.10")
_SECONDS = 600  # after which a peer is stopped


def _run(*command, data: bytes = b"", **environment) -> bytes:
    environment = os.environ | environment | {"PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, input=data, capture_output=True, env=environment, timeout=_SECONDS, check=False)
    return done.stdout


# amodem 1.16 calls a function of numpy that numpy 2 no longer has.
_AMODEM = (
    "from amodem import common; common.dumps = lambda sym: (sym.real * common.scaling).astype('int16').tobytes();"
    "from amodem.__main__ import _main; _main()"
)


class Amodem:
    """Its bit rate in kb/s decides carriers, constellation and sample rate."""

    settings = (1, 4, 8, 16, 42)

    def __init__(self, rate: int):
        self.size = 1200 * rate  # about ten seconds
        self._environment = {"BITRATE": str(rate)}
        self._rate = 8_000 if rate <= 8 else 16_000 if rate <= 24 else 32_000

    def encode(self, data: bytes) -> tuple[np.ndarray, int]:
        samples = _run(
            sys.executable, "-c", _AMODEM, "send", "-i", "-", "-o", "-", "-q", data=data, **self._environment
        )
        return np.frombuffer(samples, "<i2") / 32768, self._rate

    def decode(self, samples: np.ndarray, rate: int) -> bytes:
        samples = soxr.resample(samples, rate, self._rate)
        pcm = np.rint(32767 * samples).clip(-32768, 32767).astype("<i2").tobytes()
        return _run(sys.executable, "-c", _AMODEM, "recv", "-i", "-", "-o", "-", "-q", data=pcm, **self._environment)


class Ggwave:
    """Its protocols for audible sound: normal, fast, fastest. A message has 140 bytes at most."""

    settings = (0, 1, 2)
    size = 140

    def __init__(self, protocol: int):
        self._protocol = protocol

    def encode(self, data: bytes) -> tuple[np.ndarray, int]:
        import ggwave  # noqa: PLC0415

        # It takes text: each byte becomes a letter of 7 bits. So its rate is stated in its favour.
        samples = ggwave.encode(_letters(data), protocolId=self._protocol, volume=50)
        return np.frombuffer(samples, np.float32).astype(float), 48_000

    def decode(self, samples: np.ndarray, rate: int) -> bytes:
        import ggwave  # noqa: PLC0415

        samples = soxr.resample(samples, rate, 48_000).astype(np.float32)
        instance = ggwave.init()
        try:
            for start in range(0, len(samples) - 1024, 1024):
                found = ggwave.decode(instance, samples[start : start + 1024].tobytes())
                if found:
                    return found
            return b""
        finally:
            ggwave.free(instance)

    @staticmethod
    def same(sent: bytes, found: bytes) -> bool:
        return found == _letters(sent).encode()


class Minimodem:
    """Bell 103 and 202, and faster frequency shift keying, as its manual has them."""

    settings = (300, 1200, 2400)

    def __init__(self, rate: int):
        self.size = rate  # about ten seconds
        self._rate = str(rate)

    def encode(self, data: bytes) -> tuple[np.ndarray, int]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "a.wav")
            _run("minimodem", "--tx", self._rate, "-f", str(path), data=data)
            return soundfile.read(path)

    def decode(self, samples: np.ndarray, rate: int) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "a.wav")
            soundfile.write(path, samples, rate, "PCM_16")
            return _run("minimodem", "--rx", self._rate, "-q", "-f", str(path))


PEERS = {"amodem": Amodem, "ggwave": Ggwave, "minimodem": Minimodem}


def _letters(data: bytes) -> str:
    return "".join(chr(byte & 127 or 1) for byte in data)


def row(peer, way: str) -> dict:
    """Returns how many messages came back, and the rate."""
    right, rates = 0, []
    for seed in range(_MESSAGES.value):
        data = np.random.default_rng(seed).bytes(peer.size)
        samples, rate = peer.encode(data)
        rates.append(8e-3 * len(data) * rate / len(samples))
        sound = channels.Sound(np.pad(samples, rate // 10), rate, seed)
        sound = sound if way == "WAV" else channels.through(sound, way)
        try:
            found = peer.decode(sound.samples, sound.rate)
        except subprocess.TimeoutExpired:
            found = b""
        right += getattr(peer, "same", bytes.__eq__)(data, found)
    return {"right": right, "of": _MESSAGES.value, "kbps": round(float(np.mean(rates)), 3)}


def main(_):
    results = {}
    for name, kind in PEERS.items():
        for setting in kind.settings:
            ways = results.setdefault(name, {})[str(setting)] = {}
            for way in _WAYS:
                ways[way] = row(kind(setting), way)
                print(name, setting, way, ways[way], flush=True)
    publish({"peers": results}, _JSON.value)


if __name__ == "__main__":
    app.run(main)
