"""The run folder: which one it is, what must agree with what it holds, and what it says of the run."""

import dataclasses
import datetime
import json
import platform
import sys
from pathlib import Path

import keras

from stegano_tf import outputs, presets, provenance
from stegano_tf.errors import CheckpointError, OutputError, StrategyError, one_line
from stegano_tf.training.options import Options

_OPTIONS_FILE = "options.json"

# These may differ when a run is gone on with: they change where and how fast it computes, and the result by rounding.
_FREE = {"data_dir", "manual_dir", "strategy", "logical_devices", "xla", "tensorboard", "checkpoint_minutes", "run_dir"}


def choose(options: Options) -> Path:
    """Returns the run folder: a new one, or one that holds a run with the same options, as they were given.

    Raises:
      CheckpointError: it holds another run.
      StrategyError: several workers need a folder that they share, and none is given.
    """
    if options.run_dir is None:
        if options.strategy == "multi_worker":
            raise StrategyError("run_dir is not set, expected a folder that all workers share")
        return Path(f"runs/{options.preset}-{datetime.datetime.now():%Y%m%d-%H%M%S}")
    run_dir = Path(options.run_dir)
    file = run_dir / _OPTIONS_FILE
    if not file.exists():
        return run_dir
    try:
        found = dict(json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{file}: cannot be read: {one_line(error)}") from error
    if "preset" in found:
        found["preset"] = presets.current(found["preset"])  # by its name of today
    for name, value in dataclasses.asdict(options).items():
        if name not in found:
            raise CheckpointError(f"{run_dir}: holds a run of another version, without {name}; expected a new folder")
        if name not in _FREE and found[name] != value:
            raise CheckpointError(
                f"{run_dir}: holds a run with {name} {found[name]}, given {value}; expected the same or a new folder"
            )
    return run_dir


def check_agreement(steps, step: int, run_dir: Path) -> None:
    """Raises a `CheckpointError` unless all workers go on from the same step."""
    found = steps.gather(step)
    if len(set(found)) > 1:
        raise CheckpointError(
            f"{run_dir}: workers found checkpoints of steps {', '.join(map(str, found))} in it, "
            "expected a folder that all of them share"
        )


def record(options: Options, run_dir: Path, strategy) -> None:
    """Makes the run folder, writes the options as they were given, and adds this start; or raises an `OutputError`."""
    start = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "commit": provenance.commit(),
        "packages": provenance.versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "backend": keras.backend.backend(),
        "strategy": options.strategy,
        "replicas": strategy.num_replicas_in_sync if strategy else 1,
        "seed": options.seed,
    }
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        if not (run_dir / _OPTIONS_FILE).exists():
            outputs.write_json(run_dir / _OPTIONS_FILE, dataclasses.asdict(options), force=True)
        with (run_dir / "starts.jsonl").open("a") as file:
            file.write(json.dumps(start) + "\n")
    except OSError as error:
        raise OutputError(f"{run_dir}: cannot be written: {error.strerror}") from error
