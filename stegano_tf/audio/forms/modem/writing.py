"""A message to the samples of the modem."""

import itertools
from collections.abc import Iterator

import numpy as np

from stegano_tf.audio.forms.modem import blocks, ofdm
from stegano_tf.audio.forms.modem.profiles import PAUSE, Profile, shape


def encode(message: np.ndarray, profile: Profile) -> Iterator[np.ndarray]:
    """Yields the int16[N] samples, at `profile.rate`, of a message, uint8[N].

    Raises FormatError if the message is longer than blocks can count.
    """
    cut = shape(profile, len(message))
    made = blocks.split(message, cut)
    silence = np.zeros(PAUSE // profile.step, np.int16)
    yield silence
    while segment := list(itertools.islice(made, profile.blocks)):
        segment += [bytes(profile.block_bytes)] * (profile.blocks - len(segment))
        bits = np.unpackbits(np.frombuffer(b"".join(segment), np.uint8)).reshape(profile.blocks, -1)
        yield ofdm.modulate(profile.code.encode(bits), profile)
    yield ofdm.closing(profile)
    yield silence
