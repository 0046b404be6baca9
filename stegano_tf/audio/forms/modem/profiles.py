"""What the modem can do, as data: a profile for each kind of channel. Section 7 of docs/FORMAT.md."""

import dataclasses
import functools
import hashlib
from types import MappingProxyType

import numpy as np

from stegano_tf.audio.forms.modem.blocks import Shape
from stegano_tf.coding.ldpc import Code

RATE = 48_000  # samples a second, which all that follows counts
BODY = 4096  # samples of a symbol: carriers lie 11.7 Hz apart
GUARD = 256  # samples before it that repeat its last ones
SYMBOL = GUARD + BODY
FIRST_CARRIER = 26  # 305 Hz
DATA_SYMBOLS = 11  # of a segment, after one that the reader knows
SEGMENT = (1 + DATA_SYMBOLS) * SYMBOL  # samples: 1.088 s
PAUSE = RATE // 10  # samples of silence before and behind: encoders begin and end softly


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How bits become sound for one kind of channel.

    A segment is a symbol that the reader knows and `DATA_SYMBOLS` others, which hold `blocks` codewords.
    """

    name: str
    survives: str
    last: int  # carrier, of `BODY / RATE` Hz each; the first one is `FIRST_CARRIER`
    bits: int  # of a carrier in a symbol: 2 is QPSK, 4 is 16-QAM, 6 is 64-QAM
    blocks: int
    step: int  # samples at `RATE` that one of the sound as it is written stands for
    graph: int  # of the LDPC code
    lift: int

    @property
    def carriers(self) -> int:
        return self.last + 1 - FIRST_CARRIER

    @property
    def rate(self) -> int:
        """Samples a second of the sound as it is written. AAC at 32 kb/s makes 3.4 kHz at 24 kHz better than at 48."""
        return RATE // self.step

    @property
    def room(self) -> int:
        """Bits of a segment, as they are sent."""
        return DATA_SYMBOLS * self.carriers * self.bits

    @property
    def code(self) -> Code:
        return Code(self.graph, self.lift, self.room // self.blocks)

    @property
    def block_bytes(self) -> int:
        return self.code.size // 8

    def random(self, purpose: str, size: int) -> bytes:
        """Returns the `size` bytes that everybody knows for a purpose: SHAKE-128 of its and the profile's names."""
        return hashlib.shake_128(f"stegano_tf modem 1 {self.name} {purpose}".encode()).digest(size)

    def sync(self) -> np.ndarray:
        """Returns the carriers of the known symbol, complex64[carriers], each of size 1."""
        quarters = np.frombuffer(self.random("sync", self.carriers), np.uint8) & 3
        return np.exp(1j * np.pi / 4 * (2 * quarters + 1)).astype(np.complex64)


_ALL = (
    Profile(
        name="hifi",
        survives="music codecs at 128 kb/s and more",
        last=1279,
        bits=6,
        blocks=5,
        step=1,
        graph=1,
        lift=384,
    ),
    Profile(
        name="music",
        survives="music codecs at 96 kb/s and more",
        last=1023,
        bits=4,
        blocks=3,
        step=1,
        graph=1,
        lift=384,
    ),
    Profile(
        name="wide", survives="music codecs at 64 kb/s and more", last=1023, bits=4, blocks=2, step=1, graph=1, lift=384
    ),
    Profile(
        name="narrow", survives="telephones, voice at 24 kb/s", last=290, bits=4, blocks=1, step=2, graph=1, lift=192
    ),
    Profile(
        name="robust", survives="mobile phones, voice at 12 kb/s", last=290, bits=2, blocks=1, step=2, graph=2, lift=192
    ),
)
PROFILES = MappingProxyType({profile.name: profile for profile in _ALL})


@functools.cache
def order(profile: Profile) -> np.ndarray:
    """Returns where each bit of a segment's codewords is sent, int64[room]."""
    words = np.frombuffer(profile.random("order", 4 * profile.room), "<u4")
    return np.argsort(words, kind="stable")


@functools.cache
def mask(profile: Profile) -> np.ndarray:
    """Returns the bits that are added to those of a segment, uint8[room]: so none of them are all alike."""
    return np.unpackbits(np.frombuffer(profile.random("mask", -(-profile.room // 8)), np.uint8))[: profile.room]


def shape(profile: Profile, size: int) -> Shape:
    """Returns how a message of `size` bytes lies in blocks; two segments that are lost, wherever, do no harm."""
    return Shape(size, profile.block_bytes, burst=2 * profile.blocks)
