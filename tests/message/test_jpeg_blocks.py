"""Blocks, their luma and their coefficients, compared with libjpeg's."""

import io

import numpy as np
import pytest
import scipy.fft
from PIL import Image

from stegano_tf.message.ways.jpeg import blocks as jpeg


def test_steps_are_those_of_libjpeg():
    assert jpeg.steps(50).tolist() == [10, 11, 12, 12, 13, 14, 14, 14, 16, 16, 17, 18, 19, 22, 22]
    assert jpeg.steps(75)[:5].tolist() == [5, 6, 6, 6, 7]  # (10 * 50 + 50) // 100 and so on
    assert jpeg.steps(25)[:2].tolist() == [20, 22]
    for quality in (40, 60, 75, 90):
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
        table = np.reshape(Image.open(file).quantization[0], (8, 8))
        assert jpeg.steps(quality).tolist() == [table[slot] for slot in jpeg.SLOTS]


def test_coefficients_are_those_of_the_discrete_cosine_transform():
    block = np.random.default_rng(0).uniform(0, 255, (8, 8)).astype(np.float32)
    expected = scipy.fft.dctn(block, norm="ortho")
    assert block.ravel() @ jpeg.BASIS == pytest.approx([expected[slot] for slot in jpeg.SLOTS], abs=1e-3)
    assert pytest.approx(np.eye(15), abs=1e-6) == jpeg.BASIS.T @ jpeg.BASIS


def test_luma_of_colours():
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 10, 10]], np.uint8)
    assert jpeg.luma(colours.T) == pytest.approx([76.245, 149.685, 29.07, 10])


def test_blocks_go_row_by_row_and_come_together_again():
    picture = np.random.default_rng(0).integers(0, 256, (19, 26, 3), dtype=np.uint8)
    blocks = jpeg.split(picture)
    assert blocks.shape == (3, 6, 64)
    assert (blocks[1, 4] == picture[8:16, 8:16, 1].ravel()).all()
    assert (jpeg.join(blocks, picture) == picture).all()
    changed = jpeg.join(255 - blocks, picture)
    assert (changed[:16, :24] == 255 - picture[:16, :24]).all()
    assert (changed[16:] == picture[16:]).all()


def test_black_and_white_pixels_are_counted():
    blocks = np.full((3, 2, 64), 100, np.uint8)
    blocks[0, 1, :3] = 0
    blocks[2, 1, 2:5] = 255
    blocks[1, 0, 7] = 253
    assert jpeg.extreme(blocks).tolist() == [0, 5]
    assert jpeg.extreme(blocks, 3, 252).tolist() == [1, 5]
