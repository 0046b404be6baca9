"""A job: what is left to do of a manifest, and what came of all attempts.

In the folder of results:

    _job.json                              what the job was started with
    attempt=0001/block-00000000.parquet    rows (`rows.RESULT`) of the pairs that were done then
    _plan/0001.arrow                       its pairs in blocks, while an attempt runs

An attempt does pairs that no earlier one has a row for, or with `retry_errors` those whose last row is an error. So the
last row of a pair counts.
"""

import base64
import contextlib
import dataclasses
import hashlib
import io
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from stegano_tf import __version__, runtime, sealing
from stegano_tf.batch import manifest, rows, store
from stegano_tf.errors import BackendError, DataError, OutputError, one_line
from stegano_tf.sealing import age

Engine = Callable[[rows.Work, Iterable[int]], Iterator[tuple[int, rows.Tally | None]]]
"""Runs `rows.run` for numbers of blocks, and yields each number with what came of it, or with None if whoever worked on
it died `TRIES` times. What `rows.run` raises, it raises."""

TRIES = 3

_HOPELESS = 8  # blocks that are lost at the beginning: then it is not the pairs
_JOB = "_job.json"
_FORMAT = 1
_LOST = "whoever worked on this pair died each time, as a process does that runs out of memory"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What a job is: everything here decides what the outputs are. Places are paths or URIs."""

    operation: str  # a key of rows.OPERATIONS
    manifest: str
    results: str
    output_root: str | None = None  # None where nothing is written
    networks: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # as rows.Work
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Job:
    """A job that can run: what its workers know, and which pairs are left."""

    work: rows.Work  # of the next attempt
    pairs: int  # in the manifest
    left: pa.Table

    def run(self, engine: Engine, rows_per_block: int = 64) -> Iterator[rows.Tally]:
        """Does what is left, and yields what each block came to.

        Pairs of a block that killed its worker again and again are done alone, one a block. A pair that does so even
        alone becomes an error row.
        """
        work, left = self.work, self.left
        for size in rows_per_block, 1:
            if left.num_rows:
                lost = yield from self._attempt(work, left, size, engine)
                left = left.take(lost)
                work = dataclasses.replace(work, attempt=work.attempt + 1)
        for number, pair in enumerate(left.to_pylist()):
            error = {"status": "error", "error_type": "WorkerLost", "error": _LOST}
            rows.commit(work, number, [{"id": pair["id"]} | error])
            yield rows.Tally(1, 1)

    def _attempt(self, work: rows.Work, pairs: pa.Table, size: int, engine: Engine):
        """Yields what each block came to; returns the indexes of the pairs that have no row."""
        self._sweep()
        plan = io.BytesIO()
        with pa.ipc.new_file(plan, pairs.schema) as file:
            file.write_table(pairs.combine_chunks(), max_chunksize=size)
        lost, done = [], False
        try:
            rows.write(work, work.plan(), plan.getvalue())
            with contextlib.closing(engine(work, range(-(-pairs.num_rows // size)))) as blocks:
                for number, answer in blocks:
                    if tally := answer or rows.committed(work, number):  # it may have died behind its last line
                        done = True
                        yield tally
                        continue
                    lost.append(number)
                    if len(lost) == _HOPELESS and not done:
                        raise BackendError(f"{work.results.uri}: all workers die before they have done anything")
        finally:
            self._sweep()
        self.tidy()
        indexes = (range(number * size, min((number + 1) * size, pairs.num_rows)) for number in lost)
        return pa.array(itertools.chain.from_iterable(indexes), pa.int64())

    def tidy(self) -> None:
        """Deletes what is of use only while an attempt runs."""
        self.work.results.delete("_plan")
        self._sweep()

    def _sweep(self) -> None:
        for folder in self.work.outputs, self.work.results:
            if folder:
                folder.sweep()


def prepare(request: Request, *, resume: bool = False, retry_errors: bool = False, force: bool = False) -> Job:
    """Returns what is to be done, after all was checked that can be before any work.

    Args:
      resume: go on if the job was started already.
      retry_errors: do those pairs alone whose last row is an error.
      force: begin anew: delete the results of an earlier job, and replace outputs.

    Raises:
      DataError: the manifest is wrong (`manifest.read`).
      OutputError: outputs or results are there already, or are of a job with other settings.
      PresetError, BackendError, SealingError: the networks or the seal cannot be had.
    """
    operation = rows.OPERATIONS[request.operation]
    source = store.resolve(request.manifest)
    pairs, digest = manifest.read(source, operation.columns)
    settings = _settings(request, digest)
    identity = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    results, outputs = (_folder(uri, identity) for uri in (request.results, request.output_root))
    with _place("results", results):
        start = _start(results, settings, request, resume=resume, retry_errors=retry_errors, force=force)
        done = None if start else read(results.uri)
    if outputs:
        _refuse_among_results(results, outputs)
        with _place("outputs", outputs):
            if start and not force:
                _refuse_existing(outputs, pairs)
            outputs.probe()
    with _place("results", results):
        if start:
            if force:
                _clear(results)
            results.write(_JOB, json.dumps(settings | _seal(request), indent=1).encode())
        # A plan without rows is an attempt, too: somebody may still write its blocks.
        numbers = (re.match(r"(?:attempt=|_plan/)(\d+)", name) for name in results.files())
        attempt = 1 + max((int(number[1]) for number in numbers if number), default=0)
    work = rows.Work(
        operation=request.operation,
        networks=request.networks,
        options=request.options,
        inputs=source.rpartition("/")[0] or "/",
        outputs=outputs,
        results=results,
        attempt=attempt,
        settings_hash=identity,
        network=settings["network"],
        version=__version__,
    )
    job = Job(work, pairs.num_rows, _left(pairs, done, retry_errors=retry_errors))
    if not job.left.num_rows:
        job.tidy()
    return job


def read(results: str, columns: Iterable[str] = ("id", "status", "attempt")) -> pa.Table:
    """Returns the last row of each pair, from all attempts: columns of `rows.RESULT`, and `attempt`.

    Raises OSError if the results cannot be read, and DataError if a file is not of this format.
    """
    folder = store.Folder(store.resolve(results), "")
    filesystem, root = store.locate(folder.uri)
    files = [f"{root.rstrip('/')}/{name}" for name in folder.files() if name.startswith("attempt=")]
    partitioning = pa.dataset.HivePartitioning(pa.schema({"attempt": pa.int32()}))
    schema = pa.schema([*rows.RESULT, partitioning.schema.field("attempt")])
    if not files:
        return schema.empty_table().select(list(columns))
    options = {"format": "parquet", "filesystem": filesystem, "partition_base_dir": root, "partitioning": partitioning}
    wanted = [*dict.fromkeys(["id", "attempt", *columns])]
    try:
        table = pa.dataset.dataset(files, schema, **options).to_table(columns=wanted)
    except pa.ArrowInvalid as error:
        raise DataError(f"{results}: holds other files than results: {one_line(error)}") from error
    if pc.count_distinct(table["attempt"]).as_py() > 1:
        last = table.select(["id", "attempt"]).group_by("id").aggregate([("attempt", "max")])
        table = table.join(last.rename_columns(["id", "attempt"]), ["id", "attempt"], join_type="left semi")
    return table.select(list(columns))


def _left(pairs: pa.Table, done: pa.Table | None, *, retry_errors: bool) -> pa.Table:
    if done is None:
        return pairs
    if retry_errors:
        failed = done.filter(pc.equal(done["status"], "error"))["id"]
        return pairs.filter(pc.is_in(pairs["id"], failed.combine_chunks()))
    return pairs.filter(pc.invert(pc.is_in(pairs["id"], done["id"].combine_chunks())))


def _settings(request: Request, digest: str) -> dict[str, Any]:
    """Returns what must be the same when a job goes on. It holds no secrets, and not which key opens messages."""
    lock = request.options.get("lock")
    names = ("preset", "weights", "runtime", "threads")
    network = None
    if "way" not in request.options and (
        request.operation != "receive" or {"preset", "weights"} & set(request.networks)
    ):
        networks = {name: value for name, value in request.networks.items() if name in names}
        network = runtime.load(**networks).network.hex()
    options = {name: value for name, value in request.options.items() if name not in ("lock", "key")}
    settings = {
        "format": _FORMAT,
        "operation": request.operation,
        "manifest": digest,
        "output_root": request.output_root and store.resolve(request.output_root).rstrip("/"),
        "network": network,
        "version": __version__,
        "sealed": lock and (sorted(lock.recipients) or "with a passphrase"),
        **{name: value for name, value in request.networks.items() if name != "threads"},
        **options,
    }
    return json.loads(json.dumps(settings))


def _start(results: store.Folder, settings: dict, request: Request, **modes: bool) -> bool:
    """Returns whether the job is to be started, and otherwise checks that it can go on."""
    found = results.read(_JOB)
    if found is None and (attempts := _attempts(results)):  # `force` does not know either whose they are
        raise OutputError(f"{results.path(min(attempts))}: is there without {_JOB}, expected no results")
    if modes["force"]:
        return True
    if found is None:
        if modes["retry_errors"]:
            raise OutputError(f"{results.uri}: holds no job, expected one that was started")
        return True
    if not any(modes.values()):
        raise OutputError(f"{results.uri}: holds a job already; --resume goes on, --retry-errors, --force begins anew")
    _check_same(results, found, settings, request.options.get("lock"))
    return False


def _attempts(results: store.Folder) -> set[str]:
    return {name.partition("/")[0] for name in results.files() if name.startswith("attempt=")}


def _clear(results: store.Folder) -> None:
    """Deletes an earlier job; until its last step it stays one."""
    if results.read(_JOB) is not None:
        for name in (*_attempts(results), "_plan", _JOB):
            results.delete(name)


def _check_same(results: store.Folder, found: bytes, settings: dict, lock: sealing.Lock | None) -> None:
    """Raises OutputError if the job was started with other settings, or with another passphrase."""
    try:
        there = dict(json.loads(found))
    except (ValueError, TypeError) as error:
        raise OutputError(f"{results.path(_JOB)}: is not what a job was started with: {one_line(error)}") from error
    seal = there.pop("seal", None)
    # An option says more than what follows from it.
    for name in sorted(there.keys() | settings.keys(), key=lambda name: (name != "operation", name == "network", name)):
        old, new = there.get(name), settings.get(name)
        if old != new:
            expected = "a job goes on with the same settings only"
            raise OutputError(f"{results.uri}: {name} was {old!r}, and is {new!r} now; {expected}")
    if seal:
        try:
            age.unseal(io.BytesIO(base64.b64decode(seal)), io.BytesIO(), sealing.Key(passphrase=lock.passphrase))
        except sealing.SealingError as error:
            raise OutputError(f"{results.uri}: by the passphrase, what the job keeps sealed {error}") from error


def _seal(request: Request) -> dict[str, str]:
    """Returns nothing, sealed with the passphrase of the job: by this it is known again."""
    lock = request.options.get("lock")
    if not lock or lock.passphrase is None:
        return {}
    sealed = io.BytesIO()
    age.seal(io.BytesIO(), sealed, lock)
    return {"seal": base64.b64encode(sealed.getvalue()).decode()}


def _folder(uri: str | None, identity: str) -> store.Folder | None:
    return None if uri is None else store.Folder(store.resolve(uri), identity)


@contextlib.contextmanager
def _place(what: str, folder: store.Folder) -> Iterator[None]:
    """Says which place it is that cannot be used."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{folder.uri}: {what} cannot be kept there: {one_line(error)}") from error


def _refuse_among_results(results: store.Folder, outputs: store.Folder) -> None:
    outer, inner = (
        f"{os.path.realpath(folder.uri) if store.is_local(folder.uri) else folder.uri.rstrip('/')}/"
        for folder in (results, outputs)
    )
    if inner.startswith(outer):
        raise OutputError(f"{outputs.uri}: is in the folder of results, whose readers expect nothing else there")


def _refuse_existing(outputs: store.Folder, pairs: pa.Table) -> None:
    """Once a job has begun it may replace its outputs: so it must not begin where there are others."""
    there = pairs["output"].filter(pc.is_in(pairs["output"], pa.array(outputs.files(), pa.string())))
    if len(there):
        more = f", and {len(there) - 1:,} more outputs" if len(there) > 1 else ""
        raise OutputError(f"{outputs.path(there[0].as_py())}: exists already{more}; --force replaces them")
