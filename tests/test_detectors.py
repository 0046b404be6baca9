"""The detectors of tools/detect.py: what they return, and that shortcuts change nothing.

Those that need sealwatch are soak tests: it imports PyTorch.
"""

import detectors
import numpy as np
import pytest


def picture():
    return np.random.default_rng(1).integers(100, 108, (40, 44, 3)).astype(np.uint8)


def test_errors_by_hand():
    cover, stego = np.array([0.0, 1, 2, 3]), np.array([2.5, 4, 5, 6])
    # Above 2.5 there are 1 of 4 covers and 3 of 4 stego images, above 2 one and all: the least is (1/4 + 0) / 2. Of 16
    # pairs one has the cover higher.
    assert detectors.errors(cover, stego) == {"error": 0.125, "auc": 15 / 16}
    assert detectors.errors(cover, cover) == {"error": 0.5, "auc": 0.5}
    assert detectors.errors(cover, cover + 9) == {"error": 0, "auc": 1}
    assert detectors.errors(cover + 9, cover) == {"error": 0.5, "auc": 0}


@pytest.mark.parametrize(("direction", "values"), [("hor", [[-1, 0, 1, 1, 0]]), ("ver", [[-1], [0], [1], [1], [0]])])
def test_co_occurrences_by_hand(direction, values):
    counts = detectors.count(np.array(values), direction, 1)
    assert counts[0, 1, 2, 2] == counts[1, 2, 2, 1] == 0.5
    assert counts.sum() == 1


@pytest.mark.soak
def test_the_counts_are_those_of_sealwatch():
    srm = pytest.importorskip("sealwatch", reason="sealwatch is of the extra `detect`").srm
    from sealwatch.srm import cooccurrence

    residual = np.random.default_rng(2).integers(-2, 3, (30, 20)).astype(float)
    for direction in ("hor", "ver"):
        expected = cooccurrence.cooccurrence4(residual, direction, 2)
        assert np.array_equal(detectors.count(residual, direction, 2), expected)
    colours = np.random.default_rng(3).integers(-2, 3, (30, 20, 3))
    assert np.array_equal(detectors.count_colours(colours, "col", 2), cooccurrence.cooccurrence3_col(colours, "col", 2))
    grey = np.repeat(picture()[..., :1], 3, axis=2)
    theirs = srm.srmq1.extract(grey[..., 0])
    ours = detectors.rich(grey)[: sum(part.size for part in theirs.values())]
    assert ours == pytest.approx(np.concatenate([np.ravel(theirs[name]) for name in sorted(theirs)]))


@pytest.mark.soak
@pytest.mark.parametrize(("name", "size"), [("spam", 2058), ("ws", 1), ("chi2", 1)])
def test_features_of_a_picture(name, size):
    pytest.importorskip("sealwatch", reason="sealwatch is of the extra `detect`")
    features = detectors.FEATURES[name](picture())
    assert features.shape == (size,)
    assert np.isfinite(features).all()


@pytest.mark.soak
def test_an_ensemble_learns_what_one_feature_says():
    pytest.importorskip("sealwatch", reason="sealwatch is of the extra `detect`")
    random = np.random.default_rng(4)
    cover, stego = random.normal(0, 1, (2, 200, 12)).astype(np.float32)
    stego[:, 3] += 5
    scores = detectors.ensemble(cover[:100], stego[:100], [cover[100:], stego[100:]])
    assert detectors.errors(*scores)["error"] < 0.05
    alone = detectors.ensemble(-cover[:100, 3:4], -stego[:100, 3:4], [-cover[100:, 3:4], -stego[100:, 3:4]])
    assert detectors.errors(*alone)["error"] < 0.05
