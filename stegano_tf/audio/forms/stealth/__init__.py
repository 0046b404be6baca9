"""The stealth form: few bits of a message in a given recording, by changes of 1 that are hard to tell from noise.

`costs` says where changes are cheap, `embedding` how they say the message. Both load numba, which nobody waits for who
asks for another form. The salt of the passphrase lies where that of the carried form does, so that a reader stretches a
passphrase once for both. It is what the recording has there: no sample changes for it.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable

import numpy as np

from stegano_tf import sealing
from stegano_tf.audio import files, framing
from stegano_tf.audio.forms.carried import places, without_messages
from stegano_tf.audio.forms.form import Found, Sound, in_memory
from stegano_tf.audio.forms.recorded import Recorded
from stegano_tf.errors import AudioError
from stegano_tf.settings import setting

_MOST_RATE = 0.5
_LEFT_OUT = "silent, flat or at full scale"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stealth(Recorded):
    """Up to `rate` bits for each sample that is neither silent, nor in a flat part, nor at full scale.

    At the default rate the smallest sealed picture takes about a minute in stereo. The message is spread over the whole
    recording, whatever the rate allows. Raises ValueError for a rate that is not above 0 and up to 0.5.
    """

    stealth: bool = setting(dataclasses.MISSING, "few bits in the --carrier, where they are hard to tell from noise")
    rate: float = setting(0.1, "bits a sample that --stealth takes at most", low=0.001, high=_MOST_RATE)

    name = f"frame v{framing.VERSION} by stealth in a recording"
    keyed = True

    def __post_init__(self):
        if not 0 < self.rate <= _MOST_RATE:
            raise ValueError(f"a rate of {self.rate:g} bits a sample, expected more than 0, up to {_MOST_RATE}")

    @functools.cached_property
    def _cover(self) -> np.ndarray:
        """The recording in its own bits, int32[frames, channels]; one channel of a recording whose channels are alike.

        Raises AudioError if changes would be seen at once, or a reader would find another message.
        """
        own = self.own
        if files.empty_bits(own):
            used = f"{self.depth - files.empty_bits(own)} of its {self.depth} bits"
            raise AudioError(f"{self.carrier}: uses {used}, so that changes would be seen; expected one that uses all")
        if without_messages(own, self.depth) is not own:
            raise AudioError(f"{self.carrier}: holds a message already, which a reader would take; expected another")
        return own[:, :1] if all(np.array_equal(own[:, 0], channel) for channel in own.T[1:]) else own

    @functools.cached_property
    def _loud(self) -> np.ndarray:
        return places.loud(self._cover)

    @functools.cached_property
    def _costs(self) -> np.ndarray:
        """Of the samples behind the salt that are not silent, float32[N]."""
        from stegano_tf.audio.forms.stealth import costs  # noqa: PLC0415

        return costs.of_recording(self._cover, self.depth)[self._loud][places.SALT :]

    @property
    def capacity(self) -> int:
        """Bytes of message that fit."""
        from stegano_tf.audio.forms.stealth import embedding  # noqa: PLC0415

        return embedding.capacity(self._costs, self.rate)

    def check(self, path, size: int, sample_rate: int, *, keyed: bool = False) -> None:
        from stegano_tf.audio.forms.stealth import embedding  # noqa: PLC0415

        super().check(path, size, sample_rate)
        if size > self.capacity:
            alike = self.recording.samples.shape[1] // self._cover.shape[1]
            usable, needed = alike * embedding.usable(self._costs), alike * embedding.needed(size, self.rate)
            raise self.too_short(f"{size:,} bytes at {self.rate:g} bits a sample", usable, needed, _LEFT_OUT)

    def write(
        self, path, size: int, blocks: Iterable, *, key: sealing.Key, sample_rate: int, **options
    ) -> tuple[files.Reader, dict]:
        from stegano_tf.audio.forms.stealth import embedding  # noqa: PLC0415
        from stegano_tf.coding import stc  # noqa: PLC0415

        self.check(path, size, sample_rate)
        message, used = b"".join(blocks), self._cover[self._loud]
        ((secret, samples),) = places.salted(used, key.passphrase)
        try:
            samples += embedding.embed(samples, self._costs, secret, message)  # and so `used` changes
        except stc.WetError:
            found = f"has too large parts that are {_LEFT_OUT} for {size:,} bytes"
            raise AudioError(f"{self.carrier}: {found}, expected another recording") from None
        changed = self._cover.copy()
        changed[self._loud] = used
        rate = _rate(message, samples)
        del used, samples, vars(self)["_costs"]  # recordings may be long, and reading back takes memory, too
        reader, noise = self.written(path, np.broadcast_to(changed, self.own.shape), **options)
        return reader, {"bits": rate, "snr": noise}

    @classmethod
    def search(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        # As for the carried form, a passphrase that would have to be asked for is not.
        if sound.integers is None or key is None or not isinstance(key.passphrase, str):
            return None
        from stegano_tf.audio.forms.stealth import embedding  # noqa: PLC0415

        spelling, *_ = sealing.spellings(key.passphrase)
        for channel, used in places.views(sound.integers):
            for part in used[:2]:
                for secret, samples in places.salted(part, spelling):
                    message = embedding.extract(samples, secret)
                    if message is not None:
                        found = in_memory(message, bits=_rate(message, samples), channel=channel)
                        found.keyed = True
                        return found
        return None

    @classmethod
    def capacities(cls, path) -> dict[float, int]:
        form = cls(carrier=path, stealth=True)
        with contextlib.suppress(AudioError):  # it is unfit for this form, and may be fit for another one
            return {form.rate: form.capacity}
        return {}


def _rate(message: bytes, samples: np.ndarray) -> float:
    return round(8 * len(message) / len(samples), 3)


FORM = Stealth
