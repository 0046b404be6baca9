"""The command `stegano-tf`, also `python -m stegano_tf`: each subcommand is a module of this package.

Its docstring is the subcommand's help, `add_arguments(parser)` adds the arguments, and `run(args)` does the work.
Heavy modules are imported in `run`, so that `--help` and wrong usage take no time.
"""

import argparse
import importlib
import os
import sys
import warnings

from absl import app
from absl import flags as absl_flags
from absl.flags import argparse_flags

from stegano_tf import __version__, settings
from stegano_tf.commands import flags, streams, terminal
from stegano_tf.errors import OutputError

COMMANDS = (
    *("send", "receive", "hide", "reveal", "encode", "decode", "inspect", "keygen", "presets"),
    *("batch", "serve", "web", "demo"),
)


def run() -> None:
    """Runs the command line of this process, and ends it."""
    # TensorFlow reads this when it is imported. Its start-up notices mean nothing to someone who sends a picture.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app.run(main, flags_parser=parse)


def main(args: argparse.Namespace) -> None:
    """Runs a parsed command line; exits with a status other than 0 if that fails.

    Example:
      main(parse(["stegano-tf", "hide", "cover.png", "secret.jpg", "stego.png"]))
    """
    with terminal.session(args):
        flags.check_files(args)
        args.run(args)


def parse(argv: list[str]) -> argparse.Namespace:
    """Parses the command line, whose first word is the program; exits with status 2 if it is wrong."""
    streams.prepare()
    warnings.showwarning = terminal.show_warning
    parser = _Parser(
        prog="stegano-tf", description="Hide a photograph in a photograph and send it as sound.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Subparser)
    for name in COMMANDS:
        module = importlib.import_module(f"{__name__}.{name}")
        sub = subparsers.add_parser(name, help=module.__doc__, description=module.__doc__, allow_abbrev=False)
        module.add_arguments(sub)
        sub.add_argument("--debug", action="store_true", help="show all messages, and the traceback of an error")
        sub.set_defaults(run=module.run, usage_error=sub.error)
    try:
        return parser.parse_args(argv[1:])
    except absl_flags.Error as error:
        parser.error(str(error).removeprefix("ERROR:: "))


class _Plain(argparse.ArgumentParser):
    """Prints on the streams as they are."""

    def error(self, message: str):
        super().error(streams.plain(message))

    def _print_message(self, message, file=None):
        if file is not sys.stdout:
            super()._print_message(message, file)
            return
        try:
            streams.show(message.rstrip())
        except OutputError as error:
            self.error(str(error))


class _Parser(_Plain, argparse_flags.ArgumentParser):
    """Takes absl's flags, too."""


class _Subparser(_Plain):
    """Takes options anywhere among the arguments (up to a "--"), and written with dashes or underscores.

    It is no parser of absl's, because absl's flags are those of the whole command.
    """

    _intermixed = False

    def parse_known_args(self, args=None, namespace=None):
        args = settings.spelled(args, "-")
        if self._intermixed or "--" in args:  # the library's function calls this one, and drops "--"
            return super().parse_known_args(args, namespace)
        self._intermixed = True
        return self.parse_known_intermixed_args(args, namespace)
