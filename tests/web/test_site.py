"""The page's files and its server, without a browser."""

import dataclasses
import json
import lzma
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from stegano_tf import savedmodels
from stegano_tf.errors import OutputError
from stegano_tf.runtime import exported
from stegano_tf.web import site


def fetch(address):
    with urllib.request.urlopen(address) as answer:
        return answer.read(), dict(answer.headers)


def test_models_are_the_installed_ones():
    catalog = json.loads(site.content("models.json"))
    assert catalog["default"] == "codebook"
    codebook = catalog["presets"]["codebook"]
    assert codebook["network"] == "03ea30940b27d40f"
    assert (codebook["halos"], codebook["multiples"], codebook["core"]) == ([0, 0], [8, 8], 128)
    both = lzma.decompress(site.content(codebook["file"]))
    folder = savedmodels.versions("codebook")[-1] / "tflite"
    hide, reveal = ((folder / f"codebook-{name}.tflite").read_bytes() for name in ("hide", "reveal"))
    assert codebook["sizes"] == [len(hide), len(reveal)]
    assert both == hide + reveal


def test_first_visit_stays_within_its_budget():
    """What the service worker fetches: one engine, the default networks, and all but the decoder of JPEG XL."""
    catalog = json.loads(site.content("models.json"))
    files = [name for name in site.names() if not name.startswith(("models/", "litert-compat", "jxl"))]
    sizes = {name: len(lzma.compress(site.content(name))) for name in files}
    assert sum(sizes.values()) + len(site.content(catalog["presets"]["codebook"]["file"])) < 3_500_000


def test_service_worker_changes_with_the_networks(monkeypatch):
    before = site.content("sw.js")
    assert b"MODELS_VERSION" not in before
    monkeypatch.setattr(site, "_catalog", lambda: b"{}")
    assert site.content("sw.js") != before


def test_server_says_what_the_page_may_do(page_address):
    data, headers = fetch(page_address)
    assert b"<title>stegano_tf</title>" in data
    assert headers["Content-Security-Policy"].startswith(
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
        "media-src blob:"
    )
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert fetch(f"{page_address}page.js")[1]["Content-Type"] == "text/javascript; charset=utf-8"


def test_browsers_ask_once_a_day_whether_there_is_a_newer_page(page_address):
    assert fetch(f"{page_address}sw.js")[1]["Cache-Control"] == "max-age=86400"
    assert fetch(page_address)[1]["Cache-Control"] == "no-cache"


def test_the_page_stays_small_in_the_wheel():
    assert sum(file.stat().st_size for file in site.FOLDER.iterdir()) < 6_000_000


def test_the_page_itself_has_the_same_policy(page_address):
    """For hosts that send no headers: all but what only a header can say."""
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', fetch(page_address)[0].decode())
    assert policy == site.POLICY.removesuffix("; frame-ancestors 'none'")


@pytest.mark.parametrize("name", ["../site.py", "..%2fsite.py", "%2e%2e/server.py", "models/", "nothing"])
def test_server_gives_nothing_else(page_address, name):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(page_address + name)


def test_export_writes_what_is_served(tmp_path, command):
    status, printed, _ = command("web", "--export", tmp_path / "page")
    names = {
        file.relative_to(tmp_path / "page").as_posix() for file in (tmp_path / "page").rglob("*") if file.is_file()
    }
    assert (status, names) == (0, {*site.names(), "_headers"})
    assert f"{len(names)} files" in printed
    assert (tmp_path / "page" / "_headers").read_text().endswith("/sw.js\n  Cache-Control: max-age=86400\n")
    assert all((tmp_path / "page" / name).read_bytes() == site.content(name) for name in site.names())
    # Relative addresses only, so that it can lie in any folder of a server.
    text = (tmp_path / "page" / "index.html").read_text()
    assert not re.findall(r'(?:src|href)="(?:/|https?:)', text)


def test_export_replaces_a_page_if_it_is_told_to_and_nothing_else(tmp_path):
    page, mine = str(tmp_path / "page"), str(tmp_path / "mine")
    site.export(page)
    (tmp_path / "page" / "old.js").touch()
    with pytest.raises(OutputError, match="page: exists already; force replaces it"):
        site.export(page)
    site.export(page, force=True)
    assert not (tmp_path / "page" / "old.js").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputError, match="expected the name of a new folder"):
        site.export(mine, force=True)


@pytest.fixture
def altered(monkeypatch, tmp_path):
    """One of the installed networks has changed since it was exported."""
    found = exported.installed("unet")
    folder = shutil.copytree(found.folder, tmp_path / "unet")
    (folder / "tflite" / "unet-hide.tflite").write_bytes(b"other networks")
    changed = {"unet": dataclasses.replace(found, folder=folder)}
    site._catalog.cache_clear()
    monkeypatch.setattr(site, "_installed", lambda: changed)
    yield
    site._catalog.cache_clear()


def test_networks_that_were_altered_are_not_given_away(altered, page_address):
    with pytest.raises(urllib.error.HTTPError, match="500") as raised:
        fetch(f"{page_address}models.json")
    assert "unet-hide.tflite: was altered" in raised.value.read().decode()


def test_command_names_its_address_and_stops():
    arguments = [sys.executable, "-m", "stegano_tf", "web", "--port", "0", "--no-browser"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
        assert fetch(f"{address}models.json")[0] == site.content("models.json")
        port = address.rpartition(":")[2].strip("/")
        second = subprocess.run([*arguments[:-2], port, "--no-browser"], capture_output=True, text=True, check=False)
        assert (second.returncode, second.stdout) == (1, "")
        assert f"port {port} of 127.0.0.1 cannot be used" in second.stderr
        process.terminate()
        assert process.wait(20) == 0
