import numpy as np
import pytest

from stegano_tf import metrics, presets, runtime, savedmodels
from stegano_tf.errors import ImageError, PresetError
from stegano_tf.networks import build


@pytest.fixture(scope="module")
def networks():
    return runtime.load()


@pytest.mark.parametrize("size", [(64, 64), (16, 16), (17, 31), (50, 129)])
def test_any_size_comes_back_visibly(networks, size, photograph):
    cover, secret = photograph(*size, 0), photograph(*size, 1)
    stego = networks.hide(cover, secret)
    assert (stego.dtype, stego.shape) == (np.uint8, cover.shape)
    revealed = networks.reveal(stego)
    assert (revealed.dtype, revealed.shape) == (np.uint8, secret.shape)
    # Far above what any other picture has in common with these (about 10 dB).
    assert metrics.psnr(cover, stego) > 25
    assert metrics.psnr(secret, revealed) > 20
    assert metrics.psnr(cover, revealed) < 15


def test_another_secret_gives_another_stego_image(networks, photograph):
    cover = photograph(64, 64, 0)
    stegos = [networks.hide(cover, photograph(64, 64, seed)) for seed in (1, 2)]
    assert metrics.psnr(*stegos) < 60
    revealed = [networks.reveal(stego) for stego in stegos]
    assert metrics.psnr(revealed[0], photograph(64, 64, 1)) > metrics.psnr(revealed[0], photograph(64, 64, 2)) + 10


def test_a_secret_of_another_size_is_resized_and_returned_in_its_own(networks, photograph):
    cover, secret = photograph(64, 80, 0), photograph(100, 30, 1)
    stego = networks.hide(cover, secret)
    assert stego.shape == cover.shape
    revealed = networks.reveal(stego, secret.shape[:2])
    assert revealed.shape == secret.shape
    assert metrics.psnr(secret, revealed) > 20


def test_results_repeat(networks, photograph):
    cover, secret = photograph(64, 64, 0), photograph(64, 64, 1)
    stego = networks.hide(cover, secret)
    np.testing.assert_array_equal(networks.hide(cover, secret), stego)
    np.testing.assert_array_equal(networks.reveal(stego), networks.reveal(stego))


def test_small_pictures_are_refused(networks):
    with pytest.raises(ImageError, match="the cover has 99x15 pixels, expected at least 16x16"):
        networks.hide(np.zeros((15, 99, 3), np.uint8), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ImageError, match="the stego image has 15x99 pixels"):
        networks.reveal(np.zeros((99, 15, 3), np.uint8))


@pytest.mark.parametrize("wrong", [np.zeros((64, 64, 3), np.float32), [1, 2]])
def test_other_arrays_are_programming_errors(networks, wrong):
    with pytest.raises(TypeError):
        networks.reveal(wrong)


def test_networks_are_named_by_their_weights(networks, tmp_path):
    import hashlib

    installed = savedmodels.weights_file(presets.DEFAULT)
    assert networks.network == hashlib.sha256(installed.read_bytes()).digest()[:8]
    assert runtime.preset_of(networks.network) == presets.DEFAULT
    with pytest.raises(PresetError, match=f"network 0102030405060708, .*codebook {networks.network.hex()}"):
        runtime.preset_of(bytes(range(1, 9)))


def test_weights_of_ones_own(tmp_path, photograph):
    path = tmp_path / "mine.weights.h5"
    build.save_weights(build.build("tiny"), path)
    mine = runtime.Runtime("tiny", path)
    cover, secret = photograph(17, 20, 0), photograph(17, 20, 1)[..., :1].repeat(3, axis=-1)
    stego = mine.hide(cover, secret)
    # A codebook without training hides already, in whole blocks of 8 pixels.
    assert metrics.psnr(cover, stego) > 35
    assert metrics.psnr(secret[:16, :16], mine.reveal(stego)[:16, :16]) > 25
    np.testing.assert_array_equal(stego[16:], cover[16:])
    np.testing.assert_array_equal(stego[:, 16:], cover[:, 16:])
    assert mine.network == runtime.network_id(path)


@pytest.mark.parametrize("name", runtime.installed_presets())
def test_installed_weights_are_small(name):
    assert savedmodels.weights_file(name).stat().st_size <= 4e6
