import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stegano_tf.audio import parity, pcm
from stegano_tf.audio.forms.marked import Marked, label, reading, writing
from stegano_tf.errors import FormatError


def made(size, depth=8, share=0.1, seed=0):
    message = np.random.default_rng(seed).bytes(size)
    form = Marked(parity=share, depth=depth)
    count, blocks = form.encode(size, [message])
    samples = np.concatenate(list(blocks))
    assert len(samples) == count == form.samples(size)
    return message, samples


def read(samples):
    """What a reader makes of samples that are not as they were written."""
    samples = np.asarray(samples, np.float32)
    return reading.decode(samples, reading.search(samples))


def test_a_mark_sample_by_sample():
    _, samples = made(1)
    signs = f"{0x9AB7B058:032b}"
    assert samples[:32].tolist() == [32640 if sign == "1" else -32640 for sign in signs]
    # The label: segment 0, 1 byte, its CRC-32, 12 check symbols, depth 8, two zeros; then 8 check symbols.
    nibbles = (samples[32:80].astype(int) + 32640) // 4352
    text = bytes(16 * high + low for high, low in zip(nibbles[::2], nibbles[1::2], strict=True))
    assert text[:8] == bytes([0, 0, 0, 0, 1, 0, 0, 0])
    assert text[12:16] == bytes([12, 8, 0, 0])
    assert len(samples) == 13 * 255 + 2 * 80


def test_sizes_by_hand():
    # 59,049 bytes: 255 * 255 symbols, 4,016 a segment: 17 segments and a closing mark.
    assert label.Label(0, 59_049, 0, 12, 8).samples == 65_025 + 18 * 80
    assert label.Label(0, 59_049, 0, 12, 4).samples == 130_050 + 34 * 80
    assert writing.encoded_bytes(59_049, 12) == 65_025 + 18 * 24


def test_impossible_options():
    with pytest.raises(ValueError, match="depth of 7"):
        Marked(parity=0.1, depth=7)
    with pytest.raises(ValueError, match="parity of 90%"):
        Marked(parity=0.9)
    with pytest.raises(FormatError, match="message of 0 bytes"):
        writing.encode(b"", 12, 8)


@given(st.integers(1, 9000), st.sampled_from([8, 4]), st.sampled_from([0, 0.1, 0.5]))
@settings(max_examples=30)
def test_clean_samples_are_read_without_repair(size, depth, share):
    message, samples = made(size, depth, share)
    found = reading.recognise(samples)
    assert reading.decode_clean(found, np.split(samples[: -label.MARK], [100, 5000])).tobytes() == message
    assert read(samples) == (message, None)


def at_random(samples, random):
    where = random.choice(len(samples), len(samples) // 50, replace=False)
    samples[where] = random.integers(-32768, 32768, len(where))


def burst(samples, random, share=0.03):
    length = int(share * len(samples))
    start = random.integers(0, len(samples) - length + 1)
    samples[start : start + length] = random.integers(-32768, 32768, length)


def bursts(samples, random):
    for _ in range(20):
        burst(samples, random, 0.001)


def drop_out(samples, random):
    start = random.integers(0, len(samples) - len(samples) // 33)
    samples[start : start + len(samples) // 33] = 0


@pytest.mark.parametrize("size", [300, 5000, 20_000])
@pytest.mark.parametrize("damage", [at_random, burst, bursts, drop_out])
@pytest.mark.parametrize("seed", range(2))
def test_ten_per_cent_of_parity_repairs(size, damage, seed):
    message, samples = made(size)
    clean = samples.copy()
    damage(samples, np.random.default_rng(seed))
    found, report = read(samples)
    assert found == message
    assert 0 < report.symbols <= np.count_nonzero(samples != clean)
    assert str(report).startswith(f"{report.symbols:,} of {report.of:,} bytes repaired")


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_burst_over_either_end_is_repaired(place):
    message, samples = made(9000)
    part = slice(0, len(samples) * 3 // 100) if place == "first" else slice(-(len(samples) * 3 // 100), None)
    samples[part] = 0
    assert read(samples)[0] == message


def test_a_burst_in_every_place_of_a_product_is_repaired_at_three_per_cent():
    # The order of the cells is fixed, so this can be known and not just hoped: every 499th start of 65,025.
    message = np.zeros(59_049, np.uint8)
    shape = parity.Shape(len(message), 12)
    clean = parity.gather(np.concatenate(list(parity.encode(message, 12))), shape)[:, :, 0]
    assert not clean.any()
    length = 65_025 * 3 // 100
    for start in range(0, 65_025 - length, 499):
        wrong = np.zeros(65_025, bool)
        wrong[parity.order(65_025)[start : start + length]] = True
        wrong = wrong.reshape(255, 255)
        # Errors that are not located: a codeword takes 6. To and fro between rows and columns until none is left.
        for _ in range(20):
            wrong[wrong.sum(axis=1) <= 6] = False
            wrong[:, wrong.sum(axis=0) <= 6] = False
        assert not wrong.any(), start


@pytest.mark.parametrize("gain", [0.25, 0.5, 1, 1.7, 4, -1, -0.3])
@pytest.mark.parametrize("offset", [-1000, 0, 1000])
@pytest.mark.parametrize("depth", [8, 4])
def test_gain_offset_and_polarity_are_undone(gain, offset, depth):
    message, samples = made(5000, depth)
    found, report = read(gain * samples.astype(np.float64) + offset)
    assert found == message
    if (gain, offset) != (1, 0):
        assert report.gain == pytest.approx(gain, rel=1e-4)
        assert report.offset == pytest.approx(offset, abs=1)
        assert report.symbols == 0


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.3, 2, -2])
@pytest.mark.parametrize("seed", range(4))
def test_depth_4_takes_noise_gain_and_offset_in_16_bits(gain, seed):
    random = np.random.default_rng(seed)
    message, samples = made(2000, 4)
    noisy = np.rint(gain * samples + random.uniform(-1000, 1000)) + random.integers(-127, 128, len(samples))
    assert np.abs(noisy).max() < 32768
    found, report = read(noisy.astype(np.int16))
    assert found == message
    assert report.symbols == 0
    assert report.gain == pytest.approx(gain, rel=1e-2)


@pytest.mark.parametrize("gain", [0.5, 1, 2])
def test_depth_8_takes_noise_and_then_gain_with_parity(gain):
    message, samples = made(20_000)
    random = np.random.default_rng(0)
    found, _ = read(gain * (samples + random.integers(-127, 128, len(samples))) - 1000)
    assert found == message


@pytest.mark.parametrize("count", [1, 300])
@pytest.mark.parametrize("segment", [1, 9])
def test_samples_lost_or_inserted_at_a_border(count, segment):
    message, samples = made(40_000)
    border = segment * label.SEGMENT
    lost = np.concatenate([samples[: border - count], samples[border:]])
    found, report = read(lost)
    assert (found, report.slipped) == (message, -count)
    inserted = np.concatenate([samples[:border], np.full(count, 5, np.int16), samples[border:]])
    found, report = read(inserted)
    assert (found, report.slipped) == (message, count)


def test_samples_lost_in_the_middle_of_a_segment():
    message, samples = made(60_000)
    assert read(np.delete(samples, [30_000, 70_001, 70_002]))[0] == message


@pytest.mark.parametrize("block", [100, 4096, 5000])
def test_the_search_finds_the_same_marks_in_blocks_of_any_size(monkeypatch, block):
    _, samples = made(20_000)
    samples = np.concatenate([np.zeros(77), samples, np.zeros(9)]).astype(np.float32)
    places = reading.search(samples)
    expected = [77 + 4096 * segment for segment in range(len(places) - 1)]
    assert [*places][:-1] == expected
    assert [*places][-1] == len(samples) - 9 - 80
    assert [mark.segment for mark in places.values()] == list(range(len(places)))
    monkeypatch.setattr(pcm, "BLOCK", block)
    assert reading.search(samples) == places
    # By the definition: the correlation of 32 samples with the signs, one place after the other.
    windows = np.lib.stride_tricks.sliding_window_view(samples[: places.popitem()[0] + 80], 32)[:-48].astype(float)
    centred = windows - windows.mean(axis=1, keepdims=True)
    alike = np.abs(centred @ label.SYNC) > 0.8 * np.sqrt(32 * (centred**2).sum(axis=1).clip(1e-9))
    assert set(expected) <= set(np.flatnonzero(alike))


def test_silence_and_other_sounds_around_it():
    message, samples = made(3000)
    hum = (3000 * np.sin(np.arange(50_000) / 30)).astype(np.int16)
    assert read(np.concatenate([np.zeros(12_345, np.int16), hum, samples, hum]))[0] == message


def test_damage_beyond_repair_says_where_and_how_much():
    _, samples = made(40_000)
    samples[10_000:20_000] = np.random.default_rng(0).integers(-32768, 32768, 10_000)
    with pytest.raises(FormatError, match=r"beyond repair: .* codewords are wrong; .* damaged bytes") as error:
        read(samples)
    first, last = (int(text.replace(",", "")) for text in str(error.value).rpartition("samples ")[2].split(" and "))
    assert 9_900 < first < 10_500
    assert 19_500 < last < 20_200
    with pytest.raises(FormatError, match="is cut short: 15,000 of 46"):
        read(samples[:15_000])


def test_without_parity_damage_is_noticed():
    _, samples = made(3000, share=0)
    samples[1000] ^= 0x4000
    with pytest.raises(FormatError, match="is damaged, and has no parity to repair it with"):
        read(samples)


@given(st.binary(max_size=600))
@settings(max_examples=60)
def test_nothing_is_found_in_anything(data):
    samples = np.frombuffer(data + bytes(len(data) % 2), "<i2").astype(np.float32)
    assert reading.search(samples) == {}


@given(st.integers(1, 20_000), st.sampled_from([0, 12, 40]))
@settings(max_examples=20)
def test_the_form_in_bytes(size, checks):
    message = np.random.default_rng(size).bytes(size)
    data = np.frombuffer(writing.encode_bytes(message, checks), np.uint8)
    assert len(data) == writing.encoded_bytes(size, checks)
    found = reading.find_label(data)
    assert reading.decode_bytes(data, found) == (message, None)


def test_the_form_in_bytes_repairs():
    message = np.random.default_rng(1).bytes(20_000)
    data = np.frombuffer(writing.encode_bytes(message, 12), np.uint8).copy()
    data[:600] = 0  # the first label with it
    found, report = reading.decode_bytes(data, reading.find_label(data))
    assert found == message
    assert 0 < report.symbols <= 600
    # Cut off at the end, as a file is that was not copied whole.
    assert reading.decode_bytes(data[:-100], reading.find_label(data))[0] == message
