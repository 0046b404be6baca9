"""Sound files, through libsndfile (python-soundfile): `reading` has what is read, `writing` what is written."""

from stegano_tf.audio.files.reading import (
    LOSSY_SUFFIXES,
    RECORDINGS,
    Reader,
    Recording,
    empty_bits,
    native,
    read_channel,
    read_recording,
    refuse_pipe,
)
from stegano_tf.audio.files.writing import CONTAINERS, container_for, unwritable, write, write_recording

__all__ = [
    "CONTAINERS",
    "LOSSY_SUFFIXES",
    "RECORDINGS",
    "Reader",
    "Recording",
    "container_for",
    "empty_bits",
    "native",
    "read_channel",
    "read_recording",
    "refuse_pipe",
    "unwritable",
    "write",
    "write_recording",
]
