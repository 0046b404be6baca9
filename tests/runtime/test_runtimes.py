"""All runtimes give the same pixels, whatever they compute with."""

import concurrent.futures

import blocks
import numpy as np
import pytest

from stegano_tf import demo_pictures, images, presets, runtime, savedmodels
from stegano_tf.networks.codebook import CodebookConfig
from stegano_tf.runtime import Runtime
from stegano_tf.runtime.backends import LitertBackend, SavedModelBackend
from stegano_tf.runtime.exported import Exported

EXPORTED = [name for name in runtime.installed_presets() if savedmodels.versions(name)]


@pytest.fixture(scope="module", params=EXPORTED)
def runtimes(request):
    return {name: Runtime(request.param, runtime=name) for name in presets.RUNTIMES}


def photographs(size, first):
    """A real cover and secret of `size`."""
    pictures = [image for _, *pair in demo_pictures.pairs() for image in pair]
    return [images.resize(pictures[(first + i) % len(pictures)], size) for i in range(2)]


def test_the_default_preset_is_exported():
    assert presets.DEFAULT in EXPORTED


@pytest.mark.parametrize("size", [(256, 256), (16, 16), (101, 75), (50, 130)])
def test_runtimes_agree(runtimes, size):
    for first in range(2):
        cover, secret = photographs(size, first)
        stego = {name: networks.hide(cover, secret) for name, networks in runtimes.items()}
        revealed = {name: networks.reveal(stego["keras"]) for name, networks in runtimes.items()}
        assert (stego["keras"] != cover).mean() > 0.3
        for name in runtimes:
            if isinstance(runtimes["keras"].preset.networks, CodebookConfig):
                blocks.assert_same_but_for_rare_ones(stego[name], stego["keras"], name)
            else:
                # What one sample is rounded otherwise, its neighbours make up for.
                difference = np.abs(stego[name].astype(int) - stego["keras"])
                assert difference.max() <= 3, name
                assert (difference > 1).mean() < 1e-3, name
            np.testing.assert_allclose(revealed[name].astype(int), revealed["keras"], atol=1, err_msg=name)


def test_runtimes_report_the_same_network(runtimes):
    assert len({networks.network for networks in runtimes.values()}) == 1
    preset = runtimes["keras"].preset.name
    assert runtimes["litert"].network == runtime.network_id(savedmodels.weights_file(preset))


@pytest.mark.parametrize("make", [LitertBackend, SavedModelBackend])
def test_backends_take_batches_and_threads(tiny_exported, make):
    backend = make(Exported.read(tiny_exported))
    random = np.random.default_rng(0)
    batches = [random.integers(0, 256, (2, 4, 16 + 8 * i, 24, 3), dtype=np.uint8) for i in range(8)]
    alone = [backend.hide(*pair) for pair in batches]
    for (cover, _), stego in zip(batches, alone, strict=True):
        assert stego.shape == cover.shape
        one_by_one = np.concatenate([backend.reveal(picture[None]) for picture in stego])
        np.testing.assert_allclose(backend.reveal(stego).astype(int), one_by_one, atol=1)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        for found, expected in zip(threads.map(lambda pair: backend.hide(*pair), batches), alone, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_a_runtime_takes_a_backend_that_is_at_hand(tiny_exported, photograph):
    backend = LitertBackend(Exported.read(tiny_exported))
    networks = Runtime("tiny", runtime=backend)
    assert networks.network == backend.network
    cover, secret = photograph(32, 40, 0), photograph(32, 40, 1)
    np.testing.assert_array_equal(networks.hide(cover, secret), backend.hide(cover[None], secret[None])[0])
