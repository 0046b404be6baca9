"""The modem: its code, its carriers, its blocks, and messages through what happens to sound."""

import dataclasses
import functools
import itertools
import os
import sys
import threading
from pathlib import Path

import av
import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from stegano_tf.audio import codec, files, forms, framing, limits
from stegano_tf.audio.forms.form import Sound
from stegano_tf.audio.forms.modem import PROFILES, Modem, blocks, ofdm, parts, profiles, reading, search
from stegano_tf.coding import graphs, ldpc
from stegano_tf.errors import AudioError, BackendError, FormatError, OutputError

RATE = 48_000


@functools.cache
def made(profile, size=60, seed=0):
    """Returns a framed message and its samples, float32[N] at the profile's rate."""
    payload = np.random.default_rng(seed).bytes(size)
    with framing.Digest() as digest:
        message = b"".join(framing.frame(framing.Header(size), [payload], digest))
    form = Modem(survive=profile)
    count, pieces = form.encode(len(message), [message])
    samples = np.concatenate(list(pieces))
    assert len(samples) == count == form.samples(len(message))
    return message, samples.astype(np.float32) / 32768


def read(samples, rate=RATE):
    found = reading.read(lambda: np.array_split(np.asarray(samples, np.float32), 3), rate)
    return found and found[0]


# The LDPC codes


def test_the_base_graphs_have_the_entries_of_the_standard():
    rows = [table.strip().splitlines() for table in (graphs.BASE_GRAPH_1, graphs.BASE_GRAPH_2)]
    assert [(len(lines), len(" ".join(lines).split())) for lines in rows] == [(46, 316), (42, 197)]
    assert rows[0][4] == "0:332 1:181 26:0"
    assert rows[1][41] == "1:147 5:7 11:60 51:0"


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_each_check_of_a_codeword_is_even(profile):
    code = dataclasses.replace(profile.code, sent=profile.code.sent // profile.lift * profile.lift)
    bits = np.random.default_rng(0).integers(0, 2, (2, code.size), dtype=np.uint8)
    words = code.encode(bits)
    np.testing.assert_array_equal(words[:, : code.size - 2 * code.lift], bits[:, 2 * code.lift :])
    whole = np.concatenate([bits[:, : 2 * code.lift], words], axis=1)
    checks = ldpc._rows(code)
    assert all((whole[:, row].sum(axis=1) % 2 == 0).all() for row in checks)
    assert not code.encode(np.zeros((1, code.size), np.uint8)).any()


def test_a_code_corrects_what_is_told_to_be_doubtful():
    code = PROFILES["robust"].code
    random = np.random.default_rng(1)
    bits = random.integers(0, 2, (3, code.size), dtype=np.uint8)
    # The noise is 0.4 dB above the signal: 17 % of the bits are wrong, and a third of all say the message.
    received = 1 - 2.0 * code.encode(bits) + random.normal(0, 1.05, (3, code.sent))
    assert (np.signbit(received) != code.encode(bits)).mean() > 0.15
    np.testing.assert_array_equal(code.decode((2 * received / 1.05**2).astype(np.float32)), bits)


# Carriers


def test_levels():
    values, bits = ofdm.levels(2)
    np.testing.assert_allclose(values, np.array([-3, -1, 1, 3]) / np.sqrt(10), rtol=1e-6)
    assert bits.astype(int).tolist() == [[0, 0], [0, 1], [1, 1], [1, 0]]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_the_sound_keeps_to_its_peak_and_its_band(profile):
    _, samples = made(profile.name)
    assert 0.7 < np.abs(samples).max() <= 10 ** (-3 / 20)
    assert len(samples) % (4352 // profile.step) == 9600 // profile.step % (4352 // profile.step)
    assert not samples[: 4800 // profile.step].any()
    power = np.abs(np.fft.rfft(samples[4800 // profile.step :])) ** 2
    hertz = np.fft.rfftfreq(len(samples) - 4800 // profile.step, 1 / profile.rate)
    high = (profile.last + 1) * RATE / 4096
    assert power[(hertz > 290) & (hertz < high + 15)].sum() > 0.995 * power.sum()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_a_segment_bit_by_bit(profile):
    code = profile.code
    bits = np.random.default_rng(2).integers(0, 2, (profile.blocks, code.size), dtype=np.uint8)
    words = code.encode(bits)
    samples = np.concatenate([ofdm.modulate(words, profile), ofdm.closing(profile)]).astype(np.float32)
    samples = soxr.resample(samples, profile.rate, RATE) if profile.step > 1 else samples
    for closed in (True, False):
        likelihoods, snr = ofdm.demodulate(samples, profile, closed=closed)
        np.testing.assert_array_equal(likelihoods < 0, words == 1)
        assert np.median(snr) > 100


def test_a_room_with_another_echo_at_each_carrier():
    profile = PROFILES["narrow"]
    random = np.random.default_rng(6)
    bits = random.integers(0, 2, (3, 1, profile.code.size), dtype=np.uint8)
    sent = [ofdm.modulate(profile.code.encode(one), profile) for one in bits]
    samples = np.concatenate([*sent, ofdm.closing(profile)]).astype(np.float32)
    time = np.arange(int(0.3 * RATE)) / RATE
    room = random.normal(size=len(time)) * 10 ** (-3 * time / 0.3)  # 60 dB in 0.3 s
    room[0] = np.sqrt(1.5 * np.sum(room[1:] ** 2))
    samples = scipy.signal.fftconvolve(soxr.resample(samples, profile.rate, RATE), room).astype(np.float32)
    samples += random.normal(0, 0.1 * samples.std(), len(samples)).astype(np.float32)
    segments = (samples[n * profiles.SEGMENT :][: profiles.SEGMENT + profiles.SYMBOL] for n in range(len(bits)))
    heard = np.concatenate([ofdm.demodulate(segment, profile, closed=True)[0] for segment in segments])
    np.testing.assert_array_equal(profile.code.decode(heard), bits[:, 0])


# Blocks


def test_shapes_by_hand():
    # 1,056 bytes less 14 hold 1,042 of the message: 10,420 bytes are 10 blocks. 4 in a burst, and 5 % of 10.
    shape = blocks.Shape(10_420, 1056, burst=4)
    assert (shape.data, shape.groups, shape.checks, shape.blocks) == (10, 1, 5, 15)
    # One byte more; 201 blocks are two groups, each of which bears half a burst.
    assert blocks.Shape(10_421, 1056, burst=4).data == 11
    shape = blocks.Shape(201 * 1042, 1056, burst=4)
    assert (shape.groups, shape.checks, shape.blocks) == (2, 2 + 6, 217)
    assert shape.members(1) == [*range(1, 201, 2), *range(202, 217, 2)]


def test_any_blocks_in_sufficient_number_are_a_message():
    message = np.random.default_rng(3).integers(0, 256, 250, dtype=np.uint8)
    shape = blocks.Shape(250, 114, burst=2)  # 3 blocks, and 3 more
    parsed = [blocks.parse(block) for block in blocks.split(message, shape)]
    label = parsed[0][0]
    assert label.size == 250
    assert [number for _, number, _ in parsed] == list(range(6))
    for some in itertools.combinations(parsed, 3):
        assert blocks.join(label, {number: data for _, number, data in some}, shape) == message.tobytes()
    assert blocks.join(label, {0: parsed[0][2], 5: parsed[5][2]}, shape) is None


def test_two_groups():
    message = np.random.default_rng(4).integers(0, 256, 16 * 230, dtype=np.uint8)
    shape = blocks.Shape(len(message), 30, burst=6)
    parsed = [blocks.parse(block) for block in blocks.split(message, shape)][6:]  # a burst at the start
    found = {number: data for _, number, data in parsed[::-1]}
    assert shape.groups == 2
    assert blocks.join(parsed[0][0], found, shape) == message.tobytes()


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.dictionaries(st.integers(0, 2**16 - 1), st.binary()))
def test_invented_blocks_are_no_message(size, crc, found):
    shape = blocks.Shape(size, 30, burst=2)
    found = {number: data.ljust(16)[:16] for number, data in found.items()}
    try:
        assert blocks.join(blocks.Label(size, crc), found, shape) in (None, b"")
    except FormatError as error:
        assert "CRC-32" in str(error)


def test_blocks_that_lie():
    shape = blocks.Shape(16, 30, burst=1)
    block, *_ = blocks.split(np.zeros(16, np.uint8), shape)
    damaged = bytearray(block)
    damaged[12] ^= 1
    assert blocks.parse(bytes(damaged)) is None
    huge = blocks.Label((1 << 32) - 1, 0)  # costs nothing: there are not as many blocks
    assert blocks.join(huge, {0: bytes(16)}, dataclasses.replace(shape, size=huge.size)) is None
    label, number, data = blocks.parse(block)
    with pytest.raises(FormatError, match="CRC-32"):
        blocks.join(dataclasses.replace(label, crc=1), {number: data}, shape)
    with pytest.raises(FormatError, match="a message of 2,000,000 bytes"):
        list(blocks.split(np.zeros(2_000_000, np.uint8), blocks.Shape(2_000_000, 30, burst=1)))


# Finding


def test_segments_are_found_where_they_are_and_the_clocks_are_compared():
    _, samples = made("wide")
    places = list(search.search([np.zeros(7000, np.float32), samples], RATE))
    # 3 segments and the last symbol, behind 0.1 s of silence and a guard.
    starts = (7000 + 4800 + 256 + np.arange(4) * profiles.SEGMENT) / RATE
    np.testing.assert_allclose([place.time for place in places], starts, atol=0.3 / RATE)
    assert {place.profile.name for place in places} == {"wide"}
    assert min(place.alike for place in places) > 0.9
    _, how = reading.read(lambda: [samples], round(RATE * (1 + 200e-6)))
    assert how.clock == pytest.approx(-208, abs=3)  # 48,010 Hz are 208 ppm more


# The last symbol then lies where the first piece of the search is too short for it, and there is no whole second one.
@pytest.mark.parametrize("silence", [86_000, 87_024])
def test_a_message_at_the_end_of_a_sound_is_found_whole(silence):
    _, samples = made("wide")
    places = list(search.search([np.zeros(silence, np.float32), samples], RATE))
    assert len(places) == 4


def test_nothing_is_found_in_noise_silence_and_tones():
    random = np.random.default_rng(5)
    for samples in (
        random.normal(0, 0.1, 20 * RATE),
        np.zeros(5 * RATE),
        np.sin(np.arange(10 * RATE) * 0.05),
        np.cumsum(random.normal(0, 0.01, 10 * RATE)),
    ):
        assert read(samples) is None
    assert read(np.zeros(0)) is None


# What happens to sound


@pytest.mark.parametrize(
    "change",
    [
        lambda x: 0.03 * x + 0.3,
        lambda x: -x,
        lambda x: x[: int(2.3 * RATE)],  # 2 of 3 segments, and 1 of 6 blocks is enough
        lambda x: x[RATE:],
        lambda x: np.concatenate([np.sin(np.arange(3 * RATE) / 9), x, np.zeros(40 * RATE), x]),
        lambda x: soxr.resample(x, RATE, RATE * (1 + 200e-6)),
        lambda x: soxr.resample(x, RATE, RATE * (1 - 200e-6)),
        lambda x: x + np.random.default_rng(0).normal(0, 0.08, len(x)),
    ],
    ids=["gain and offset", "inverted", "cut behind", "cut in front", "twice", "+200 ppm", "-200 ppm", "noise"],
)
def test_what_a_message_survives(change):
    message, samples = made("wide")
    assert read(change(samples)) == message


@pytest.mark.parametrize(
    ("profile", "rate"), [("narrow", 8000), ("robust", 11_025), ("wide", 32_000), ("hifi", 96_000)]
)
def test_other_sample_rates(profile, rate):
    message, samples = made(profile)
    assert read(soxr.resample(samples, PROFILES[profile].rate, rate), rate) == message


def test_a_gap_costs_the_segments_that_it_touches():
    message, samples = made("wide", 9000)
    samples = samples.copy()
    samples[int(3.6 * RATE) : int(5.3 * RATE)] = 0
    found, how = reading.read(lambda: [samples], RATE)
    assert found == message
    assert how.damage == "4 of 14 blocks were lost and restored"
    assert str(how).endswith(" dB, clocks differ by +0 ppm")


# Files


def test_options_and_names_choose_the_modem():
    assert forms.choose({"survive": "narrow"}).profile is PROFILES["narrow"]
    assert forms.for_file("a.MP3", {"codec_rate": 64, "bits": None}) == {
        "codec_rate": 64,
        "bits": None,
        "survive": "wide",
    }
    assert forms.for_file("a.wav", {}) == {}
    assert forms.for_file("a.mp3", {"parity": 0.1}) == {"parity": 0.1}
    with pytest.raises(forms.OptionError, match="codec_rate takes survive"):
        forms.choose({"codec_rate": 64})
    with pytest.raises(
        forms.OptionError, match="the profile 'best', expected one of hifi, music, wide, narrow, robust"
    ):
        forms.choose({"survive": "best"})


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.mp3", {}, ("MPEG_LAYER_III", 48_000)),
        ("a.ogg", {}, ("VORBIS", 48_000)),
        ("a.opus", {"codec_rate": 64}, ("OPUS", 48_000)),
        ("n.m4a", {"survive": "narrow", "codec_rate": 32}, ("AAC", 24_000)),
        ("n.mp3", {"survive": "narrow", "codec_rate": 32}, ("MPEG_LAYER_III", 24_000)),
        ("a.flac", {"survive": "hifi"}, ("PCM_16", 48_000)),
    ],
)
def test_a_picture_through_a_file(tmp_path, image, name, options, expected):
    info = codec.encode(image, tmp_path / name, secret_size=(3, 4), **options)
    found = codec.decode(tmp_path / name)
    np.testing.assert_array_equal(found.image, image)
    assert (info.subtype, info.sample_rate) == expected
    assert (found.info.profile, found.secret_size) == (options.get("survive", "wide"), (3, 4))
    assert found.info.damage is None


def test_one_channel_of_two_and_channels_that_cancel_out(tmp_path):
    message, samples = made("wide")
    for other in (np.zeros_like(samples), -samples):
        soundfile.write(tmp_path / "two.wav", np.stack([other, samples], axis=1), RATE)
        assert codec.read_payload(tmp_path / "two.wav") == message[40:-32]


def test_a_modem_s_sound_carries_another_message(tmp_path, image, monkeypatch):
    codec.encode(np.tile(image, (3, 3, 1)), tmp_path / "song.wav", survive="robust")
    info = codec.encode(image, tmp_path / "a.wav", carrier=tmp_path / "song.wav", bits=1)
    assert info.bits == 1
    np.testing.assert_array_equal(codec.decode(tmp_path / "a.wav").image, image)
    monkeypatch.setattr(limits, "HELD_FIRST", 1000)  # in a long sound it is the modem's
    np.testing.assert_array_equal(codec.decode(tmp_path / "a.wav").image, np.tile(image, (3, 3, 1)))


def test_a_rate_that_does_not_serve_is_noticed_before_there_is_a_file(tmp_path, image):
    for profile, expected in (
        ("hifi", "a higher rate, or the profile music or wide or narrow or robust"),
        ("robust", "a higher rate"),
    ):
        found = rf"a\.opus: a message made to survive as {profile} does not survive OPUS at 8 kb/s"
        with pytest.raises(AudioError, match=f"{found}, expected {expected}$"):
            codec.encode(image, tmp_path / "a.opus", survive=profile, codec_rate=8)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "rate", "message"),
    [
        ("a.wma", None, r"'\.wma' is no suffix that is written, expected \.mp3 \.ogg \.opus \.m4a \.wav"),
        ("a.wav", 64, r"no codec writes it, so that it has no rate to choose, expected \.mp3 \.ogg \.opus \.m4a$"),
    ],
)
def test_names_that_do_not_serve(tmp_path, image, name, rate, message):
    with pytest.raises(AudioError, match=message):
        codec.encode(image, tmp_path / name, survive="wide", codec_rate=rate)


def test_of_many_channels_a_few_are_searched_alone(tmp_path, monkeypatch):
    heard = []
    monkeypatch.setattr(reading, "read", lambda sound, rate: heard.append(next(iter(sound()))[0]))
    soundfile.write(tmp_path / "a.wav", np.tile(np.arange(20) / 32, (2 * RATE, 1)), RATE)
    with files.Reader(tmp_path / "a.wav") as reader:
        assert Modem.search(Sound(reader), None) is None
    np.testing.assert_allclose(heard, [9.5 / 32, *(np.arange(limits.CHANNELS) / 32)], rtol=1e-6)


def test_what_is_said_of_a_message_that_did_not_arrive(tmp_path):
    _, samples = made("wide", 9000)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples[: 3 * RATE], RATE)
    arrived = "is damaged: 6 of the 14 blocks of a message of 9,072 bytes arrived, expected at least 9; signal to noise"
    with pytest.raises(FormatError, match=rf"a\.wav: {arrived} [\d.]+ dB; expected the whole sound$"):
        codec.decode(path)
    seen = "8 segments in the profile 'wide' are seen, no block of them is right; signal to noise"
    for low, able in ((8000, "narrow or robust"), (RATE, "robust")):
        noise = 0 if low < RATE else np.random.default_rng(0).normal(0, 0.28, len(samples))
        soundfile.write(path, soxr.resample(samples + noise, RATE, low), low)
        expected = f"expected less noise, or a message made to survive as {able}"
        with pytest.raises(FormatError, match=rf"{seen} -?[\d.]+ dB; {expected}$"):
            codec.decode(path)


def test_what_is_said_of_one_segment_and_of_two_messages_neither_of_which_is_whole(tmp_path):
    _, samples = made("wide", 9000)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples[: int(1.3 * RATE)], RATE)  # of the second one the last symbols are missing
    with pytest.raises(FormatError, match=r"2 of the 14 blocks .* arrived, .* dB; expected the whole sound$"):
        codec.decode(path)
    _, others = made("wide", 9000, seed=1)
    soundfile.write(path, np.concatenate([samples[: 4 * RATE], others[: int(2.5 * RATE)]]), RATE)
    too = "; 4 of the 14 blocks of a message of 9,072 bytes arrived, too"
    with pytest.raises(FormatError, match=rf"damaged: 6 of the 14 blocks .*; expected the whole sound{too}$"):
        codec.decode(path)


def test_two_messages_in_one_sound(tmp_path):
    first, samples = made("wide")
    _, others = made("wide", 9000)
    soundfile.write(tmp_path / "a.wav", np.concatenate([samples, others[: 3 * RATE]]), RATE)
    with files.Reader(tmp_path / "a.wav") as reader:
        found = Modem.search(Sound(reader), None)
    assert found.read(found.size).tobytes() == first
    assert found.facts["others"] == "6 of the 14 blocks of a message of 9,072 bytes arrived"


@pytest.mark.parametrize("rate", [1, 6_999, 1_000_001, 2**31 - 1])
def test_a_sound_of_an_absurd_rate_is_not_searched(tmp_path, rate, monkeypatch):
    monkeypatch.setattr(reading, "read", lambda *_: pytest.fail("was searched"))
    soundfile.write(tmp_path / "a.wav", np.zeros(200_000), rate)
    with files.Reader(tmp_path / "a.wav") as reader:
        assert Modem.search(Sound(reader), None) is None


def test_a_lossy_file_without_a_message(tmp_path):
    soundfile.write(tmp_path / "a.ogg", np.random.default_rng(0).normal(0, 0.1, 2 * RATE), RATE)
    with pytest.raises(AudioError, match=r"a\.ogg: is VORBIS in OGG, which loses samples, and holds no message"):
        codec.decode(tmp_path / "a.ogg")


def test_a_message_in_several_files(tmp_path, image):
    image = np.tile(image, (6, 6, 1))  # with its frame 3,966 bytes: 8 blocks of 514, and 3 more
    options = {"split": 6, "survive": "narrow", "codec_rate": 48}
    info = codec.encode(image, tmp_path / "m.opus", **options)
    names = sorted(tmp_path.iterdir())
    assert [path.name for path in names] == ["m.001.opus", "m.002.opus", "m.003.opus"]  # 5 blocks each at most
    assert info.parts == tuple(names)
    length = (11 * profiles.SEGMENT + 3 * (4352 + 9600)) // 2
    assert Modem(survive="narrow", split=6).samples(info.payload_bytes + framing.OVERHEAD) == length
    assert info.duration == pytest.approx(length / 24_000, abs=0.1)
    np.testing.assert_array_equal(codec.decode([names[2], names[0], names[1]]).image, image)
    with pytest.raises(FormatError, match=r"m\.003\.opus and 1 more: is damaged: .*; m\.002\.opus missing$"):
        codec.decode([names[2], names[0]])
    with pytest.raises(FormatError, match=r"m\.001\.opus: is damaged: .*; m\.002\.opus and m\.003\.opus missing$"):
        codec.decode(names[0])
    with pytest.raises(OutputError, match=r"m\.001\.opus: exists already"):
        codec.encode(image, tmp_path / "m.opus", **options)
    with pytest.raises(AudioError, match=r"m\.opus: a message made to survive as narrow does not survive OPUS at 8 "):
        codec.encode(image, tmp_path / "m.opus", **options | {"codec_rate": 8}, force=True)
    assert list(tmp_path.iterdir()) == []


def test_no_part_is_written_before_all_names_are_free(tmp_path, image):
    (tmp_path / "m.001.wav").write_text("old")
    (tmp_path / "m.002.wav").mkdir()
    with pytest.raises(OutputError, match=r"m\.002\.wav: is a folder"):
        codec.encode(image, tmp_path / "m.wav", survive="robust", split=3, force=True)
    assert (tmp_path / "m.001.wav").read_text() == "old"


def test_parts_that_are_missing():
    paths = [Path("m.003.mp3"), Path("m.001.mp3")]  # 10 blocks each
    assert parts.missing(paths, 29, 35) == ["m.002.mp3", "m.004.mp3"]
    assert parts.missing(paths, 29, 30) == ["m.002.mp3"]
    assert parts.missing([Path("m.1.mp3")], 29, 90) == []
    assert parts.missing([Path("m.001.mp3"), Path("n.002.mp3")], 29, 90) == []
    assert parts.missing([Path("m.000.mp3")], 0, 1) == ["m.001.mp3"]
    assert len(parts.missing(paths, 0, 1 << 40)) == 20


def test_parts_of_other_rates_and_of_nothing(tmp_path):
    silence = np.zeros(3 * RATE)
    for name, rate in (("a.wav", RATE), ("b.wav", RATE), ("c.wav", 44_100)):
        soundfile.write(tmp_path / name, silence, rate)
    with pytest.raises(AudioError, match=r"c\.wav: has 44100 Hz, expected 48000 as .*a\.wav"):
        codec.decode([tmp_path / "a.wav", tmp_path / "c.wav"])
    with pytest.raises(AudioError, match=r"a\.wav and 1 more: hold no message that is spread over several files"):
        codec.decode([tmp_path / "a.wav", tmp_path / "b.wav"])


# Files that libsndfile does not know


@pytest.mark.parametrize(
    ("name", "codec_name", "found"),
    [
        ("a.webm", "libopus", ("Matroska", "OPUS", True)),
        ("a.amr", "libopencore_amrnb", ("AMR", "AMRNB", True)),
        ("a.wav", "g722", ("WAV of codec 028f", "G722", True)),
        ("a.mp4", "alac", ("MP4", "ALAC", False)),
        ("a.avi", "ac3", ("AVI", "AC3", True)),
        ("a.ts", "ac3", ("MPEG-TS", "AC3", True)),
        ("a.mpg", "mp2", ("MPEG", "MP2", True)),
        ("a.flv", "pcm_mulaw", ("Flash video", "PCM_MULAW", True)),
    ],
)
def test_files_that_pyav_reads(tmp_path, name, codec_name, found):
    message, samples = made("robust")
    rate = {"libopencore_amrnb": 8000, "pcm_mulaw": 8000, "g722": 16_000}.get(codec_name, RATE)
    samples = np.rint(32767 * soxr.resample(samples, 24_000, rate)).clip(-32768, 32767).astype(np.int16)
    samples = samples[: len(samples) // 160 * 160]
    bit_rate = 64_000 if codec_name in ("ac3", "mp2") else 12_200
    layout = {"alac": "s16p", "ac3": "fltp"}.get(codec_name, "s16")
    with av.open(tmp_path / name, "w") as file:
        track = file.add_stream(codec_name, rate=rate, layout="mono", bit_rate=bit_rate)
        track.codec_context.format = layout
        values = samples / np.float32(32768) if layout == "fltp" else samples
        frame = av.AudioFrame.from_ndarray(values[None], format=layout, layout="mono")
        frame.sample_rate = rate
        file.mux([*track.encode(frame), *track.encode(None)])
    with files.Reader(tmp_path / name, lossy=True) as reader:
        assert (reader.container, reader.subtype, reader.lossy) == found
        assert abs(reader.frames - len(samples)) < rate / 10
    assert codec.read_payload(tmp_path / name) == message[40:-32]
    with pytest.raises(AudioError, match=f"is {found[0]}, which is not supported; "):
        files.read_recording(tmp_path / name)


def test_gsm_in_which_libsndfile_cannot_seek(tmp_path):
    message, samples = made("robust")
    soundfile.write(tmp_path / "a.wav", soxr.resample(samples, 24_000, 8000), 8000, subtype="GSM610")
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[(tmp_path / "a.wav").read_bytes()])
    writer.start()
    for path in (tmp_path / "pipe", tmp_path / "a.wav"):
        with files.Reader(path, lossy=True) as reader:
            sound = [*reader.mono_blocks()]
        text, how = reading.read(functools.partial(iter, sound), 8000)
        assert (text, how.lost) == (message, 0)
    writer.join()
    with pytest.raises(AudioError, match=r"a\.wav: is GSM610 in WAV, which loses samples"):
        files.read_recording(tmp_path / "a.wav")


def test_an_m4a_that_was_cut_off_or_claims_hours(tmp_path, image, monkeypatch):
    codec.encode(image, tmp_path / "a.m4a", codec_rate=96)
    whole = (tmp_path / "a.m4a").read_bytes()
    (tmp_path / "a.m4a").write_bytes(whole[:9000])  # what says where the samples are stands at the end
    with pytest.raises(AudioError, match=r"a\.m4a: is MP4: no sound in it can be decoded: Invalid data found"):
        codec.decode(tmp_path / "a.m4a")
    (tmp_path / "a.m4a").write_bytes(whole)
    monkeypatch.setattr(limits, "heard", lambda _: 50_000)
    with pytest.raises(
        AudioError, match="is MP4: it has more samples than its size justifies, expected at most 50,000"
    ):
        codec.decode(tmp_path / "a.m4a")
    assert [path.name for path in tmp_path.iterdir()] == ["a.m4a"]


def test_without_pyav_what_it_is_needed_for_is_said(tmp_path, image, monkeypatch):
    codec.encode(image, tmp_path / "a.m4a")
    monkeypatch.setitem(sys.modules, "av", None)
    advice = r'needs the package av, which is not installed: pip install "stegano_tf\[aac\]"'
    with pytest.raises(AudioError, match=rf"a\.m4a: is MP4: sound in mov {advice}"):
        codec.decode(tmp_path / "a.m4a")
    with pytest.raises(BackendError, match=rf"writing AAC {advice}"):
        codec.encode(image, tmp_path / "b.m4a")
