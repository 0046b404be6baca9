"""What a worker does: a pair of the manifest becomes an output and a row of results. No engine is known here."""

import contextlib
import dataclasses
import functools
import hashlib
import io
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
from stegano_tf.errors import BackendError, OutputError

RESULT = pa.schema(
    {
        "id": pa.string(),
        "status": pa.string(),  # "ok" or "error"
        "output": pa.string(),  # where it is, null if there is none
        "sha256": pa.string(),  # of the output, in hexadecimal
        "bytes": pa.int64(),  # of the output
        "cover_psnr": pa.float64(),  # dB, of the stego image; null on the way back
        "secret_psnr": pa.float64(),  # dB, of the secret that is revealed
        "seconds": pa.float64(),
        "error_type": pa.string(),
        "error": pa.string(),
        "network": pa.string(),  # 16 hexadecimal digits
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
    options: Mapping[str, Any]  # its other arguments
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
    other networks than the job was started with, OSError if the results cannot be written.
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
    work.results.write(work.block(number), content.getvalue())


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
    figures = operation.run(work, draft, **inputs)
    if not draft:
        return figures
    with draft.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = draft.stat().st_size
    work.outputs.publish(draft, pair["output"])
    return {"output": work.outputs.path(pair["output"]), "sha256": digest, "bytes": size, **figures}


def _hide(work: Work, draft: Path, cover: str, secret: str) -> dict[str, Any]:
    images.check(draft)
    cover, secret = _picture(cover, work), _picture(secret, work)
    stego = pipeline.hide(cover, secret, **work.networks, **work.options)
    images.write(draft, stego)
    _check_same(stego, images.read(draft), draft)
    return _figures(cover, secret, stego, work)


def _send(work: Work, draft: Path, cover: str, secret: str) -> dict[str, Any]:
    cover, secret = _picture(cover, work), _picture(secret, work)
    stego = pipeline.send(cover, secret, draft, **work.networks, **work.options).stego
    if not work.options.get("lock"):  # nobody here may be able to open it
        _check_same(stego, pipeline.decode(draft).image, draft)
    return _figures(cover, secret, stego, work)


def _reveal(work: Work, draft: Path, stego: str) -> dict[str, Any]:
    images.check(draft, lossless=False)
    images.write(draft, pipeline.reveal(_picture(stego, work), **work.networks, **work.options), lossless=False)
    return {}


def _receive(work: Work, draft: Path, audio: str) -> dict[str, Any]:
    images.check(draft, lossless=False)
    with store.local(audio) as path:
        received = pipeline.receive(path, **work.networks, **work.options)
    images.write(draft, received.secret, lossless=False)
    return {"network": received.info.network and received.info.network.hex()}


def _score(work: Work, draft: Path | None, cover: str, secret: str) -> dict[str, Any]:
    cover, secret = _picture(cover, work), _picture(secret, work)
    return _figures(cover, secret, pipeline.hide(cover, secret, **work.networks, **work.options), work)


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
