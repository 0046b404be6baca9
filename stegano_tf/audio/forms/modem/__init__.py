"""The modem: a message as sound that survives MP3, AAC, Opus, Vorbis and telephones.

The message is cut into blocks, more than are needed (`blocks`). Each of them becomes a codeword (`ldpc`). A few
codewords make a segment of one second: carriers with phases and amplitudes (`ofdm`) behind a symbol that a reader looks
for (`search`). The `profiles` say how many bits a carrier has and how strong the code is. Every segment can be read
alone, and says of which message it is. So it does no harm what is before, behind or between them.

docs/FORMAT.md writes the form down for other readers.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from stegano_tf import outputs, sealing
from stegano_tf.audio import files, framing, limits, pcm
from stegano_tf.audio.files import media
from stegano_tf.audio.forms.form import Form, Found, Sound, in_memory
from stegano_tf.audio.forms.modem import lossy, parts
from stegano_tf.audio.forms.modem.profiles import PAUSE, PROFILES, RATE, SEGMENT, SYMBOL, Profile, shape
from stegano_tf.errors import AudioError, FormatError, OutputError
from stegano_tf.settings import setting

_CODEC_RATE = 128  # kb/s
_RATES = (7_000, 1_000_000)  # in Hz, of sounds that are searched
_SURVIVE = "a sound that survives codecs. " + "; ".join(f"{name}: {one.survives}" for name, one in PROFILES.items())


def _seconds(text: str) -> float:
    """Reads a duration: 60s, or 60."""
    try:
        return float(text.removesuffix("s"))
    except ValueError as error:
        raise ValueError("expected seconds, such as 60s") from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class Modem(Form):
    """A frame in carriers, for one kind of channel. Raises ValueError if there is no such profile.

    Example:
      >>> Modem(survive="wide").samples(10_000) / RATE  # seconds: 10 blocks and 5 more in 8 segments
      8.998...
    """

    survive: str = setting(dataclasses.MISSING, _SURVIVE, choices=tuple(PROFILES))
    codec_rate: int | None = setting(
        None, "kb/s of an .mp3, .ogg, .opus or .m4a file (default: 128)", low=8, high=320, metavar="KBPS"
    )

    split: float | None = setting(
        None,
        "files of at most so many seconds: m.001.mp3, m.002.mp3 ...",
        low=2,
        high=10**6,
        metavar="SECONDS",
        parse=_seconds,
    )

    name = f"frame v{framing.VERSION} in the modem"
    lossy = True

    def __post_init__(self):
        if self.survive not in PROFILES:
            raise ValueError(f"the profile {self.survive!r}, expected one of {', '.join(PROFILES)}")

    @property
    def profile(self) -> Profile:
        return PROFILES[self.survive]

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self.profile.rate

    @property
    def facts(self) -> dict:
        return {"profile": self.survive}

    @property
    def _segments(self) -> int | None:
        """How many a file has, if there are several."""
        return self.split and max(1, int((self.split * RATE - SYMBOL - 2 * PAUSE) // SEGMENT))

    def samples(self, size: int) -> int:
        return sum(self._parts(size))

    def _parts(self, size: int) -> list[int]:
        """Returns how many samples each file of a message of `size` bytes has."""
        segments = -(-shape(self.profile, size).blocks // self.profile.blocks)
        most = self._segments or segments
        counts = (min(most, segments - start) for start in range(0, segments, most))
        return [(count * SEGMENT + SYMBOL + 2 * PAUSE) // self.profile.step for count in counts]

    def first(self, path):
        return parts.name(Path(path), 1) if self.split else path

    def check(self, path, size: int, sample_rate: int, *, keyed: bool = False) -> None:
        suffix = Path(path).suffix.lower()
        codec = lossy.CODECS.get(suffix)
        if codec == "AAC":
            media.need("writing AAC")
        if codec:
            return
        expected = f"expected {' '.join(lossy.CODECS)}"
        if suffix not in files.CONTAINERS:
            every = f"{expected} {' '.join(files.CONTAINERS)}"
            raise AudioError(f"{path}: {suffix!r} is no suffix that is written, {every}")
        if self.codec_rate:
            raise AudioError(f"{path}: no codec writes it, so that it has no rate to choose, {expected}")
        super().check(path, size, sample_rate, keyed=keyed)

    def encode(self, size: int, blocks: Iterable) -> tuple[int, Iterator[np.ndarray]]:
        (sound,) = self._sounds(size, blocks, None)
        return self.samples(size), sound

    def _sounds(self, size: int, blocks: Iterable, segments: int | None) -> Iterator[Iterator[np.ndarray]]:
        from stegano_tf.audio.forms.modem import writing  # noqa: PLC0415 (SciPy, which other forms do not need)

        message = pcm.gather((np.frombuffer(block, np.uint8) for block in blocks), np.empty(size, np.uint8))
        return writing.encode(message, self.profile, segments)

    def write(
        self,
        path,
        size: int,
        blocks: Iterable,
        *,
        key: sealing.Key,
        sample_rate: int,
        force: bool,
        check: Callable[[files.Reader], None],
    ) -> tuple[files.Reader, dict]:
        codec = lossy.CODECS.get(Path(path).suffix.lower())
        rate = self.codec_rate or _CODEC_RATE

        def survives(reader: files.Reader) -> None:
            try:
                check(reader)
            except OutputError as error:
                if codec is None:
                    raise
                found = f"a message made to survive as {self.survive} does not survive {codec} at {rate} kb/s"
                stronger = list(PROFILES)[list(PROFILES).index(self.survive) + 1 :]
                expected = "a higher rate" + (f", or the profile {' or '.join(stronger)}" if stronger else "")
                raise AudioError(f"{path}: {found}, expected {expected}") from error

        def write(path, sound, samples, check=lambda _: None):
            options = {"sample_rate": self.profile.rate, "force": force, "check": check}
            if codec:
                return lossy.write(path, sound, codec=codec, codec_rate=rate, **options)
            return files.write(path, sound, samples, **options)

        counts = self._parts(size)
        names = [parts.name(Path(path), number) for number, _ in enumerate(counts, 1)] if self.split else []
        for name in names:  # all before the first one is written
            outputs.check(name, force=force)
        sounds = self._sounds(size, blocks, self._segments)
        if not self.split:
            return write(path, next(sounds), *counts, survives), self.facts
        with contextlib.ExitStack() as undo:
            for name, sound, samples in zip(names, sounds, counts, strict=True):
                write(name, sound, samples)
                undo.callback(name.unlink, missing_ok=True)
            with files.opened(names) as reader:
                survives(reader)
            undo.pop_all()
        return reader, {**self.facts, "parts": tuple(names)}

    @classmethod
    def search(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        reader, failure = sound.reader, None
        rate, shortest = reader.sample_rate, SEGMENT / RATE  # of a message, in seconds
        # A rate in a header is a claim: at 1 Hz, a few samples would be hours. Below the least one there is no band.
        if not _RATES[0] <= rate <= _RATES[1] or reader.frames < shortest * rate:
            return None
        from stegano_tf.audio.forms.modem import reading  # noqa: PLC0415

        # All channels together, as a telephone takes them; then each: they may cancel out, or hold other messages.
        each = range(min(reader.channels, limits.CHANNELS))
        for channel in [None, *each] if reader.channels > 1 else [None]:

            def start(channel=channel):
                reader.seek(0)
                return reader.mono_blocks(channel)

            try:
                read = reading.read(start, rate)
            except reading.IncompleteError as error:
                absent = parts.missing(reader.paths, error.last, error.blocks)
                where = f"; {' and '.join(absent)} missing" if absent else ""
                failure = failure or FormatError(f"{error}{where}")
                continue
            except FormatError as error:
                failure = failure or error
                continue
            if read is not None:
                message, how = read
                facts = {"profile": how.profile.name, "reception": how, "damage": how.damage, "others": how.others}
                return in_memory(message, channel=channel or 0, **facts)
        if failure:
            raise failure
        return None


FORM = Modem
