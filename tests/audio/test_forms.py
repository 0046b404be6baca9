"""Which form the options choose, what a form costs, and what is refused before there is a picture."""

import dataclasses
import json
import shutil
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stegano_tf import pipeline, sealing
from stegano_tf.audio import codec, files, forms, lengths, payloads
from stegano_tf.errors import AudioError, FormatError, OutputError
from stegano_tf.sealing import age

PASSPHRASE = sealing.Lock(passphrase="correct horse")


def spell(name):
    return "--" + name.replace("_", "-")


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "song.wav"
    soundfile.write(path, (9000 * np.sin(np.arange(20_000) / 37)).astype(np.int16), 48_000)
    return path


@pytest.fixture
def recipient(tmp_path):
    return sealing.Lock(recipients=[sealing.keygen(tmp_path / "id.txt")])


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "frame v1"),
        ({"raw_bmp": False, "parity": None, "bare": False}, "frame v1"),
        ({"raw_bmp": True}, "raw bmp"),
        ({"parity": 0}, "frame v1 with marks and parity"),
        ({"parity": 0.1, "depth": 4}, "frame v1 with marks and parity"),
        ({"carrier": "a.wav"}, "frame v1 in the low bits of a recording"),
        ({"parity": 0.1, "bits": 2, "carrier": "a.wav"}, "frame v1 in the low bits of a recording"),
        ({"carrier": "a.wav", "stealth": True, "rate": 0.2}, "frame v1 by stealth in a recording"),
        ({"bare": True}, "bare age file"),
    ],
)
def test_options_choose_a_form(given, name):
    form = forms.choose(given)
    assert form.name == name
    wanted = {option: value for option, value in given.items() if value is not None and value is not False}
    assert dataclasses.asdict(form).items() >= wanted.items()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"depth": 4}, "--depth takes --parity"),
        ({"bits": 2}, "--bits takes --carrier"),
        ({"bits": 2, "parity": 0.1}, "--bits takes --carrier"),
        ({"bare": True, "parity": 0}, "--bare does not go with --parity"),
        ({"carrier": "a.wav", "depth": 4}, "--carrier does not go with --depth"),
        ({"raw_bmp": True, "bare": True}, "--raw-bmp does not go with --bare"),
        ({"parity": 0.9}, "a parity of 90%, expected 0 % to 78 %"),
        ({"parity": 0.1, "depth": 7}, "a depth of 7 bits a sample, expected 8 or 4"),
        ({"carrier": "a.wav", "bits": 9}, "9 bits a sample, expected 1 to 8"),
    ],
)
def test_options_that_make_no_sense(given, message):
    with pytest.raises(forms.OptionError) as error:
        forms.choose(given, spell)
    assert str(error.value) == message


def test_an_option_of_no_form_is_a_programming_error():
    with pytest.raises(TypeError, match="no form of sound has the options marks"):
        forms.choose({"marks": 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"payload": "gif"}, "--payload is 'gif', expected one of bmp, png, webp"),
        ({"raw_bmp": True, "payload": "png"}, "--raw-bmp takes --payload bmp, not png"),
        ({"raw_bmp": True, "lock": PASSPHRASE}, "--raw-bmp cannot be sealed"),
        ({"bare": True}, "--bare must be sealed with a passphrase"),
        ({"parity": 0.1, "bare": True, "lock": PASSPHRASE}, "--parity does not go with --bare"),
    ],
)
def test_bad_usage_is_known_before_there_is_a_picture(tmp_path, image, options, message):
    with pytest.raises(forms.OptionError) as error:
        codec.check(tmp_path / "a.wav", spell=spell, **options)
    assert str(error.value) == message
    with pytest.raises(forms.OptionError):
        codec.encode(image, tmp_path / "a.wav", **options)


def test_a_bare_sound_is_not_for_recipients(tmp_path, recipient):
    with pytest.raises(forms.OptionError, match="bare must be sealed with a passphrase"):
        codec.check(tmp_path / "a.wav", bare=True, lock=recipient)
    sealed = age.MAGIC + b"-> X25519 " + bytes(100)
    with pytest.raises(forms.OptionError, match="bare must be sealed with a passphrase"):
        codec.encode_payload(sealed, tmp_path / "a.wav", bare=True)
    with pytest.raises(forms.OptionError, match="raw_bmp cannot be sealed"):
        codec.encode_payload(sealed, tmp_path / "a.wav", raw_bmp=True)


def test_bad_outputs_are_known_before_there_is_a_picture(tmp_path, song):
    for name, options, error, message in (
        ("a.wma", {}, AudioError, r"a\.wma: \.wma files are lossy"),
        ("a.flac", {"sample_rate": 700_000}, AudioError, r"a\.flac: a sample rate of 700000 Hz, expected 1 to 655350"),
        ("no/a.wav", {}, OutputError, "does not exist"),
        ("song.wav", {}, OutputError, r"song\.wav: exists already"),
        ("a.aiff", {"size": (30_000, 30_000)}, AudioError, r"a\.aiff: 2,700,000,126 samples exceed the 4 GiB"),
        ("a.aiff", {"size": (25_000, 25_000), "parity": 0.2}, AudioError, r"a\.aiff: 2,\d\d\d,\d\d\d,\d\d\d samples"),
        ("a.mp3", {"carrier": song}, AudioError, r"a\.mp3: \.mp3 files are lossy"),
        ("a.wav", {"carrier": tmp_path / "none.wav"}, AudioError, r"^\S+none\.wav: cannot be read: No such file"),
    ):
        with pytest.raises(error, match=message):
            codec.check(tmp_path / name, **options)
    codec.check(song, force=True, carrier=song)


def test_a_recording_that_does_not_serve_is_known_before_there_is_a_picture(tmp_path, song, recipient):
    path = tmp_path / "a.wav"
    # 20,000 bytes: a frame of 72 and a BMP of 54 bytes around 80 rows of 248.
    codec.check(path, size=(80, 82), carrier=song)
    codec.encode(np.zeros((80, 82, 3), np.uint8), path, carrier=song)
    with pytest.raises(AudioError, match=r"^\S+song\.wav: is too short to carry 20,214 bytes at 8 bits a sample"):
        codec.check(path, size=(81, 82), carrier=song, force=True)
    with pytest.raises(AudioError, match=r"is too short to carry 2\d,"):
        codec.check(path, size=(80, 82), carrier=song, parity=0.01, force=True)
    with pytest.raises(AudioError, match="is too short to carry 65,7"):
        codec.check(path, size=(8, 8), carrier=song, lock=recipient, force=True)
    codec.check(path, size=(1000, 1000), carrier=song, payload="png", force=True)  # it may be all of one colour
    with pytest.raises(AudioError, match="is too short to carry"):
        codec.check(path, size=(6000, 6000), carrier=song, payload="png", force=True)
    soundfile.write(song, np.full(20_000, 32_767, np.int16), 48_000)
    with pytest.raises(AudioError, match=r"song\.wav: is clipped"):
        codec.check(path, carrier=song, force=True)


@pytest.mark.parametrize("options", [{}, {"raw_bmp": True}, {"parity": 0.1}, {"parity": 0, "depth": 4}, {"bare": True}])
@pytest.mark.parametrize("side", [32, 64, 256])
def test_a_form_knows_what_it_costs(tmp_path, options, side):
    path = tmp_path / "a.wav"
    lock = PASSPHRASE if "bare" in options else None
    image = np.zeros((side, side, 3), np.uint8)
    info = codec.encode(image, path, lock=lock, **options)
    form = codec.check(path, lock=lock, force=True, **options)
    assert info.frames == form.samples(info.payload_bytes + 72 * form.framed) == soundfile.info(path).frames
    assert info.duration == info.frames / 44_100


def test_what_parity_costs_is_said_truly():
    """The help says: long messages by so much; marks and whole blocks on top, small pictures up to twice as long."""
    fields = {field.name: field for field in dataclasses.fields(forms.choose({"parity": 0.1}))}
    assert "long messages longer by so much" in fields["parity"].metadata["help"]
    assert "small pictures last up to twice as long" in fields["parity"].metadata["help"]
    form = forms.choose({"parity": 0.1})
    longer = {side: form.samples(126 + 3 * side**2) / (126 + 3 * side**2) - 1 for side in (32, 64, 256, 2048)}
    assert [round(100 * longer[side]) for side in (32, 64, 256)] == [115, 35, 14]
    # Of a long message: (255 / 243)^2 - 1 for check symbols, 80 / 4016 for marks.
    assert longer[2048] == pytest.approx((255 / 243) ** 2 * 4096 / 4016 - 1, abs=2e-3)


def test_a_written_file_is_opened_once(tmp_path, image, monkeypatch, song, recipient):
    opened = []
    initialise = files.Reader.__init__
    monkeypatch.setattr(
        files.Reader, "__init__", lambda self, path: (opened.append(Path(path).name), initialise(self, path))[1]
    )
    for options in ({}, {"raw_bmp": True}, {"parity": 0.1}, {"lock": recipient}, {"carrier": song}):
        opened.clear()
        info = codec.encode(image, tmp_path / "a.flac", force=True, **options) if "carrier" not in options else None
        if info:
            assert len(opened) == 1
            assert ".partial" in opened[0]
            assert info.frames == soundfile.info(tmp_path / "a.flac").frames
    opened.clear()
    codec.encode(image, tmp_path / "a.wav", carrier=song)
    assert opened[0] == "song.wav"
    assert [".partial" in name for name in opened] == [False, True]


def test_a_new_form_takes_a_module_and_a_line(tmp_path, image, monkeypatch):
    """What stands in `forms.form` is true: such a class is written, found, and has its flag."""
    from stegano_tf.audio.forms.form import Form
    from stegano_tf.settings import setting

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Inverted(Form):
        inverted: bool = setting(dataclasses.MISSING, "upside down")
        name = "frame v1 upside down"
        magic = bytes(255 - byte for byte in b"\x89STGTF\r\n")

        def encode(self, size, blocks):
            samples, pieces = super().encode(size, blocks)
            return samples, (~piece for piece in pieces)

        @classmethod
        def recognise(cls, sound, key):
            found = super().recognise(sound, key)
            if found:
                read = found.read
                found.read = lambda count: 255 - read(count)
            return found

    monkeypatch.setattr(forms, "FORMS", (*forms.FORMS, Inverted))
    info = codec.encode(image, tmp_path / "a.wav", secret_size=(3, 4), inverted=True)
    decoded = codec.decode(tmp_path / "a.wav")
    np.testing.assert_array_equal(decoded.image, image)
    assert decoded.info == info
    assert info.form == "frame v1 upside down"
    with pytest.raises(forms.OptionError, match="inverted does not go with parity"):
        codec.check(tmp_path / "b.wav", inverted=True, parity=0.1)


def test_nothing_is_hidden_for_a_sound_that_cannot_be_written(tmp_path, song, monkeypatch):
    hidden = []
    monkeypatch.setattr(pipeline, "load", lambda *_, **__: types.SimpleNamespace(network=b"network!"))
    monkeypatch.setattr(pipeline, "_hide", lambda networks, cover, *_, **__: hidden.append(cover) or cover)
    cover = np.zeros((81, 82, 3), np.uint8)
    for options, error, message in (
        ({"carrier": song}, AudioError, r"song\.wav: is too short to carry 20,214 bytes"),
        ({"sample_rate": -1}, AudioError, "a sample rate of -1 Hz"),
        ({"bare": True}, forms.OptionError, "bare must be sealed"),
        ({"depth": 4}, forms.OptionError, "depth takes parity"),
    ):
        with pytest.raises(error, match=message):
            pipeline.send(cover, cover, tmp_path / "a.wav", **options)
        with pytest.raises(error, match=message):
            pipeline.encode(cover, tmp_path / "a.wav", **options)
    assert not hidden
    sent = pipeline.send(cover, cover[:9], tmp_path / "a.wav")
    assert (sent.info.secret_size, sent.info.network) == ((9, 82), b"network!")
    sent = pipeline.send(cover, cover[:9], tmp_path / "b.wav", raw_bmp=True)  # records nothing, as published
    assert (sent.info.form, sent.info.secret_size, sent.info.network) == ("raw bmp", None, None)
    assert len(hidden) == 2


def test_every_payload_says_its_least_size(image):
    for payload in payloads.PAYLOADS.values():
        size, blocks = payload.encode(image)
        data = b"".join(map(bytes, blocks))
        assert payload.starts(data[:54])
        assert len(data) == size >= payload.least_bytes(*image.shape[:2]) >= 1
        assert [other.name for other in payloads.PAYLOADS.values() if other.starts(data[:54])] == [payload.name]
    assert payloads.PAYLOADS["bmp"].least_bytes(5, 7) == 54 + 5 * 24


def test_errors_name_the_file_that_they_are_about_once(tmp_path, image, recipient):
    path = tmp_path / "a.wav"
    codec.encode(image, path, lock=recipient)
    (tmp_path / "other.txt").write_text("nonsense\n")
    (tmp_path / "other.txt").chmod(0o600)
    for identity, message in (
        (tmp_path / "none.txt", f"{tmp_path}/none.txt: cannot be read: No such file or directory"),
        (tmp_path / "other.txt", f"{tmp_path}/other.txt: is no identity file"),
    ):
        with pytest.raises(sealing.KeyFileError) as error:
            codec.decode(path, key=sealing.Key(identities=[identity]))
        assert str(error.value).startswith(message)
        assert str(path) not in str(error.value)
    with pytest.raises(sealing.SealingError) as error:
        codec.decode(path)
    assert str(error.value).startswith(f"{path}: cannot be opened")
    shutil.copy(tmp_path / "id.txt", tmp_path / "song.wav")
    with pytest.raises(AudioError) as error:
        codec.encode(image, path, force=True, carrier=tmp_path / "song.wav")
    assert str(error.value).startswith(f"{tmp_path}/song.wav: is not a sound file")
    assert str(path) not in str(error.value)


def test_a_bare_sound_that_is_not_opened_is_described_honestly(tmp_path, image):
    path = tmp_path / "a.wav"
    written = codec.encode(image, path, lock=PASSPHRASE, bare=True)
    with pytest.raises(FormatError, match="holds no message"):
        codec.inspect(path, verify=True)
    info = codec.inspect(path, verify=True, key=sealing.Key(bare=True))
    assert info.unproved == "cannot be told from noise; needs its passphrase to say more"
    assert (info.sealed, info.image_size, info.payload) == (True, None, None)
    opened = codec.inspect(path, verify=True, key=sealing.Key(bare=True, passphrase="correct horse"))
    assert opened.unproved is None
    assert opened == written
    assert codec.encode(image, path, raw_bmp=True, force=True).unproved == "a raw BMP has no checksum"
    assert codec.inspect(path).unproved == "a raw BMP has no checksum"


def test_capacities_of_a_recording(song, image):
    # 19,999 samples: the first one is 0, which could be silence in front.
    sizes = [2499, 4999, 7497, 9999, 12_495, 14_997, 17_493, 19_999]
    capacities = lengths.capacities(song)
    assert [capacities[bits] for bits in range(1, 9)] == sizes
    assert lengths.message_bytes(image) == 72 + 54 + 5 * 24
    assert lengths.message_bytes(image, payload="png") < lengths.message_bytes(image) + 100


def test_every_vector_of_an_armored_age_file_is_in_the_list():
    folder = Path(__file__).parent.parent / "vectors"
    listed = {vector["file"]: vector for vector in json.loads((folder / "vectors.json").read_text())["vectors"]}
    assert listed["sealed_armored.wav"]["outcome"] == "picture"
    assert listed["seal_armored_work_factor.wav"]["outcome"] == "work factor"
