"""What a worker does: a pair of the manifest becomes an output and a row of results. No engine is known here."""

import contextlib
import dataclasses
import functools
import hashlib
import io
import math
import socket
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stegano_tf import __version__, images, metrics, pipeline, runtime
from stegano_tf.batch import store
from stegano_tf.errors import BackendError, DataError, OutputError, one_line
from stegano_tf.message import contents, pictures, ways
from stegano_tf.message.ways.way import Way

_WAY = {"way", "way_options", "chat"}  # options of whatever hides bytes
_CHOSEN = {"preset", "weights", "runtime", "size"}  # options that say that networks reveal

RESULT = pa.schema(
    {
        "id": pa.string(),
        "status": pa.string(),  # "ok" or "error"
        "output": pa.string(),  # where it is, null if there is none
        "sha256": pa.string(),  # of the output, in hexadecimal
        "bytes": pa.int64(),  # of the output
        "cover_psnr": pa.float64(),  # dB, of the stego image; null on the way back
        "secret_psnr": pa.float64(),  # dB, of the secret that is revealed; null if it is a file, or identical
        "seconds": pa.float64(),
        "error_type": pa.string(),
        "error": pa.string(),
        "network": pa.string(),  # 16 hexadecimal digits; null if none was used
        "version": pa.string(),  # of stegano_tf
        "settings_hash": pa.string(),
        "host": pa.string(),
    }
)
"""The columns of a file of results. The attempt is in the name of its folder, as Parquet readers expect it."""


@dataclasses.dataclass(frozen=True)
class Tally:
    """What a block came to: how many pairs were done, and how many of them are error rows."""

    pairs: int
    errors: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What all workers of an attempt know. It can be pickled."""

    operation: str  # a key of OPERATIONS
    networks: Mapping[str, Any]  # arguments of `pipeline` that say which networks run, and on what
    options: Mapping[str, Any]  # its other arguments; and the name of a `way`, `way_options`, and whether for a `chat`
    inputs: str  # the folder, a resolved URI, of inputs with a relative name
    outputs: store.Folder | None  # None where there are none
    results: store.Folder
    attempt: int
    settings_hash: str
    network: str | None  # 16 hexadecimal digits, None if each sound names its own
    version: str

    def plan(self) -> str:
        """Returns the name, among the results, of the pairs in blocks: an Arrow file."""
        return f"_plan/{self.attempt:04}.arrow"

    def block(self, number: int) -> str:
        """Returns the name of the file with the results of a block."""
        return f"attempt={self.attempt:04}/block-{number:08}.parquet"


def run(work: Work, number: int) -> Tally:
    """Does a block: writes its outputs, then its rows of results.

    Bad input is a row of results. What is raised ends the job: BackendError if this machine has another version or
    other networks than the job was started with, OutputError if the results cannot be written.
    """
    _check_machine(work)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the figures in the row say what a warning would
        rows = [_row(work, pair) for pair in _plan(work.results.path(work.plan())).get_batch(number).to_pylist()]
    commit(work, number, rows)
    return tally(row["status"] for row in rows)


def committed(work: Work, number: int) -> Tally | None:
    """Returns what a block came to by its rows, or None if it has none."""
    content = work.results.read(work.block(number))
    return content and tally(pq.read_table(io.BytesIO(content), columns=["status"])["status"].to_pylist())


def tally(statuses: Iterable[str]) -> Tally:
    """Returns what rows with these statuses come to."""
    statuses = list(statuses)
    return Tally(len(statuses), statuses.count("error"))


def commit(work: Work, number: int, rows: list[dict]) -> None:
    """Writes the rows of a block. A row has an id and a status; what else it lacks becomes null, or is of the work."""
    shared = {"version": work.version, "settings_hash": work.settings_hash, "host": socket.gethostname()}
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([shared | row for row in rows], RESULT), content)
    write(work, work.block(number), content.getvalue())


def write(work: Work, name: str, content: bytes) -> None:
    """Writes a file among the results; raises OutputError if that fails."""
    try:
        work.results.write(name, content)
    except OSError as error:  # of a full disk, it names no file
        raise OutputError(f"{work.results.path(name)}: cannot be written: {one_line(error)}") from error


@functools.lru_cache(maxsize=1)
def _plan(uri: str) -> pa.ipc.RecordBatchFileReader:
    filesystem, path = store.locate(uri)
    return pa.ipc.open_file(filesystem.open_input_file(path))


def _check_machine(work: Work) -> None:
    """Raises BackendError if this machine would not do what the one does that started the job."""
    found = {"stegano_tf": __version__}
    expected = {"stegano_tf": work.version}
    if work.network:
        names = ("preset", "weights", "runtime", "threads")
        networks = runtime.load(**{name: work.networks[name] for name in names if name in work.networks})
        found["network"], expected["network"] = networks.network.hex(), work.network
    for name, value in found.items():
        if value != expected[name]:
            raise BackendError(f"{socket.gethostname()}: has {name} {value}, the job was started with {expected[name]}")


def _row(work: Work, pair: dict[str, str]) -> dict[str, Any]:
    """Returns the row of a pair: whatever goes wrong with one of a million must not end the job."""
    start = time.perf_counter()
    row = {"id": pair["id"], "status": "ok", "network": work.network}
    output = pair.get("output", "")
    with work.outputs.draft(output) if work.outputs else contextlib.nullcontext() as draft:
        try:
            row |= _do(work, pair, draft)
        except Exception as error:
            text = " ".join(str(error).replace(str(draft), output).split())
            row |= {"status": "error", "error_type": type(error).__name__, "error": text}
    return row | {"seconds": time.perf_counter() - start}


def _do(work: Work, pair: dict[str, str], draft: Path | None) -> dict[str, Any]:
    """Does a pair; the draft, if there is one, becomes its output."""
    operation = OPERATIONS[work.operation]
    inputs = {name: store.resolve(pair[name], work.inputs) for name in operation.inputs}
    for uri in inputs.values():
        if store.is_local(uri) and Path(uri).is_fifo():
            raise DataError(f"{uri}: is a pipe, for which a worker may wait without end, expected a file")
    figures = operation.run(work, draft, **inputs)
    if not draft:
        return figures
    with draft.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = draft.stat().st_size
    work.outputs.publish(draft, pair["output"])
    return {"output": work.outputs.path(pair["output"]), "sha256": digest, "bytes": size, **figures}


def _hide(work: Work, draft: Path, cover: str, secret: str) -> dict[str, Any]:
    if "way" in work.options:
        return _hide_bytes(work, draft, cover, secret)
    images.check(draft)
    cover, secret = _picture(cover, work), _picture(secret, work)
    stego = pipeline.hide(cover, secret, **work.networks, **work.options)
    images.write(draft, stego)
    _check_same(stego, images.read(draft), draft)
    return _figures(cover, secret, stego, work)


def _hide_bytes(work: Work, draft: Path | None, cover: str, secret: str) -> dict[str, Any]:
    """Hides any file as bytes; without a draft it writes nothing."""
    way, options = _way(work), work.options
    if draft:
        images.check(draft, lossless=way.file_options is None)
    name, cover = cover, _picture(cover, work)
    if options.get("chat"):
        cover = pictures.as_chats_scale(cover)
    with store.local(secret) as path:
        shared = {"lock": options.get("lock"), "max_pixels": options.get("max_pixels")}
        hidden = pictures.hide(cover, path, way=way, name=name, **shared)
    stego = hidden.stego
    if draft:
        pictures.write(draft, hidden)
        stego = images.read(draft)
    return _figures_of_bytes(cover, stego, hidden)


def _send(work: Work, draft: Path, cover: str, secret: str) -> dict[str, Any]:
    way, options = _way(work), {name: value for name, value in work.options.items() if name not in _WAY}
    cover = _picture(cover, work)
    with store.local(secret) if way else contextlib.nullcontext(_picture(secret, work)) as given:
        sent = pipeline.send(cover, given, draft, way=way, **work.networks, **options)
    if not options.get("lock"):  # nobody here may be able to open it
        _check_same(sent.stego, pipeline.decode(draft).image, draft)
    return _figures_of_bytes(cover, sent.stego, sent.hidden) if way else _figures(cover, given, sent.stego, work)


def _reveal(work: Work, draft: Path, stego: str) -> dict[str, Any]:
    name, stego = stego, _picture(stego, work)
    key, limit = (work.options.get(option) for option in ("key", "max_pixels"))
    if not _CHOSEN & {*work.networks, *work.options}:
        found = pictures.find(stego, key=key, name=name, max_pixels=limit)
        if found is not None:
            pictures.save(draft, found, stego, name=name, max_pixels=limit)
            return {"network": None}
        if key is not None:
            raise pictures.nothing(name)
    images.check(draft, lossless=False)
    options = {option: value for option, value in work.options.items() if option != "key"}
    images.write(draft, pipeline.reveal(stego, **work.networks, **options), lossless=False)
    return {}


def _receive(work: Work, draft: Path, audio: str) -> dict[str, Any]:
    with store.local(audio) as path:
        received = pipeline.receive(path, **work.networks, **work.options)
    if received.found is not None:
        limit = work.options.get("max_pixels")
        pictures.save(draft, received.found, received.stego, name=audio, max_pixels=limit)
    else:
        images.check(draft, lossless=False)
        images.write(draft, received.secret, lossless=False)
    return {"network": received.info.network and received.info.network.hex()}


def _score(work: Work, draft: Path | None, cover: str, secret: str) -> dict[str, Any]:
    if "way" in work.options:
        return _hide_bytes(work, draft, cover, secret)
    cover, secret = _picture(cover, work), _picture(secret, work)
    return _figures(cover, secret, pipeline.hide(cover, secret, **work.networks, **work.options), work)


def _way(work: Work) -> Way | None:
    """Returns the way that hides bytes, None if networks hide."""
    return ways.make(work.options["way"], **work.options["way_options"]) if "way" in work.options else None


def _picture(uri: str, work: Work) -> np.ndarray:
    limit = work.options.get("max_pixels") or images.MAX_PIXELS
    if store.is_local(uri):
        return images.read(uri, max_pixels=limit)
    return images.decode(store.read(uri), uri, max_pixels=limit)


def _check_same(written: np.ndarray, found: np.ndarray, draft: Path) -> None:
    if not np.array_equal(written, found):
        raise OutputError(f"{draft}: what is read back is not what was written")


def _figures(cover: np.ndarray, secret: np.ndarray, stego: np.ndarray, work: Work) -> dict[str, Any]:
    revealed = pipeline.reveal(stego, size=secret.shape[:2], **work.networks)
    return {"cover_psnr": metrics.psnr(cover, stego), "secret_psnr": metrics.psnr(secret, revealed)}


def _figures_of_bytes(cover: np.ndarray, stego: np.ndarray, hidden: pictures.Hidden) -> dict[str, Any]:
    """As `_figures`; a secret that is no picture, is made smaller or comes back identical has no PSNR."""
    source, revealed = hidden.sources[0].picture, contents.picture(hidden.secrets[0], max_pixels=2**40)
    same_size = source is not None and revealed is not None and source.shape == revealed.shape
    psnr = metrics.psnr(source, revealed) if same_size else math.inf
    return {"cover_psnr": metrics.psnr(cover, stego), "secret_psnr": None if math.isinf(psnr) else psnr}


@dataclasses.dataclass(frozen=True)
class Operation:
    """What is done with a pair: the function takes the columns `inputs` as resolved URIs and returns columns."""

    run: Callable[..., dict[str, Any]]
    inputs: tuple[str, ...]
    writes: bool = True  # whether it makes a file, and takes a `draft` to write it to

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a manifest."""
        return ("id", *self.inputs, "output") if self.writes else ("id", *self.inputs)


OPERATIONS = {
    "hide": Operation(_hide, ("cover", "secret")),
    "send": Operation(_send, ("cover", "secret")),
    "reveal": Operation(_reveal, ("stego",)),
    "receive": Operation(_receive, ("audio",)),
    "score": Operation(_score, ("cover", "secret"), writes=False),
}
