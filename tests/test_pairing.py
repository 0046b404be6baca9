import pytest

from stegano_tf import pairing
from stegano_tf.errors import DataError


def test_list_pictures_sorts_by_posix_path(tmp_path):
    for name in ("b.png", "a/2.JPG", "a/10.jpeg", "a.bmp", "c/.hidden.png", "c/notes.txt", "d/x.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [file.relative_to(tmp_path).as_posix() for file in pairing.list_pictures(tmp_path)]
    assert names == ["a.bmp", "a/10.jpeg", "a/2.JPG", "b.png", "d/x.webp"]


def test_list_pictures_says_what_it_found(tmp_path):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "one.png").touch()
    with pytest.raises(DataError, match=f"{tmp_path}: 1 pictures among 2 files, expected at least 2"):
        pairing.list_pictures(tmp_path)
    with pytest.raises(DataError, match=r"notes.txt: is a file, expected a folder"):
        pairing.list_pictures(tmp_path / "notes.txt")
    with pytest.raises(DataError, match="nowhere: does not exist"):
        pairing.list_pictures(tmp_path / "nowhere")
