"""Sound that libsndfile does not know, through PyAV (FFmpeg), the extra `aac`: AAC in MP4, WebM, AMR, Windows Media.

FFmpeg gets an open file and the name of one container. So no file makes it open another file or an address, as a
playlist would.
"""

from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from stegano_tf.errors import BackendError, FormatError, one_line


def need(what: str):
    """Returns PyAV; raises BackendError if it is not installed, which `what` needs."""
    try:
        import av  # noqa: PLC0415 (it is an extra, and loads large shared libraries)
    except ImportError as error:
        raise BackendError(
            f'{what} needs the package av, which is not installed: pip install "stegano_tf[aac]"'
        ) from error
    return av


def decode(source: BinaryIO, container: str, target: BinaryIO, most: int) -> tuple[str, bool]:
    """Writes the first sound track of a file as 16-bit samples; what is damaged is left out.

    Args:
      source: the file.
      container: FFmpeg's name of it.
      target: becomes a W64 file for libsndfile.
      most: samples of all channels.

    Returns:
      FFmpeg's name of the codec in capitals, and whether it loses samples.

    Raises:
      BackendError: PyAV is not installed.
      FormatError: there is no sound that can be decoded, or more than `most` samples.
    """
    import soundfile  # noqa: PLC0415

    av = need(f"sound in {container}")
    count, end = 0, None
    try:
        with av.open(source, format=container) as file:
            track = next((one for one in file.streams.audio if one.codec_context), None)
            if track is None:
                raise FormatError("no sound track of a known codec is in it, expected one")
            context, channels = track.codec_context, track.channels
            exact = context.codec.lossless and not context.codec.lossy and context.format.bits == 16
            resampler = av.AudioResampler("s16", layout=track.layout, rate=track.rate)
            options = {"format": "W64", "closefd": False}
            with soundfile.SoundFile(target.fileno(), "w", track.rate, channels, "PCM_16", **options) as samples:
                for packet in file.demux(track):
                    for frame in _frames(av, packet, resampler):
                        count += frame.samples * channels
                        if count > most:
                            raise FormatError(f"it has more samples than its size justifies, expected at most {most:,}")
                        samples.write(frame.to_ndarray().reshape(-1, channels))
    except (av.FFmpegError, ValueError, soundfile.LibsndfileError) as error:
        end = error  # a file that was cut off: what is before it serves
    if not count:
        why = f": {one_line(getattr(end, 'strerror', None) or end)}" if end else ""
        raise FormatError(f"no sound in it can be decoded{why}") from end
    return context.name.upper(), not exact


def _frames(av, packet, resampler) -> list:
    """Returns the samples in a packet, none if it is damaged."""
    try:
        return [one for frame in packet.decode() for one in resampler.resample(frame)]
    except av.FFmpegError:
        return []


def encode_aac(target: BinaryIO, blocks: Iterable[np.ndarray], *, sample_rate: int, codec_rate: int) -> None:
    """Writes int16[N] blocks, mono, as AAC of `codec_rate` kb/s in MP4.

    Raises BackendError without PyAV, and OSError or ValueError if FFmpeg fails.
    """
    av = need("writing AAC")
    with av.open(target, "w", format="ipod") as file:
        track = file.add_stream("aac", rate=sample_rate, layout="mono", bit_rate=1000 * codec_rate)
        written = 0
        for block in blocks:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = sample_rate, written
            written += len(block)
            file.mux(track.encode(frame))
        file.mux(track.encode(None))
