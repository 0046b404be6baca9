"""A message to the samples of the modem."""

import itertools
from collections.abc import Iterator

import numpy as np

from stegano_tf.audio.forms.modem import blocks, ofdm
from stegano_tf.audio.forms.modem.profiles import PAUSE, Profile, shape


def encode(message: np.ndarray, profile: Profile, segments: int | None = None) -> Iterator[Iterator[np.ndarray]]:
    """Yields sounds, one after the other, each as int16[N] blocks at `profile.rate`, of a message, uint8[N].

    Each has at most so many segments; by default there is one sound. Raises FormatError if the message is longer than
    blocks can count.
    """
    made = blocks.split(message, shape(profile, len(message)))
    count = segments and segments * profile.blocks
    while sound := list(itertools.islice(made, count)):
        yield _sound(sound, profile)


def _sound(made: list[bytes], profile: Profile) -> Iterator[np.ndarray]:
    silence = np.zeros(PAUSE // profile.step, np.int16)
    yield silence
    for start in range(0, len(made), profile.blocks):
        segment = made[start : start + profile.blocks]
        segment += [bytes(profile.block_bytes)] * (profile.blocks - len(segment))
        bits = np.unpackbits(np.frombuffer(b"".join(segment), np.uint8)).reshape(profile.blocks, -1)
        yield ofdm.modulate(profile.code.encode(bits), profile)
    yield ofdm.closing(profile)
    yield silence
