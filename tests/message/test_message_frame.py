"""Frames and names."""

import hashlib

import hypothesis
import pytest
from hypothesis import strategies

from stegano_tf.errors import FormatError
from stegano_tf.message.frame import Kind, Secret, padded, safe


def test_a_frame_field_by_field():
    digest = hashlib.sha256(b"a.txthello").digest()
    frame = b"\x01\x00" + b"\x05\x00" + b"\x05" + bytes(7) + digest + b"a.txt" + b"hello"
    secret = Secret(b"hello", "a.txt")
    assert secret.pack() == frame
    assert Secret.parse(frame + bytes(100)) == secret
    assert Secret.parse(Secret(b"x", "p.png", Kind.PICTURE).pack()).kind == Kind.PICTURE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame[:43], "43 bytes, expected at least 44"),
        (lambda frame: b"\x02" + frame[1:], "version 2, kind 0"),
        (lambda frame: b"\x01\x02" + frame[2:], "version 1, kind 2"),
        (lambda frame: frame[:-1], "SHA-256 is wrong"),
        (lambda frame: frame[:-1] + b"x", "SHA-256 is wrong"),
        (lambda frame: frame[:4] + b"\xff" * 8 + frame[12:], "SHA-256 is wrong"),
    ],
)
def test_frames_that_are_refused(change, words):
    with pytest.raises(FormatError, match=words):
        Secret.parse(change(Secret(b"hello", "a.txt").pack()))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\x.dll", "x.dll"),
        ("a/b/", "secret"),
        ("..", "secret"),
        ("nul", "_nul"),
        ("COM1.txt", "_COM1.txt"),
        ("con .txt", "_con .txt"),
        ("context.txt", "context.txt"),
        ("a\x00b\x1b[31m\n", "ab[31m"),
        ("evil\u202egpj.exe", "evilgpj.exe"),
        ("file.txt:stream", "file.txt_stream"),
        (".ssh", "_ssh"),
        ("name. . ", "name"),
        ("e\u0301.txt", "\xe9.txt"),
    ],
)
def test_names_stay_in_the_folder(name, expected):
    assert safe(name) == expected


@hypothesis.given(strategies.text(max_size=400))
def test_any_name_is_safe(name):
    found = safe(name)
    assert found == safe(found)
    assert 1 <= len(found.encode()) <= 255
    assert not set("/\\\0") & set(found)
    assert found not in (".", "..")


def test_long_names_keep_their_end():
    assert safe("\u00e9" * 200 + ".jpeg") == "\u00e9" * 125 + ".jpeg"


def test_few_sizes_are_seen():
    assert [len(padded(bytes(size), 10**9)) for size in (1, 9, 44, 1000, 100_000)] == [1, 10, 44, 1024, 100_352]
    assert len(padded(bytes(1000), 1010)) == 1010
    assert len({len(padded(bytes(size), 10**9)) for size in range(10_000, 20_000)}) < 35
