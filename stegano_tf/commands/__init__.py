"""The command `stegano-tf`, also `python -m stegano_tf`: each subcommand is a module of this package.

Its docstring is the subcommand's help, `add_arguments(parser)` adds the arguments, and `run(args)` does the work.
Heavy modules are imported in `run`, so that `--help` and wrong usage take no time.
"""

import argparse
import importlib
import os
import warnings

from absl import app
from absl.flags import argparse_flags

from stegano_tf import __version__, settings
from stegano_tf.commands import terminal

COMMANDS = ("send", "receive", "hide", "reveal", "encode", "decode", "inspect", "keygen", "presets", "serve", "demo")


def run() -> None:
    """The console script."""
    # TensorFlow reads this when it is imported. Its start-up notices mean nothing to someone who sends a picture.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app.run(main, flags_parser=parse)


def main(args: argparse.Namespace) -> None:
    """Runs a parsed command line; exits with a status other than 0 if that fails.

    Example:
      main(parse(["stegano-tf", "hide", "cover.png", "secret.jpg", "stego.png"]))
    """
    with terminal.session(args):
        args.run(args)


def parse(argv: list[str]) -> argparse.Namespace:
    """Parses the command line, whose first word is the program; exits with status 2 if it is wrong."""
    warnings.showwarning = terminal.show_warning
    parser = argparse_flags.ArgumentParser(
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
    return parser.parse_args(argv[1:])


class _Subparser(argparse.ArgumentParser):
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
