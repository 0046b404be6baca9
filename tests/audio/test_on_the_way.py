"""What a sound survives on its way, and what is said if it does not: each row of the table in docs/SENDING.md."""

import dataclasses
import io

import numpy as np
import pytest
import soundfile
from scipy import signal

from stegano_tf import sealing
from stegano_tf.audio import codec, files
from stegano_tf.audio.forms import carried
from stegano_tf.audio.forms.carried import places
from stegano_tf.errors import FormatError, OutputError
from stegano_tf.sealing import stretching

RATE = 44_100
KEY = sealing.Key(passphrase="correct horse")


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """Returns a function that sends a picture in a form, once each, and returns the picture and the samples."""
    folder = tmp_path_factory.mktemp("sent")
    y, x = np.mgrid[0:60, 0:80]
    image = np.stack([3 * x, 4 * y, 255 - x - y], -1).astype(np.uint8)
    song = 9000 * np.sin(np.arange(150_000) / 37) + np.random.default_rng(0).normal(0, 200, 150_000)
    soundfile.write(folder / "song.wav", np.rint(song).astype(np.int16), RATE)
    made = {}

    def send(name="plain", **options):
        if name not in made:
            codec.encode(image, folder / f"{name}.wav", **options)
            made[name] = soundfile.read(folder / f"{name}.wav", dtype="int16")[0]
        return image, made[name].copy()

    send.song = folder / "song.wav"
    return send


def decoded(tmp_path, samples, subtype="PCM_16", rate=RATE, **options):
    scale = 32768 if subtype in {"FLOAT", "DOUBLE"} else 1
    data = samples / scale if scale > 1 else np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", data, rate, subtype)
    return codec.decode(tmp_path / "a.wav", **options)


def noise(samples, most=300):
    return samples + np.random.default_rng(1).integers(-most, most + 1, len(samples))


# --- The plain form --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "damage"),
    [
        (lambda s: np.append(np.zeros(4410), s), "4,410 samples in front left out"),
        (lambda s: np.append(np.random.default_rng(0).normal(0, 500, 999), s), "999 samples in front left out"),
        (lambda s: 10 ** (-1 / 20) * s, "gain 0.891 and offset 0 undone"),
        (lambda s: np.stack([0.7071 * s] * 2, 1), "gain 0.707 and offset 0 undone"),
        (lambda s: 0.01 * s, "gain 0.010 and offset 0 undone"),
        (lambda s: -1.0 * s, "gain -1.000 and offset 0 undone"),
        (
            lambda s: np.append(np.zeros(7), 300 - 0.5 * s),
            "7 samples in front left out, gain -0.500 and offset 300 undone",
        ),
    ],
)
def test_a_plain_message_that_was_shifted_or_scaled_is_read(tmp_path, sent, change, damage):
    image, samples = sent()
    found = decoded(tmp_path, change(samples))
    np.testing.assert_array_equal(found.image, image)
    assert str(found.info.damage) == damage


def lossy(container, subtype):
    def change(samples):
        file = io.BytesIO()
        if subtype == "OPUS":  # has no other rate
            samples = signal.resample_poly(samples * 0.9, 160, 147)
        soundfile.write(
            file,
            samples / 32768,
            48_000 if subtype == "OPUS" else RATE,
            subtype,
            None,
            container,
            compression_level=0.3,
        )
        file.seek(0)
        return 32768 * soundfile.read(file)[0]

    return change


def dithered(samples):
    random = np.random.default_rng(0)
    return 256 * np.rint(samples / 256 + random.uniform(-0.5, 0.5, (2, len(samples))).sum(axis=0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dithered, "held a message, but its samples were changed"),
        (noise, "held a message, but its samples were changed"),
        (lambda s: np.append(np.zeros(500), noise(s)), "held a message, but its samples were changed"),
        (lambda s: signal.resample_poly(s * 0.9, 160, 147), "held a message, but its samples were changed"),
        (lossy("MP3", "MPEG_LAYER_III"), "held a message, but its samples were changed"),
        (lossy("OGG", "VORBIS"), "held a message, but its samples were changed"),
        (lossy("OGG", "OPUS"), "held a message, but its samples were changed"),
        (lambda s: s[1:], "those of a message of which the beginning is missing"),
        (lambda s: s[300:], "those of a message of which the beginning is missing"),
        (lambda s: -s.astype(int)[50:], "those of a message of which the beginning is missing"),
        (lambda s: s[:-1], "is cut short: 1 samples are missing"),
    ],
)
def test_a_plain_message_that_cannot_be_read_is_noticed(tmp_path, sent, change, words):
    samples = change(sent()[1])
    rate = 48_000 if len(samples) > len(sent()[1]) * 1.05 else RATE
    with pytest.raises(FormatError, match=words):
        decoded(tmp_path, samples, rate=rate)


def test_other_sounds_held_no_message(tmp_path):
    random, time = np.random.default_rng(0), np.arange(60_000)
    coloured = signal.lfilter([1], [1, -0.97], random.normal(0, 1500, len(time)))
    for samples in (
        random.integers(-32768, 32768, len(time)),
        random.normal(0, 6000, len(time)),
        coloured,
        20_000 * np.sign(np.sin(time / 40)),
        20_000 * np.sin(time * time / 1e6),
        np.repeat(random.uniform(-32768, 32767, len(time) // 20), 20),
        np.where(random.random(len(time)) < 0.02, random.uniform(-32768, 32767, len(time)), 0),
        random.integers(-128, 128, len(time)) * 256,  # 8 bits
        random.choice([-32640, 32640], len(time)),
    ):
        with pytest.raises(FormatError, match="holds no message"):
            decoded(tmp_path, samples)


# --- In a recording --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", [None, sealing.Lock(passphrase="correct horse")], ids=["open", "keyed"])
def test_a_carried_message_survives_lossless_saving(tmp_path, sent, lock):
    image, samples = sent("keyed" if lock else "carried", carrier=sent.song, lock=lock, bits=4, payload="png")
    wide = samples.astype(np.int32) << 16
    saved = [
        (wide, "PCM_24"),
        (wide, "PCM_32"),
        (samples / 32768, "FLOAT"),
        (samples / 65536, "DOUBLE"),
        (np.stack([samples] * 2, 1), "PCM_16"),
        (np.stack([wide] * 2, 1), "PCM_24"),
        (np.append(np.zeros(999, np.int16), np.append(samples, np.zeros(99, np.int16))), "PCM_16"),
    ]
    if lock:  # each takes some seconds
        saved = [(np.stack([samples / 32768] * 2, 1), "FLOAT"), saved[-1]]
    else:
        saved.append((np.stack([samples[::-1], samples], 1), "PCM_16"))
    for data, subtype in saved:
        soundfile.write(tmp_path / "a.wav", data, RATE, subtype)
        np.testing.assert_array_equal(codec.decode(tmp_path / "a.wav", key=KEY).image, image, err_msg=subtype)


def test_24_bits_are_kept_by_more(tmp_path, sent):
    random = np.random.default_rng(0)
    deep = random.normal(0, 2**21, 60_000).astype(np.int32) << 8
    soundfile.write(tmp_path / "song.wav", deep, RATE, "PCM_24")
    image, _ = sent()
    codec.encode(image, tmp_path / "a.wav", carrier=tmp_path / "song.wav", bits=8, payload="png")
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="int32")
    for data, subtype in ((samples, "PCM_32"), (samples / 2**31, "FLOAT"), (samples / 2**31, "DOUBLE")):
        soundfile.write(tmp_path / "b.wav", data, RATE, subtype)
        np.testing.assert_array_equal(codec.decode(tmp_path / "b.wav").image, image)
    soundfile.write(tmp_path / "b.wav", samples, RATE, "PCM_16")
    with pytest.raises(FormatError, match="holds no message"):
        codec.decode(tmp_path / "b.wav")


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_nothing_is_written_into_silence_or_empty_bits(tmp_path, sent, subtype):
    song, _ = soundfile.read(sent.song, dtype="int16")
    song[:30_001] = song[70_000:70_100] = song[-5:] = 0
    soundfile.write(tmp_path / "song.wav", song.astype(np.int32) << 16, RATE, subtype)
    image, _ = sent()
    for name, options in (("a.wav", {"bits": 2}), ("b.wav", {"parity": 0.1, "bits": 3})):
        codec.encode(image, tmp_path / name, carrier=tmp_path / "song.wav", **options, payload="png")
        after, _ = soundfile.read(tmp_path / name, dtype="int32")
        assert not (after & 0xFFFF).any()
        assert not after[:30_001].any()
        assert not after[70_000:70_100].any()
        assert not after[-5:].any()
        np.testing.assert_array_equal(codec.decode(tmp_path / name).image, image)
    after[100_000:101_000] = 0  # a dropout is no silence that the sender saw
    after[:30_001] = after[70_000:70_100] = 1 << 16
    soundfile.write(tmp_path / "c.wav", after, RATE, "PCM_16")
    with pytest.raises(FormatError):
        codec.decode(tmp_path / "c.wav")


@pytest.mark.parametrize(("options", "most"), [({"parity": 0.3}, 2000), ({}, 0)])
def test_a_dropout_is_no_silence_for_the_reader(tmp_path, sent, options, most):
    image, _ = sent()
    codec.encode(image, tmp_path / "a.wav", carrier=sent.song, bits=4, payload="png", **options)
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    # With parity within the message, which a reader who leaves out the zeros finds as well, and can't repair.
    at = 1500 if most else 140_000
    samples[at : at + max(most // 20, 40)] = 0
    np.testing.assert_array_equal(decoded(tmp_path, samples).image, image)


def test_a_dropout_in_what_a_key_orders(tmp_path, sent, monkeypatch):
    monkeypatch.setattr(stretching, "_FACTOR", 4)
    rest = 150_000 - places.SALT

    def starts(salt, samples):
        return places.order(samples, places.GROUP, places.key(KEY.passphrase, salt), 6)

    # A salt with which the order begins alike where 40 samples are left out: a label is seen there that leads nowhere.
    salts = (number.to_bytes(16, "little") for number in range(10_000))
    salt = next(salt for salt in salts if (starts(salt, rest) == starts(salt, rest - 40)).all())
    image, _ = sent()
    with monkeypatch.context() as patch:
        patch.setattr(carried.secrets, "token_bytes", lambda size: salt[:size])
        lock = sealing.Lock(passphrase=KEY.passphrase)
        codec.encode(image, tmp_path / "b.wav", carrier=sent.song, bits=8, parity=0.2, lock=lock)
    samples, _ = soundfile.read(tmp_path / "b.wav", dtype="int16")
    samples[149_000:149_040] = 0
    np.testing.assert_array_equal(decoded(tmp_path, samples, key=KEY).image, image)


def cut(samples):
    return samples[: len(samples) - 5]


def shifted(samples):
    return np.append(np.zeros(4410), samples)


def quieter(samples):
    return -0.7 * samples


def truncated(samples):
    return samples // 256 * 256


def burst(samples):
    samples[5000:5050] = 999
    return samples


@pytest.mark.parametrize(
    ("options", "change", "outcome"),
    [
        *[({"parity": 0.1}, change, None) for change in (cut, shifted, quieter, truncated, burst, lambda s: s[9:])],
        ({"parity": 0.1}, lambda s: noise(s, 127), None),
        ({"parity": 0.1}, lambda s: np.append(s, s[:777]), None),
        ({"raw_bmp": True}, cut, "is cut short: 5 samples are missing"),
        ({"raw_bmp": True}, shifted, "of which the beginning is missing"),
        ({"raw_bmp": True}, lambda s: s[1:], "of which the beginning is missing"),
        ({"raw_bmp": True}, quieter, "holds no message"),
        ({"raw_bmp": True}, truncated, None),
        ({"raw_bmp": True}, lambda s: np.append(s, s[:777]), None),
        ({"carrier": True, "bits": 8}, lambda s: s[:10_000], "is cut short: "),
        ({"carrier": True, "bits": 8}, burst, "SHA-256"),
        ({"carrier": True, "bits": 8, "parity": 0.1}, burst, None),
        ({"carrier": True, "bits": 8}, lambda s: s[9:], "holds no message"),
        ({"carrier": True, "bits": 8}, quieter, "holds no message"),
        ({"carrier": True, "bits": 8}, lambda s: s // 2 * 2, "holds no message"),
        ({"carrier": True, "bits": 8}, lambda s: np.append(s, s[:777]), None),
    ],
)
def test_other_forms(tmp_path, sent, options, change, outcome):
    name = "_".join(map(str, options.values()))
    image, samples = sent(name, **options | ({"carrier": sent.song} if "carrier" in options else {}))
    if outcome is None:
        np.testing.assert_array_equal(decoded(tmp_path, change(samples)).image, image)
    else:
        with pytest.raises(FormatError, match=outcome):
            decoded(tmp_path, change(samples))


def test_a_bare_message(tmp_path, sent):
    image, samples = sent("bare", lock=sealing.Lock(passphrase="correct horse"), bare=True)
    counts = np.bincount(samples & 255, minlength=256)
    assert abs(counts - len(samples) / 256).max() < 6 * (len(samples) / 256) ** 0.5  # no level is preferred
    key = dataclasses.replace(KEY, bare=True)
    np.testing.assert_array_equal(decoded(tmp_path, truncated(samples), key=key).image, image)
    with pytest.raises(sealing.SealingError, match="cannot be opened"):
        decoded(tmp_path, shifted(samples), key=key)


# --- A carrier that holds a message already --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before",
    [
        {},
        {"raw_bmp": True},
        {"parity": 0.1},
        {"parity": 0, "depth": 4},
        {"carrier": True, "bits": 1, "parity": 0.1},
        {"carrier": True, "bits": 3},
        {"carrier": True, "bits": 8},
    ],
    ids=str,
)
def test_a_new_message_replaces_what_the_carrier_held(tmp_path, sent, before):
    image, _ = sent()
    other = np.full((50, 70, 3), 77, np.uint8)
    before = before | ({"carrier": sent.song} if "carrier" in before else {})
    codec.encode(image, tmp_path / "old.wav", **before, payload="png" if "carrier" in before else "bmp")
    for bits in (2, 8):
        codec.encode(other, tmp_path / "new.wav", carrier=tmp_path / "old.wav", bits=bits, payload="png", force=True)
        np.testing.assert_array_equal(codec.decode(tmp_path / "new.wav").image, other)


def test_success_is_said_of_what_was_read_back(tmp_path, monkeypatch, image):
    """A recorder of another message, or of none, never gets as far as its name."""
    write = files.write
    for spoil, words in (
        (lambda block: 0 * block, "no message is read back from it"),
        (lambda block: np.where(np.arange(len(block)) == 100, ~block, block), "no message is read back from it"),
    ):
        monkeypatch.setattr(
            files, "write", lambda path, blocks, *args, spoil=spoil, **kw: write(path, map(spoil, blocks), *args, **kw)
        )
        with pytest.raises(OutputError, match=rf"a\.wav: cannot be written: {words}"):
            codec.encode(image, tmp_path / "a.wav")
        assert not list(tmp_path.iterdir())
