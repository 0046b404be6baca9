"""Figures to look at: a contact sheet of hidden and revealed pictures, and what a sound file looks like.

Both functions return a picture, `uint8[H, W, 3]` RGB, for `images.write`. Matplotlib and librosa, which take seconds to
import, draw the sound only; matplotlib is the optional extra `stegano_tf[plot]`.
"""

import math
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stegano_tf import images, metrics, scratch
from stegano_tf.errors import SteganoError

# Residuals are a few grey levels; ten times that is seen at first glance.
_HEADINGS = ("cover", "stego", "10 x (stego - cover)", "secret", "revealed", "10 x (revealed - secret)")
_GAP = 8  # pixels between pictures and around the sheet

_COLUMNS = 1200  # of the waveform and the spectrogram: about the pixels that the figure has
_WINDOW = 1024  # samples a spectrum


def contact_sheet(rows: Iterable[tuple], *, max_side: int = 256) -> np.ndarray:
    """Returns rows of cover, stego image, their difference, secret, revealed secret and their difference.

    Differences are amplified 10 times around mid-grey, so that their sign shows; PSNR (dB) stands below.

    Args:
      rows: at least one tuple of cover, stego, secret and revealed, `uint8[H, W, 3]`, and perhaps a name, which stands
        below the cover and is cut to its width. Pictures may have any size and differ between rows.
      max_side: the longer side of every picture on the sheet, in pixels. Smaller pictures are enlarged to it.

    Raises:
      TypeError, ValueError: there is no row, the arrays are no pictures, or two that are compared differ in shape.

    Example:
      images.write("sheet.png", figures.contact_sheet([(cover, stego, secret, revealed, "first")]))
    """
    cells = [_cells(row, max_side) for row in rows]
    if not cells:
        raise ValueError("a contact sheet has no rows, expected at least one")
    font = ImageFont.load_default(max(12, max_side // 14))
    line = sum(font.getmetrics())
    widest_text = max(font.getlength(text) for text in _HEADINGS)
    column = _GAP + max(int(widest_text), *(picture.width for row in cells for picture, _ in row))
    heights = [max(picture.height for picture, _ in row) + line + _GAP for row in cells]
    # A wider gap sets the secret's columns apart from the cover's.
    lefts = [_GAP + i * column + (_GAP * 2 if i >= 3 else 0) for i in range(len(_HEADINGS))]
    sheet = Image.new("RGB", (lefts[-1] + column, _GAP + line + sum(heights)), "white")
    draw = ImageDraw.Draw(sheet)
    for left, heading in zip(lefts, _HEADINGS, strict=True):
        draw.text((left, _GAP // 2), heading, "black", font)
    top = _GAP + line
    for row, height in zip(cells, heights, strict=True):
        for left, (picture, caption) in zip(lefts, row, strict=True):
            sheet.paste(picture, (left, top))
            draw.text((left, top + picture.height), _cut(caption, font, column - _GAP), (90, 90, 90), font)
        top += height
    return np.array(sheet)


def sound_figure(samples: np.ndarray, sample_rate: int, title: str = "") -> np.ndarray:
    """Returns waveform and spectrogram of a sound, `int16[N]`, N at least 1; `sample_rate` is in Hz.

    A long sound costs no more memory than a short one: the waveform is the range and the mean of every stretch that
    falls on one pixel column, and the spectrogram shows one window of 1024 samples for each column.

    Raises:
      SteganoError: matplotlib is not installed.
      TypeError, ValueError: `samples` or `sample_rate` are not as above.
    """
    if not isinstance(samples, np.ndarray) or samples.dtype != np.int16:
        raise TypeError(f"a sound is {getattr(samples, 'dtype', type(samples).__name__)}, expected an int16 array")
    if samples.ndim != 1 or not samples.size:
        raise ValueError(f"a sound has shape {samples.shape}, expected (samples,)")
    if sample_rate <= 0:
        raise ValueError(f"a sound has a sample rate of {sample_rate}, expected a positive number of Hz")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise SteganoError('figures of sounds need matplotlib: pip install "stegano_tf[plot]"') from error
    import librosa  # noqa: PLC0415

    figure = Figure(figsize=(12, 7), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)  # pyplot would keep the figure and open a window system
    figure.suptitle(title, parse_math=False)  # file names may hold dollar signs
    waveform, spectrogram = figure.subplots(2, 1, sharex=True)

    edges, low, mean, high = _envelope(samples)
    waveform.stairs(high, edges / sample_rate, baseline=low, fill=True, color="tab:blue", alpha=0.4, label="range")
    waveform.stairs(mean, edges / sample_rate, baseline=None, color="tab:blue", label="mean")
    waveform.legend(loc="upper right")
    waveform.set(ylabel="16-bit sample", ylim=(-(2**15), 2**15), yticks=range(-(2**15), 2**15 + 1, 2**14))
    waveform.grid(alpha=0.3)

    edges, windows = _windows(samples)
    spectrum = librosa.stft(windows.ravel(), n_fft=_WINDOW, hop_length=_WINDOW, center=False)
    # A full-scale sine fills half of a Hann window's sum: its level is 0 dB.
    level = librosa.amplitude_to_db(np.abs(spectrum) / (_WINDOW / 4), ref=1.0, amin=1e-5, top_db=None)
    hertz = (np.arange(len(level) + 1) - 0.5) * sample_rate / _WINDOW
    # librosa.display.specshow draws each value as a polygon, in ten times the memory.
    mesh = spectrogram.pcolorfast(edges / sample_rate, hertz, level, cmap="magma", vmin=-100, vmax=0)
    spectrogram.set(xlabel="seconds", ylabel="Hz", ylim=(0, sample_rate / 2))
    figure.colorbar(mesh, ax=spectrogram, label="dB, 0 is a full-scale sine")
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3].copy()


def _cells(row: tuple, max_side: int) -> list[tuple[Image.Image, str]]:
    """The pictures of one row, scaled, with their captions."""
    cover, stego, secret, revealed, name = (*row, "")[:5]
    cells = []
    for original, result, caption in ((cover, stego, name), (secret, revealed, "")):
        psnr = metrics.psnr(original, result)
        height, width, _ = original.shape
        scale = max_side / max(height, width)
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        # The residual is mostly noise, which averaging would hide.
        residual = np.clip(128 + 10 * (result.astype(np.int16) - original), 0, 255).astype(np.uint8)
        cells += [
            (_scaled(original, size), caption),
            (_scaled(result, size), "identical" if math.isinf(psnr) else f"PSNR {psnr:.1f} dB"),
            (Image.fromarray(residual).resize(size[::-1], Image.Resampling.NEAREST), ""),
        ]
    return cells


def _cut(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    text = " ".join(text.split())  # Pillow does not measure lines
    while font.getlength(text) > width:
        text = text[:-1]
    return text


def _scaled(image: np.ndarray, size: tuple[int, int]) -> Image.Image:
    # Enlarged pictures should show their pixels.
    if max(size) < max(image.shape[:2]):
        return Image.fromarray(images.resize(image, size))
    return Image.fromarray(image).resize(size[::-1], Image.Resampling.NEAREST)


def _envelope(samples: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns the edges (in samples) of at most `_COLUMNS` stretches of a sound, and minimum, mean, maximum of each."""
    starts = np.arange(0, samples.size, -(-samples.size // _COLUMNS))
    # One stretch at a time: `np.add.reduceat` on all samples would make a wider copy of them all.
    stretches = np.split(samples, starts[1:])
    low, mean, high = np.array(list(map(_range, stretches))).T
    return np.append(starts, samples.size), low, mean, high


def _range(samples: np.ndarray) -> tuple[float, ...]:
    found = samples.min(), samples.mean(), samples.max()
    scratch.release(samples)
    return found


def _windows(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns n + 1 edges (in samples) and the n windows to draw between them, `float32[n, _WINDOW]` within -1 to 1.

    A sound shorter than one window is padded with silence.
    """
    end = samples.size
    if end < _WINDOW:
        samples = np.pad(samples, (0, _WINDOW - end))
    hop = max(_WINDOW // 4, end // _COLUMNS)
    seen = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::hop]
    windows = np.empty(seen.shape, np.float32)
    for part in scratch.parts(len(seen), 2 * hop):
        np.multiply(seen[part], np.float32(2**-15), out=windows[part])
        scratch.release(samples)
    # Each window is drawn over the hop around its middle, the first and the last one also to the ends of the sound.
    edges = np.arange(len(windows) + 1) * hop + (_WINDOW - hop) / 2
    edges[[0, -1]] = 0, end
    return edges, windows
