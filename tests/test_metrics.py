"""metrics.py against closed forms and, for SSIM, against scikit-image on the whole picture."""

import math
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from stegano_tf import metrics, scratch
from stegano_tf.errors import ImageError


def flat(value, shape=(16, 16, 3)):
    return np.full(shape, value, np.uint8)


@pytest.fixture
def noisy_pair():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (61, 43, 3), dtype=np.uint8)
    return a, np.clip(a + rng.normal(0, 9, a.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("a", "b", "psnr", "apd"),
    [
        (100, 101, 48.1308, 1),  # 20 log10(255)
        (255, 0, 0, 255),
        (0, 255, 0, 255),
        (3, 13, 28.1308, 10),
        (7, 7, math.inf, 0),
    ],
)
def test_constant_differences(a, b, psnr, apd):
    assert metrics.psnr(flat(a), flat(b)) == pytest.approx(psnr, abs=5e-5)
    assert metrics.apd(flat(a), flat(b)) == apd


def test_one_different_value():
    a, b = flat(0, (2, 2, 3)), flat(0, (2, 2, 3))
    b[1, 0, 2] = 255
    assert metrics.psnr(a, b) == pytest.approx(10 * math.log10(12))
    assert metrics.apd(a, b) == 255 / 12


def test_psnr_is_scikit_images(noisy_pair):
    assert metrics.psnr(*noisy_pair) == pytest.approx(peak_signal_noise_ratio(*noisy_pair), rel=1e-12)


def test_figures_do_not_depend_on_blocks_or_strides(noisy_pair, monkeypatch):
    a, b = noisy_pair
    expected = metrics.quality(a, b)
    assert expected.ssim == pytest.approx(structural_similarity(a, b, channel_axis=2, data_range=255), abs=1e-12)
    for block in (1, 43 * 10, 43 * 55):
        monkeypatch.setattr(scratch, "PART", 4 * block)
        found = metrics.quality(np.asfortranarray(a), b)
        assert (found.psnr, found.apd) == (expected.psnr, expected.apd)
        assert found.ssim == pytest.approx(expected.ssim, abs=1e-12)


def test_ssim_of_flat_pictures():
    # Variances vanish, which leaves (2 a b + c) / (a² + b² + c) with c = (0.01 * 255)².
    c = 2.55**2
    assert metrics.ssim(flat(100), flat(50)) == pytest.approx((2 * 5000 + c) / (12500 + c), abs=1e-9)
    assert metrics.ssim(flat(100), flat(100)) == 1


def test_ssim_needs_a_window():
    assert metrics.ssim(flat(1, (7, 7, 3)), flat(1, (7, 7, 3))) == 1
    with pytest.raises(ImageError, match="SSIM of 9x6 pixels, expected at least 7x7"):
        metrics.ssim(flat(1, (6, 9, 3)), flat(1, (6, 9, 3)))


def test_identical_pictures():
    assert metrics.quality(flat(9), flat(9)) == metrics.Quality(psnr=math.inf, ssim=1.0, apd=0.0)


@pytest.mark.parametrize("figure", [metrics.psnr, metrics.ssim, metrics.apd, metrics.quality])
def test_wrong_arguments(figure):
    with pytest.raises(TypeError, match="float64, expected a uint8 array"):
        figure(flat(0), flat(0) / 1.0)
    with pytest.raises(ValueError, match="expected one shape"):
        figure(flat(0), flat(0, (16, 1, 3)))  # would broadcast


def test_memory_does_not_grow_with_the_picture():
    a = flat(1, (4000, 3000, 3))
    tracemalloc.start()
    metrics.psnr(a, a)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6


def test_import_is_light():
    code = "import sys, stegano_tf.metrics; print(*{'skimage', 'scipy', 'tensorflow', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
