"""The Linnaeus 5 builder: every form of the archive, every way to load it, every kind of bad input."""

import hashlib
import importlib.util
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds
from make_linnaeus5_dummy_data import CLASSES, write_layout
from rar_files import rar4, rar5
from stegano_tf.datasets.linnaeus5 import Builder, paper_subset

# The names of the test case's methods are the report; pytest finds the class by its being here.
from stegano_tf.datasets.linnaeus5.linnaeus5_dataset_builder_test import Linnaeus5Test  # noqa: F401

from stegano_tf import datasets
from stegano_tf.errors import DataError
from stegano_tf.training.data.batches import PairBatches

ROOT = Path(__file__).parents[2]
NO_RAR = "rar archives need libarchive-c and the system's libarchive"
STAND_IN = ROOT.parent / "shared" / "data" / "linnaeus5_layout"
NAME = "Linnaeus 5 32X32"


@pytest.fixture
def manual(tmp_path):
    """A manual folder with the extracted archive of 32x32: 10 training and 5 test pictures."""
    folder = tmp_path / "manual"
    write_layout(folder / NAME, 32)
    return folder


def build(tmp_path: Path, manual: Path, config: str = "32x32") -> Builder:
    builder = Builder(config=config, data_dir=tmp_path / "data")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual))
    return builder


def records(builder: Builder, split: str) -> dict[str, tuple[bytes, int]]:
    examples = builder.as_dataset(split=split, decoders={"image": tfds.decode.SkipDecoding()})
    return {it["filename"].decode(): (it["image"], it["label"]) for it in tfds.as_numpy(examples)}


def pack(folder: Path, form: str) -> bytes:
    """The files of `folder`, as an archive that starts with its name."""
    files = {file.relative_to(folder.parent).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*.jpg"))}
    if form.startswith("rar"):
        return {"rar4": rar4, "rar5": rar5}[form](files)
    buffer = io.BytesIO()
    if form == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz" if form == "tar.gz" else "w") as archive:
            for name, data in files.items():
                member = tarfile.TarInfo(f"./{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def packed(manual: Path, form: str) -> Path:
    """The manual folder with the archive instead of the extracted folder; returns the archive."""
    archive = manual / f"{NAME}.{'rar' if form.startswith('rar') else form}"
    archive.write_bytes(pack(manual / NAME, form))
    (manual / NAME).rename(manual.parent / "kept")
    return archive


@pytest.mark.parametrize("form", ["folder", "layout", "zip", "tar", "tar.gz", "rar4", "rar5"])
def test_records_hold_the_archives_bytes(tmp_path, manual, form):
    files = {file.relative_to(manual / NAME).as_posix(): file.read_bytes() for file in manual.rglob("*.jpg")}
    if form == "layout":
        manual /= NAME
    elif form != "folder":
        pytest.importorskip("libarchive", reason=NO_RAR) if form.startswith("rar") else None
        packed(manual, form)
    builder = build(tmp_path, manual)
    found = records(builder, "train") | records(builder, "test")
    assert {name: data for name, (data, _) in found.items()} == files
    assert all(CLASSES[label] == name.split("/")[1] for name, (_, label) in found.items())
    assert set(builder.info.splits) == {"train", "test"}
    assert builder.info.features["image"].shape == (32, 32, 3)


def test_takes_its_own_size_and_passes_over_junk(tmp_path, manual):
    write_layout(manual / "Linnaeus 5 128X128", 128)
    (manual / NAME / "train" / "bird" / "Thumbs.db").write_bytes(b"junk")
    (manual / NAME / "test" / ".DS_Store").write_bytes(b"junk")
    assert build(tmp_path, manual).info.splits["train"].num_examples == 10
    assert build(tmp_path, manual, "128x128").info.features["image"].shape == (128, 128, 3)


def jpeg(size: int = 32, mode: str = "RGB", form: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new(mode, (size, size), "red" if mode == "RGB" else 0).save(buffer, form)
    return buffer.getvalue()


def write(path: Path, data: bytes):
    path.write_bytes(data)


def remove_all(folder: Path):
    for file in folder.iterdir():
        file.unlink()


BAD = {
    "no picture": (lambda m: write(m / NAME / "test/dog/1_32.jpg", b"text"), "test/dog/1_32.jpg: cannot be decoded"),
    "cut off": (lambda m: write(m / NAME / "test/dog/1_32.jpg", jpeg()[:-150]), "test/dog/1_32.jpg: cannot be decoded"),
    "empty": (lambda m: write(m / NAME / "test/dog/1_32.jpg", b""), "test/dog/1_32.jpg: cannot be decoded"),
    "size": (lambda m: write(m / NAME / "train/bird/1_32.jpg", jpeg(33)), "train/bird/1_32.jpg: is a JPEG of 33x33"),
    "grey": (lambda m: write(m / NAME / "train/bird/1_32.jpg", jpeg(mode="L")), "train/bird/1_32.jpg: .* L, expected"),
    "PNG": (lambda m: write(m / NAME / "train/bird/1_32.jpg", jpeg(form="PNG")), "train/bird/1_32.jpg: is a PNG"),
    "name": (lambda m: write(m / NAME / "train/bird/x_32.jpg", jpeg()), "train/bird/x_32.jpg: is not named by"),
    "suffix": (lambda m: write(m / NAME / "train/bird/9_32.png", jpeg()), "train/bird/9_32.png: is not named by"),
    "size in name": (lambda m: write(m / NAME / "train/bird/9_64.jpg", jpeg()), "train/bird/9_64.jpg: is not named by"),
    "level": (lambda m: write(m / NAME / "train/9_32.jpg", jpeg()), "train/9_32.jpg: is not named by"),
    "class": (lambda m: (m / NAME / "test/bird").rename(m / NAME / "test/cat"), "test/cat/1_32.jpg: is not named by"),
    "class missing": (lambda m: (m / NAME / "test/bird").rename(m / "bird"), f"{NAME}: has no pictures in test/bird"),
    "class empty": (lambda m: remove_all(m / NAME / "test/bird"), f"{NAME}: has no pictures in test/bird"),
    "no test": (lambda m: (m / NAME / "test").rename(m / "other"), f"{NAME}: has no pictures in test/berry, test/bird"),
    "other size": (lambda m: (m / NAME).rename(m / "Linnaeus 5 64X64"), "manual: holds Linnaeus 5 64X64; expected"),
    "nothing": (lambda m: (m / NAME).rename(m.parent / "gone"), "manual does not exist or is empty"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_named_and_leaves_nothing(tmp_path, manual, kind):
    spoil, message = BAD[kind]
    spoil(manual)
    with pytest.raises(DataError, match=message) as error:
        build(tmp_path, manual)
    assert "(linnaeus5/32x32)" in str(error.value)
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "data").rglob("*1.0.0*"))


@pytest.mark.parametrize("form", ["zip", "tar", "tar between members", "tar.gz", "rar4", "rar5"])
def test_truncated_archive(tmp_path, manual, form):
    if form.startswith("rar"):
        pytest.importorskip("libarchive", reason=NO_RAR)
    archive = packed(manual, form.split()[0])
    data = archive.read_bytes()
    # After the last picture but before the end mark a careless reader sees nothing amiss.
    last = data.rfind(b"\xff\xd9") // 512 * 512 + 512
    archive.write_bytes(data[: last if "between" in form else len(data) // 2])
    with pytest.raises(DataError, match=rf"{NAME}\.[a-z.]+: cannot be read .*, expected a whole archive") as error:
        build(tmp_path, manual)
    assert "(linnaeus5/32x32)" in str(error.value)
    assert not list((tmp_path / "data").rglob("*1.0.0*"))


@pytest.mark.parametrize("missing, message", [("libarchive-c", "pip install"), ("libarchive", "apt install")])
def test_rar_support_is_missing(tmp_path, manual, monkeypatch, missing, message):
    packed(manual, "rar4")
    if missing == "libarchive-c":
        monkeypatch.setitem(sys.modules, "libarchive", None)
    else:  # what importing libarchive-c does without the library
        stub = tmp_path / "stub"
        stub.mkdir()
        (stub / "libarchive.py").write_text("raise AttributeError('undefined symbol: archive_errno')")
        monkeypatch.delitem(sys.modules, "libarchive", raising=False)
        monkeypatch.syspath_prepend(stub)
    with pytest.raises(DataError, match=f"32X32.rar: is a RAR archive.*{message}"):
        build(tmp_path, manual)


def full_listing(size: int) -> list[str]:
    return [f"train/{label}/{number}_{size}.jpg" for label in CLASSES for number in range(1, 1201)]


def test_paper_subset_of_the_archive():
    chosen = paper_subset(full_listing(256), 1800)
    assert [sum(f"/{label}/" in name for name in chosen) for label in CLASSES] == [360] * 5
    assert paper_subset(reversed(full_listing(256)), 1800) == chosen
    assert {name.replace("_64", "_256") for name in paper_subset(full_listing(64), 1800)} == chosen
    assert paper_subset(full_listing(256), 1800, seed=1) != chosen
    # The rule again, by hand, for one class; and all names, once and for all.
    ranked = sorted(range(1, 1201), key=lambda number: hashlib.sha256(f"0/train/dog/{number}".encode()).hexdigest())
    assert {f"train/dog/{number}_256.jpg" for number in ranked[:360]} == {name for name in chosen if "/dog/" in name}
    digest = hashlib.sha256("\n".join(sorted(chosen)).encode()).hexdigest()
    assert digest == "92cbfd42581fa3a7a156e5aef2280c2dad63b4310a5f616e0ec1da9a4bc95f88"


def test_paper_subset_shares_by_largest_remainder():
    sizes = {"berry": 5, "bird": 3, "dog": 2}  # of 10; 7 of them: 3.5, 2.1, 1.4 -> 3, 2, 1 and one more for berry
    names = [f"test/{label}/{number}_32.jpg" for label, size in sizes.items() for number in range(size)]
    chosen = paper_subset(names, 7)
    assert [sum(f"/{label}/" in name for name in chosen) for label in sizes] == [4, 2, 1]
    assert paper_subset(names, 10) == set(names)
    with pytest.raises(ValueError, match="10 pictures, expected at least 11"):
        paper_subset(names, 11)


def test_tfds_load_by_name(tmp_path, manual):
    examples = tfds.load(
        "linnaeus5/32x32",
        split="test",
        data_dir=tmp_path / "data",
        as_supervised=True,
        download_and_prepare_kwargs={"download_config": tfds.download.DownloadConfig(manual_dir=manual)},
    )
    image, label = next(iter(examples))
    assert (image.shape, image.dtype.name, label.dtype.name) == ((32, 32, 3), "uint8", "int64")


def test_load_gives_the_pixels_of_the_files(tmp_path, manual):
    source = datasets.load("linnaeus5/32x32", split="train", data_dir=tmp_path / "data", manual_dir=manual)
    names = [example["filename"].decode() for example in source.as_numpy_iterator()]
    options = {"batch_size": 5, "crop": 24, "seed": 3}
    from_files = PairBatches([manual / NAME / name for name in names], **options)
    from_records = PairBatches(source, **options)
    for number in range(4):
        np.testing.assert_array_equal(from_records.batch(number), from_files.batch(number))


@pytest.mark.parametrize(
    "name, split, message",
    [
        ("linnaeus6", "train", "data set linnaeus6: TFDS knows none of this name"),
        ("linnaeus5/33x33", "train", "data set linnaeus5/33x33: .*33x33"),
        ("linnaeus5/32x32", "validation", "there are train, test"),
    ],
)
def test_load_of_what_there_is_not(tmp_path, manual, name, split, message):
    with pytest.raises(DataError, match=message):
        datasets.load(name, split=split, data_dir=tmp_path / "data", manual_dir=manual)


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("apache_beam", "mlcroissant")),
    reason="the tfds command needs apache-beam and mlcroissant: pip install 'stegano_tf[tfds]'",
)
def test_tfds_build_of_the_folder(tmp_path, manual):
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build", "datasets/linnaeus5"]
    command += ["--config=32x32", f"--manual_dir={manual}", f"--data_dir={tmp_path / 'data'}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    builder = tfds.builder_from_directory(tmp_path / "data" / "linnaeus5" / "32x32" / "1.0.0")
    assert builder.info.splits["train"].num_examples == 10


@pytest.mark.skipif(not STAND_IN.is_dir(), reason=f"{STAND_IN} is not there")
def test_stand_in_builds(tmp_path):
    builder = build(tmp_path, STAND_IN, "256x256")
    counts = {name: split.num_examples for name, split in builder.info.splits.items()}
    assert counts == {"train": 1800, "test": 400, "paper_train": 1800, "paper_validation": 400}
    for name, (data, _) in records(builder, "test").items():
        assert data == (STAND_IN / name).read_bytes()
