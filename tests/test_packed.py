"""Pictures in one file: what goes in comes out, in the order in which the scoreboard pairs it."""

import numpy as np
import packed
import pytest
from PIL import Image

from stegano_tf import pairing
from stegano_tf.errors import DataError, ImageError


@pytest.fixture
def collection(tmp_path, photograph):
    """A folder with three training pictures, one of which holds six squares of 32x32, and three test pictures."""
    for part, sizes in (("train", [(32, 32), (70, 97), (40, 40)]), ("test", [(33, 32), (32, 64), (50, 50)])):
        for i, size in enumerate(sizes):
            file = tmp_path / "mine" / part / str(9 - i) / f"{i}.png"
            file.parent.mkdir(parents=True)
            Image.fromarray(photograph(*size, seed=i)).save(file)
    return tmp_path / "mine"


def test_pictures_are_cut_into_squares(collection):
    ((name, found),) = packed.read(collection, 32).items()
    assert name == "mine"
    # By their paths: 7/2.png, 8/1.png, 9/0.png. The middle 64x96 of 70x97 starts at 3, 0.
    first, second, third = (np.array(Image.open(file)) for file in pairing.list_pictures(collection / "train"))
    assert found.train.shape == (1 + 6 + 1, 32, 32, 3)
    np.testing.assert_array_equal(found.train[0], first[4:36, 4:36])
    np.testing.assert_array_equal(found.train[1 + 4], second[35:67, 32:64])
    np.testing.assert_array_equal(found.train[7], third)
    tests = [np.array(Image.open(file)) for file in pairing.list_pictures(collection / "test")]
    np.testing.assert_array_equal(found.test, [tests[0][9:41, 9:41], tests[1][:, 16:48], tests[2][:32]])


def test_a_packed_file_holds_what_the_folders_hold(collection, tmp_path):
    other = tmp_path / "other"
    for part in ("train", "test"):
        (other / part).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (32, 32), (i, 9, 9)).save(other / part / f"{i}.png")
    out = tmp_path / "both.zip"
    assert packed.pack([collection, other], out, quality=None) == out.stat().st_size
    expected = packed.read(collection, 32) | packed.read(other, 32)
    found = packed.read(out, 32)
    assert found.keys() == expected.keys()
    for name, squares in expected.items():
        for part in ("train", "test"):
            np.testing.assert_array_equal(getattr(found[name], part), getattr(squares, part))

    packed.pack([collection], tmp_path / "small.zip", quality=80)
    small = packed.read(tmp_path / "small.zip", 32)["mine"]
    np.testing.assert_array_equal(small.test, expected["mine"].test)
    difference = np.abs(small.train.astype(int) - expected["mine"].train)
    assert 0 < difference.mean() < 3


def test_what_cannot_be_packed_or_read_is_refused(collection, tmp_path, monkeypatch):
    out = tmp_path / "out.zip"
    with pytest.raises(DataError, match="expected folders of different names"):
        packed.pack([collection, collection], out, quality=None)
    monkeypatch.setattr(packed, "LIMIT", 1000)
    with pytest.raises(DataError, match="expected at most 1,000; a lower quality takes less"):
        packed.pack([collection], out, quality=None)
    assert not out.exists()
    with pytest.raises(ImageError, match=r"2\.png: the picture is 40x40, expected at least 64x64"):
        packed.read(collection, 64)
    out.write_bytes(b"no zip file")
    with pytest.raises(DataError, match=r"out\.zip: is no folder and no packed file"):
        packed.read(out, 32)
    next((collection / "test").rglob("*.png")).write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"\.png: is no picture"):
        packed.read(collection, 32)
