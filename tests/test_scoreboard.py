import hashlib
import json
import math
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from stegano_tf import channels, pairing, scoreboard
from stegano_tf import evaluate as evaluation
from stegano_tf.errors import ImageError, PresetError
from stegano_tf.networks.family import composed
from stegano_tf.networks.layers import Round8Bit


class Exact:
    """Networks that make known errors: the stego image is the cover plus 1, what is revealed is given."""

    def __init__(self, revealed):
        self.revealed = iter(revealed)

    def hide(self, cover, secret):
        return cover + np.uint8(1)

    def reveal(self, stego):
        return next(self.revealed)


@pytest.fixture
def files(tmp_path):
    """Three flat pictures of 10, 20, 30, wider than the protocol's square."""
    paths = [tmp_path / f"{level}.png" for level in (10, 20, 30)]
    for path in paths:
        Image.new("RGB", (300, 260), (int(path.stem),) * 3).save(path)
    return paths


@pytest.mark.parametrize(("count", "expected"), [(2, [1, 0]), (3, [1, 2, 0]), (4, [2, 3, 0, 1]), (5, [2, 3, 4, 0, 1])])
def test_pairing_by_hand(count, expected):
    assert pairing.pairs(count) == list(enumerate(expected))


def test_figures_by_hand(files):
    flat = [np.full((256, 256, 3), level, np.uint8) for level in (22, 30, 13)]  # off by 2, 0 and 3
    scores = list(scoreboard.scores(files, Exact(flat)))
    assert [(score.cover, score.secret) for score in scores] == [
        ("10.png", "20.png"),
        ("20.png", "30.png"),
        ("30.png", "10.png"),
    ]
    assert [score.secret_apd for score in scores] == [2, 0, 3]
    assert {score.cover_apd for score in scores} == {1}
    assert scores[0].cover_psnr == pytest.approx(20 * math.log10(255))
    assert scores[0].secret_psnr == pytest.approx(20 * math.log10(255 / 2))
    assert scores[1].secret_psnr == math.inf
    assert all(score.stego_identical for score in scores)
    assert scoreboard.means(scores)["secret_apd"] == pytest.approx(5 / 3)


def test_a_channel_lies_between_hiding_and_revealing(files):
    class Seeing(Exact):
        def reveal(self, stego):
            return stego

    (score, *_) = scoreboard.scores(files, Seeing([]), side=16, channel=channels.parse("jpeg:25"))
    # 11 is 117 below the middle; 8 times that, to a multiple of 32, is 29 * 4 below.
    assert score.cover_apd == 1
    assert score.secret_apd == 20 - 12


def test_unrounded_figures_by_hand(files):
    """Stego images are 0.4 levels off, which rounding would remove, and what they reveal is 2.4 levels more."""
    cover, secret, stego = (keras.Input((None, None, 3)) for _ in range(3))
    hide = keras.Model([cover, secret], Round8Bit(name="stego")(cover + 0.4 / 255 + 0.0 * secret))
    networks = composed(hide, keras.Model(stego, stego + 2.0 / 255))
    found = scoreboard.unrounded([files[1], files[1]], networks, side=16)
    assert found["cover_psnr"] == pytest.approx(20 * math.log10(255 / 0.4), abs=1e-3)
    assert found["secret_psnr"] == pytest.approx(20 * math.log10(255 / 2.4), abs=1e-3)
    # A grey step of one level is 219 / 255 of luma.
    assert found["cover_luma_psnr"] == pytest.approx(20 * math.log10(255 / 0.4 * 255 / 219), abs=1e-3)
    with pytest.raises(PresetError, match="in whole numbers"):
        scoreboard.unrounded(files, composed(keras.Model([cover, secret], cover + secret), networks.reveal))


def test_other_sides(files):
    scores = list(scoreboard.scores(files, Exact([np.full((64, 64, 3), 20, np.uint8)] * 3), side=64))
    assert [score.secret_apd for score in scores] == [0, 10, 10]


def test_small_pictures_are_named(tmp_path, files):
    Image.new("RGB", (255, 300)).save(tmp_path / "99.png")
    with pytest.raises(ImageError, match=r"99\.png: .*255"):
        list(scoreboard.scores([*files, tmp_path / "99.png"], Exact([np.zeros((256, 256, 3), np.uint8)] * 9)))


def test_headers_tell_small_pictures(tmp_path):
    small, large, broken = (tmp_path / f"{name}.png" for name in ("small", "large", "broken"))
    Image.new("RGB", (256, 255)).save(small)
    Image.new("RGB", (256, 256)).save(large)
    broken.write_bytes(b"no picture")
    scoreboard.check([large, broken])  # the second is found out when it is read
    with pytest.raises(ImageError, match=r"small\.png: has 256x255 pixels, expected at least 256x256"):
        scoreboard.check([large, small])


def test_the_command_writes_what_it_prints(tmp_path):
    random = np.random.default_rng(0)
    for i in range(2):
        coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((256, 256), Image.Resampling.BICUBIC).save(tmp_path / f"{i}.png")
    figures = tmp_path / "figures.json"
    evaluate = [sys.executable, "-m", "stegano_tf.evaluate", f"--data={tmp_path}", f"--json={figures}"]
    done = subprocess.run(evaluate, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(figures.read_text())
    assert result["pictures"] == len(result["pairs"]) == 2
    assert result["stego_identical"] is True
    assert result["worst_cover_psnr"] == min(pair["cover_psnr"] for pair in result["pairs"])
    hashes = b"".join(hashlib.sha256((tmp_path / f"{i}.png").read_bytes()).digest() for i in range(2))
    assert result["pictures_sha256"] == hashlib.sha256(hashes).hexdigest()
    assert result["side"] == 256
    assert result["packages"]["keras"] == keras.__version__
    assert result["cover_psnr"] == pytest.approx(sum(pair["cover_psnr"] for pair in result["pairs"]) / 2)
    assert f"{result['cover_psnr']:.2f} dB" in done.stdout
    assert f"{result['secret_ssim']:.4f}" in done.stdout

    half, better = tmp_path / "half.json", tmp_path / "better.json"
    for path, more in ((half, {}), (better, {"refine": 8, "balance": 3.0})):
        evaluation.evaluate(evaluation.Options(data=str(tmp_path), json=str(path), side=64, **more))
    half, better = json.loads(half.read_text()), json.loads(better.read_text())
    assert (half["side"], half["refine"], better["refine"], better["balance"]) == (64, 0, 8, 3)

    def error(pair):
        return 10 ** (-pair["cover_psnr"] / 10) + 10 ** ((3 - pair["secret_psnr"]) / 10)

    for refined, plain in zip(better["pairs"], half["pairs"], strict=True):
        assert error(refined) < error(plain)

    again = subprocess.run(evaluate, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert again.stderr.strip() == f"stegano_tf.evaluate: {figures}: exists already; --force overwrites it"
