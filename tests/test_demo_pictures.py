"""demo_pictures.py: the pictures are in scikit-image's wheel, licensed, and paired as the scoreboard pairs them."""

import importlib.metadata
import socket

import numpy as np
import pytest

from stegano_tf import demo_pictures


def test_scikit_images_wheel_holds_the_files():
    in_wheel = {str(file) for file in importlib.metadata.files("scikit-image")}
    assert {f"skimage/data/{picture.file}" for picture in demo_pictures.PICTURES} <= in_wheel


def test_every_picture_has_source_and_licence():
    for picture in demo_pictures.PICTURES:
        assert picture.source
        assert picture.licence.startswith(("public domain", "CC0"))


def test_pairs_need_no_network(monkeypatch):
    def refuse(*_):
        pytest.fail("the demo pictures asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    pairs = demo_pictures.pairs(64)
    assert [name for name, _, _ in pairs] == [
        "coffee in astronaut",
        "rocket in chelsea",
        "astronaut in coffee",
        "chelsea in rocket",
    ]
    for _, cover, secret in pairs:
        assert cover.shape == secret.shape == (64, 64, 3)
        assert cover.dtype == secret.dtype == np.uint8
        assert cover.std() > 20  # a photograph, not a blank
    np.testing.assert_array_equal(pairs[0][1], pairs[2][2])
    assert demo_pictures.pairs()[0][1].shape == (256, 256, 3)
