"""The modem: a message as sound that survives MP3, AAC, Opus, Vorbis and telephones.

The message is cut into blocks, more than are needed (`blocks`). Each of them becomes a codeword (`ldpc`). A few
codewords make a segment of one second: carriers with phases and amplitudes (`ofdm`) behind a symbol that a reader looks
for (`search`). The `profiles` say how many bits a carrier has and how strong the code is. Every segment can be read
alone, and says of which message it is. So it does no harm what is before, behind or between them.

docs/FORMAT.md writes the form down for other readers.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from stegano_tf import sealing
from stegano_tf.audio import files, framing, pcm
from stegano_tf.audio.files import media
from stegano_tf.audio.forms.form import Form, Found, Sound, in_memory
from stegano_tf.audio.forms.modem import lossy
from stegano_tf.audio.forms.modem.profiles import PAUSE, PROFILES, RATE, SEGMENT, SYMBOL, Profile, shape
from stegano_tf.errors import AudioError, FormatError, OutputError
from stegano_tf.settings import setting

_CODEC_RATE = 128  # kb/s
_RATES = (7_000, 1_000_000)  # in Hz, of sounds that are searched
_SURVIVE = "sound that survives codecs: " + "; ".join(f"{name}: {one.survives}" for name, one in PROFILES.items())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Modem(Form):
    """A frame in carriers, for one kind of channel. Raises ValueError if there is no such profile.

    Example:
      >>> Modem(survive="wide").samples(10_000) / RATE  # seconds: 10 blocks and 5 more in 8 segments
      8.998...
    """

    survive: str = setting(dataclasses.MISSING, _SURVIVE, choices=tuple(PROFILES))
    codec_rate: int | None = setting(
        None, "of an .mp3, .ogg, .opus or .m4a file (default: 128)", low=8, high=320, metavar="KBPS"
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
    def facts(self) -> dict:
        return {"profile": self.survive}

    def samples(self, size: int) -> int:
        segments = -(-shape(self.profile, size).blocks // self.profile.blocks)
        return (segments * SEGMENT + SYMBOL + 2 * PAUSE) // self.profile.step

    def check(self, path, size: int, sample_rate: int, *, keyed: bool = False) -> None:
        codec = lossy.CODECS.get(Path(path).suffix.lower())
        if codec is None:
            super().check(path, size, sample_rate, keyed=keyed)
        elif codec == "AAC":
            media.need("writing AAC")

    def encode(self, size: int, blocks: Iterable) -> tuple[int, Iterator[np.ndarray]]:
        from stegano_tf.audio.forms.modem import writing  # noqa: PLC0415 (SciPy, which other forms do not need)

        message = pcm.gather((np.frombuffer(block, np.uint8) for block in blocks), np.empty(size, np.uint8))
        return self.samples(size), writing.encode(message, self.profile)

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
        samples, pieces = self.encode(size, blocks)
        shared = {"sample_rate": self.profile.rate, "force": force}
        codec = lossy.CODECS.get(Path(path).suffix.lower())
        if codec is None:
            return files.write(path, pieces, samples, check=check, **shared), self.facts
        rate = self.codec_rate or _CODEC_RATE

        def survives(reader: files.Reader) -> None:
            try:
                check(reader)
            except OutputError as error:
                found = f"a message made to survive as {self.survive} does not survive {codec} at {rate} kb/s"
                raise AudioError(f"{path}: {found}, expected a higher rate or a stronger profile") from error

        return lossy.write(path, pieces, codec=codec, codec_rate=rate, check=survives, **shared), self.facts

    @classmethod
    def search(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        reader, failure = sound.reader, None
        rate, shortest = reader.sample_rate, SEGMENT / RATE  # of a message, in seconds
        # A rate in a header is a claim: at 1 Hz, a few samples would be hours. Below the least one there is no band.
        if not _RATES[0] <= rate <= _RATES[1] or reader.frames < shortest * rate:
            return None
        from stegano_tf.audio.forms.modem import reading  # noqa: PLC0415

        # All channels together, as a telephone takes them; then each: they may cancel out, or hold other messages.
        for channel in [None, *range(reader.channels)] if reader.channels > 1 else [None]:

            def start(channel=channel):
                reader.seek(0)
                return reader.mono_blocks(channel)

            try:
                read = reading.read(start, rate)
            except FormatError as error:
                failure = failure or error
                continue
            if read is not None:
                message, how = read
                facts = {"profile": how.profile.name, "reception": how, "damage": how.damage}
                return in_memory(message, channel=channel or 0, **facts)
        if failure:
            raise failure
        return None


FORM = Modem
