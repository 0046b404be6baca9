"""Files of lossy codecs, as libsndfile writes them, and PyAV if it is AAC."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import MappingProxyType

import numpy as np

from stegano_tf import outputs
from stegano_tf.audio import files
from stegano_tf.audio.files import media
from stegano_tf.errors import OutputError, one_line

CODECS = MappingProxyType({".mp3": "MP3", ".ogg": "VORBIS", ".opus": "OPUS", ".m4a": "AAC"})
"""The codec that a file name's suffix asks for."""

# Container, subtype and options for libsndfile; then which kb/s it makes of which compression level. It interpolates
# for MP3 and Opus. Vorbis knows no rates: these were measured on the modem's sounds.
_OPTIONS = {
    "MP3": ("MP3", "MPEG_LAYER_III", {"bitrate_mode": "CONSTANT"}, [32, 320], [1, 0]),
    "OPUS": ("OGG", "OPUS", {}, [6, 256], [1, 0]),
    "VORBIS": (
        *("OGG", "VORBIS", {}),
        *([82, 89, 96, 107, 117, 156, 186, 199, 217, 254], [1, 0.95, 0.9, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0]),
    ),
}
_SLOW_OPTIONS = {  # below 32 kHz
    "MP3": ("MP3", "MPEG_LAYER_III", {"bitrate_mode": "CONSTANT"}, [8, 160], [1, 0]),
    "VORBIS": ("OGG", "VORBIS", {}, [34, 40, 48, 58, 69, 85], [1, 0.9, 0.7, 0.5, 0.3, 0]),
}
_LEAST = 0.99  # the highest compression level that libsndfile 1.2.2 takes for MP3


def write(
    path: str | os.PathLike,
    blocks: Iterable[np.ndarray],
    *,
    sample_rate: int,
    codec: str,
    codec_rate: int,
    check: Callable[[files.Reader], None],
    force: bool = False,
) -> files.Reader:
    """Writes a mono sound file of a lossy codec, whole or not at all, and returns its closed reader.

    Args:
      path: of any suffix.
      blocks: int16[N] arrays.
      sample_rate: in Hz, one that the codec knows.
      codec: a value of `CODECS`.
      codec_rate: in kb/s; the codec takes the nearest one that it has.
      check: is called with what was written, before it gets its name.

    Raises:
      OutputError: `path` cannot be written, or exists and `force` is not set.
    """
    path = Path(path)
    with outputs.replacing(path, force=force) as partial:
        if codec == "AAC":
            try:
                with partial.open("wb") as file:
                    media.encode_aac(file, blocks, sample_rate=sample_rate, codec_rate=codec_rate)
            except (OSError, ValueError) as error:  # FFmpeg's errors are one of the two
                raise OutputError(f"{path}: cannot be written: {one_line(error)}") from error
        else:
            _write(path, partial, blocks, sample_rate=sample_rate, codec=codec, codec_rate=codec_rate)
        with files.Reader(partial, lossy=True) as reader:
            check(reader)
            return reader


def _write(path: Path, partial: Path, blocks: Iterable, *, sample_rate: int, codec: str, codec_rate: int) -> None:
    import soundfile  # noqa: PLC0415

    table = _OPTIONS if sample_rate >= 32_000 else _OPTIONS | _SLOW_OPTIONS
    container, subtype, options, rates, levels = table[codec]
    options = {**options, "compression_level": min(float(np.interp(codec_rate, rates, levels)), _LEAST)}
    try:
        name = files.native(partial)
        with soundfile.SoundFile(name, "w", sample_rate, 1, subtype, format=container, **options) as file:
            for block in blocks:
                file.write(block)
    except soundfile.LibsndfileError as error:
        raise files.unwritable(path, error) from error
