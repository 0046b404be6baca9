"""Figures that are quoted: each is of what is installed, and each document says what its results say."""

import json
import re
from pathlib import Path

import bundled
import publishing
import pytest
import report
import tables
from PIL import Image

from stegano_tf import presets

FILES = sorted(tables.RESULTS.glob("*.json"))
BUNDLED = [file.stem.removesuffix("-bundled") for file in FILES if file.stem.endswith("-bundled")]
GOOD = {"commit": "0123456789ab", "format": publishing.framing.VERSION}
MEASURED = re.compile(r"\d[\d.]* (dB|ms|MB/s|pairs a second)")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_result_is_of_what_is_installed(file):
    assert publishing.faults(json.loads(file.read_text())) == []


def test_each_result_is_quoted():
    report.documents()
    report.plotted()
    assert {file.stem for file in FILES} == tables.LOADED


def test_measure_makes_each_result():
    script = (tables.RESULTS.parent / "measure.sh").read_text()
    made = [re.sub(r"\$\w+", r"\\w+", name) for name in re.findall(r"^ *measure (\S+)", script, re.MULTILINE)]
    made.append(r"\w+-bundled")  # tools/bundled.py
    assert [file.stem for file in FILES if not any(re.fullmatch(name, file.stem) for name in made)] == []


def test_documents_say_what_the_results_say():
    for file, text in report.documents().items():
        assert file.read_text() == text, f"{file}: python tools/report.py writes it"


def test_the_plot_shows_the_results():
    with Image.open(report.PLOT) as plot:
        assert plot.info["Description"] == report.digest()


def test_the_contact_sheet_shows_the_default_networks():
    with Image.open(bundled.SHEET) as sheet:
        assert sheet.info["comment"].decode() == publishing.installed(presets.DEFAULT)


@pytest.mark.parametrize("file", [report.ROOT / "README.md", *sorted((report.ROOT / "docs").glob("*.md"))], ids=str)
def test_no_figure_is_written_by_hand(file):
    # Lines that start with ">" quote others.
    lines = report.INSERT.sub("", file.read_text()).splitlines()
    assert [line for line in lines if MEASURED.search(line) and not line.startswith(">")] == []


def test_there_are_ten_photographs_for_each_installed_preset():
    assert set(BUNDLED) == {name for name in presets.PRESETS if publishing.installed(name)}
    assert len(bundled.files()) == 10


@pytest.mark.parametrize("preset", BUNDLED)
def test_quality_is_what_was_measured(preset):
    recorded = json.loads((tables.RESULTS / f"{preset}-bundled.json").read_text())
    found = bundled.scores(preset)
    assert [(score.cover, score.secret) for score in found] == [(p["cover"], p["secret"]) for p in recorded["pairs"]]
    assert all(score.stego_identical for score in found)
    for figure in ("cover_psnr", "secret_psnr"):
        values = [getattr(score, figure) for score in found]
        assert values == pytest.approx([pair[figure] for pair in recorded["pairs"]], abs=0.3)
        assert sum(values) / 10 == pytest.approx(recorded[figure], abs=0.3)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"commit": "0123456789ab-dirty"}, "was taken at commit 0123456789ab-dirty, expected one without changes"),
        ({"commit": None}, "was taken at commit None"),
        ({"format": 0}, "is of sound format 0"),
        ({"format": None}, "is of sound format None"),
        ({"networks": {"unet": "0" * 16}}, "is of unet 0000000000000000, expected the installed one"),
        ({"preset": "unet", "network": "0" * 16}, "is of unet 0000000000000000, expected the installed one"),
        ({"preset": "tiny", "network": "0" * 16}, "expected the installed one, None"),
    ],
)
def test_faults(change, fault):
    (found,) = publishing.faults(GOOD | change)
    assert fault in found


def test_what_has_no_faults():
    assert publishing.faults(GOOD) == []
    networks = {"unet": publishing.installed("unet"), "tiny": None}
    assert publishing.faults({"commit": "0123456789ab", "networks": networks}) == []


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Publishes at a commit, and returns what was written."""

    def publish(commit, allow_dirty=False, **options):
        monkeypatch.setattr(publishing.provenance, "commit", lambda: commit)
        monkeypatch.setattr(publishing, "_ALLOW_DIRTY", type("Flag", (), {"value": allow_dirty}))
        publishing.publish({"figure": 1}, tmp_path / "a.json", **options)
        return json.loads(Path(tmp_path / "a.json").read_text())

    return publish


def test_published_results_say_where_they_come_from(published):
    result = published("0123456789ab", presets=["unet", "tiny"])
    assert result["figure"] == 1
    assert result["networks"] == {"unet": publishing.installed("unet"), "tiny": None}
    assert result["machine"]["cores"] >= 1
    assert result["packages"]["numpy"]
    assert publishing.faults(result) == []
    assert published("0123456789ab")["format"] == publishing.framing.VERSION


@pytest.mark.parametrize("commit", ["0123456789ab-dirty", None])
def test_nothing_is_written_of_changed_files(published, commit, tmp_path):
    with pytest.raises(SystemExit, match="expected one without changes"):
        published(commit)
    assert not (tmp_path / "a.json").exists()
    assert published(commit, allow_dirty=True)["commit"] == commit


def test_inserts_replace_what_stands_there():
    text = "a <!-- report: published -->old\nold<!-- end --> b <!-- report: odd -->x<!-- end -->"
    assert report.INSERT.sub(lambda found: f"[{found[2]}]", text) == "a [published] b [odd]"


def test_a_table_by_hand():
    assert tables.table(["a", "b"], [[1, 2]]) == "\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"
