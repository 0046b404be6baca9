"""The bare form: an age file stripped of all that is not random, so that its samples are like noise.

It exists for passphrases alone: an X25519 share is a point on a curve, which half of all 32-byte strings are not.
"""

import base64
import dataclasses
import re
import secrets
from collections.abc import Iterable, Iterator

import numpy as np

from stegano_tf import sealing
from stegano_tf.audio import pcm
from stegano_tf.audio.forms.form import Form, Found, Sound, in_memory
from stegano_tf.sealing import SealingError, age
from stegano_tf.settings import setting

_HEADER = re.compile(rb"-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n([A-Za-z0-9+/]{43})\n--- ([A-Za-z0-9+/]{43})\n")
_HEADER_BYTES = 150
_NOISE_HEADER = 16 + 1 + 32 + 32  # salt, masked work factor, wrapped file key, MAC
# Programs choose such work factors that a computer is busy for a second. Noise may state any. It is read as stating the
# usual one, so that it takes as long as a wrong passphrase.
_FACTORS = range(10, 21)
_USUAL_FACTOR = 18


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bare(Form):
    """Every byte of the stripped age file is the upper byte of a sample, and the lower one is random.

    It is found only by a reader who is told to take it for one.
    """

    bare: bool = setting(dataclasses.MISSING, "with a passphrase: a sound that nothing tells from noise")

    name = "bare age file"
    framed = False
    needs_passphrase = True
    unproved = "cannot be told from noise; needs its passphrase to say more"

    def samples(self, size: int) -> int:
        return size - _HEADER_BYTES + _NOISE_HEADER

    def encode(self, size: int, blocks: Iterable) -> tuple[int, Iterator[np.ndarray]]:
        noise = np.frombuffer(to_noise(b"".join(blocks)), np.uint8)
        # The low bytes are random, too: if all were in the middle of their level, everybody would see what made them.
        samples = noise.astype(np.uint16) << 8 | np.frombuffer(secrets.token_bytes(len(noise)), np.uint8)
        return len(samples), iter([(samples ^ 0x8000).view(np.int16)])

    @classmethod
    def recognise(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        if key is None or not key.bare:
            return None
        if sound.reader.frames > sound.reader.size:
            raise SealingError("cannot be opened: it has more samples than bytes, and noise has not")
        sound.reader.seek(0)
        return in_memory(from_noise(pcm.decode(sound.reader.channel(0, sound.reader.frames)).tobytes()))


def to_noise(sealed: bytes) -> bytes:
    """Returns a passphrase-sealed age file without its fixed text: salt, masked work factor, file key, MAC, payload.

    The work factor takes the low 5 bits of its byte. The other 3 bits are random. Raises SealingError for any other age
    file, or a work factor that is not from 10 to 20.
    """
    match = _HEADER.match(sealed, len(age.MAGIC))
    if not sealed.startswith(age.MAGIC) or not match:
        raise SealingError("the bare form needs an age file with one passphrase, as age and pyrage write it")
    salt, factor, body, mac = match.groups()
    if int(factor) not in _FACTORS:
        expected = f"expected one from {_FACTORS[0]} to {_FACTORS[-1]}"
        raise SealingError(f"the bare form has no place for a work factor of {int(factor)}, {expected}")
    masked = int(factor) | secrets.randbelow(8) << 5
    return _unbase64(salt) + bytes([masked]) + _unbase64(body) + _unbase64(mac) + sealed[match.end() :]


def from_noise(noise: bytes) -> bytes:
    """Returns the age file that `to_noise` was given; raises SealingError if `noise` is too short to be one."""
    if len(noise) < _NOISE_HEADER + 16 + 16:  # age's payload: a nonce, and at least the tag of one chunk
        raise SealingError(f"cannot be opened: {len(noise)} bytes, expected at least {_NOISE_HEADER + 32}")
    salt, masked, body, mac = noise[:16], noise[16], noise[17:49], noise[49:81]
    factor = b"%d" % (masked & 31 if masked & 31 in _FACTORS else _USUAL_FACTOR)
    head = b"-> scrypt " + _base64(salt) + b" " + factor + b"\n" + _base64(body) + b"\n--- " + _base64(mac) + b"\n"
    return age.MAGIC + head + noise[_NOISE_HEADER:]


def _base64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _unbase64(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4))


FORM = Bare
