"""Sound files, through libsndfile (python-soundfile): `reading` has what is read, `writing` what is written.

`media` is for those that libsndfile does not know.
"""

from stegano_tf.audio.files.reading import LOSSY_SUFFIXES, Reader, native, read_channel, read_recording
from stegano_tf.audio.files.recordings import RECORDINGS, Recording, empty_bits, refuse_pipe
from stegano_tf.audio.files.several import Paths, Several, label, listed, opened
from stegano_tf.audio.files.writing import CONTAINERS, container_for, unwritable, write, write_recording

__all__ = [
    "CONTAINERS",
    "LOSSY_SUFFIXES",
    "RECORDINGS",
    "Paths",
    "Reader",
    "Recording",
    "Several",
    "container_for",
    "empty_bits",
    "label",
    "listed",
    "native",
    "opened",
    "read_channel",
    "read_recording",
    "refuse_pipe",
    "unwritable",
    "write",
    "write_recording",
]
