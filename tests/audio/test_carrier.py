import math

import numpy as np
import pytest
import soundfile
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given, settings
from hypothesis import strategies as st

from stegano_tf.audio import files
from stegano_tf.audio.forms import carried, recorded
from stegano_tf.audio.forms.carried import low_bits, places
from stegano_tf.errors import AudioError


def test_bits_by_hand():
    # 0xB1 0x40 in groups of 3: 101 100 010 100 000, and 0(00). Of each sample the nearest value with these low bits.
    samples = np.array([0, 7, 100, -100, 8, 55, 55], np.int32)
    changed = low_bits.embed(samples, b"\xb1\x40", 3, 16, None)
    assert changed.tolist() == [-3, 4, 98, -100, 8, 56, 55]  # the last one is not needed
    assert [value % 8 for value in changed[:6].tolist()] == [5, 4, 2, 4, 0, 0]
    assert low_bits.extract(changed, 2, 3, None).tobytes() == b"\xb1\x40"


@given(
    st.binary(min_size=1, max_size=300),
    st.integers(1, 8),
    st.sampled_from([16, 24]),
    st.none() | st.binary(min_size=32, max_size=32),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=80)
def test_bytes_come_back_and_no_sample_moves_far(data, bits, depth, key, seed):
    full = 1 << (depth - 1)
    count = -(-8 * len(data) // bits) + 12
    samples = np.random.default_rng(seed).integers(-full, full, count, dtype=np.int32)
    samples[::7] = full - 1
    samples[3::7] = -full
    order = None if key is None else places.order(count, low_bits.group(bits), key)
    changed = low_bits.embed(samples, data, bits, depth, order)
    assert low_bits.extract(changed, len(data), bits, order).tobytes() == data
    assert changed.min() >= -full
    assert changed.max() < full
    inside = (samples > -full + 256) & (samples < full - 256)
    assert np.abs(changed - samples)[inside].max(initial=0) <= max(1, 1 << (bits - 1))


def test_one_bit_moves_up_as_often_as_down():
    changed = low_bits.embed(np.zeros(80_000, np.int32), b"\xff" * 10_000, 1, 16, None)
    assert set(np.unique(changed)) == {-1, 1}
    assert abs(changed.mean()) < 0.02


def test_signal_to_noise_ratio_by_hand():
    # Four bits, nearest value: the errors -8 to 8 (ends half as often) have the mean square 21.5.
    before = np.random.default_rng(0).integers(-20_000, 20_000, 400_000, dtype=np.int32)
    after = low_bits.embed(before, np.random.default_rng(1).bytes(200_000), 4, 16, None)
    assert recorded.snr(before, after, 16) == pytest.approx(20 * math.log10(32768 / math.sqrt(21.5)), abs=0.05)
    assert recorded.snr(before, before, 16) == math.inf


def test_the_order_is_a_secret_of_the_passphrase():
    key = places.key_v1("correct horse")
    # Computed with the cryptography package, as are the first of SHAKE-256's words and their order.
    assert key.hex() == "5663e7aae152f42d74c35ba3f413c6d0e66f9ec6b0e48e0e1e8ca5a7cbcce6e0"
    assert places.order(8, 1, key).tolist() == [7, 2, 1, 4, 3, 6, 5, 0]
    # Two samples of 4 bits are a byte; the 17th is left over.
    assert places.order(17, 2, key).tolist() == [14, 15, 4, 5, 2, 3, 8, 9, 6, 7, 12, 13, 10, 11, 0, 1]
    assert places.order(17, 2, key, 3).tolist() == [14, 15, 4, 5, 2, 3]
    assert places.key_v1("e\u0301") == places.key_v1("\xe9")  # however a keyboard writes it
    first, second = places.order(1000, 1, key), places.order(1000, 1, places.key_v1("correct hors"))
    assert sorted(first) == list(range(1000))
    assert (first == second).mean() < 0.02


def test_every_message_has_a_salt_and_the_work_of_age():
    # Computed with the cryptography package: Scrypt(salt, 32, n=2**18, r=8, p=1).derive(b"correct horse").
    salt = b"stegano_tf carrier 2" + bytes(range(16))
    expected = Scrypt(salt, 32, n=1 << 18, r=8, p=1).derive(b"correct horse")
    assert places.key("correct horse", bytes(range(16))) == expected


def test_digital_silence_by_hand():
    quiet = np.zeros(32, np.int32)
    channel = np.concatenate([[0, 0, 5, 0, 6], quiet[:31], [7], quiet, [8, 0]]).astype(np.int32)
    expected = [False, False, True, True, True, *[True] * 31, True, *[False] * 32, True, False]
    assert places.loud(channel[:, None])[:, 0].tolist() == expected
    ends = [False, False, *[True] * 68, False]
    assert places.loud(channel[:, None], inside=False)[:, 0].tolist() == ends
    assert not places.loud(np.zeros((5, 2), np.int32)).any()
    assert places.loud(np.ones((5, 2), np.int32)).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
@settings(max_examples=30)
def test_what_was_loud_stays_loud(seed, bits):
    random = np.random.default_rng(seed)
    samples = np.where(random.random((400, 2)) < 0.06, random.integers(-3, 4, (400, 2)), 0).astype(np.int32)
    loud = places.loud(samples)
    changed = samples.copy()
    changed[loud] = low_bits.embed(samples[loud], bytes(np.count_nonzero(loud) * bits // 8), bits, 16, None)
    low = changed % (1 << bits)
    places.keep_loud(changed, loud, 1 << bits, 1 << 15)
    np.testing.assert_array_equal(places.loud(changed), loud)
    np.testing.assert_array_equal(changed % (1 << bits), low)
    assert not changed[~loud].any()


def test_what_fits():
    # 3 bits: 8 samples are 3 bytes; 6 bits: 4 samples are.
    assert [low_bits.capacity(23, bits) for bits in range(1, 9)] == [2, 5, 6, 11, 10, 15, 14, 23]


def carrying(samples, rate=44_100, depth=16, **options):
    """The form with a recording that is in no file, int32[frames, channels]."""
    form = carried.Carried(carrier="song.wav", **options)
    vars(form)["recording"] = files.Recording(samples, depth, rate, {})
    return form


def test_the_fewest_bits_that_fit():
    mono = np.ones((8000, 1), np.int32)
    assert [carrying(mono).bits_for(size) for size in (1, 1000, 1001, 4000, 8000)] == [1, 1, 2, 4, 8]
    assert carrying(mono, bits=4).bits_for(10) == 4
    # 8,001 bytes at 8 bits in stereo at 1 kHz: 4.0005 s.
    with pytest.raises(
        AudioError, match=r"song\.wav: .* 8,001 bytes at 8 bits a sample: it lasts 4\.0 s, .* least 4\.1 s"
    ):
        carrying(mono.reshape(4000, 2), rate=1000).bits_for(8001)
    with pytest.raises(AudioError, match="at 1 bits"):
        carrying(mono, bits=1).bits_for(1001)
    with pytest.raises(ValueError, match="9 bits"):
        carried.Carried(carrier="a.wav", bits=9)


def test_clipped_recordings_are_refused(tmp_path):
    samples = (40_000 * np.sin(np.arange(9000) / 9)).clip(-32768, 32767).astype(np.int32)[:, None]
    with pytest.raises(
        AudioError, match=r"song\.wav: is clipped: 3\d\.\d% of its samples are at full scale, expected at most 0\.1%"
    ):
        carrying(samples).check(tmp_path / "a.wav", 1, 44_100)
    carrying(samples, depth=24).check(tmp_path / "a.wav", 1, 44_100)
    carrying(samples // 2).check(tmp_path / "a.wav", 1, 44_100)


@pytest.mark.parametrize(("name", "subtype"), [("a.wav", "PCM_16"), ("a.wav", "PCM_24"), ("a.flac", "PCM_24")])
def test_recordings_keep_what_they_are(tmp_path, name, subtype):
    depth = int(subtype[-2:])
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, (500, 2), dtype=np.int32) << (depth - 16) | 1
    with soundfile.SoundFile(tmp_path / name, "w", 48_000, 2, subtype) as file:
        file.title, file.artist, file.comment = "Title", "Artist", "Comment"
        file.write(samples << (32 - depth))
    recording = files.read_recording(tmp_path / name)
    np.testing.assert_array_equal(recording.samples, samples)
    assert (recording.depth, recording.sample_rate) == (depth, 48_000)
    files.write_recording(tmp_path / f"b{name}", recording)
    again = files.read_recording(tmp_path / f"b{name}")
    np.testing.assert_array_equal(again.samples, samples)
    assert (again.depth, again.sample_rate, again.tags) == (depth, 48_000, recording.tags)
    assert again.tags == {"title": "Title", "artist": "Artist", "comment": "Comment"}


def test_recordings_of_other_depths_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 44100, "FLOAT")
    with pytest.raises(AudioError, match="is FLOAT, expected PCM of 16 or 24 bits"):
        files.read_recording(tmp_path / "a.wav")
    soundfile.write(tmp_path / "a.ogg", np.zeros(100), 44100)
    with pytest.raises(AudioError, match="loses samples"):
        files.read_recording(tmp_path / "a.ogg")
