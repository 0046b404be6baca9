"""figures.py: colours and sizes that can be counted, then the arithmetic under the drawing of a sound."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from stegano_tf import figures
from stegano_tf.errors import SteganoError


def flat(colour, height=32, width=32):
    return np.full((height, width, 3), colour, np.uint8)


def pixels(sheet, colour):
    return int((sheet == np.array(colour)).all(axis=2).sum())


def test_one_row_shows_six_pictures():
    row = (flat((10, 0, 0)), flat((13, 0, 0)), flat((0, 60, 0)), flat((0, 40, 0)))
    sheet = figures.contact_sheet([row], max_side=64)
    assert sheet.dtype == np.uint8
    difference, clipped = (158, 128, 128), (128, 0, 128)  # 128 + 10 * 3; 128 - 10 * 20 is below black
    for colour in ((10, 0, 0), (13, 0, 0), difference, (0, 60, 0), (0, 40, 0), clipped):
        assert pixels(sheet, colour) == 64 * 64


def test_rows_of_other_sizes_and_names():
    wide, tall = flat((1, 0, 0), 10, 40), flat((0, 1, 0), 300, 30)
    small, speck = flat((0, 0, 1), 1, 1), flat((1, 1, 0), 1, 2000)
    rows = [
        (wide, wide, tall, tall, "a name of two lines\nand too long for its column"),
        (small, small, speck, speck),
    ]
    sheet = figures.contact_sheet(rows, max_side=120)
    assert [pixels(sheet, colour) for colour in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0))] == [
        2 * 120 * 30,
        2 * 120 * 12,
        2 * 120 * 120,
        2 * 120 * 1,
    ]
    assert pixels(sheet, (128, 128, 128)) >= 120 * (30 + 12 + 120 + 1)  # all the same: every difference is mid-grey


def test_noise_is_not_averaged_away():
    cover = flat(100, 512, 512)
    stego = cover + 2 * (np.indices((512, 512)).sum(axis=0) % 2).astype(np.uint8)[..., None]
    sheet = figures.contact_sheet([(cover, stego, cover, cover)], max_side=100)
    assert pixels(sheet, (148, 148, 148)) > 3000
    assert pixels(sheet, (138, 138, 138)) < 50  # but for the edges of letters


def test_bad_rows():
    with pytest.raises(ValueError, match="no rows"):
        figures.contact_sheet([])
    with pytest.raises(ValueError, match="expected one shape"):
        figures.contact_sheet([(flat(0), flat(0, 8, 8), flat(0), flat(0))])
    with pytest.raises(TypeError, match="uint8"):
        figures.contact_sheet([(flat(0), flat(0) / 255, flat(0), flat(0))])


def test_envelope_of_few_samples_is_the_samples(monkeypatch):
    samples = np.array([3, -7, 5, 32767, -32768], np.int16)
    edges, low, mean, high = figures._envelope(samples)
    assert edges.tolist() == [0, 1, 2, 3, 4, 5]
    assert low.tolist() == mean.tolist() == high.tolist() == samples.tolist()
    monkeypatch.setattr(figures, "_COLUMNS", 3)
    edges, low, mean, high = figures._envelope(samples)
    assert edges.tolist() == [0, 2, 4, 5]
    assert low.tolist() == [-7, 5, -32768]
    assert mean.tolist() == [-2, 16386, -32768]
    assert high.tolist() == [3, 32767, -32768]


def test_windows():
    edges, windows = figures._windows(np.array([-(2**15), 2**14], np.int16))
    assert windows.shape == (1, 1024)
    assert windows[0, :3].tolist() == [-1, 0.5, 0]
    assert edges.tolist() == [0, 2]
    edges, windows = figures._windows(np.arange(1024 + 512, dtype=np.int16))
    assert (windows[:, 0] * 2**15).tolist() == [0, 256, 512]
    assert edges.tolist() == [0, 640, 896, 1536]  # halfway between the windows' middles 512, 768 and 1024


@pytest.mark.parametrize("size", [1, 58, 1025])
def test_sound_of_few_samples(size):
    figure = figures.sound_figure(np.arange(size, dtype=np.int16), 44100, r"two $ signs, $\und{")
    assert figure.dtype == np.uint8
    assert figure.shape == (700, 1200, 3)
    assert figure.flags.c_contiguous


def test_memory_does_not_grow_with_the_sound():
    samples = np.zeros(100_000_000, np.int16)  # any copy takes 200 MB
    figures.sound_figure(samples[:100], 44100)  # the imports take memory of their own
    tracemalloc.start()
    figures.sound_figure(samples, 44100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6


def test_a_sine_is_a_line_at_its_frequency():
    samples = (32767 * np.sin(2 * np.pi * 11025 / 44100 * np.arange(44100))).astype(np.int16)
    figure = figures.sound_figure(samples, 44100).astype(int)
    column = figure[360:650, 600].sum(axis=1)  # the spectrogram, upwards from 0 to 22050 Hz
    assert abs(int(column.argmax()) - len(column) // 2) < 15
    assert np.median(column) < 60


def test_bad_sounds():
    with pytest.raises(TypeError, match="float64, expected an int16 array"):
        figures.sound_figure(np.zeros(9), 44100)
    for samples in (np.zeros(0, np.int16), np.zeros((9, 2), np.int16)):
        with pytest.raises(ValueError, match="expected"):
            figures.sound_figure(samples, 44100)
    with pytest.raises(ValueError, match="sample rate of 0"):
        figures.sound_figure(np.zeros(9, np.int16), 0)


def test_matplotlib_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SteganoError, match=r'pip install "stegano_tf\[plot\]"'):
        figures.sound_figure(np.zeros(9, np.int16), 44100)


def test_import_is_light():
    code = "import sys, stegano_tf.figures; print(*{'skimage', 'scipy', 'librosa', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
