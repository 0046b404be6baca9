"""The page in a real browser, against the command: pictures that go in, sounds and pictures that come out."""

from pathlib import Path

import browsing
import numpy as np
import pytest
import soundfile
from PIL import Image

from stegano_tf import pipeline, sealing
from stegano_tf.audio import codec
from stegano_tf.runtime import load

pytestmark = pytest.mark.browser

SEND, SENT, RECEIVE, ERROR = "#send-form .primary", "#sent h3", "#receive-form .primary", "#error:not([hidden])"
VECTORS = Path(__file__).parents[1] / "vectors"


@pytest.fixture(scope="module")
def pair(tmp_path_factory, photograph):
    """A cover of 88x72, whose sides are multiples of 8, and a secret of another size."""
    folder = tmp_path_factory.mktemp("pair")
    files = [folder / "cover.png", folder / "secret.png"]
    for file, picture in zip(files, (photograph(72, 88, 1), photograph(60, 50, 2)), strict=True):
        Image.fromarray(picture).save(file)
    return files


@pytest.fixture(autouse=True)
def asks_nobody_else_and_complains_of_nothing(browser, page_address):
    yield
    log = browser.log()
    assert {url for url in log["requests"] if not url.removeprefix("blob:").startswith(page_address)} == set()
    assert [text for text in log["console"] if "blocked by Playwright" not in text] == []


@pytest.fixture(scope="module")
def opened(browser, page_address):
    """The page, after a first visit."""
    browser.open(url=page_address)
    return browser


@pytest.fixture
def page(opened, page_address):
    """A new tab of it."""
    opened.tab(url=page_address)
    return browsing.Page(opened)


def same(file, picture):
    """Returns whether a file holds a picture, but for rounding: engines sum floats in different orders."""
    return np.abs(np.asarray(Image.open(file)).astype(int) - picture).max() <= 1


def test_the_sound_is_the_commands_to_the_byte_and_so_is_the_secret(page, pair, tmp_path):
    sound = tmp_path / "page.wav"
    page.send(*pair, sound)
    pipeline.send(*pair, tmp_path / "command.wav")
    assert sound.read_bytes() == (tmp_path / "command.wav").read_bytes()
    page.receive(sound, tmp_path / "secret.png")
    assert same(tmp_path / "secret.png", pipeline.receive(sound).secret)


def test_networks_that_look_around_and_sides_that_are_no_multiples(page, photograph, tmp_path):
    """More than one tile of the UNet, mirrored borders, and a secret that is scaled."""
    pair = [tmp_path / "cover.png", tmp_path / "secret.png"]
    for file, picture in zip(pair, (photograph(41, 397, 3), photograph(99, 120, 4)), strict=True):
        Image.fromarray(picture).save(file)
    page.send(*pair, tmp_path / "page.wav", preset="unet")
    stego = pipeline.decode(tmp_path / "page.wav").image
    expected = pipeline.hide(*pair, preset="unet")
    # Floating-point sums in another order: few pixels, by 1.
    assert np.abs(stego.astype(int) - expected).max() <= 1
    assert np.mean(stego != expected) < 1e-3


def test_what_is_sealed_for_a_key_and_carried_opens_here_and_there(page, pair, tmp_path):
    identity, song, sound = (tmp_path / name for name in ("identity.txt", "song.wav", "carried.wav"))
    recipient = sealing.keygen(identity)
    noise = np.random.default_rng(0).normal(0, 0.1, (2 * 44100, 2))
    soundfile.write(song, noise, 44100, subtype="PCM_24")
    page.send(*pair, sound, seal="recipients", recipients=recipient, form="carried", carrier=song, payload="webp")
    key = sealing.Key(identities=[identity])
    info = codec.inspect(sound, key=key, verify=True)
    assert (info.form, info.payload, info.sealed) == ("frame v1 in the low bits of a recording", "webp", True)
    page.receive(sound, tmp_path / "secret.png", identity=identity)
    assert same(tmp_path / "secret.png", pipeline.receive(sound, key=key).secret)


def test_a_passphrase_opens_what_the_command_sealed_in_flac(page, pair, tmp_path):
    sound, passphrase = tmp_path / "sealed.flac", "four short words here"
    sent = pipeline.send(*pair, sound, payload="png", lock=sealing.Lock(passphrase=passphrase))
    page.receive(sound, tmp_path / "secret.png", passphrase=passphrase)
    assert same(tmp_path / "secret.png", pipeline.reveal(sent.stego, size=(60, 50)))


@pytest.mark.parametrize("name", ["header_bit.wav", "cut_short.wav", "recording.wav", "seal_other_key.wav"])
def test_refusals_are_in_the_commands_words(page, name, tmp_path, command):
    page.browser.evaluate(code="location.hash = 'receive'")
    page.browser.files(selector="#file-sound", paths=[str(VECTORS / name)])
    page.browser.click(selector=RECEIVE)
    page.browser.wait(selector=ERROR)
    _, _, said = command("receive", VECTORS / name, tmp_path / "out.png")
    assert f"stegano-tf: {page.error()}\n" == said.replace(str(VECTORS / name), name)


def test_lossy_sounds_are_refused_with_the_way_out(page):
    page.browser.evaluate(code="location.hash = 'receive'")
    page.browser.files(selector="#file-sound", paths=[str(VECTORS / "modem_hifi.mp3")])
    page.browser.click(selector=RECEIVE)
    page.browser.wait(selector=ERROR)
    assert "modem_hifi.mp3: is MP3, which loses samples" in page.error()


def test_files_that_are_no_pictures(page, tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    page.browser.files(selector="#file-cover", paths=[str(tmp_path / "notes.txt")])
    page.browser.wait(selector=ERROR)
    assert "notes.txt: is no picture" in page.error()
    page.browser.click(selector=SEND)
    assert page.error() == "Choose a cover and a secret first."


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(page, tmp_path):
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    page.browser.files(selector="#file-cover", paths=[str(tmp_path / "huge.png")])
    page.browser.wait(selector=ERROR)
    assert "has 10000x10000 = 100000000 pixels, expected at most" in page.error()


def test_options_that_exclude_each_other(page, pair):
    for options, expected in [
        ({"form": "raw", "seal": "passphrase", "passphrase": "horse"}, "raw bmp cannot be sealed"),
        ({"form": "raw", "seal": "", "payload": "png"}, "raw bmp takes payload bmp, not png"),
        ({"form": "bare", "payload": "bmp"}, "bare must be sealed with a passphrase"),
        ({"form": "plain", "seal": "passphrase", "passphrase": " "}, "the passphrase is empty, or of blanks alone"),
        ({"seal": "recipients", "recipients": "age1x"}, "recipient 'age1x' is mistyped, expected age1…"),
    ]:
        with pytest.raises(AssertionError):
            page.send(*pair, **options)
        assert page.error() == expected


def test_the_keyboard_alone(page, pair):
    """From the top of the page to a finished sound with Tab and Enter; only the choice of files is the system's."""
    page.choose(*pair)
    for _ in range(12):
        page.browser.press(keys=["Tab"])
        if page.browser.evaluate(code="document.activeElement.type === 'submit'"):
            break
    page.browser.press(keys=["Enter"])
    page.browser.wait(selector=SENT)
    assert page.browser.evaluate(code="document.activeElement.id") == "sent"


def test_work_can_be_cancelled_and_begun_again(page, pair):
    page.choose(*pair)
    page.browser.evaluate(code=f"document.querySelector('{SEND}').click(); document.querySelector('#cancel').click()")
    page.browser.wait(selector="#status:not(:empty)")
    assert "Cancelled" in page.browser.text(selector="#status")
    page.send(*pair)


def test_pasted_and_dropped_pictures_are_taken(page):
    give = """(name) => {
      const canvas = Object.assign(document.createElement('canvas'), {width: 20, height: 30});
      return new Promise((resolve) => canvas.toBlob((blob) => {
        const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([blob], name + '.png', {type: 'image/png'}));
        const event = name === 'pasted' ? new ClipboardEvent('paste', {clipboardData, bubbles: true})
          : new DragEvent('drop', {dataTransfer: clipboardData, bubbles: true, cancelable: true});
        document.querySelector('[data-well=' + (name === 'pasted' ? 'cover' : 'secret') + ']').dispatchEvent(event);
        setTimeout(resolve, 500);
      }));
    }"""
    for name, well in (("pasted", "cover"), ("dropped", "secret")):
        page.browser.evaluate(code=f"({give})('{name}')")
        assert (
            page.browser.text(selector=f"[data-well={well}] .what")
            == f"{name}.png · 20 \N{MULTIPLICATION SIGN} 30 pixels"
        )


def test_two_tabs(page, pair, page_address):
    page.choose(*pair)
    page.browser.evaluate(code=f"document.querySelector('{SEND}').click()")
    page.browser.tab(url=page_address, beside=True)
    page.send(*pair)


def test_a_secret_that_claims_to_be_huge_is_scaled(page, photograph, tmp_path):
    sound = tmp_path / "claims.wav"
    network = load("codebook").network
    codec.encode(photograph(16, 16, 0), sound, secret_size=(50_000, 70_000), network=network)
    page.receive(sound, tmp_path / "secret.png")
    with pytest.warns(pipeline.SecretSizeWarning) as said:
        expected = pipeline.receive(sound).secret
    assert same(tmp_path / "secret.png", expected)
    shown = page.browser.text(selector="#received .warning").rstrip(".").lower()
    assert str(said[0].message).endswith(shown)


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"width": 360, "height": 740, "touch": True, "calm": True}])
def test_no_barrier_is_found(browser, page_address, pair, look):
    browser.open(url=page_address, **look)
    page = browsing.Page(browser)
    page.choose(*pair)
    assert browser.axe() == []
    page.send(*pair)
    assert browser.axe() == []
    browser.evaluate(
        code="location.hash = 'receive'; document.querySelectorAll('details').forEach((d) => d.open = true)"
    )
    assert browser.axe() == []
    assert browser.evaluate(code="document.documentElement.scrollWidth <= innerWidth")


def test_it_works_without_its_server_after_the_first_visit(browser, page_address, pair):
    browser.open(url=page_address)
    browser.wait(selector="#offline:not(:empty)")
    assert browser.text(selector="#offline") == "Ready to work offline."
    browser.offline(value=True)
    browser.tab(url=page_address)
    browsing.Page(browser).send(*pair)


def test_it_works_where_nothing_is_kept(browser, page_address, pair):
    browser.open(url=page_address, keep=False)
    browsing.Page(browser).send(*pair)
