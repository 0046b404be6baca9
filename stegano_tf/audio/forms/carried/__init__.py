"""The carried form: the message in the low bits of a given recording, see `low_bits`, without or with a key, `places`.

The low bits are those of the recording, not of the file: a 24-bit file that was made of 16 bits is taken for 16 bits.
So a message also survives in files of more bits, in floats, and in one of several channels.
"""

import dataclasses
import functools
import itertools
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from stegano_tf import sealing
from stegano_tf.audio import files, framing, parity, pcm
from stegano_tf.audio.forms.carried import places
from stegano_tf.audio.forms.carried.low_bits import MAX_BITS, capacity, embed, extract, group
from stegano_tf.audio.forms.form import Found, Sound, in_memory
from stegano_tf.audio.forms.marked import parity_setting, reading, writing
from stegano_tf.audio.forms.marked.label import MARK, Label
from stegano_tf.audio.forms.recorded import Recorded
from stegano_tf.audio.payloads import bmp
from stegano_tf.errors import FormatError
from stegano_tf.settings import setting

# Where labels are looked for: in front, and far enough behind for whatever a burst in front left. Before every 21st
# segment there is a whole number of samples, at any number of bits. A key spreads bursts: the front is enough.
_LOOKED_AT = (0, *(21 << doubling for doubling in range(20)))
_LOOK = 4 * writing.BYTES_SEGMENT


@dataclasses.dataclass(frozen=True, kw_only=True)
class Carried(Recorded):
    """A frame, with or without parity, in the lowest bits of the samples.

    Raises ValueError if the parity or the number of bits is impossible.
    """

    bits: int | None = setting(
        None, "low bits of each of its samples, 1 to 8 (default: the fewest)", low=1, high=MAX_BITS
    )
    parity: float | None = parity_setting(None)

    name = f"frame v{framing.VERSION} in the low bits of a recording"

    def __post_init__(self):
        if self.bits is not None and not 1 <= self.bits <= MAX_BITS:
            raise ValueError(f"{self.bits} bits a sample, expected 1 to {MAX_BITS}")
        parity.checks_for(self.parity or 0)

    @functools.cached_property
    def _samples(self) -> np.ndarray:
        """The recording in its own bits, int32[frames, channels], without a message that it may hold already."""
        return without_messages(self.own, self.depth)

    @functools.cached_property
    def _loud(self) -> np.ndarray:
        return places.loud(self._samples)

    @property
    def checks(self) -> int | None:
        """Check symbols in a codeword of 255, or None without parity."""
        return None if self.parity is None else parity.checks_for(self.parity)

    def check(self, path, size: int, sample_rate: int, *, keyed: bool = False) -> None:
        super().check(path, size, sample_rate)
        self.bits_for(size, keyed=keyed)

    def bits_for(self, size: int, *, keyed: bool = False) -> int:
        """Returns how many bits of each sample hold a message of `size` bytes: `bits`, or the fewest that do.

        Raises AudioError if the recording is too short, and says how long it must be.
        """
        if self.parity is not None:
            size = writing.encoded_bytes(size, self.checks)
        used = np.count_nonzero(self._loud)
        room = max(0, used - places.SALT) // places.GROUP * places.GROUP if keyed else used
        most = self.bits or MAX_BITS
        needed = next((bits for bits in range(1, most + 1) if capacity(room, bits) >= size), None)
        if needed is None:
            wanted = f"{size:,} bytes at {most} bits a sample"
            raise self.too_short(wanted, used, 8 * size / most + used - room, "digital silence")
        return self.bits or needed

    def write(
        self, path, size: int, blocks: Iterable, *, key: sealing.Key, sample_rate: int, **options
    ) -> tuple[files.Reader, dict]:
        bits = self.bits_for(size, keyed=key.passphrase is not None)
        message = b"".join(blocks)
        if self.parity is not None:
            message = writing.encode_bytes(message, self.checks)
        depth = self.depth
        used = self._samples[self._loud]
        if key.passphrase is None:
            used = embed(used, message, bits, depth, None)
        else:
            salt, rest = secrets.token_bytes(places.SALT // 8), used[places.SALT :]
            order = places.order(len(rest), places.GROUP, places.key(key.passphrase, salt))
            salted = embed(used[: places.SALT], salt, 1, depth, None)
            used = np.append(salted, embed(rest, message, bits, depth, order))
        changed = self._samples.copy()
        changed[self._loud] = used
        places.keep_loud(changed, self._loud, 1 << bits, 1 << (depth - 1))
        reader, noise = self.written(path, changed, **options)
        return reader, {"bits": bits, "parity": self.checks, "snr": noise}

    @classmethod
    def search(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        if sound.integers is None:
            return None
        # A passphrase that would have to be asked for is not: most sounds in which nothing is seen hold nothing.
        given = key is not None and isinstance(key.passphrase, str)
        seen = _seen(sound.integers, sealing.spellings(key.passphrase) if given else [])
        # Damage changes what counts as silence, and so which samples are read. A message begins alike in several views
        # of a channel, but is whole in one of them.
        _, views = next(itertools.groupby(seen, lambda one: (one.channel, one.bits, one.order is None)), (None, []))
        found = damaged = None
        for view in views:
            try:
                message, facts = view.message()
            except FormatError as error:
                damaged = damaged or error
                continue
            whole = view.label is not None or framing.is_whole(message)
            if whole or found is None:
                found = in_memory(message, bits=view.bits, channel=view.channel, **facts)
                found.keyed = view.order is not None
            if whole:
                break
        if found is None and damaged is not None and view.order is None:
            raise damaged
        return found  # None if a passphrase shows it and it is damaged: the same is said as if there were none

    @classmethod
    def capacities(cls, path) -> dict[int, int]:
        form = cls(carrier=path)
        used = int(np.count_nonzero(form._loud))
        return {bits: capacity(used, bits) for bits in range(1, MAX_BITS + 1)}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Where there is a message."""

    samples: np.ndarray  # int32[N], of which the low bits hold it
    channel: int  # 0 if all channels do
    bits: int
    order: Callable[[int | None], np.ndarray] | None  # of all samples, or of about as many as given; if there is a key
    label: Label | None = None  # if it has parity

    def message(self) -> tuple[bytes | np.ndarray, dict]:
        """Returns the message and what was repaired of it; raises FormatError if it has parity and is damaged."""
        order = self.order and self.order(None)
        fits = capacity(len(self.samples) if order is None else len(order), self.bits)
        data = extract(self.samples, fits, self.bits, order)
        if self.label is None:
            return data, {}
        data, damage = reading.decode_bytes(data, self.label)
        return data, {"parity": self.label.checks, "damage": damage}


def _seen(samples: np.ndarray, spellings: Sequence[str] = ()) -> Iterator[_Seen]:
    """Yields the messages in int32[frames, channels]: first those that everybody sees, then those of a passphrase.

    Version 1 was written with the passphrase as it was typed, version 2 with the first of its `spellings`.
    """
    for channel, used in places.views(samples):
        for part in used:
            yield from _tried(part, channel, range(1, MAX_BITS + 1), None, _LOOKED_AT)
    if not spellings:
        return
    keys_v1 = dict.fromkeys(map(places.key_v1, spellings))
    for channel, used in places.views(samples):
        for part in used[:2]:  # the third is for what knows no digital silence: version 1
            for key, rest in places.salted(part, spellings[0]):
                order = functools.partial(places.order, len(rest), places.GROUP, key)
                yield from _tried(rest, channel, range(1, MAX_BITS + 1), order)
        for size, key in itertools.product((1, 2, 4, 8), keys_v1):
            order = functools.partial(places.order, len(used[-1]), size, key)
            yield from _tried(
                used[-1], channel, [bits for bits in range(1, MAX_BITS + 1) if group(bits) == size], order
            )


def _tried(samples: np.ndarray, channel: int, tries: Iterable[int], order, segments=_LOOKED_AT[:1]):
    """Yields the messages in so many low bits of samples in an order, told by the magic or by a label."""
    some = order and order(_LOOK)  # groups, of at least a byte each
    for bits in tries:
        fits = capacity(len(samples) if some is None else len(some), bits)
        for segment in segments:
            start = segment * writing.BYTES_SEGMENT
            if start >= fits:
                break
            part = extract(samples, min(fits - start, _LOOK), bits, some, start)
            label = reading.find_label(part, segment)
            if label is not None or (segment == 0 and part[: len(framing.MAGIC)].tobytes() == framing.MAGIC):
                yield _Seen(samples=samples, channel=channel, bits=bits, order=order, label=label)
                break


def without_messages(samples: np.ndarray, depth: int) -> np.ndarray:
    """Returns a recording, int32[frames, channels], in which nobody sees a message: a reader would take that one.

    It is `samples` itself if there is none. What lies in low bits is overwritten with noise. Of a sound that begins as
    a message does, the first samples change.
    """
    starts = np.ascontiguousarray((samples[:MARK].T >> (depth - 16)).astype(np.int16))
    heads = [pcm.decode(start).tobytes() for start in starts]
    if any(head.startswith((framing.MAGIC, bmp.MAGIC)) for head in heads) or any(
        reading.recognise(start) for start in starts
    ):
        samples = samples.copy()
        samples[:1] = ~samples[:1]
    for _ in range(MAX_BITS):  # one at each number of bits
        seen = next(_seen(samples), None)
        if seen is None:
            break
        used = places.loud(samples)
        samples = samples.copy()
        noise = secrets.token_bytes(capacity(np.count_nonzero(used), seen.bits))
        samples[used] = embed(samples[used], noise, seen.bits, depth, None)
    return samples


FORM = Carried
