"""The page in a real browser, against the command: pictures that go in, sounds and pictures that come out."""

import os

import numpy as np
import pytest
from PIL import Image

from stegano_tf import pipeline, sealing
from stegano_tf.audio import codec

SEND, SENT = "#send-form .primary", "#sent h3"
RECEIVE, RECEIVED = "#receive-form .primary", "#received h3"
ERROR = "#error:not([hidden])"
PICTURES = ("cover", "secret")


@pytest.fixture(scope="module")
def pair(tmp_path_factory, photograph):
    """A cover of 88x72, whose sides are multiples of 8, and a secret of another size."""
    folder = tmp_path_factory.mktemp("pair")
    files = [folder / "cover.png", folder / "secret.png"]
    for file, picture in zip(files, (photograph(72, 88, 1), photograph(60, 50, 2)), strict=True):
        Image.fromarray(picture).save(file)
    return files


@pytest.fixture(scope="module")
def opened(browser, page_address):
    """The page, opened once for this file; at the end it has asked nobody else and complained of nothing."""
    browser.open(url=page_address)
    yield browser
    log = browser.log()
    assert log["console"] == []
    assert {url for url in log["requests"] if not url.removeprefix("blob:").startswith(page_address)} == set()


@pytest.fixture
def page(opened, page_address):
    opened.tab(url=page_address)
    return opened


def choose(page, pair):
    for name, file in zip(PICTURES, pair, strict=True):
        page.files(selector=f"#file-{name}", paths=[str(file)])


def send(page, pair, path, **options):
    """Sends a pair with options of the form, and returns the sound."""
    choose(page, pair)
    page.evaluate(code="document.querySelector('#send-form details').open = true")
    for name, value in options.items():
        field = f"#send-form [name={name}]"
        if name == "carrier":
            page.files(selector=field, paths=[str(value)])
        elif name in ("passphrase", "recipients"):
            page.fill(selector=field, text=value)
        else:
            page.select(selector=field, value=value)
    page.click(selector=SEND)
    page.wait(selector=f"{SENT}, {ERROR}")
    assert page.evaluate(code="document.querySelector('#error').hidden"), page.text(selector="#error")
    page.download(selector="#sent .primary", path=str(path))
    return path


def receive(page, sound, out, **key):
    """Returns the secret that the page finds."""
    page.evaluate(code="location.hash = 'receive'")
    page.files(selector="#file-sound", paths=[str(sound)])
    page.evaluate(code="document.querySelector('#receive-form details').open = true")
    for name, value in key.items():
        field = f"#receive-form [name={name}]"
        if name == "bare":
            page.check(selector=field)
        elif name == "identity":
            page.files(selector=field, paths=[str(value)])
        else:
            page.fill(selector=field, text=value)
    page.click(selector=RECEIVE)
    page.wait(selector=f"{RECEIVED}, {ERROR}")
    assert page.evaluate(code="document.querySelector('#error').hidden"), page.text(selector="#error")
    page.download(selector="#received .buttons button", path=str(out))
    return np.asarray(Image.open(out))


def test_the_sound_is_the_commands_to_the_byte_and_so_is_the_secret(page, pair, tmp_path):
    sound = send(page, pair, tmp_path / "page.wav")
    pipeline.send(*pair, tmp_path / "command.wav")
    assert sound.read_bytes() == (tmp_path / "command.wav").read_bytes()
    secret = receive(page, sound, tmp_path / "secret.png")
    assert np.array_equal(secret, pipeline.receive(sound).secret)


def test_networks_that_look_around_and_sides_that_are_no_multiples(page, photograph, tmp_path):
    """More than one tile of the UNet, mirrored borders, and a secret that is scaled."""
    pair = [tmp_path / "cover.png", tmp_path / "secret.png"]
    for file, picture in zip(pair, (photograph(41, 397, 3), photograph(99, 120, 4)), strict=True):
        Image.fromarray(picture).save(file)
    sound = send(page, pair, tmp_path / "page.wav", preset="unet")
    stego = pipeline.decode(sound).image
    expected = pipeline.hide(*pair, preset="unet")
    # Floating-point sums in another order: few pixels, by 1.
    assert np.abs(stego.astype(int) - expected).max() <= 1
    assert np.mean(stego != expected) < 1e-3


def test_what_is_sent_can_be_received(page, pair, tmp_path, photograph):
    """Sealed for a key, as WebP in a recording: by the command, and by the page itself."""
    identity, song = tmp_path / "identity.txt", tmp_path / "song.wav"
    recipient = sealing.keygen(identity)
    recording(song)
    options = {"seal": "recipients", "recipients": recipient, "form": "carried", "carrier": song, "payload": "webp"}
    sound = send(page, pair, tmp_path / "carried.wav", **options)
    info = codec.inspect(sound, key=sealing.Key(identities=[identity]), verify=True)
    assert (info.form, info.payload, info.sealed) == ("frame v1 in the low bits of a recording", "webp", True)
    expected = pipeline.receive(sound, key=sealing.Key(identities=[identity])).secret
    assert np.array_equal(receive(page, sound, tmp_path / "secret.png", identity=identity), expected)


def test_passphrase(page, pair, tmp_path):
    """From the command, as FLAC with a PNG inside, to the page."""
    sound = tmp_path / "sealed.flac"
    sent = pipeline.send(*pair, sound, payload="png", lock=sealing.Lock(passphrase="four short words here"))
    secret = receive(page, sound, tmp_path / "secret.png", passphrase="four short words here")
    assert np.array_equal(secret, pipeline.reveal(sent.stego, size=(60, 50)))


def test_refusals_are_the_commands_words(page, pair, tmp_path, command):
    vectors = os.path.join(os.path.dirname(__file__), "..", "vectors")
    page.evaluate(code="location.hash = 'receive'")
    for name in ("header_bit.wav", "cut_short.wav", "recording.wav", "seal_other_key.wav"):
        sound = os.path.join(vectors, name)
        page.files(selector="#file-sound", paths=[sound])
        page.click(selector=RECEIVE)
        page.wait(selector=ERROR)
        _, _, said = command("receive", sound, tmp_path / "out.png")
        assert page.text(selector="#error") == said.strip().removeprefix("stegano-tf: ").replace(sound, name)


def test_files_that_are_no_pictures(page, pair, tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    page.files(selector="#file-cover", paths=[str(tmp_path / "notes.txt")])
    page.wait(selector=ERROR)
    assert "notes.txt: is no picture" in page.text(selector="#error")
    page.click(selector=SEND)
    assert page.text(selector="#error") == "Choose a cover and a secret first."


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(page, tmp_path):
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    page.files(selector="#file-cover", paths=[str(tmp_path / "huge.png")])
    page.wait(selector=ERROR)
    assert "has 10000x10000 = 100000000 pixels, expected at most" in page.text(selector="#error")


def test_the_keyboard_alone(page, pair):
    """From the top of the page to a finished sound with Tab, Space and Enter; only the file dialogue is a program's."""
    choose(page, pair)
    page.evaluate(code="document.body.focus()")
    for _ in range(12):
        page.press(keys=["Tab"])
        if page.evaluate(code="document.activeElement.type === 'submit'"):
            break
    page.press(keys=["Enter"])
    page.wait(selector=SENT)
    assert page.evaluate(code="document.activeElement.id") == "sent"


def test_cancel(page, pair):
    choose(page, pair)
    page.evaluate(code=f"document.querySelector('{SEND}').click(); document.querySelector('#cancel').click()")
    page.wait(selector="#status:not(:empty)")
    assert "Cancelled" in page.text(selector="#status")
    page.click(selector=SEND)
    page.wait(selector=SENT)


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"width": 360, "height": 740, "touch": True, "calm": True}])
def test_no_barrier_is_found(browser, page_address, pair, look, tmp_path):
    browser.open(url=page_address, **look)
    choose(browser, pair)
    assert browser.axe() == []
    browser.click(selector=SEND)
    browser.wait(selector=SENT)
    assert browser.axe() == []
    browser.evaluate(code="location.hash = 'receive'; document.querySelectorAll('details').forEach((d) => d.open = true)")
    assert browser.axe() == []
    assert browser.evaluate(code="document.documentElement.scrollWidth <= innerWidth")
    assert browser.log()["console"] == []


def test_it_works_without_its_server_after_the_first_visit(browser, page_address, pair):
    browser.open(url=page_address)
    browser.wait(selector="#offline:not(:empty)")
    assert browser.text(selector="#offline") == "Ready to work offline."
    browser.offline(value=True)
    browser.tab(url=page_address)
    choose(browser, pair)
    browser.click(selector=SEND)
    browser.wait(selector=SENT)
    assert browser.log()["console"] == []


def recording(path):
    """Writes two seconds of noise, stereo, 24 bits, in a WAV file."""
    import soundfile

    samples = np.random.default_rng(0).normal(0, 0.1, (2 * 44100, 2))
    soundfile.write(path, samples, 44100, subtype="PCM_24")
