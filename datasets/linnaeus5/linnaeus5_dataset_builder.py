"""Linnaeus 5: photographs of berries, birds, dogs, flowers and other things, square, in four resolutions.

The data set (G. Chaladze and L. Kalatozishvili, 2017, http://chaladze.com/l5) comes as one RAR archive a resolution:
`Linnaeus 5 256X256/{train,test}/{berry,bird,dog,flower,other}/N_256.jpg`. TFDS extracts no RAR, and no licence allows
passing the pictures on, so the user puts the archive, or what it holds, into the manual folder. The JPEG bytes go into
the records as they are; each picture is decoded once, to find out whether it can be.

Limits: an archive is held in memory while it is built from (about 150 MB for 256x256). A RAR archive that was cut
exactly between two members passes for a whole one, as it does with libarchive. The number of pictures is not checked.
"""

import collections
import hashlib
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator

import PIL.Image
import tensorflow_datasets as tfds
from absl import logging

try:
    from stegano_tf.errors import DataError
except ImportError:  # `tfds build` of this folder where the package is not installed

    class DataError(Exception):
        """The manual folder holds nothing that can be used."""


CLASSES = ("berry", "bird", "dog", "flower", "other")

# The publication (A. Chennupati et al., ICCCNT 2024) trained on 1800 pictures and validated on 400, and does not say
# which. They are taken here from the folders train and test.
PAPER_SPLITS = {"paper_train": ("train", 1800), "paper_validation": ("test", 400)}

# Left behind by file managers and archivers on Windows and macOS.
_JUNK = {"thumbs.db", "desktop.ini", "__macosx"}

_Files = dict[str, bytes | tfds.core.Path]
"""By path in an archive, bytes; by path in a folder, paths."""

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".rar")


def paper_subset(names: Iterable[str], count: int, seed: int = 0) -> set[str]:
    """Returns `count` of the picture names `SPLIT/CLASS/N_SIZE.jpg`: the same ones on any machine and in any size.

    Each class gives its share, `count * size of class / size of all`, rounded by largest remainder (of equal ones the
    class that comes first in `CLASSES`). In a class, those with the smallest SHA-256 of `SEED/SPLIT/CLASS/N` are taken,
    so that neither a random number generator nor the order of the names matters. Raises ValueError if there are fewer
    than `count` names.
    """
    classes = collections.defaultdict(list)
    for name in names:
        classes[name.split("/")[-2]].append(name)
    total = sum(map(len, classes.values()))
    if total < count:
        raise ValueError(f"{total} pictures, expected at least {count}")
    shares = {label: divmod(count * len(classes[label]), total) for label in CLASSES if label in classes}
    left = count - sum(whole for whole, _ in shares.values())
    favoured = sorted(shares, key=lambda label: -shares[label][1])[:left]

    def rank(name: str) -> bytes:
        return hashlib.sha256(f"{seed}/{name.rsplit('_', 1)[0]}".encode()).digest()

    return {
        name
        for label, (whole, _) in shares.items()
        for name in sorted(classes[label], key=rank)[: whole + (label in favoured)]
    }


class Builder(tfds.core.GeneratorBasedBuilder):
    """Linnaeus 5 from the manual folder. Raises DataError, naming file and config, for whatever is not as it should."""

    # TFDS looks where the module's name says, stegano_tf/datasets/linnaeus5; in a checkout that is another folder.
    pkg_dir_path = tfds.core.Path(__file__).parent
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012  (as TFDS declares it)
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=f"{size}x{size}", description=f"Pictures of {size}x{size} pixels.")
        for size in (256, 128, 64, 32)
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Fetch the archive of the wanted resolution ("Linnaeus 5 256X256.rar" for the config 256x256) from
    http://chaladze.com/l5 and put it into manual_dir, as it is or extracted or packed anew as .zip, .tar or .tar.gz.
    A .rar is read with libarchive-c, see README.md.
    """

    @property
    def _size(self) -> int:
        """The side of the pictures in pixels."""
        return int(self.builder_config.name.partition("x")[0])

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(self._size, self._size, 3), encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(names=CLASSES),
                    "filename": tfds.features.Text(),  # "train/berry/12_256.jpg"
                }
            ),
            supervised_keys=("image", "label"),
            homepage="http://chaladze.com/l5",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        try:
            manual_dir = dl_manager.manual_dir
        except AssertionError as error:  # missing or empty
            raise self._error("manual_dir", str(error).splitlines()[0]) from error
        source = self._find(manual_dir)
        logging.info("Building linnaeus5/%s from %s", self.builder_config.name, source)
        pictures = self._by_split(source, self._read(source, dl_manager))
        splits = {split: self._generate_examples(source, pictures[split]) for split in ("train", "test")}
        for name, (split, count) in PAPER_SPLITS.items():
            if len(pictures[split]) < count:
                logging.warning("%s: %d pictures in %s, no %s of %d", source, len(pictures[split]), split, name, count)
                continue
            chosen = paper_subset(pictures[split], count)
            splits[name] = self._generate_examples(source, {it: pictures[split][it] for it in chosen})
        return splits

    def _generate_examples(self, source: tfds.core.Path, pictures: _Files):
        for name, picture in sorted(pictures.items()):
            data = picture if isinstance(picture, bytes) else picture.read_bytes()
            self._check(f"{source}/{name}", data)
            yield name, {"image": io.BytesIO(data), "label": name.split("/")[1], "filename": name}

    def _error(self, where: object, what: str) -> DataError:
        return DataError(f"{where}: {what} (linnaeus5/{self.builder_config.name})")

    def _find(self, manual_dir: tfds.core.Path) -> tfds.core.Path:
        """The folder or archive to build from: one whose name says the size before one whose name says none."""

        def is_layout(folder: tfds.core.Path) -> bool:
            return folder.is_dir() and any((folder / split).is_dir() for split in ("train", "test"))

        if is_layout(manual_dir):
            return manual_dir
        found = sorted(path for path in manual_dir.iterdir() if not path.name.startswith("."))
        usable = [path for path in found if is_layout(path) or path.name.lower().endswith(_ARCHIVES)]
        sizes = {path: re.search(r"(\d+)x\1(?!\d)", path.name.lower()) for path in usable}
        fitting = [path for path in usable if sizes[path] and int(sizes[path][1]) == self._size]
        fitting += [path for path in usable if not sizes[path]]
        if not fitting:
            names = ", ".join(path.name for path in found) or "nothing"
            raise self._error(
                manual_dir,
                f"holds {names}; expected the folders train and test, a folder with them, or an archive "
                f"({', '.join(_ARCHIVES)}) such as 'Linnaeus 5 {self._size}X{self._size}.rar'",
            )
        return fitting[0]

    def _read(self, source: tfds.core.Path, dl_manager: tfds.download.DownloadManager) -> _Files:
        if source.is_dir():
            folders = [source / split for split in ("train", "test") if (source / split).is_dir()]
            return {file.relative_to(source).as_posix(): file for folder in folders for file in _walk(folder)}
        try:
            if source.suffix.lower() == ".rar":
                return dict(self._read_rar(source))
            if source.suffix.lower() == ".tar" and source.stat().length >= 1024:
                # A tar ends in two blocks of zeros; tarfile takes one that was cut between two members for whole.
                with source.open("rb") as file:
                    file.seek(-1024, io.SEEK_END)
                    if any(file.read()):
                        raise tarfile.ReadError("its end is missing")
            return {path: file.read() for path, file in dl_manager.iter_archive(source)}
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
            raise self._error(source, f"cannot be read ({error}), expected a whole archive") from error

    def _read_rar(self, path: tfds.core.Path) -> Iterator[tuple[str, bytes]]:
        try:
            import libarchive  # noqa: PLC0415  (an extra)
        except ImportError as error:
            reason = "is a RAR archive, which needs `pip install libarchive-c`, or extract it"
            raise self._error(path, reason) from error
        except (OSError, AttributeError, TypeError) as error:  # what ctypes raises depends on the system
            raise self._error(
                path,
                "is a RAR archive, which libarchive-c reads with the system's libarchive, which is missing; install it "
                "(Debian: apt install libarchive13, macOS: brew install libarchive), or extract the archive",
            ) from error
        try:
            with libarchive.file_reader(str(path)) as archive:
                for entry in archive:
                    if entry.isfile:
                        yield entry.pathname.replace("\\", "/"), b"".join(entry.get_blocks())
        except libarchive.exception.ArchiveError as error:
            # Solid archives of the format's version 4 are whole, and more than libarchive can do.
            reason = f"cannot be read ({str(error).split(' (errno')[0]}), expected a whole archive"
            raise self._error(path, f"{reason}; or extract it, with unar, 7z or unrar") from error

    def _by_split(self, source: tfds.core.Path, files: _Files) -> dict[str, _Files]:
        """Checks that the pictures are named by the scheme and no class is missing; returns them by split and name."""
        scheme = re.compile(rf"(train|test)/({'|'.join(CLASSES)})/[1-9]\d*_{self._size}\.jpg")
        pictures = {"train": {}, "test": {}}
        for path, file in files.items():
            parts = [part for part in path.split("/") if part != "."]  # `tar cf FILE .` names them "./train/..."
            if any(part.startswith(".") or part.lower() in _JUNK for part in parts):
                continue
            # Names in an archive start with its folder, "Linnaeus 5 256X256". Files beside train and test are not ours.
            start = next((i for i, part in enumerate(parts[:-1]) if part in pictures), None)
            if start is None:
                continue
            name = "/".join(parts[start:])
            if not scheme.fullmatch(name):
                expected = f"{{train,test}}/{{{','.join(CLASSES)}}}/N_{self._size}.jpg"
                raise self._error(f"{source}/{path}", f"is not named by the scheme {expected}")
            pictures[parts[start]][name] = file
        for split, names in pictures.items():
            present = {name.split("/")[1] for name in names}
            if missing := [label for label in CLASSES if label not in present]:
                raise self._error(source, f"has no pictures in {', '.join(f'{split}/{label}' for label in missing)}")
        return pictures

    def _check(self, where: str, data: bytes):
        size = self._size
        try:
            with PIL.Image.open(io.BytesIO(data)) as image:
                found = f"is a {image.format} of {image.width}x{image.height} pixels, {image.mode}"
                if (image.format, image.size, image.mode) != ("JPEG", (size, size), "RGB"):
                    raise self._error(where, f"{found}, expected a JPEG of {size}x{size} pixels, RGB")
                image.load()
        except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
            raise self._error(where, f"cannot be decoded ({error}), expected a JPEG") from error


def _walk(folder: tfds.core.Path) -> Iterator[tfds.core.Path]:
    for path in folder.iterdir():  # rglob is not for tfds.core.Path, which may be a bucket
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path
