import dataclasses
import itertools
import types

import blocks
import numpy as np
import pytest

from stegano_tf import presets, runtime
from stegano_tf.errors import MemoryLimitError
from stegano_tf.networks import build
from stegano_tf.networks.layers import ShapedRound8Bit
from stegano_tf.networks.paper import PaperConfig
from stegano_tf.networks.unet import UNetConfig
from stegano_tf.runtime import tiles


def covered(spans):
    return [position for span in spans for position in range(span.first, span.last)]


def test_tiles_by_hand():
    # 100 pixels in tiles of 48 with 8 to spare: the middle ones keep 32.
    assert tiles.spans(100, 48, 8, 4) == [
        tiles.Span(0, 48, 0, 40),
        tiles.Span(32, 80, 40, 60),
        tiles.Span(52, 100, 60, 100),
    ]
    assert tiles.spans(40, 48, 8, 4) == [tiles.Span(0, 40, 0, 40)]
    # 98 is no multiple of 4: the last tile is as long as the others only with its border.
    assert tiles.spans(98, 48, 8, 4)[-1] == tiles.Span(52, 98, 60, 98)


@pytest.mark.parametrize("length", [1, 16, 99, 100, 1001])
@pytest.mark.parametrize(("halo", "multiple"), [(0, 1), (8, 4), (12, 2), (20, 2)])
@pytest.mark.parametrize("core", [1, 5])
def test_spans_cover_a_side_once_and_see_a_halo_around_it(length, halo, multiple, core):
    side = 2 * halo + core * multiple
    spans = tiles.spans(length, side, halo, multiple)
    assert covered(spans) == list(range(length))
    for span in spans:
        assert span.start % multiple == 0
        assert span.first - span.start >= halo or span.start == 0
        assert span.stop - span.last >= halo or span.stop == length
        assert span.stop - span.start <= max(side, length if len(spans) == 1 else 0)


@pytest.mark.parametrize("size", [(6000, 8000), (16, 300_000), (300_000, 16), (1000, 1001)])
def test_plans_stay_within_what_they_may_take(size):
    for pixels in (300_000, 1_000_000, 4_000_000):
        plan = tiles.plan(size, 136, 4, pixels)
        areas = {(t.rows.stop - t.rows.start) * (t.columns.stop - t.columns.start) for t in plan}
        assert max(areas) <= pixels
        assert sum((t.rows.last - t.rows.first) * (t.columns.last - t.columns.first) for t in plan) == size[0] * size[1]
    # One run is best where it fits, and the smallest possible tile is one block and what surrounds it.
    assert len(tiles.plan(size, 136, 4, 2 * size[0] * size[1])) == 1
    assert tiles.plan((1000, 1000), 136, 4, 276 * 276 - 1) is None
    assert tiles.plan((1000, 1000), 136, 4, 276 * 276) is not None


@pytest.mark.timeout(20)
@pytest.mark.parametrize("size", [(3000, 4000), (2000, 16), (16, 2000), (1096, 1000), (8, 8)])
@pytest.mark.parametrize("pixels", [1024, 65_536, 900_000])
def test_plans_without_a_halo_overlap_next_to_nothing(size, pixels):
    """Tiles that cover nothing twice are not always to be had: looking for them must end."""
    plan = tiles.plan(size, 0, 8, pixels)
    areas = [(t.rows.stop - t.rows.start) * (t.columns.stop - t.columns.start) for t in plan]
    assert max(areas) <= pixels
    assert sum(areas) <= 1.2 * size[0] * size[1]
    assert sum((t.rows.last - t.rows.first) * (t.columns.last - t.columns.first) for t in plan) == size[0] * size[1]


def randomise(networks):
    """Networks that do something everywhere: fresh convolutions end in zeros."""
    random = np.random.default_rng(0)
    for network in (networks.hide, networks.reveal):
        for variable in network.variables:
            noise = random.normal(0, 0.05, variable.shape)
            variable.assign(np.abs(noise) + 0.5 if "variance" in variable.path else noise)
    return networks


@pytest.mark.parametrize(
    "config",
    [
        UNetConfig(hide_widths=(4, 6, 8), reveal_width=6, reveal_blocks=2),
        PaperConfig(downsamplings=3, base_filters=4, reveal_filters=(4, 6, 4)),
    ],
    ids=str,
)
def test_networks_look_as_far_as_their_halo_and_no_further(config):
    import tensorflow as tf

    networks = randomise(build.build(dataclasses.replace(presets.get("tiny"), networks=config)))
    pair = networks.hide, networks.reveal
    for layer in networks.hide.layers:
        if isinstance(layer, ShapedRound8Bit):  # its reach is added below: rounding has no gradient
            layer.kernel.assign(np.zeros(layer.kernel.shape))
    for network, halo, multiple in zip(pair, config.halos, config.multiples, strict=True):
        assert halo % multiple == 0
        grid = max(config.multiples)
        start = halo + grid + -halo % grid
        side = 2 * start + grid
        inputs = [
            tf.random.stateless_uniform((1, side, side, 3), (i, 0), 0.4, 0.6) for i, _ in enumerate(network.inputs)
        ]
        # What a block of the result depends on: where its gradient is not zero.
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            result = network(inputs if len(inputs) > 1 else inputs[0], training=False)
            block = tf.reduce_sum(result[:, start : start + multiple, start : start + multiple])
        reached = sum(np.abs(gradient.numpy()).sum((0, 3)) for gradient in tape.gradient(block, inputs)) > 0
        rows, columns = (np.flatnonzero(reached.any(axis)) for axis in (1, 0))
        reach = max(start - min(rows[0], columns[0]), max(rows[-1], columns[-1]) + 1 - start - multiple)
        reach += sum(layer.reach for layer in network.layers if isinstance(layer, ShapedRound8Bit))
        assert halo - multiple < reach <= halo


def test_a_codebook_has_no_halo():
    """It has no gradients to follow; but any block alone gives what it gives among others."""
    assert presets.get("tiny").networks.halos == (0, 0)
    networks = build.build("tiny")
    cover, secret = np.random.default_rng(0).random((2, 1, 24, 40, 3), dtype="float32")
    stego = np.asarray(networks.hide([cover, secret]))
    revealed = np.asarray(networks.reveal(stego))
    inside = np.index_exp[:, 8:16, 16:32]
    np.testing.assert_array_equal(np.asarray(networks.hide([cover[inside], secret[inside]])), stego[inside])
    np.testing.assert_allclose(np.asarray(networks.reveal(stego[inside])), revealed[inside], atol=1e-6)


@pytest.mark.parametrize("name", ["tiny", "unet"])
def test_tiles_give_what_one_run_gives(name, tmp_path, photograph, monkeypatch):
    path = tmp_path / "mine.weights.h5"
    networks = build.build(name)
    build.save_weights(networks if name == "tiny" else randomise(networks), path)
    networks = runtime.Runtime(name, path)
    size = (103, 134) if name == "tiny" else (199, 262)  # each has tiles of 32x32 and their surroundings
    cover, secret = photograph(*size, 0), photograph(*size, 1)
    whole = networks.hide(cover, secret)
    revealed = networks.reveal(whole)
    assert (whole != cover).mean() > 0.5
    told = []
    monkeypatch.setattr(runtime, "_SMALLEST_CORE", 32)
    monkeypatch.setattr(tiles, "free", lambda limit, needed, held=0.0: needed)
    tiled = networks.hide(cover, secret, progress=lambda *now: told.append(now))
    assert told[-1][0] == "hiding"
    assert told[-1][1] == told[-1][2] > 1
    # TensorFlow's convolutions may add in another order for another shape, which may turn a half up or down.
    if name == "tiny":
        blocks.assert_same_but_for_rare_ones(tiled, whole)
    else:
        assert np.abs(whole.astype(int) - tiled).max() <= 1
        assert (whole != tiled).mean() < 1e-3
    assert np.abs(revealed.astype(int) - networks.reveal(whole)).max() <= 1


def test_little_memory_is_enough_for_one_tile_of_whole_blocks(photograph, monkeypatch):
    """The hide network of `unet` needs multiples of 8, its reveal network of 2: 50 rows are 56."""
    networks = runtime.Runtime("unet")
    cover, secret = photograph(50, 75, 0), photograph(50, 75, 1)
    whole = networks.hide(cover, secret)
    monkeypatch.setattr(tiles, "free", lambda limit, needed, held=0.0: needed)
    np.testing.assert_array_equal(networks.hide(cover, secret), whole)


@pytest.mark.parametrize("size", [(301, 400), (16, 2000), (2001, 19)])
def test_tiles_of_litert_give_every_pixel_of_one_run(size, photograph, monkeypatch):
    networks = runtime.Runtime(runtime="litert")
    cover, secret = photograph(*size, 0), photograph(*size, 1)
    whole = networks.hide(cover, secret)
    revealed = networks.reveal(whole)
    monkeypatch.setattr(tiles, "free", lambda limit, needed, held=0.0: needed)
    monkeypatch.setattr(runtime, "_SMALLEST_CORE", 64)
    counts = []
    np.testing.assert_array_equal(networks.hide(cover, secret, progress=lambda *now: counts.append(now[2])), whole)
    np.testing.assert_array_equal(networks.reveal(whole, progress=lambda *now: counts.append(now[2])), revealed)
    assert min(counts) > 1


def test_too_little_memory_is_said_before_anything_runs(tmp_path, photograph, monkeypatch):
    path = tmp_path / "tiny.weights.h5"
    build.save_weights(build.build("tiny"), path)
    networks = runtime.Runtime("tiny", path)
    cover = photograph(64, 64, 0)
    with pytest.raises(MemoryLimitError, match=r"memory limit of 50 MB is too low: .* take [\d,]+ MB, and one tile"):
        networks.hide(cover, cover, memory_limit=50_000_000)
    assert networks.hide(cover, cover, memory_limit=10**12).shape == cover.shape
    monkeypatch.setattr(tiles.psutil, "virtual_memory", lambda: types.SimpleNamespace(available=1000))
    with pytest.raises(MemoryLimitError, match=r"the machine has 0 MB of memory free, one tile needs"):
        runtime.Runtime("tiny", path).reveal(cover)


def test_free_memory_by_hand(monkeypatch):
    monkeypatch.setattr(tiles.psutil, "virtual_memory", lambda: types.SimpleNamespace(available=5000))
    process = types.SimpleNamespace(memory_info=lambda: types.SimpleNamespace(rss=700))
    monkeypatch.setattr(tiles.psutil, "Process", lambda: process)
    assert tiles.free(1000, 100) == 300
    assert tiles.free(1000, 300) == 300
    assert tiles.free(1000, 100, held=200) == 500
    assert tiles.free(10_000, 100) == 5000
    with pytest.raises(MemoryLimitError):
        tiles.free(1000, 301)
    monkeypatch.setattr(tiles, "DEFAULT_LIMIT", 1000)
    assert tiles.free(None, 100) == 300
    assert tiles.free(None, 400) == 400, "the default gives way"


def test_presets_state_their_halo():
    assert [preset.networks.halos for preset in presets.PRESETS.values()] == [(0, 0), (88, 20), (256, 6), (0, 0)]
    for preset, (halo, multiple) in itertools.product(presets.PRESETS.values(), [(0, 0), (1, 1)]):
        assert preset.networks.halos[halo] % preset.networks.multiples[multiple] == 0
