"""The stealth form: what it touches in a recording, what comes back and through what, and what is refused."""

import re

import numpy as np
import pyrage
import pytest
import soundfile
import verify_stealth

from stegano_tf import sealing
from stegano_tf.audio import codec, files, forms, lengths
from stegano_tf.audio.forms import stealth
from stegano_tf.audio.forms.carried import places
from stegano_tf.audio.forms.stealth import costs, embedding
from stegano_tf.coding import layers, stc
from stegano_tf.errors import AudioError, FormatError
from stegano_tf.sealing import age, stretching

RATE = 44_100
PASSPHRASE = "correct horse"
SECRET = bytes(range(32))
LOCK = sealing.Lock(passphrase=PASSPHRASE)


def music(frames=40_000, seed=0):
    """Something quiet and smooth that becomes loud and busy, with silence in front and inside: int16[frames]."""
    swell = np.linspace(0.01, 1, frames)
    noise = np.random.default_rng(seed).normal(0, 250, frames)
    samples = np.rint(swell * (9000 * np.sin(np.arange(frames) / 37) + noise)).astype(np.int16)
    samples[:100] = samples[20_000:20_040] = 0
    return samples


# --- Costs -----------------------------------------------------------------------------------------------------------


def test_costs_by_hand():
    samples = np.full((100, 1), 100, np.int32)
    samples[50] = 104  # second derivatives 4, -8 and 4: over 15 samples their mean is 16/15
    merits = costs._merits(samples.astype(np.float32), 1 << 15)[:, 0]
    assert merits[[49, 50, 51]] == pytest.approx([100 * 16 / 15, 104 * 16 / 15, 100 * 16 / 15])
    # 48 and 52 are no part of a straight line, as 47 and 53 are.
    assert np.flatnonzero(merits).tolist() == [48, 49, 50, 51, 52]
    found = costs.of_recording(samples, 16)[:, 0]
    assert found[50] == pytest.approx(100 / 104)  # the median of the five is 100 * 16 / 15
    assert (found[merits == 0] == stc.WET).all()


def test_what_never_changes():
    samples = np.resize(np.array([500, -300], np.int32), 40)
    samples[10:15] = -1, 0, 1, 2, -2
    samples[20:26] = 32_767, 32_766, 32_765, -32_768, -32_766, -32_765
    wet = costs.of_recording(samples[:, None], 16)[:, 0] == stc.WET
    assert np.flatnonzero(wet).tolist() == [10, 11, 12, 20, 21, 23, 24]
    assert (costs.of_recording(np.zeros((50, 2), np.int32), 16) == stc.WET).all()
    assert costs.of_recording(np.zeros((0, 2), np.int32), 16).shape == (0, 2)


def test_costs_do_not_depend_on_the_part(monkeypatch):
    samples = music(5000).astype(np.int32).reshape(-1, 2)
    whole = costs.of_recording(samples, 16)
    monkeypatch.setattr(costs, "_PART", 333)
    np.testing.assert_array_equal(costs.of_recording(samples, 16), whole)


# --- Bytes in samples ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", [embedding.GROUP, 9000])
def test_every_sample_has_one_use(monkeypatch, group):
    monkeypatch.setattr(embedding, "GROUP", group)
    keys, count = embedding._Keys(SECRET), 25_001
    groups = -(-count // group)
    head = keys.header_samples(count)
    body = [keys.body_samples(count, number, 3) for number in range(groups)]
    assert np.sort(np.concatenate([head, *body])).tolist() == list(range(count))
    assert not (head // 64 % groups).any()
    assert len(head) == (len(head) + len(body[0])) // 8
    assert all((own // 64 % groups == number).all() for number, own in enumerate(body))
    assert [part.stop for part in embedding._parts(count, 100)] == ([100] if groups == 1 else [33, 66, 100])


@pytest.fixture(scope="module")
def said():
    """Samples, their costs, a message, and the changes that say it: in three groups."""
    samples = music().astype(np.int32)[places.SALT :]
    price = costs.of_recording(samples[:, None], 16)[:, 0]
    message = np.random.default_rng(1).bytes(300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding, "GROUP", 15_000)
        patch.setattr(verify_stealth, "GROUP", 15_000)
        yield samples, price, message, embedding.embed(samples, price, SECRET, message)


def test_bytes_come_back(said):
    samples, price, message, changes = said
    assert set(np.unique(changes)) == {-1, 0, 1}
    assert not changes[price >= stc.WET].any()
    assert embedding.extract(samples + changes, SECRET) == message
    assert embedding.extract(samples + changes, bytes(32)) is None
    assert embedding.extract(samples, SECRET) is None
    assert embedding.extract((samples + changes)[: embedding.LEAST - 1], SECRET) is None
    assert np.abs(changes[len(changes) // 2 :]).sum() > 10 * np.abs(changes[: len(changes) // 2]).sum()


def test_another_reader_reads_it(said):
    samples, _, message, changes = said
    assert verify_stealth.read_in_sound(samples + changes, SECRET) == message
    assert verify_stealth.read_in_sound(samples, SECRET) is None


def test_a_changed_sample_never_says_something_else(said):
    samples, _, message, changes = said
    ends = set()
    for place in range(5, len(samples), len(samples) // 30):
        damaged = samples + changes
        damaged[place] ^= 1
        ends.add(embedding.extract(damaged, SECRET))
    assert ends <= {None, message}
    assert None in ends


def test_a_length_that_cannot_be_right_is_refused(said):
    samples, price, _, _ = said
    keys, samples = embedding._Keys(SECRET), samples.copy()
    head = keys.header_samples(len(samples))
    header = keys.siv(b"header").encrypt(embedding._HEADER.pack(2**32 - 1, 128, 0), None)
    samples[head] += layers.lowest(samples[head], price[head], header)
    assert embedding.extract(samples, SECRET) is None


def test_a_cover_all_wet(said):
    samples = said[0]
    with pytest.raises(stc.WetError):
        embedding.embed(samples, np.full(len(samples), stc.WET), SECRET, b"short")


# --- Recordings ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick():
    """A passphrase costs little: every test here has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretching, "_FACTOR", 4)
        stretching.stretch.cache_clear()
        yield
    stretching.stretch.cache_clear()


@pytest.fixture(scope="module")
def sealed():
    """A short age file: what it holds does not matter here."""
    return pyrage.encrypt(b"a secret", [pyrage.x25519.Identity.generate().to_public()])


@pytest.fixture(scope="module")
def send(tmp_path_factory, quick, sealed):
    """Returns a function that sends `sealed` in a recording: both recordings, int32[frames, channels], and the info."""
    folder = tmp_path_factory.mktemp("sent")

    def run(samples, subtype="PCM_16"):
        soundfile.write(folder / "song.wav", samples, RATE, subtype)
        options = {"carrier": folder / "song.wav", "stealth": True, "passphrase": PASSPHRASE, "force": True}
        info = codec.encode_payload(sealed, folder / "a.wav", **options)
        before, after = (files.read_recording(folder / name).samples for name in ("song.wav", "a.wav"))
        assert received(info.path) == sealed
        return before, after, info

    return run


@pytest.fixture(scope="module")
def sent(send):
    """Music before and after, and the info."""
    return send(music())


def received(path, passphrase=PASSPHRASE):
    return codec.read_payload(path, key=sealing.Key(passphrase=passphrase))


def test_silence_and_the_salt_stay(sent, sealed):
    before, after, info = sent
    assert set(np.unique(after - before)) == {-1, 0, 1}
    assert np.array_equal(before == 0, after == 0)
    assert not (after - before)[: 100 + places.SALT].any()
    # Of the changes' mean square follows the noise: a full-scale square wave has 32768 squared.
    assert info.snr == pytest.approx(20 * np.log10(32_768) - 10 * np.log10(np.mean((after - before) ** 2)))
    assert info.bits == round(8 * (len(sealed) + 72) / (40_000 - 140 - places.SALT), 3)


@pytest.mark.parametrize(
    ("subtype", "change"),
    [
        ("PCM_24", lambda s: s.astype(np.int32) << 16),
        ("PCM_32", lambda s: s.astype(np.int32) << 16),
        ("FLOAT", lambda s: s / 32768),
        ("DOUBLE", lambda s: s / 65536),
        ("PCM_16", lambda s: np.stack([s, s], 1)),
        ("PCM_16", lambda s: np.stack([s[::-1], s], 1)),
        ("PCM_16", lambda s: np.concatenate([np.zeros(999, np.int16), s, np.zeros(99, np.int16)])),
    ],
    ids=["24 bits", "32 bits", "float", "half as double", "dual mono", "one of two channels", "silence around"],
)
def test_it_survives_lossless_saving(tmp_path, sent, sealed, subtype, change):
    soundfile.write(tmp_path / "b.wav", change(sent[1][:, 0].astype(np.int16)), RATE, subtype)
    assert received(tmp_path / "b.wav") == sealed


def test_a_stereo_recording(send):
    before, after, _ = send(np.stack([music(20_100), music(20_100, seed=1)], axis=1))
    assert (before != after).any(axis=0).all()


def test_channels_that_are_alike_stay_alike(send):
    before, after, _ = send(np.stack([music()] * 2, axis=1))
    assert np.array_equal(after[:, 0], after[:, 1])
    assert set(np.unique(after - before)) == {-1, 0, 1}


@pytest.mark.parametrize("empty", [0, 8])
def test_24_bits_change_by_one_of_their_own(send, empty):
    samples = music().astype(np.int32) << 8 | (0 if empty else np.random.default_rng(2).integers(0, 256, 40_000))
    before, after, _ = send(samples.astype(np.int32) << 8, "PCM_24")
    assert set(np.unique(after - before)) == {-(1 << empty), 0, 1 << empty}


def test_nobody_learns_whether_there_is_a_message(tmp_path, sent):
    damaged = sent[1].copy()
    damaged[30_000:30_100] += 1
    said, work = set(), set()
    for samples, passphrase in ((sent[1], "battery"), (sent[0], PASSPHRASE), (damaged, PASSPHRASE)):
        soundfile.write(tmp_path / "b.wav", samples.astype(np.int16), RATE)
        stretching.stretch.cache_clear()
        with pytest.raises(FormatError) as error:
            received(tmp_path / "b.wav", passphrase)
        said.add(str(error.value))
        work.add(stretching.stretch.cache_info().misses)
    assert len(said) == len(work) == 1


# --- What is refused -------------------------------------------------------------------------------------------------


def hiding(samples, depth=16, rate=0.1):
    form = stealth.Stealth(carrier="song.wav", stealth=True, rate=rate)
    vars(form)["recording"] = files.Recording(samples.reshape(len(samples), -1).astype(np.int32), depth, 1000, {})
    return form


def test_what_fits_and_how_long_it_must_be(tmp_path):
    form = hiding(music())
    usable = np.count_nonzero(form._costs < stc.WET)
    assert form.capacity == (usable // 10 - 176) // 8 - 16
    form.check(tmp_path / "a.wav", form.capacity, RATE)
    with pytest.raises(
        AudioError, match=r"^song\.wav: is too short to carry 70,000 bytes at 0.1 bits a sample: it"
    ) as e:
        form.check(tmp_path / "a.wav", 70_000, RATE)
    # 560,304 bits at 0.1 bits and 1000 samples a second.
    lasts, _, expected = str(e.value).partition(", expected at least 5603.1 s ")
    assert lasts.endswith(f"lasts {usable / 1000:.1f} s")
    assert expected == f"without the {1 - usable / 40_000:.0%} that are silent, flat or at full scale"
    assert hiding(music()[:2000], rate=0.5).capacity == 0
    assert lengths.sealed_bytes(1) == 72 + 65_718


def test_a_recording_that_would_give_it_away(tmp_path):
    for samples, words in (
        (music() // 4 * 4, "uses 14 of its 16 bits, so that changes would be seen"),
        (np.zeros(9000), "uses 0 of its 16 bits"),
        (np.resize(np.array([32_767, 5]), 9000), "is clipped: 50.0%"),
    ):
        with pytest.raises(AudioError, match=rf"^song\.wav: {words}"):
            hiding(samples).check(tmp_path / "a.wav", 1, RATE)


def test_a_recording_that_holds_a_message(tmp_path):
    soundfile.write(tmp_path / "song.wav", music(), RATE)
    codec.encode(np.zeros((8, 8, 3), np.uint8), tmp_path / "low.wav", carrier=tmp_path / "song.wav")
    with pytest.raises(AudioError, match=r"low\.wav: holds a message already"):
        codec.check(tmp_path / "a.wav", carrier=tmp_path / "low.wav", stealth=True, lock=LOCK)
    assert 0.1 not in lengths.capacities(tmp_path / "low.wav")
    form = stealth.Stealth(carrier=tmp_path / "song.wav", stealth=True)
    assert lengths.capacities(tmp_path / "song.wav")[0.1] == form.capacity


def test_what_does_not_go_together(tmp_path):
    song = {"carrier": "song.wav", "stealth": True}
    recipient = sealing.Lock(recipients=[sealing.keygen(tmp_path / "id.txt")])
    for options, words in (
        (song, "carrier and stealth must have a passphrase: it decides where the message lies"),
        (song | {"lock": recipient}, "carrier and stealth must have a passphrase, not recipients: it decides"),
        (song | {"bits": 2, "lock": LOCK}, "stealth does not go with bits"),
        (song | {"parity": 0.1, "lock": LOCK}, "stealth does not go with parity"),
        (song | {"rate": 0.6, "lock": LOCK}, "a rate of 0.6 bits a sample, expected more than 0, up to 0.5"),
        ({"stealth": True, "lock": LOCK}, "stealth takes carrier"),
        ({"carrier": "song.wav", "rate": 0.2, "lock": LOCK}, "rate takes stealth"),
    ):
        with pytest.raises(forms.OptionError) as error:
            codec.check(tmp_path / "a.wav", **options)
        assert str(error.value).startswith(words)


# --- Commands --------------------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch, quick, photograph):
    """Works in a folder with song.wav, cover.png, note.txt and passphrase."""
    from stegano_tf import images

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(sealing.PASSPHRASE_VARIABLE, raising=False)
    monkeypatch.setattr(age, "PADDING", 512)  # and so a short song is enough
    monkeypatch.setitem(age.seal.__kwdefaults__, "padding", 512)
    soundfile.write("song.wav", np.tile(music(), 2), RATE)
    images.write("cover.png", photograph(32, 40, 0))
    (tmp_path / "note.txt").write_text("the note\n")
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")


def test_send_and_receive(here, command, tmp_path):
    carrier = ["--carrier", "song.wav", "--stealth", "--rate", "0.5", "--passphrase-file", "passphrase"]
    status, said, error = command("send", "cover.png", "note.txt", "a.flac", "--payload", "png", *carrier)
    assert (status, error) == (0, "")
    assert "holds a sealed picture of 40x32 in 0.28" in said
    (tmp_path / "out").mkdir()
    assert command("receive", "a.flac", "out", "--passphrase-file", "passphrase")[0] == 0
    assert (tmp_path / "out" / "note.txt").read_text() == "the note\n"
    said = command("inspect", "a.flac", "--passphrase-file", "passphrase")[1]
    assert "message    frame v1 by stealth in a recording in channel 0" in said
    said = command("inspect", "song.wav", "cover.png", "--capacity")[1]
    assert re.search(r"\n8 bits a sample: 79,\d{3} bytes, fits bmp, png, webp\n0\.1 bits .* bytes, fits none$", said)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--exact", "--carrier", "song.wav", "--stealth", "--rate", "0.2"], "could be of either"),
        (["--carrier", "song.wav", "--stealth"], "--stealth and --carrier must have a passphrase: it decides"),
        (["--exact", "--stealth"], "--exact does not go with --stealth"),
        (["--rate", "1"], "--rate takes --stealth or --exact"),
    ],
)
def test_whose_stealth_it_is(here, command, words, found):
    status, _, error = command("send", "cover.png", "cover.png", "a.wav", *words)
    assert status == 2
    assert found in error
