"""The methods of tools/classical.py, by hand-checked values."""

import classical
import numpy as np
import pytest

from stegano_tf import metrics


def rgb(*values):
    return np.array(values, np.uint8).reshape(1, -1, 3)


def test_nearest_residues_by_hand():
    # Modulo 8, to residue 7, 0 and 4: 8 -> 7 (one down), 7 -> 8 (one up), 0 -> 4 (a tie of 4 and -4, which is none).
    assert classical.nearest_residues(rgb(8, 7, 0), rgb(7, 0, 4), 8).tolist() == [[[7, 8, 4]]]
    # At the ends the nearest may lie outside: 0 -> -1 becomes 7, 255 -> 256 becomes 248.
    assert classical.nearest_residues(rgb(0, 255, 255), rgb(7, 0, 7), 8).tolist() == [[[7, 248, 255]]]


def test_low_bits_by_hand():
    method = classical.LeastSignificantBits(4)
    stego = method.hide(rgb(0x50, 0x5F, 0x58), rgb(0xAB, 0x10, 0x80))
    # 0x5A is six from 0x50 as 0x4A is; 0x51 is 14 from 0x5F, 0x61 but two; 0x58 needs no change.
    assert stego.tolist() == [[[0x4A, 0x61, 0x58]]]
    assert method.reveal(stego).tolist() == [[[0xA8, 0x18, 0x88]]]


@pytest.mark.parametrize("modulus", (2, 3, 4, 5, 7, 9, 16))
def test_base_m_digits_give_the_bytes_back(modulus):
    method = classical.ModuloJpegXl(modulus)
    message = np.random.default_rng(modulus).bytes(999)
    digits = method._digits(message)
    assert digits.max() == modulus - 1
    assert method._bytes(digits)[:999] == message
    # Close to what base M can hold: log2(M) bits a digit, less what is lost at the ends of groups.
    assert 999 * 8 / len(digits) > 0.96 * np.log2(modulus)


def test_modulo_5_costs_the_cover_a_square_error_of_2(photograph):
    cover, secret = photograph(128, 128, 0), photograph(128, 128, 1)
    cover = cover // 2 + 64  # away from the ends, where steps are longer
    method = classical.ModuloJpegXl(5)
    stego = method.hide(cover, secret)
    assert np.abs(stego.astype(int) - cover).max() == 2
    # 0, 1, 1, 4, 4 in turn are 2 in the mean; what the message does not fill stays as it is.
    assert metrics.psnr(cover, stego) == pytest.approx(10 * np.log10(255**2 / 2), abs=0.6)
    assert metrics.psnr(secret, method.reveal(stego)) > 40


@pytest.mark.parametrize("method", [classical.ModuloJpegXl(4), classical.ModuloJpeg2000(4)])
def test_what_fits_losslessly_comes_back_identical(method):
    flat = np.full((64, 64, 3), 77, np.uint8)
    np.testing.assert_array_equal(method.reveal(method.hide(flat, flat)), flat)


@pytest.mark.parametrize("best", [classical.best_jpeg_xl, classical.best_jpeg_2000])
def test_the_file_is_as_large_as_it_may_be(best, photograph):
    # JPEG 2000 rounds its coefficients, so of a smooth picture its finest file is small.
    smooth = best == classical.best_jpeg_xl
    picture = photograph(128, 128, 0) if smooth else np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    coded = best(picture, 9000)
    assert 8500 < len(coded) <= 9000
    with pytest.raises(ValueError, match="no file of 10 bytes"):
        best(picture, 10)
