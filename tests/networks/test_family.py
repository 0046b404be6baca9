"""A family is all that its package says: nothing outside knows which families there are."""

import ast
import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

import stegano_tf
from stegano_tf import metrics, presets, runtime
from stegano_tf.networks import build
from stegano_tf.networks.family import CROPS, Config, Preset, composed
from stegano_tf.networks.layers import Round8Bit

PACKAGE = Path(stegano_tf.__file__).parent
FAMILIES = {path.parent.name for path in PACKAGE.glob("networks/*/__init__.py")}


@dataclasses.dataclass(frozen=True)
class GlassConfig(Config):
    """A family of a test's own: the stego image is a mean of both pictures, and shows itself as the secret."""

    secret_share: float

    multiples = 4, 6
    halos = 0, 0
    activations = 9, 6

    def build(self):
        cover, secret, stego = (keras.Input((None, None, 3), name=name) for name in ("cover", "secret", "stego"))
        shares = (1 - self.secret_share, cover), (self.secret_share, secret)
        mean = keras.layers.Add()([keras.layers.Rescaling(share)(picture) for share, picture in shares])
        scale = keras.layers.Dense(3, kernel_initializer="identity", name="scale")
        hide = keras.Model([cover, secret], Round8Bit()(mean))
        return composed(hide, keras.Model(stego, scale(stego)))


@pytest.fixture
def glass(monkeypatch, tmp_path):
    """The runtime of a new family that is registered and has weights."""
    monkeypatch.setitem(presets.PRESETS, "glass", Preset("glass", GlassConfig(0.25), 12, CROPS, "for tests"))
    networks = build.build("glass")
    build.save_weights(networks, tmp_path / "glass.weights.h5")
    return runtime.Runtime("glass", tmp_path / "glass.weights.h5")


def test_a_new_family_hides_reveals_and_refines(glass, photograph):
    cover, secret = photograph(36, 43, 0), photograph(36, 42, 1)
    stego = glass.hide(cover, secret)
    expected = 0.75 * cover[:, :42] + 0.25 * secret
    np.testing.assert_allclose(stego[:, :42].astype(float), expected, atol=0.51)
    np.testing.assert_array_equal(stego[:, 42:], cover[:, 42:])
    np.testing.assert_array_equal(glass.reveal(stego, (36, 42)), stego[:, :42])
    # The best compromise is the mean of both. Tiles are multiples of 4 pixels for rounding, and of 6 for revealing.
    better = glass.refine(cover, secret, stego, steps=20)
    mean = (cover[:, :36].astype(float) + secret[:, :36]) / 2
    np.testing.assert_allclose(better[:, :36], mean, atol=1)
    np.testing.assert_array_equal(better[:, 36:], stego[:, 36:])
    assert metrics.psnr(secret, better[:, :42]) > metrics.psnr(secret, stego[:, :42])


def test_most_families_need_no_fitting(glass):
    networks = build.build("glass")
    before = [np.array(weight) for weight in networks.pair.weights]
    glass.preset.networks.fit(networks, None, 0, seed=0)
    for weight, expected in zip(networks.pair.weights, before, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_codebook_is_fitted_to_pictures(photograph):
    networks = build.build("tiny")
    asked = []

    def pictures(count):
        asked.append(count)
        return (photograph(64, 64, seed) for seed in range(count))

    codebook = networks.pair.get_layer("codebook")
    before = np.array(codebook.log_scale)
    presets.get("tiny").networks.fit(networks, pictures, 3, seed=0)
    assert asked == [3]
    assert (np.array(codebook.log_scale) != before).any()


def test_every_family_is_registered():
    assert set(presets._FAMILIES) == FAMILIES


def test_families_are_known_below_networks_alone():
    for file in PACKAGE.rglob("*.py"):
        if file.is_relative_to(PACKAGE / "networks"):
            continue
        text = file.read_text()
        imports = [node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
        assert not [name for name in imports if name.startswith("stegano_tf") and set(name.split(".")) & FAMILIES], file
        assert not [name for name in ("CodebookConfig", "UNetConfig", "PaperConfig") if name in text], file


@pytest.mark.parametrize("name", ["Codebook", "Cosine", "Haar", "Round8Bit"])
def test_layers_keep_the_names_that_saved_models_have(name):
    build.build("tiny")
    assert keras.saving.get_registered_object(f"stegano_tf>{name}").__name__ == name
