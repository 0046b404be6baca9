"""Recordings as their integers are, into whose low bits a message can go."""

import dataclasses
import os
from pathlib import Path
from types import MappingProxyType

import numpy as np

from stegano_tf.errors import AudioError


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """A whole 16- or 24-bit recording."""

    samples: np.ndarray  # int32[frames, channels], of `depth` bits
    depth: int  # 16 or 24
    sample_rate: int  # in Hz
    tags: dict[str, str]  # libsndfile's strings: title, artist, comment and so on


RECORDINGS = MappingProxyType({"PCM_16": 16, "ALAC_16": 16, "PCM_24": 24})
"""Bits of a sample of the recordings that are read as integers, by libsndfile's name of the sample format."""


def empty_bits(samples: np.ndarray) -> int:
    """Returns how many low bits are 0 in all of int32[...]; 16 if all bits are."""
    used = int(np.bitwise_or.reduce(samples, axis=None)) if samples.size else 0
    return (used & -used).bit_length() - 1 if used else 16


def refuse_pipe(path: str | os.PathLike) -> None:
    """Raises AudioError if what is to be read twice is a pipe."""
    if Path(path).is_fifo():
        raise AudioError(f"{path}: is a pipe, which can be read only once, expected a file")
