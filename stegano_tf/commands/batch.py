"""Hide, send, reveal, receive or score all pairs of a table, on all cores or on a Ray cluster."""

import contextlib
import dataclasses
import functools
import sys
import time
from pathlib import Path

from stegano_tf import settings
from stegano_tf.audio.forms.modem.profiles import PROFILES
from stegano_tf.commands import encode, flags, hide, messages, receive, reveal, send, streams, terminal
from stegano_tf.errors import BackendError, DataError
from stegano_tf.settings import setting

_PASSPHRASE = {"passphrase_file", "ask_passphrase"}
_KEYS = {
    "hide": {*_PASSPHRASE, "recipient"},
    "send": {*_PASSPHRASE, "recipient"},
    "reveal": {*_PASSPHRASE, "identity"},
    "receive": {*_PASSPHRASE, "identity", "bare"},
}
_BYTES = {"exact", "stealth", "rate", "survive"}
_SHOWN = ("id", "status", "error_type", "error", "cover_psnr", "secret_psnr", "bytes")
_LINE = 60  # seconds from one line about progress to the next, where no bar can be drawn


def _percent(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise ValueError("expected 0% to 100%")
    return share


def _survival(text: str) -> str:
    return text if text in PROFILES else messages.survival(text)


@dataclasses.dataclass(frozen=True)
class Survival:
    """What a sound, or a picture, goes through."""

    survive: str | None = setting(None, "send: as the command's; hide: jpeg:N or chat", metavar="WAY", parse=_survival)


@dataclasses.dataclass(frozen=True)
class Running:
    """How a job is run: none of this changes an output."""

    engine: str = setting("local", "processes of this machine, or a Ray cluster", choices=("local", "ray"))
    address: str | None = setting(
        None,
        "with --engine ray: the cluster's; auto finds it (default: start one on this machine)",
        metavar="HOST:PORT",
    )
    workers: int | None = setting(None, "pairs that are worked on at a time (default: a core each)", low=1, high=2**20)
    rows_per_block: int = setting(64, "pairs whose results are one file", low=1, high=2**20)
    max_errors: float = setting(
        0.01,
        "with more pairs that fail than this share, such as 1%, the exit status is 1",
        metavar="PERCENT",
        parse=_percent,
    )
    resume: bool = setting(False, "go on with a job that was stopped; begin it if there is none")
    retry_errors: bool = setting(False, "do those pairs again that failed, and no others")


def add_arguments(parser) -> None:
    parser.add_argument("operation", choices=tuple(_groups()), help="what to do with each pair")
    flags.add_file(parser, "manifest", "Parquet or CSV: id, cover, secret, output; or id, stego or audio, output")
    flags.add_file(parser, "--results", "folder or s3://... for what came of each pair", metavar="URI", required=True)
    flags.add_file(parser, "--output-root", "folder or s3://... below which the outputs lie", metavar="URI")
    settings.add_arguments(parser, Running, *_all_groups(), send.Stealth, Survival, flags.Output)
    flags.add_passphrase(parser)
    flags.add_recipient(parser)
    flags.add_identity(parser)


def _groups() -> dict[str, tuple[type, ...]]:
    """Returns the groups of options that each operation takes: those of the command of that name."""
    hiding = *hide.GROUPS, messages.Bytes
    return {
        "hide": (*hiding, Survival),
        "send": (*hiding, *encode.groups(), Survival),
        "reveal": reveal.GROUPS,
        "receive": receive.GROUPS,
        "score": (*hiding, Survival),
    }


def _all_groups() -> list[type]:
    return list(dict.fromkeys(group for groups in _groups().values() for group in groups))


def run(args) -> None:
    networks, options = _options(args)
    with terminal.working(args):
        terminal.need("batch", "pyarrow")
        from stegano_tf.batch import job, store

        if args.engine == "ray":
            _ray()  # before a job is started for which it is missing
        request = job.Request(
            operation=args.operation,
            manifest=args.manifest,
            results=args.results,
            output_root=args.output_root,
            networks=networks,
            options=options,
        )
        modes = {name: bool(getattr(args, name)) for name in ("resume", "retry_errors", "force")}
        with store.alone(args.results):
            prepared = job.prepare(request, **modes)
            if prepared.left.num_rows:
                with _engine(args, networks["threads"]) as engine:
                    done = prepared.run(engine, args.rows_per_block or Running.rows_per_block)
                    _show(done, prepared.left.num_rows)
            failed = _summary(job.read(args.results, _SHOWN))
    allowed = Running.max_errors if args.max_errors is None else args.max_errors
    if failed > allowed * prepared.pairs:
        found = f"{failed:,} of {prepared.pairs:,} pairs failed"
        raise DataError(f"{args.results}: {found}, expected at most {allowed:.2%} of them (--max-errors)")


def _options(args) -> tuple[dict, dict]:
    """Returns `networks` and `options` of a request; exits with status 2 if options do not go together."""
    groups = _groups()[args.operation]
    given = set(settings.given(args, *_all_groups()))
    given |= {name for names in _KEYS.values() for name in names if getattr(args, name)}
    if others := given - set(settings.given(args, *groups)) - _KEYS.get(args.operation, set()):
        args.usage_error(f"{encode.spell(min(others))} is not for {args.operation}")
    if (args.output_root is None) != (args.operation == "score"):
        args.usage_error("score writes no outputs" if args.output_root else f"{args.operation} takes --output-root")
    if args.address and args.engine != "ray":
        args.usage_error("--address goes with --engine ray")
    if bool(args.resume) + bool(args.retry_errors) + bool(args.force) > 1:
        args.usage_error("expected one of --resume, --retry-errors and --force")
    for name, files in ("weights", [args.weights]), ("carrier", [args.carrier]), ("identity", args.identity):
        if any(file and (file == settings.STDIN or Path(file).is_fifo()) for file in files):
            args.usage_error(f"--{name} is read by each worker, expected a file")
    options = flags.networks(args, *groups)
    if hide.Refinement in groups:
        hide.hiding_options(args)  # refuses what does not go together
        options = {name: value for name, value in options.items() if name not in _BYTES} | _ways(args)
    if args.operation == "send":
        if args.split:
            args.usage_error("--split is not for a batch, which writes one sound for each row")
        options["lock"] = flags.lock(args)
    elif args.operation == "receive":
        options["key"] = flags.key(args, ask=False)
    elif args.operation == "reveal" and (key := flags.picture_key(args)):
        options["key"] = key
    # Workers run in other folders.
    options |= {name: str(Path(options[name]).absolute()) for name in ("weights", "carrier") if name in options}
    if key := options.get("key"):  # its identities, once read, could not be handed to other processes
        identities = [str(Path(path).absolute()) for path in args.identity]
        options["key"] = dataclasses.replace(key, identities=identities)
    networks = settings.given(args, flags.Networks)
    return {"threads": 1} | {name: options.pop(name) for name in networks}, options


def _ways(args) -> dict:
    """Returns the options of whatever hides bytes, with the lock of pictures; nothing if networks hide."""
    sound, of_picture, kept = args.operation == "send", args, {}
    if args.survive and (args.survive in PROFILES) != sound:
        kinds = "hifi to robust" if sound else "jpeg:N or chat"
        args.usage_error(f"--survive {args.survive} is not for {args.operation}, expected {kinds}")
    if sound:
        of_picture, of_sound = send.divided(args)
        kept = {name: value for name, value in encode.given_options(of_sound).items() if name in _BYTES}
    found = messages.way_options(of_picture, anyway=args.operation == "hide" and hide.as_bytes(args), sound=sound)
    if found is None:
        return kept
    messages.refuse_networks(args, "bytes", hide.Refinement)
    lock = flags.lock(args) if args.operation == "hide" else None
    name, own = found
    chat = {"chat": True} if args.survive == "chat" else {}
    return kept | chat | {"way": name, "way_options": own} | ({"lock": lock} if lock else {})


@contextlib.contextmanager
def _engine(args, threads: int):
    """Yields a `job.Engine`."""
    if args.engine == "ray":
        ray = _ray()
        with ray.cluster(args.address, args.workers and args.workers * threads):
            yield functools.partial(ray.run, workers=args.workers, threads=threads)
        return
    from stegano_tf.batch import local
    from stegano_tf.runtime import backends

    yield functools.partial(local.run, workers=args.workers or max(1, backends.usable_cores() // threads))


def _ray():
    try:
        from stegano_tf.batch import ray
    except ModuleNotFoundError as error:
        expected = "pip install 'stegano_tf[distributed]'"
        raise BackendError(f"--engine ray needs {error.name}, which is not installed: {expected}") from error
    return ray


def _show(tallies, total: int) -> None:
    """Takes what the blocks come to, and shows how far the job is: a bar on a terminal, elsewhere a line a minute."""
    import rich.console
    import rich.progress as bars

    done = errors = 0
    start = said = time.monotonic()
    texts = (bars.TextColumn(f"{{task.{name}}}") for name in ("description", "fields[pace]"))
    console = rich.console.Console(file=sys.stderr)
    columns = next(texts), bars.BarColumn(), bars.MofNCompleteColumn(), next(texts), bars.TimeRemainingColumn()
    options = {"console": console, "transient": True, "disable": not console.is_terminal}
    with bars.Progress(*columns, speed_estimate_period=3600, **options) as progress:  # a block may take minutes
        task = progress.add_task("pairs", total=total, pace="")
        for tally in tallies:
            done, errors, now = done + tally.pairs, errors + tally.errors, time.monotonic()
            pace = f"{done / (now - start):.1f} pairs/s, {errors:,} errors"
            progress.update(task, completed=done, pace=pace)
            if progress.disable and (now - said > _LINE or done == total):
                left = round((total - done) * (now - start) / done)
                print(f"{done:,} of {total:,} pairs, {pace}, {left:,} s left", file=sys.stderr, flush=True)
                said = now


def _summary(table) -> int:
    """Prints what came of all pairs, and an error of each kind; returns how many failed."""
    import pyarrow.compute as pc
    import rich.console
    import rich.table

    shown = rich.table.Table(show_header=False)
    shown.add_column()
    shown.add_column(justify="right")
    good = table.filter(pc.equal(table["status"], "ok"))
    shown.add_row("done", f"{good.num_rows:,}")
    for name, text in ("cover_psnr", "cover, mean PSNR"), ("secret_psnr", "secret, mean PSNR"):
        if (mean := pc.mean(good[name]).as_py()) is not None:
            shown.add_row(text, f"{mean:.1f} dB")
    if size := pc.sum(good["bytes"]).as_py():
        shown.add_row("outputs", f"{size:,} bytes")
    failed = pc.value_counts(table["error_type"].drop_null()).to_pylist()
    for kind in sorted(failed, key=lambda kind: -kind["counts"]):
        shown.add_row(f"failed: {kind['values']}", f"{kind['counts']:,}")
    with streams.showing():
        rich.console.Console().print(shown)
    for kind in sorted(kind["values"] for kind in failed):
        first = table.filter(pc.equal(table["error_type"], kind)).slice(0, 1).to_pylist()[0]
        streams.show(streams.plain(f"{kind}, for instance {first['id']}: {first['error']}"))
    return table.num_rows - good.num_rows
