"""Settings as data: a dataclass states each one once, and both kinds of command line are made from it.

`add_arguments` is for the subcommands of `stegano-tf` (argparse), `define_flags` and `run` for the absl scripts. Names
are written with dashes in the first and with underscores in the second, as is usual there; `spelled` makes either
accept both.
"""

import argparse
import dataclasses
import functools
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags

# What `define_flags` defines then belongs to the module that calls it: --help shows it.
flags.disclaim_key_flags()


STDIN = "/dev/stdin"


def file_name(text: str) -> str:
    """Reads the name of a file or folder; "-" is standard input."""
    if not text:
        raise argparse.ArgumentTypeError("an empty file name")
    return STDIN if text == "-" else text


def setting(
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence | None = None,
    metavar: str | None = None,
    parse: Callable[[str], Any] | None = None,
) -> Any:
    """Returns a dataclass field whose meaning, for `--help`, is `text`.

    Args:
      low, high: the smallest and the largest number.
      choices: all values that there are.
      metavar: what stands for the value in `--help`; by default N, or TEXT.
      parse: makes the value of a text and raises ValueError, whose message says what was expected; by default the
        field's type does. absl uses it where there are `choices`.

    Example:
      port: int = setting(8501, "for REST; 0 takes a free one", low=0, high=65535)
    """
    details = {"low": low, "high": high, "choices": choices, "metavar": metavar, "parse": parse}
    return dataclasses.field(default=default, metadata={"help": text, **details})


def add_arguments(parser: argparse.ArgumentParser, *classes: type) -> None:
    """Adds a flag for each setting of dataclasses to an argparse parser; one that several of them have, once.

    A flag that is not given has the value None, so that whoever reads it can tell: `given` leaves these out.
    """
    for field in {field.name: field for cls in classes for field in _settings(cls)}.values():
        kind, details = _kind(field), field.metadata
        name, text = f"--{field.name.replace('_', '-')}", details["help"]
        if kind is bool:
            parser.add_argument(name, action="store_true", default=None, help=text)
            continue
        if field.default not in (None, "", dataclasses.MISSING):
            text += f" (default: {field.default})"
        metavar = None if details["choices"] else details["metavar"] or ("TEXT" if kind is str else "N")
        options = {"type": functools.partial(_read, field), "choices": details["choices"], "metavar": metavar}
        parser.add_argument(name, help=text.replace("%", "%%"), **options)


def given(args: argparse.Namespace, *classes: type) -> dict[str, Any]:
    """Returns the settings of dataclasses that were given on the command line, by name."""
    names = {field.name for cls in classes for field in _settings(cls)}
    return {name: value for name, value in vars(args).items() if name in names and value is not None}


def define_flags(cls: type) -> None:
    """Defines an absl flag for each setting of a dataclass, as a key flag of the module that calls."""
    for field in _settings(cls):
        kind, details = _kind(field), field.metadata
        if kind is bool:
            flags.DEFINE_boolean(field.name, field.default, details["help"])
        elif details["choices"]:
            text = f"<{'|'.join(details['choices'])}>: {details['help']}"
            flags.DEFINE(_Choice(details), field.name, field.default, text)
        elif typing.get_origin(kind) is tuple:
            flags.DEFINE_list(field.name, list(field.default), details["help"])
        elif kind in (int, float):
            define = flags.DEFINE_integer if kind is int else flags.DEFINE_float
            define(field.name, field.default, details["help"], lower_bound=details["low"], upper_bound=details["high"])
        else:
            flags.DEFINE_string(field.name, field.default, details["help"])


def from_flags(cls: type) -> Any:
    """Returns the dataclass with the values of the flags that `define_flags` defined."""
    return cls(**{field.name: flags.FLAGS[field.name].value for field in _settings(cls)})


def run(main: Callable[[list[str]], Any]) -> None:
    """Runs the `main` of an absl script, whose flags may be written with dashes; exits with status 2 if they are wrong.

    `main` gets what is left of the command line, as from `app.run`, and calls `usage_error` if that is wrong.
    """
    app.run(main, flags_parser=_parse)


def usage_error(message: str) -> NoReturn:
    """Ends an absl script because its command line is wrong."""
    print(f"stegano_tf.{Path(sys.argv[0]).stem}: {message}; --help lists the flags", file=sys.stderr)
    sys.exit(2)


def _parse(argv: Sequence[str]) -> list[str]:
    program, *words = argv
    try:
        words = spelled(flags.FLAGS.read_flags_from_files(words), "_")
        return flags.FLAGS([program, *map(_negated, words)])
    except flags.Error as error:
        usage_error(str(error).removeprefix("ERROR:: "))


def _negated(word: str) -> str:
    """Returns a flag that is written as --no_NAME as absl has it, --noNAME."""
    name = word.removeprefix("--no_")
    return f"--no{name}" if name != word and name in flags.FLAGS and flags.FLAGS[name].boolean else word


def spelled(argv: Sequence[str], separator: str) -> list[str]:
    """Returns a command line whose flags' words are joined by `separator`, "-" or "_"; what follows "--" stays.

    Example:
      >>> spelled(["send", "--max_pixels=9", "a_b.png"], "-")
      ['send', '--max-pixels=9', 'a_b.png']
    """
    end = list(argv).index("--") if "--" in argv else len(argv)
    words = [re.sub("(?<=^--)[^=]+", lambda name: re.sub("[-_]", separator, name[0]), word) for word in argv[:end]]
    return [*words, *argv[end:]]


class _Choice(flags.EnumParser):
    """absl's parser for a setting that has choices, and perhaps `parse`."""

    def __init__(self, details: Mapping[str, Any]):
        super().__init__(list(details["choices"]))
        self._parse = details["parse"] or str

    def parse(self, argument: str) -> str:
        return super().parse(self._parse(argument))


def _settings(cls: type) -> list[dataclasses.Field]:
    """The fields of a dataclass that `setting` made."""
    return [field for field in dataclasses.fields(cls) if field.metadata]


def _kind(field: dataclasses.Field) -> type:
    """The type of a setting, without the None that says that nothing was given."""
    if isinstance(field.type, types.UnionType):
        return next(kind for kind in typing.get_args(field.type) if kind is not type(None))
    return field.type


def _read(field: dataclasses.Field, text: str) -> Any:
    """Returns the value that `text` states for a setting; argparse takes a message from its own exception only."""
    kind, low, high, parse = _kind(field), *(field.metadata[name] for name in ("low", "high", "parse"))
    bounds = "" if low is None else f" from {low}" if high is None else f" from {low} to {high}"
    expected = f"expected {'an integer' if kind is int else 'a number'}{bounds}"
    try:
        value = (parse or kind)(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error if parse else expected}") from error
    if (low is None or value >= low) and (high is None or value <= high):
        return value
    raise argparse.ArgumentTypeError(f"{text!r}: {expected}")
