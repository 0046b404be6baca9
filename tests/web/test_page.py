"""The page in a real browser, against the command: pictures that go in, sounds and pictures that come out."""

import json
from pathlib import Path

import browsing
import numpy as np
import pytest
import soundfile
from PIL import Image

from stegano_tf import pipeline, sealing
from stegano_tf.audio import codec
from stegano_tf.message import pictures
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


@pytest.fixture(scope="module")
def note(tmp_path_factory):
    file = tmp_path_factory.mktemp("note") / "note.txt"
    file.write_bytes(b"a note\n")
    return file


def test_what_the_page_hides_in_a_picture_the_command_finds(page, pair, note, tmp_path):
    identity = tmp_path / "identity.txt"
    recipient = sealing.keygen(identity)
    for options, key in [
        ({"seal": ""}, None),
        ({"seal": "recipients", "recipients": recipient}, sealing.Key(identities=[identity])),
    ]:
        page.hide(pair[0], note, tmp_path / "stego.png", **options)
        found = pictures.find(tmp_path / "stego.png", key=key)
        assert (found.secret.data, found.secret.name, found.sealed) == (b"a note\n", "note.txt", key is not None)
    assert pictures.find(tmp_path / "stego.png") is None


def test_what_the_command_hides_in_a_picture_the_page_finds(page, pair, photograph, tmp_path):
    stego, secret = tmp_path / "stego.png", photograph(12, 20, 3)
    passphrase = json.loads((VECTORS / "pictures.json").read_text())["passphrase"]
    page.receive(VECTORS / "picture_passphrase.png", tmp_path / "back.txt", passphrase=passphrase)
    assert (tmp_path / "back.txt").read_bytes() == b"a note\n"
    Image.fromarray(pictures.hide(pair[0], secret).stego).save(stego)  # JPEG XL, without loss
    page.receive(stego, tmp_path / "exact.png", passphrase="")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "exact.png")), secret)
    hidden = pictures.hide(pair[0], photograph(300, 200, 5))  # AVIF, whose colours each decoder rounds in its own way
    Image.fromarray(hidden.stego).save(stego)
    page.receive(stego, tmp_path / "coded.png")
    expected = pictures.revealed(pictures.find(hidden.stego), hidden.stego)
    assert np.abs(np.asarray(Image.open(tmp_path / "coded.png")).astype(int) - expected).max() <= 4


def test_a_picture_file_in_a_picture_is_shown(page, pair, photograph, tmp_path):
    file, stego = tmp_path / "tiny.png", tmp_path / "stego.png"
    Image.fromarray(photograph(12, 20, 3)).save(file)
    page.hide(pair[0], file, stego)
    page.receive(stego, tmp_path / "back.png")
    assert (tmp_path / "back.png").read_bytes() == file.read_bytes()
    shown = page.browser.evaluate(
        code="(({alt, naturalWidth}) => [alt, naturalWidth])(document.querySelector('#received img'))"
    )
    assert shown == ["tiny.png", 20]


def test_bytes_in_the_stego_image_of_a_sound(page, pair, note, tmp_path):
    pipeline.send(pair[0], note, tmp_path / "bytes.wav", way="capacity")
    page.receive(tmp_path / "bytes.wav", tmp_path / "back.txt")
    assert (tmp_path / "back.txt").read_bytes() == b"a note\n"


def test_a_stego_image_of_networks_is_revealed_with_a_warning(page, pair, tmp_path):
    stego = pipeline.hide(*pair)
    Image.fromarray(stego).save(tmp_path / "stego.png")
    page.receive(tmp_path / "stego.png", tmp_path / "secret.png")
    assert same(tmp_path / "secret.png", pipeline.reveal(stego))
    assert "stegano-tf reveal also looks for" in page.browser.text(selector="#received .warning")


@pytest.mark.parametrize("name", ["picture_changed.png", "picture_checksum.png", "picture_none.png"])
def test_refusals_of_pictures_are_in_the_commands_words(page, name, tmp_path, command):
    identity, _ = tmp_path / "identity.txt", sealing.keygen(tmp_path / "identity.txt")
    with pytest.raises(AssertionError):
        page.receive(VECTORS / name, identity=identity)
    _, _, said = command("reveal", VECTORS / name, tmp_path / "out", "--identity", identity)
    assert f"stegano-tf: {page.error()}".startswith(said.replace(str(VECTORS / name), name).rstrip())
    assert page.error().endswith("stegano-tf reveal looks for all") == (name == "picture_none.png")


def test_pictures_that_cannot_hold_it(page, pair, note, photograph, tmp_path):
    Image.fromarray(photograph(64, 64, 0)).save(tmp_path / "photo.jpg")
    with pytest.raises(AssertionError):
        page.receive(tmp_path / "photo.jpg")
    assert page.error().startswith("photo.jpg: is a JPEG file")
    assert "stegano-tf reveal reads them" in page.error()
    (tmp_path / "large").write_bytes(bytes(10_000))
    for cover, file, options, expected in [
        (pair[0], tmp_path / "large", {}, "cover.png: has room for 8,163 bytes, expected 10,000 for large"),
        (pair[0], note, {"seal": "recipients", "recipients": "age1x"}, "recipient 'age1x' is mistyped, expected age1…"),
    ]:
        with pytest.raises(AssertionError):
            page.hide(cover, file, tmp_path / "out.png", **options)
        assert page.error().startswith(expected)


def test_what_only_the_command_does_can_be_reached_and_not_chosen(page):
    page.browser.evaluate(code="location.hash = 'hide'")
    page.browser.evaluate(code="document.querySelector('[value=capacity]').focus()")
    for name in ("stealth", "jpeg"):
        page.browser.press(keys=["ArrowDown"])
        assert page.browser.evaluate(code="[document.activeElement.value, document.activeElement.checked]") == [
            name,
            False,
        ]
        reason = page.browser.evaluate(
            code="document.getElementById(document.activeElement.getAttribute('aria-describedby')).textContent"
        )
        assert "Only the command does this" in reason
    assert page.browser.evaluate(code="new FormData(document.querySelector('#hide-form')).get('way')") == "capacity"


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
def test_no_barrier_is_found(browser, page_address, pair, look, tmp_path):
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
    browser.evaluate(code="location.hash = 'hide'")
    page.hide(pair[0], pair[1], tmp_path / "stego.png")
    assert browser.axe() == []
    assert browser.evaluate(code="document.documentElement.scrollWidth <= innerWidth")


def test_a_repeat_visit_asks_for_nothing(browser, served):
    address, answers = served
    browser.open(url=address)
    browser.wait(selector="#offline:not(:empty)")
    answers.clear()
    browser.tab(url=address)
    browser.evaluate(
        code="new Promise((resolve) => setTimeout(resolve, 2000))"
    )  # browsers look for updates after a second
    assert answers == []


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
