"""Open a page that hides, sends and receives in a browser, or write it as files for a web server."""

import dataclasses
import sys

from stegano_tf import settings
from stegano_tf.commands import flags, terminal
from stegano_tf.settings import setting


@dataclasses.dataclass(frozen=True)
class _Serving:
    """Where the page is."""

    port: int = setting(8599, "of 127.0.0.1; 0 takes a free one", low=0, high=65535)
    no_browser: bool = setting(False, "serve the page, but open no browser")


def add_arguments(parser) -> None:
    settings.add_arguments(parser, _Serving)
    flags.add_file(parser, "--export", "write the page into this new folder instead", metavar="DIR")
    parser.add_argument("--force", action="store_true", help="replace the page that --export finds there")


def run(args) -> None:
    terminal.need("web", "stegano_tf.web.server")
    from stegano_tf.commands import streams
    from stegano_tf.web import server, site

    if args.export:
        written = site.export(args.export, force=args.force)
        streams.say(f"{args.export}: {len(written)} files of a page that any web server can serve")
        return
    serving = _Serving(**settings.given(args, _Serving))
    server.run(serving.port, browser=not serving.no_browser and sys.stdout.isatty())
