"""Answer TensorFlow Serving's REST and gRPC requests with the exported networks."""

from pathlib import Path

from stegano_tf import presets, settings
from stegano_tf.commands import flags, terminal
from stegano_tf.serving.settings import Settings


def add_arguments(parser) -> None:
    flags.add_file(parser, "--savedmodels", "models to serve (default: the installed ones)", metavar="DIR")
    text = "only this model of them"
    parser.add_argument("--preset", metavar="NAME", action="append", type=presets.current, default=[], help=text)
    settings.add_arguments(parser, Settings)


def run(args) -> None:
    from stegano_tf import savedmodels

    with terminal.working(args):
        terminal.need("serve", "stegano_tf.serving.server")
        from stegano_tf.serving import models, server

        loaded = models.Models(Path(args.savedmodels or savedmodels.FOLDER), args.preset)
    server.run(loaded, Settings(**settings.given(args, Settings)))
