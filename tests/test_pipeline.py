import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import stegano_tf
from stegano_tf import images, metrics, pipeline
from stegano_tf.audio import codec
from stegano_tf.errors import AudioError, FormatError, ImageError, MemoryLimitError, OutputError, PresetError
from stegano_tf.networks import build


@pytest.fixture(scope="module")
def cover(photograph, tmp_path_factory):
    path = tmp_path_factory.mktemp("cover") / "cover.png"
    images.write(path, photograph(70, 90, 0))
    return path


@pytest.fixture(scope="module")
def secret(photograph):
    return photograph(50, 40, 1)


@pytest.fixture(scope="module")
def message(cover, secret, tmp_path_factory):
    path = tmp_path_factory.mktemp("message") / "message.wav"
    return stegano_tf.send(cover, secret, path)


def test_the_secret_comes_out_of_the_sound_alone(message, cover, secret):
    received = stegano_tf.receive(message.info.path)
    np.testing.assert_array_equal(received.stego, message.stego)
    assert received.secret.shape == secret.shape
    assert metrics.psnr(secret, received.secret) > 20
    assert metrics.psnr(images.read(cover), received.stego) > 25
    assert message.info.secret_size == secret.shape[:2]
    assert message.info.network == stegano_tf.load().network


def test_send_is_hide_and_encode(message, cover, secret, tmp_path):
    stego = stegano_tf.hide(cover, secret)
    np.testing.assert_array_equal(stego, message.stego)
    stegano_tf.encode(stego, tmp_path / "bare.flac", raw_bmp=True)
    np.testing.assert_array_equal(stegano_tf.decode(tmp_path / "bare.flac").image, stego)
    revealed = stegano_tf.receive(tmp_path / "bare.flac").secret  # no size is recorded there
    np.testing.assert_array_equal(revealed, stegano_tf.reveal(stego))
    assert revealed.shape == stego.shape
    np.testing.assert_array_equal(
        stegano_tf.reveal(stego, size=secret.shape[:2]), stegano_tf.receive(message.info.path).secret
    )


def test_a_cover_without_room_is_said(secret):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with pytest.warns(pipeline.CoverWarning, match=r"little room .* expect \d+ dB for the .*try another cover"):
        stegano_tf.hide(np.zeros((64, 64, 3), np.uint8), noise)


@pytest.mark.parametrize(
    ("stated", "most", "size"),
    [
        (None, None, (64, 96)),
        ((256, 384), None, (256, 384)),  # 16 for each of the 6,144 pixels
        ((512, 768), None, (256, 384)),
        ((1, 1 << 31), None, (1, 98_304)),
        (((1 << 32) - 1, (1 << 32) - 1), None, (313, 313)),
        ((100, 50), 50, (10, 5)),
        ((1000, 1000), 1_000_000, (1000, 1000)),
    ],
)
def test_a_secret_is_scaled_back_as_far_as_the_sound_justifies(stated, most, size):
    info = dataclasses.make_dataclass("Info", ["secret_size"])(stated)
    decoded = codec.Decoded(image=np.zeros((64, 96, 3), np.uint8), info=info)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert pipeline._secret_size("a.wav", decoded, most) == size
    assert len(said) == (size != (stated or (64, 96)))
    for warning in said:
        assert warning.category is pipeline.SecretSizeWarning
        assert str(warning.message).startswith("a.wav: the secret is said to have ")


def test_the_size_of_what_is_revealed_is_bounded(message):
    with pytest.raises(ImageError, match="20000x20000 = 400000000 pixels, expected at most 178956970"):
        stegano_tf.reveal(message.stego, size=(20_000, 20_000))
    with pytest.raises(ImageError, match="expected at most 99"):
        stegano_tf.reveal(message.stego, size=(10, 10), max_pixels=99)


def test_a_large_secret_counts_in_the_memory_limit(message):
    with pytest.raises(MemoryLimitError, match="and the secret 1,120 MB"):  # 7 bytes a pixel, to write it
        stegano_tf.reveal(message.stego, size=(10_000, 16_000), memory_limit=10**9)


def test_the_sound_may_change_its_form(message, tmp_path):
    samples, rate = soundfile.read(message.info.path, dtype="int16")
    stereo = np.stack([np.zeros_like(samples), samples + np.int16(100)], axis=1)
    soundfile.write(tmp_path / "other.flac", stereo, rate // 2, "PCM_24")
    received = stegano_tf.receive(tmp_path / "other.flac")
    np.testing.assert_array_equal(received.stego, message.stego)
    assert received.info.channel == 1


def test_networks_of_ones_own_are_asked_for(cover, secret, tmp_path):
    mine = tmp_path / "mine.weights.h5"
    build.save_weights(build.build("tiny"), mine)
    with pytest.warns(pipeline.CoverWarning, match="expect 20 dB"):  # fresh weights
        sent = stegano_tf.send(cover, secret, tmp_path / "a.wav", preset="tiny", weights=mine)
    with pytest.raises(
        PresetError, match=f"hidden by network {sent.info.network.hex()}, expected one that is installed"
    ):
        stegano_tf.receive(tmp_path / "a.wav")
    with pytest.raises(PresetError, match=r"a\.wav: was hidden by network .*, but 'codebook' is"):
        stegano_tf.receive(tmp_path / "a.wav", preset="codebook")
    received = stegano_tf.receive(tmp_path / "a.wav", preset="tiny", weights=mine)
    np.testing.assert_array_equal(received.stego, sent.stego)


def test_a_sound_that_was_sent_under_the_presets_old_name_opens(photograph):
    # By commit 4bb68cf: send(photograph(16, 24, 0), photograph(20, 30, 1), "sent_by_invertible.wav").
    received = stegano_tf.receive(Path(__file__).parent / "sent_by_invertible.wav")
    assert received.info.network == stegano_tf.load("codebook").network
    assert metrics.psnr(photograph(16, 24, 0), received.stego) > 35
    assert metrics.psnr(photograph(20, 30, 1), received.secret) > 30


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("a.wma", AudioError, "lossy"),
        ("a.txt", AudioError, r"expected .*\.wav"),
        ("no/a.wav", OutputError, "folder .* does not exist"),
    ],
)
def test_impossible_outputs_are_refused_before_any_work(tmp_path, name, error, message):
    with pytest.raises(error, match=message):
        # Neither picture exists: had they been read first, that would be the error.
        pipeline.send("nothing.png", "nothing.png", tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_message_is_kept(message, cover, secret):
    with pytest.raises(OutputError, match="exists already"):
        stegano_tf.send(cover, secret, message.info.path)


def test_damage_is_noticed(message, tmp_path):
    samples, rate = soundfile.read(message.info.path, dtype="int16")
    samples[5000] ^= 0x100
    soundfile.write(tmp_path / "damaged.wav", samples, rate)
    with pytest.raises(FormatError, match=r"damaged\.wav: is damaged"):
        stegano_tf.receive(tmp_path / "damaged.wav")


def test_pillow_reads_the_stego_picture_unchanged(message, tmp_path):
    for suffix in (".png", ".bmp", ".tif", ".webp"):
        images.write(tmp_path / f"stego{suffix}", message.stego)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"stego{suffix}")), message.stego)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (
            {"cover": Image.new("RGB", (16, 16))},
            TypeError,
            "a picture is Image, expected a file name or an array, uint8",
        ),
        ({"secret": [[[1, 2, 3]]]}, TypeError, "a picture is list, expected"),
        ({"cover": b"a.png"}, TypeError, "a picture is bytes, expected"),
        ({"threads": 0}, ValueError, "0 threads, expected at least 1"),
        ({"refine": -1}, ValueError, "-1 steps of refinement, expected 0 or more"),
    ],
)
def test_arguments_that_make_no_sense(cover, secret, arguments, error, words):
    with pytest.raises(error, match=words):
        stegano_tf.hide(**{"cover": cover, "secret": secret} | arguments)


@pytest.mark.parametrize("size", [(0, 5), (5, -1)])
def test_a_secret_has_a_size(cover, size):
    with pytest.raises(ValueError, match=f"a size of {size[0]}x{size[1]} pixels, expected at least 1x1"):
        stegano_tf.reveal(cover, size=size)
