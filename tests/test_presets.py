"""Parameter counts of every preset, worked out by hand from the layer tables."""

import subprocess
import sys
import warnings

import pytest

from stegano_tf import presets
from stegano_tf.errors import PresetError


def conv(kernel, inputs, outputs, *, bias=True):
    return kernel * kernel * inputs * outputs + (outputs if bias else 0)


def codebook(classes):
    """Bits, scale and steepness of each coefficient of 8x8 RGB blocks in each class."""
    return 3 * classes * (8 * 8 * 3)


def residual(width):
    return 2 * conv(3, width, width)


def paper():
    # The publication's UNet, 4x4 kernels without bias but for the last; BN (4 numbers a channel: scale, offset, running
    # mean and variance) behind all but the first and the innermost convolution down and the last one up.
    #
    #   level  down                  up
    #     1      6 ->  64             128 ->   3, bias
    #     2     64 -> 128, BN         256 ->  64, BN
    #     3    128 -> 256, BN         512 -> 128, BN
    #     4    256 -> 512, BN        1024 -> 256, BN
    #     5    512 -> 512, BN        1024 -> 512, BN
    #     6    512 -> 512, BN        1024 -> 512, BN
    #     7    512 -> 512             512 -> 512, BN
    down = 16 * (6 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 3 * 512 * 512)
    up = 16 * (128 * 3 + 256 * 64 + 512 * 128 + 1024 * 256 + 2 * 1024 * 512 + 512 * 512) + 3
    hide = down + up + 4 * ((128 + 256 + 512 + 512 + 512) + (64 + 128 + 256 + 512 + 512 + 512))
    assert (down, up, hide) == (15_341_568, 26_482_691, 41_839_875)
    # Its reveal network: 3x3 convolutions with bias, 3 -> 64 -> 128 -> 256 -> 128 -> 64 -> 3, BN behind all but the
    # last.
    reveal = 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + (64 + 128 + 256 + 128 + 64 + 3)
    reveal += 4 * (64 + 128 + 256 + 128 + 64)
    assert reveal == 743_939
    return hide + reveal


def unet():
    # hide: 24 subband channels in; 32, 64 and 96 channels on three levels, each with one residual block on the way down
    # and, but for the last, one on the way up.
    hide = conv(3, 24, 32) + conv(3, 32, 64) + conv(3, 64, 96) + residual(32) + residual(64) + residual(96)
    hide += conv(2, 96, 64) + conv(3, 128, 64) + residual(64) + conv(2, 64, 32) + conv(3, 64, 32) + residual(32)
    hide += conv(3, 32, 12)
    hide += 3 * 3 * 12 * 12  # rounding: the errors of 12 samples in 3x3 blocks
    # reveal: a stem, four residual blocks of two conv-BN-ReLU at 48 channels, and 12 subband channels out.
    reveal = conv(3, 12, 48) + 4 * 2 * (conv(3, 48, 48, bias=False) + 4 * 48) + conv(3, 48, 12)
    return hide + reveal


BY_HAND = {
    "codebook": codebook(512),
    "unet": unet(),
    "paper": paper(),
    "tiny": codebook(8),
}


def test_every_preset_is_counted():
    assert set(BY_HAND) == set(presets.PRESETS)


@pytest.mark.parametrize("name", BY_HAND)
def test_stated_count_is_the_one_by_hand(name):
    assert presets.get(name).parameters == BY_HAND[name]


@pytest.mark.parametrize("name", BY_HAND)
def test_built_networks_have_it(name):
    from stegano_tf.networks import build

    assert build.build(name).pair.count_params() == BY_HAND[name]


def test_the_default_weights_stay_below_4_mb():
    assert presets.get(presets.DEFAULT).parameters * 4 <= 4e6


def test_unknown_presets_are_named_with_those_that_exist():
    with pytest.raises(PresetError, match="no preset 'best', expected one of codebook, unet, paper, tiny"):
        presets.get("best")


def test_an_old_name_is_taken_and_said_once():
    presets.current.cache_clear()
    with pytest.warns(presets.RenamedWarning, match="the preset 'invertible' is called 'codebook' now"):
        assert presets.get("invertible") is presets.get("codebook")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert presets.get("invertible").name == "codebook"
        assert presets.current("best") == "best"


def test_a_flag_takes_an_old_name():
    code = """
from absl import flags
from stegano_tf import export, settings

flags.FLAGS(["export", "--preset=invertible"])
print(settings.from_flags(export.Options).preset)
flags.FLAGS(["export", "--preset=best"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "codebook\n"
    assert done.stderr.count("the preset 'invertible' is called 'codebook' now") == 1
    assert "--preset=best: value should be one of <codebook|unet|paper|tiny>" in done.stderr


def test_networks_load_by_their_old_name():
    from stegano_tf import runtime

    assert runtime.load("invertible").network == runtime.load("codebook").network
