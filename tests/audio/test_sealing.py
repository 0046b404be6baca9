"""Sealing, and the real `age` command both ways; without the command those tests are skipped."""

import base64
import dataclasses
import io
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
import zlib

import numpy as np
import pyrage
import pytest
from PIL import Image

from stegano_tf import sealing
from stegano_tf.audio import codec, files, framing, pcm
from stegano_tf.audio.forms import bare, carried
from stegano_tf.audio.forms.carried import low_bits, places
from stegano_tf.audio.forms.marked import writing
from stegano_tf.errors import FormatError, OutputError
from stegano_tf.sealing import age

PASSPHRASE = "correct horse battery staple"
needs_age = pytest.mark.skipif(
    shutil.which("age") is None, reason="the age command is not installed (apt-get install age)"
)


def seal(plaintext, lock):
    sealed = io.BytesIO()
    age.seal(io.BytesIO(plaintext), sealed, lock)
    return sealed.getvalue()


def unseal(sealed, key):
    plaintext = io.BytesIO()
    age.unseal(io.BytesIO(sealed), plaintext, key)
    return plaintext.getvalue()


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "identity.txt"
    return path, sealing.keygen(path)


@pytest.fixture(scope="module")
def sealed():
    """Deriving a key takes a second, so one age file serves many tests."""
    return seal(b"secret", sealing.Lock(passphrase=PASSPHRASE))


# --- Keys ------------------------------------------------------------------------------------------------------------


def test_keygen_writes_for_its_owner_only(identity, tmp_path):
    path, recipient = identity
    assert path.stat().st_mode & 0o777 == 0o600
    comment, secret = path.read_text().splitlines()
    assert comment == f"# public key: {recipient}"
    assert secret.startswith("AGE-SECRET-KEY-1")
    assert str(pyrage.x25519.Identity.from_str(secret).to_public()) == recipient
    with pytest.raises(OutputError, match="exists already"):
        sealing.keygen(path)


def test_an_identity_that_others_can_read_is_warned_of(identity, tmp_path):
    copy = tmp_path / "copy.txt"
    copy.write_bytes(identity[0].read_bytes())
    copy.chmod(0o644)
    with pytest.warns(sealing.SealingWarning, match=r"copy\.txt: mode 0644 lets others read .* expected 0600"):
        assert len(sealing.read_identities(copy)) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no identity"),
        (b"# only a comment\n", "holds no identity"),
        (b"AGE-SECRET-KEY-1QQQQ\n", "is no identity file"),
        (b"\xff\xfe\0", "is no identity file"),
        (b"age1xyz\n", "is no identity file"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "is no identity file"),
    ],
)
def test_wrong_identity_files(tmp_path, content, message):
    path = tmp_path / "id.txt"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(sealing.SealingError, match=rf"id\.txt: {message}"):
        sealing.read_identities(path)


def test_mistyped_recipients(identity):
    recipient = identity[1]
    for wrong in (recipient[:-1], recipient[:20] + "b" + recipient[21:], "age1", "", "ssh-ed25519 AAAA", "ssh-rsa x"):
        with pytest.raises(
            sealing.SealingError, match=f"recipient '{re.escape(wrong[:60])}.* is mistyped, expected age1"
        ):
            sealing.Lock(recipients=[wrong])
    secret = identity[0].read_text().splitlines()[1]
    with pytest.raises(sealing.SealingError, match="SECRET key") as error:
        sealing.Lock(recipients=[secret])
    assert secret[16:] not in str(error.value)


def test_locks_that_make_no_sense(identity):
    for options in ({}, {"passphrase": "a", "recipients": [identity[1]]}):
        with pytest.raises(sealing.SealingError, match="either a passphrase or recipients"):
            sealing.Lock(**options)
    with pytest.raises(sealing.SealingError, match="passphrase is empty"):
        sealing.Lock(passphrase="")
    assert "hunter2" not in repr(sealing.Lock(passphrase="hunter2")) + repr(sealing.Key(passphrase="hunter2"))


def test_passphrase_files(tmp_path):
    path = tmp_path / "p.txt"
    path.write_bytes("pass phräse \r\nsecond line\n".encode())
    assert sealing.read_passphrase(path) == "pass phräse "
    for content in (b"\xef\xbb\xbfh\xc3\xbcnter\r\n", "h\u00fcnter\r\n".encode("utf-16"), b"h\xc3\xbcnter\rx"):
        path.write_bytes(content)  # as Notepad, PowerShell, and an old Mac write it
        assert sealing.spellings(sealing.read_passphrase(path))[0] == "h\u00fcnter"
    for content, message in (
        (b"\n", "first line is empty"),
        (b"", "first line is empty"),
        (b"\xef\xbb\xbf \t \r\n", "first line is empty"),
        (b"\xff\n", "is no text"),
        (b"x" * 65_537, "first line is longer than 65,536 bytes"),  # used whole or not at all
    ):
        path.write_bytes(content)
        with pytest.raises(sealing.SealingError, match=message):
            sealing.read_passphrase(path)
    with pytest.raises(sealing.SealingError, match="cannot be read"):
        sealing.read_passphrase(tmp_path)


def test_spellings_of_a_passphrase():
    composed, decomposed = "h\u00fcnter", "hu\u0308nter"
    assert sealing.spellings("hunter2") == ["hunter2"]
    assert sealing.spellings(" two words\t") == ["two words", " two words\t"]
    assert sealing.spellings(composed) == [composed, decomposed]
    assert sealing.spellings(decomposed) == [composed, decomposed]
    assert sealing.spellings(f"\ufeff{composed}\r") == [composed, f"\ufeff{composed}\r", decomposed]
    assert sealing.Lock(passphrase=f" {decomposed}").passphrase == composed
    for blank in "", "   ", "\ufeff\u00a0\t":
        with pytest.raises(sealing.SealingError, match="is empty, or of blanks alone"):
            sealing.Lock(passphrase=blank)
    with pytest.raises(sealing.SealingError, match="is no text"):
        sealing.spellings("h\udcfcnter")


def test_the_variable_is_no_blank(monkeypatch):
    for value, expected in (None, None), ("hunter2", "hunter2"):
        monkeypatch.setenv(sealing.PASSPHRASE_VARIABLE, value) if value else monkeypatch.delenv(
            sealing.PASSPHRASE_VARIABLE, raising=False
        )
        assert sealing.variable() == expected
    for value in "", "  ":
        monkeypatch.setenv(sealing.PASSPHRASE_VARIABLE, value)
        with pytest.raises(sealing.SealingError, match="STEGANO_TF_PASSPHRASE: the passphrase is empty"):
            sealing.variable()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (EOFError(), "no passphrase was typed: the input ended"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
            "is no text in the encoding of this terminal",
        ),
        ("   ", "is empty, or of blanks alone"),
        ("x" * 4095, "too long for a terminal"),
    ],
)
def test_what_is_typed_is_a_passphrase(monkeypatch, typed, message):
    def getpass(prompt):
        if isinstance(typed, Exception):
            raise typed
        return typed

    monkeypatch.setattr("getpass.getpass", getpass)
    monkeypatch.setattr(os, "ctermid", lambda: os.devnull, raising=False)
    with pytest.raises(sealing.SealingError, match=message):
        sealing.ask_passphrase()


# b"picture" in an age file of the work factor 2^4, for the passphrase "hu\u0308nter": as it was typed, on a system that
# decomposes accents. So messages were sealed before passphrases had one spelling.
OLD_SPELLING = base64.b85decode(
    "VP|D6Wo~0~d2n=TZ*DGca%V4gF$yg{Aai4Kd2n<fG%qqUX?az8G+0$(VMt^#V?kF;Yj+?t3QKe{Ol?{=OgKtOdU;4TPjzxtadtE{F)wUOQfoJPG(#~@"
    "L1ArkYFbop3N0-yAapc(NM}lLOF3pldPp&IGdN^)WmZH+FjI4FMt4I=cUoykYgKqraYi_A3L{$S%3&bDFY^{>?nbTxIB7Y3{SkJX!{hE+M36XtGQz51?"
    "1ggt"
)


def test_what_was_sealed_with_another_spelling_opens():
    assert unseal(OLD_SPELLING, sealing.Key(passphrase="h\u00fcnter")) == b"picture"
    with pytest.raises(sealing.SealingError, match="wrong passphrase"):
        unseal(OLD_SPELLING, sealing.Key(passphrase="h\u00fcnter2"))


# --- Sealing and opening ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537])
def test_padding_hides_the_size(identity, size):
    path, recipient = identity
    file = seal(b"x" * size, sealing.Lock(recipients=[recipient]))
    opened = unseal(file, sealing.Key(identities=[path]))
    assert opened == (b"x" * size).ljust(-(-size // 65_536) * 65_536, b"\0")


def test_each_of_several_recipients_can_open(identity, tmp_path):
    other = sealing.keygen(tmp_path / "other.txt")
    file = seal(b"for both", sealing.Lock(recipients=[identity[1], other]))
    for path in (identity[0], tmp_path / "other.txt"):
        assert unseal(file, sealing.Key(identities=[path])).startswith(b"for both\0")


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_ssh_keys(tmp_path, kind):
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed (apt-get install openssh-client)")
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", tmp_path / "key"], check=True)
    file = seal(b"over ssh", sealing.Lock(recipients=[(tmp_path / "key.pub").read_text()]))
    assert unseal(file, sealing.Key(identities=[tmp_path / "key"])).startswith(b"over ssh")


def test_what_cannot_be_opened_says_why(sealed, identity, tmp_path):
    path, recipient = identity
    passphrase = sealing.Key(passphrase=PASSPHRASE)
    assert unseal(sealed, passphrase).startswith(b"secret\0")
    assert len(sealed) in (age.sealed_bytes(6), age.sealed_bytes(6) - 1)
    sealing.keygen(tmp_path / "other.txt")
    for_one = seal(b"secret", sealing.Lock(recipients=[recipient]))
    flipped = bytearray(for_one)
    flipped[-1000] ^= 1
    for data, key, message in (
        (sealed, sealing.Key(passphrase="wrong"), "decryption failed; wrong passphrase, or damaged"),
        (sealed, sealing.Key(), "sealed with a passphrase, and none is given"),
        (sealed, sealing.Key(identities=[path]), "sealed with a passphrase, and none is given"),
        (for_one, passphrase, "sealed for recipients, expected an identity file"),
        (for_one, sealing.Key(identities=[tmp_path / "other.txt"]), "no matching keys found; wrong identity"),
        (bytes(flipped), sealing.Key(identities=[path]), "decryption error; wrong identity, or damaged"),
        (for_one[:-1], sealing.Key(identities=[path]), "wrong identity, or damaged"),
        (for_one[:100], sealing.Key(identities=[path]), "its header is damaged, or longer than 65,536 bytes"),
    ):
        with pytest.raises(sealing.SealingError, match=f"cannot be opened: .*{message}") as error:
            unseal(data, key)
        assert "\n" not in str(error.value)


def armored(data, *, width=64, end="\n"):
    text = base64.b64encode(data).decode()
    lines = [text[place : place + width] for place in range(0, len(text), width)]
    return end.join(["-----BEGIN AGE ENCRYPTED FILE-----", *lines, "-----END AGE ENCRYPTED FILE-----", ""]).encode()


@pytest.mark.parametrize("factor", [b"23", b"31", b"64", b"99"])
@pytest.mark.parametrize("wrap", [bytes, armored, lambda data: armored(data, end="\r\n")])
def test_absurd_work_factors_are_refused_at_once(sealed, factor, wrap):
    absurd = re.sub(rb"(-> scrypt \S+) \d+", rb"\1 " + factor, sealed, count=1)
    start = time.perf_counter()
    with pytest.raises(sealing.SealingError, match=rf"work factor is 2\^{factor.decode()}, expected at most 2\^22"):
        unseal(wrap(absurd), sealing.Key(passphrase=PASSPHRASE))
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize("factor", [b"0", b"023", b"+23", b"-1", b"123", b"0x17", b"", b" 23"])
@pytest.mark.parametrize("wrap", [bytes, armored])
def test_work_factors_that_are_written_otherwise_reach_no_parser(sealed, factor, wrap):
    odd = re.sub(rb"(-> scrypt \S+) \d+", rb"\1 " + factor, sealed, count=1)
    with pytest.raises(sealing.SealingError, match=r"work factor is no number from 1 to 99|is sealed for recipients"):
        unseal(wrap(odd), sealing.Key(passphrase=PASSPHRASE))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_armored_files_open_and_damaged_armor_asks_for_no_work(sealed, end):
    data = armored(sealed, end=end)
    assert age.needs_passphrase(data)
    assert unseal(data, sealing.Key(passphrase=PASSPHRASE)).startswith(b"secret\0")
    for damaged in (data[:35] + b"*" + data[36:], data[:60] + b"=" + data[61:], data[:36]):
        assert not age.needs_passphrase(damaged)
        with pytest.raises(sealing.SealingError, match="cannot be opened"):
            unseal(damaged, sealing.Key(passphrase=PASSPHRASE))


def test_the_passphrase_is_asked_for_only_if_needed(identity):
    def ask():
        raise AssertionError

    file = seal(b"a", sealing.Lock(recipients=[identity[1]]))
    assert unseal(file, sealing.Key(passphrase=ask, identities=[identity[0]]))


# --- Noise -----------------------------------------------------------------------------------------------------------


def test_noise_is_the_age_file_without_its_text(sealed):
    noise = bare.to_noise(sealed)
    assert bare.from_noise(noise) == sealed
    header = sealed.index(b"\n", sealed.index(b"\n--- ") + 1) + 1
    assert len(noise) == 81 + len(sealed) - header
    with pytest.raises(sealing.SealingError, match="100 bytes, expected at least 113"):
        bare.from_noise(noise[:100])


def test_noise_takes_a_passphrase(identity):
    with pytest.raises(sealing.SealingError, match="bare form needs an age file with one passphrase"):
        bare.to_noise(seal(b"a", sealing.Lock(recipients=[identity[1]])))


def test_the_bare_form_looks_like_noise(tmp_path):
    image = np.full((300, 400, 3), 200, np.uint8)  # as far from noise as a picture can be
    lock, key = sealing.Lock(passphrase=PASSPHRASE), sealing.Key(passphrase=PASSPHRASE, bare=True)
    info = codec.encode(image, tmp_path / "a.wav", lock=lock, bare=True)
    assert (info.form, info.sealed) == ("bare age file", True)
    with files.Reader(tmp_path / "a.wav") as reader:
        data = pcm.decode(reader.channel(0, reader.frames))
    counts = np.bincount(data, minlength=256)
    expected = len(data) / 256
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert 150 < chi_square < 380  # 255 degrees of freedom: 99.99 % of all noise
    centred = data - data.mean()
    assert abs((centred[1:] * centred[:-1]).mean() / centred.var()) < 4 / len(data) ** 0.5
    assert len(zlib.compress(data.tobytes(), 9)) > len(data)
    np.testing.assert_array_equal(codec.decode(tmp_path / "a.wav", key=key).image, image)
    with pytest.raises(FormatError, match="holds no message"):
        codec.inspect(tmp_path / "a.wav")
    data[-1] ^= 1
    for name, samples in ("damaged", data), ("noise", np.random.default_rng(0).integers(0, 256, 9_000)):
        files.write(tmp_path / f"{name}.wav", [pcm.encode(samples.astype(np.uint8))], len(samples))
    for name, passphrase in ("a", "wrong"), ("damaged", PASSPHRASE), ("noise", PASSPHRASE):
        message = rf"/{name}\.wav: cannot be opened: wrong passphrase, damaged, or no message at all$"
        with pytest.raises(sealing.SealingError, match=message):
            codec.decode(tmp_path / f"{name}.wav", key=dataclasses.replace(key, passphrase=passphrase))


# --- Whole sounds ----------------------------------------------------------------------------------------------------


def test_the_frame_outside_tells_nothing(tmp_path, identity):
    lock = sealing.Lock(recipients=[identity[1]])
    for size in ((3, 4), (100, 200)):
        image = np.zeros((*size, 3), np.uint8)
        codec.encode(image, tmp_path / "a.wav", lock=lock, secret_size=(77, 88), network=b"network!", force=True)
        info = codec.inspect(tmp_path / "a.wav", verify=True)
        assert (info.sealed, info.payload, info.image_size, info.secret_size, info.network) == (True, *[None] * 4)
        assert info.payload_bytes - 65_536 < 700
        opened = codec.inspect(tmp_path / "a.wav", key=sealing.Key(identities=[identity[0]]))
        assert (opened.image_size, opened.secret_size, opened.network) == (size, (77, 88), b"network!")


@pytest.mark.parametrize("payload", codec.PAYLOADS)
@pytest.mark.parametrize("with_parity", [False, True])
@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("locked", [False, True])
def test_everything_goes_with_everything(tmp_path, image, identity, payload, with_parity, carried, locked):  # noqa: PLR0917
    path = tmp_path / "a.wav"
    song = 9000 * np.sin(np.arange(400_000) / 37)
    files.write(tmp_path / "song.wav", [song.astype(np.int16)], len(song))
    written = codec.encode(
        image,
        path,
        secret_size=(30, 20),
        network=b"network!",
        payload=payload,
        lock=sealing.Lock(recipients=[identity[1]]) if locked else None,
        parity=0.1 if with_parity else None,
        carrier=tmp_path / "song.wav" if carried else None,
    )
    decoded = codec.decode(path, key=sealing.Key(identities=[identity[0]]))
    np.testing.assert_array_equal(decoded.image, image)
    assert dataclasses.replace(written, snr=None) == decoded.info
    assert (decoded.info.secret_size, decoded.info.network) == ((30, 20), b"network!")
    assert (decoded.info.payload, decoded.info.sealed, decoded.info.parity) == (
        payload,
        locked,
        12 if with_parity else None,
    )
    if locked:
        with pytest.raises(sealing.SealingError, match=r"a\.wav: cannot be opened: it is sealed for recipients"):
            codec.decode(path)


def test_a_carrier_keeps_a_passphrases_order(tmp_path, image):
    random = np.random.default_rng(0)
    song = (9000 * np.sin(np.arange(300_000) / 37) + random.normal(0, 100, 300_000)).astype(np.int16)
    files.write(tmp_path / "song.wav", [song], len(song))
    codec.encode(
        image,
        tmp_path / "a.wav",
        lock=sealing.Lock(passphrase=PASSPHRASE),
        carrier=tmp_path / "song.wav",
    )
    with pytest.raises(FormatError, match="holds no message"):
        codec.decode(tmp_path / "a.wav")
    decoded = codec.decode(tmp_path / "a.wav", key=sealing.Key(passphrase=PASSPHRASE))
    np.testing.assert_array_equal(decoded.image, image)


@pytest.fixture
def cheap_order(monkeypatch):
    """Leaves out the second that scrypt takes for the order of version 2."""
    monkeypatch.setattr(places, "key", lambda passphrase, salt: salt + passphrase.encode())


@pytest.mark.parametrize("parity", [None, 0.01])
@pytest.mark.usefixtures("cheap_order")
def test_a_keyed_carrier_tells_no_damage_from_a_wrong_passphrase(tmp_path, image, parity):
    song = np.random.default_rng(0).normal(0, 2000, 160_000).astype(np.int16)
    files.write(tmp_path / "song.wav", [song], len(song))
    lock = sealing.Lock(passphrase=PASSPHRASE)
    carried = {"carrier": tmp_path / "song.wav", "parity": parity, "bits": 6}
    codec.encode(image, tmp_path / "a.wav", lock=lock, payload="png", **carried)
    with files.Reader(tmp_path / "a.wav") as reader:
        samples = reader.channel(0, reader.frames).copy()
    salt = low_bits.extract(samples, 16, 1, None).tobytes()
    order = 128 + places.order(len(samples) - 128, 8, places.key(PASSPHRASE, salt))
    # Samples of 6 bits: the frame's length and CRC-32 lie in the 14th to 53rd. A label in front bears such damage.
    for name, harmed in {"a": order[:0], "payload": order[800:90_000], "header": order[:53]}.items():
        if name != "header" or parity is None:
            damaged = samples.copy()
            damaged[harmed] ^= 5
            files.write(tmp_path / f"{name}.wav", [damaged], len(damaged), force=True)
    expected = "holds no message that the passphrase opens: a wrong passphrase, damaged, or none at all; bare is needed"
    for path in tmp_path.iterdir():
        key = sealing.Key(passphrase="wrong" if path.name == "a.wav" else PASSPHRASE)
        with pytest.raises(FormatError) as caught:
            codec.decode(path, key=key)
        assert str(caught.value) == f"{path}: {expected} for what it wrote"


@pytest.mark.usefixtures("cheap_order")
def test_a_carried_message_of_version_1_opens_as_its_passphrase_was_typed():
    song = np.random.default_rng(0).normal(0, 2000, 9000).astype(np.int32)
    for typed in ("horse ", "\ufeffhorse"):
        order = places.order(len(song), 8, places.key_v1(typed))
        samples = low_bits.embed(song, framing.MAGIC, 1, 16, order)[:, None]
        assert next(carried._seen(samples, sealing.spellings(typed))).bits == 1
    assert not list(carried._seen(samples, sealing.spellings("horse")))


@pytest.mark.parametrize("bits", [3, 8])
def test_a_carried_message_is_found_although_its_first_labels_are_lost(tmp_path, bits):
    random = np.random.default_rng(bits)
    image = random.integers(0, 256, (180, 180, 3), dtype=np.uint8)
    files.write(tmp_path / "song.wav", [random.normal(0, 3000, 310_000).astype(np.int16)], 310_000)
    codec.encode(image, tmp_path / "a.wav", carrier=tmp_path / "song.wav", bits=bits, parity=0.1)
    recording = files.read_recording(tmp_path / "a.wav")
    for segment in range(20):
        start = segment * writing.BYTES_SEGMENT * 8 // bits
        recording.samples[start : start + 24 * 8 // bits] = 0
    files.write_recording(tmp_path / "b.wav", recording)
    np.testing.assert_array_equal(codec.decode(tmp_path / "b.wav").image, image)


@pytest.mark.parametrize("data", [b"GIF89a", b"", b"-----BEGIN"])
def test_only_age_files_are_sent_as_payloads(tmp_path, data):
    with pytest.raises(FormatError, match=re.escape(f"starts with {data[:8]!r}, expected an age file")):
        codec.encode_payload(data, tmp_path / "a.wav")
    assert not list(tmp_path.iterdir())


# --- The age command -------------------------------------------------------------------------------------------------


def type_passphrase(command, times):
    """Runs a command on a terminal of its own and types the passphrase as often as it asks."""
    process, terminal = pty.fork()
    if process == 0:
        os.execvp(command[0], [str(argument) for argument in command])
    said, asked = b"", 0
    while True:
        ready, _, _ = select.select([terminal], [], [], 60)
        try:
            part = os.read(terminal, 1024) if ready else b""
        except OSError:  # the other end is closed
            part = b""
        if not part:
            break
        said += part
        if said.lower().count(b"passphrase") > asked < times and said.rstrip().endswith(b":"):
            asked += 1
            time.sleep(0.2)  # age flushes what was typed before it turned the echo off
            os.write(terminal, PASSPHRASE.encode() + b"\n")
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    os.close(terminal)
    assert PASSPHRASE.encode() not in said
    return status, said


@needs_age
def test_age_opens_what_is_sealed_for_a_recipient(tmp_path, image, identity):
    codec.encode(image, tmp_path / "a.wav", lock=sealing.Lock(recipients=[identity[1]]), parity=0.1)
    (tmp_path / "message.age").write_bytes(codec.read_payload(tmp_path / "a.wav"))
    opened = subprocess.run(
        ["age", "-d", "-i", identity[0], tmp_path / "message.age"], capture_output=True, check=True
    ).stdout
    files.write(tmp_path / "b.wav", [pcm.encode(opened)], len(opened))
    np.testing.assert_array_equal(codec.decode(tmp_path / "b.wav").image, image)


@needs_age
def test_age_opens_what_is_sealed_with_a_passphrase(tmp_path, image):
    codec.encode(image, tmp_path / "a.wav", lock=sealing.Lock(passphrase=PASSPHRASE))
    (tmp_path / "message.age").write_bytes(codec.read_payload(tmp_path / "a.wav"))
    status, said = type_passphrase(["age", "-d", "-o", tmp_path / "opened", tmp_path / "message.age"], 1)
    assert status == 0, said
    assert (tmp_path / "opened").read_bytes().startswith(b"\x89STGTF\r\n")


@needs_age
@pytest.mark.parametrize("options", [[], ["-a"]])
@pytest.mark.parametrize("suffix", ["PNG", "BMP", "WEBP"])
def test_a_picture_that_age_sealed_goes_in(tmp_path, image, identity, options, suffix):
    picture = io.BytesIO()
    Image.fromarray(image).save(picture, suffix, **({"lossless": True, "exact": True} if suffix == "WEBP" else {}))
    sealed = subprocess.run(
        ["age", *options, "-r", identity[1]], input=picture.getvalue(), capture_output=True, check=True
    ).stdout
    info = codec.encode_payload(sealed, tmp_path / "a.wav", parity=0.1)
    assert (info.sealed, info.image_size) == (True, None)
    decoded = codec.decode(tmp_path / "a.wav", key=sealing.Key(identities=[identity[0]]))
    np.testing.assert_array_equal(decoded.image, image)
    assert decoded.info.payload == suffix.lower()


@needs_age
def test_a_picture_that_age_sealed_with_a_passphrase_goes_in_even_bare(tmp_path, image):
    Image.fromarray(image).save(tmp_path / "a.png")
    status, said = type_passphrase(["age", "-p", "-o", tmp_path / "a.age", tmp_path / "a.png"], 2)
    assert status == 0, said
    codec.encode_payload((tmp_path / "a.age").read_bytes(), tmp_path / "a.wav", bare=True)
    decoded = codec.decode(tmp_path / "a.wav", key=sealing.Key(passphrase=PASSPHRASE, bare=True))
    np.testing.assert_array_equal(decoded.image, image)


def test_the_command_asks_twice_without_showing(tmp_path, image):
    Image.fromarray(image).save(tmp_path / "a.png")
    command = [sys.executable, "-m", "stegano_tf"]
    status, said = type_passphrase([*command, "encode", tmp_path / "a.png", tmp_path / "a.wav", "--ask-passphrase"], 2)
    assert status == 0, said
    status, said = type_passphrase([*command, "decode", tmp_path / "a.wav", tmp_path / "b.png"], 1)
    assert status == 0, said
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), image)
