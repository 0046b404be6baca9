"""The carried form: the message in the low bits of a given recording.

The bits of the message, highest first, are cut into groups of `bits`; each group becomes the low bits of one sample. Of
all values with these low bits a sample takes the nearest, which may carry into its higher bits: that is half the error
of replacing them (for 1 bit: ±1 at random, which leaves no pairs of values behind).

Without a key the samples are taken as they are stored. With one they are taken in an order that nobody else knows.
scrypt (RFC 7914) stretches the passphrase, because it may be guessed offline. SHAKE-256 (FIPS 202) makes one 32-bit
word a group of samples from it. The order sorts these words. Other languages have both functions too; numpy's
permutations depend on its version. A group is as many samples as hold whole bytes, so that a burst damages few bytes.
"""

import dataclasses
import functools
import hashlib
import itertools
import math
import unicodedata
from collections.abc import Iterable

import numpy as np

from stegano_tf.audio import files, framing, parity, sealing
from stegano_tf.audio.forms.form import Form, Found, Sound, in_memory
from stegano_tf.audio.forms.marked import parity_setting, reading, writing
from stegano_tf.errors import AudioError
from stegano_tf.settings import setting

MAX_BITS = 8
_CLIPPED = 1e-3  # share of samples at full scale from which a recording counts as clipped
# Where labels are looked for: in front, and far enough behind for whatever a burst in front left. Before every 21st
# segment there is a whole number of samples, at any number of bits.
_LOOKED_AT = (0, *(21 << doubling for doubling in range(20)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Carried(Form):
    """A frame, with or without parity, in 16- or 24-bit PCM of any lossless container, which keeps its sample rate.

    Raises ValueError if the parity or the number of bits is impossible.
    """

    carrier: str = setting(dataclasses.MISSING, "hide the message in this recording", metavar="SOUND")
    bits: int | None = setting(None, "of the carrier's samples, 1 to 8 (default: the fewest)", low=1, high=MAX_BITS)
    parity: float | None = parity_setting(None)

    name = f"frame v{framing.VERSION} in the low bits of a recording"

    def __post_init__(self):
        if self.bits is not None and not 1 <= self.bits <= MAX_BITS:
            raise ValueError(f"{self.bits} bits a sample, expected 1 to {MAX_BITS}")
        parity.checks_for(self.parity or 0)

    @functools.cached_property
    def recording(self) -> files.Recording:
        """What `carrier` holds."""
        return files.read_recording(self.carrier)

    @property
    def checks(self) -> int | None:
        """Check symbols in a codeword of 255, or None without parity."""
        return None if self.parity is None else parity.checks_for(self.parity)

    def samples(self, size: int) -> int:
        return self.recording.samples.size

    def check(self, path, size: int, sample_rate: int) -> None:
        """As `Form.check`; a clipped recording is refused because its flat tops would show what is changed there."""
        samples, depth = self.recording.samples, self.recording.depth
        full = 1 << (depth - 1)
        share = np.count_nonzero((samples >= full - 1) | (samples <= -full)) / max(1, samples.size)
        if share > _CLIPPED:
            found = f"is clipped: {share:.1%} of its samples are at full scale, expected at most {_CLIPPED:.1%}"
            raise AudioError(f"{self.carrier}: {found}")
        self.bits_for(size)
        files.container_for(path, samples.size * depth // 16, sample_rate=self.recording.sample_rate)

    def bits_for(self, size: int) -> int:
        """Returns how many bits of each sample hold a message of `size` bytes: `bits`, or the fewest that do.

        Raises AudioError if the recording is too short, and says how long it must be.
        """
        if self.parity is not None:
            size = writing.encoded_bytes(size, self.checks)
        (frames, channels), rate = self.recording.samples.shape, self.recording.sample_rate
        most = self.bits or MAX_BITS
        needed = next((bits for bits in range(1, most + 1) if capacity(frames * channels, bits) >= size), None)
        if needed is None:
            seconds = math.ceil(8 * size / most / channels / rate * 10) / 10
            wanted = f"is too short to carry {size:,} bytes at {most} bits a sample"
            lasts = f"it lasts {frames / rate:.1f} s, expected at least {seconds:.1f} s"
            raise AudioError(f"{self.carrier}: {wanted}: {lasts}")
        return self.bits or needed

    def write(
        self, path, size: int, blocks: Iterable, *, passphrase: str | None, sample_rate: int, force: bool
    ) -> tuple[files.Reader, dict]:
        recording, bits = self.recording, self.bits_for(size)
        message = b"".join(blocks)
        if self.parity is not None:
            message = writing.encode_bytes(message, self.checks)
        flat = recording.samples.reshape(-1)
        key = order_key(passphrase) if passphrase is not None else None
        changed = embed(flat, message, bits, recording.depth, order(flat.size, bits, key))
        made = dataclasses.replace(recording, samples=changed.reshape(recording.samples.shape))
        facts = {"bits": bits, "snr": snr(flat, changed, recording.depth), "parity": self.checks}
        return files.write_recording(path, made, force=force), facts

    @classmethod
    def search(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        if sound.recording is None:
            return None
        flat = sound.recording.samples.reshape(-1)
        secrets = [None]
        # A passphrase that would have to be asked for is not: most sounds in which nothing is seen hold nothing.
        if key is not None and isinstance(key.passphrase, str):
            secrets.append(order_key(key.passphrase))
        tries = itertools.product(secrets, range(1, MAX_BITS + 1))
        return next(filter(None, (_found(flat, bits, order(flat.size, bits, secret)) for secret, bits in tries)), None)

    @classmethod
    def capacities(cls, path) -> dict[int, int]:
        samples = files.read_recording(path).samples.size
        return {bits: capacity(samples, bits) for bits in range(1, MAX_BITS + 1)}


def _found(flat: np.ndarray, bits: int, order: np.ndarray | None) -> Found | None:
    """Returns the message in so many low bits of the samples in this order, told by its magic or by a label."""
    fits = capacity(flat.size, bits)
    for segment in _LOOKED_AT:
        start = segment * writing.BYTES_SEGMENT
        if start >= fits:
            break
        part = extract(flat, min(fits - start, 4 * writing.BYTES_SEGMENT), bits, order, start)
        if segment == 0 and part[: len(framing.MAGIC)].tobytes() == framing.MAGIC:
            return in_memory(extract(flat, fits, bits, order), bits=bits)
        label = reading.find_label(part, segment)
        if label is not None:
            message, damage = reading.decode_bytes(extract(flat, fits, bits, order), label)
            return in_memory(message, bits=bits, parity=label.checks, damage=damage)
    return None


def order_key(passphrase: str) -> bytes:
    """Returns the 32 bytes that decide the order of the samples: scrypt with N = 2^15, r = 8, p = 1 of the NFC text."""
    text = unicodedata.normalize("NFC", passphrase).encode()
    return hashlib.scrypt(text, salt=b"stegano_tf carrier 1", n=1 << 15, r=8, p=1, maxmem=64 << 20, dklen=32)


def _group(bits: int) -> int:
    """Returns the fewest samples that hold whole bytes."""
    return 8 // math.gcd(bits, 8)


def order(samples: int, bits: int, key: bytes | None) -> np.ndarray | None:
    """Returns the order in which the samples are used, int64[N], or None for the order in which they are.

    Those after the last whole group, up to 7, are not used.
    """
    if key is None:
        return None
    group = _group(bits)
    words = np.frombuffer(hashlib.shake_256(key).digest(4 * (samples // group)), "<u4")
    return (group * np.argsort(words, kind="stable")[:, None] + np.arange(group)).reshape(-1)


def capacity(samples: int, bits: int) -> int:
    """Returns how many bytes fit."""
    return samples // _group(bits) * _group(bits) * bits // 8


def embed(samples: np.ndarray, data: bytes, bits: int, depth: int, order: np.ndarray | None) -> np.ndarray:
    """Returns int32[N] samples of `depth` bits whose low `bits` bits hold `data`."""
    stream = np.unpackbits(np.frombuffer(data, np.uint8))
    stream = np.append(stream, np.zeros(-len(stream) % bits, np.uint8)).reshape(-1, bits)
    values = stream @ (1 << np.arange(bits - 1, -1, -1))
    used = slice(len(values)) if order is None else order[: len(values)]
    full = 1 << (depth - 1)
    step = 1 << bits
    before = samples[used]
    change = (values - before) % step  # upwards; above half a step it is nearer downwards
    down = change > step // 2
    tie = change == step // 2
    down[tie] = np.random.default_rng().integers(0, 2, np.count_nonzero(tie)).astype(bool)
    after = before + change - step * down
    after += step * ((after < -full).astype(np.int32) - (after >= full))
    result = samples.copy()
    result[used] = after
    return result


def extract(samples: np.ndarray, size: int, bits: int, order: np.ndarray | None, start: int = 0) -> np.ndarray:
    """Returns `size` bytes, uint8[size], that the low `bits` bits of int32[N] samples hold, from byte `start` on.

    The bits before `start` must fill whole samples.
    """
    used = slice(8 * start // bits, -(-8 * (start + size) // bits))
    values = samples[used] if order is None else samples[order[used]]
    groups = np.unpackbits((values & ((1 << bits) - 1)).astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]
    return np.packbits(groups.reshape(-1)[: 8 * size])


def snr(before: np.ndarray, after: np.ndarray, depth: int) -> float:
    """Returns the power of a full-scale square wave over that of the change, in dB."""
    error = np.mean(np.square(np.subtract(after, before, dtype=np.float64)))
    return math.inf if error == 0 else 20 * math.log10((1 << (depth - 1)) / math.sqrt(error))


FORM = Carried
