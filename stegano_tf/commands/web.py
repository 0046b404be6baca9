"""Open a page that does it all in a browser on this machine, or write it as files for a web server."""

import sys

from stegano_tf.commands import flags, terminal


def add_arguments(parser) -> None:
    parser.add_argument("--port", type=int, default=8599, metavar="N", help="of 127.0.0.1; 0 takes a free one (8599)")
    parser.add_argument("--no-browser", action="store_true", help="serve the page, but open no browser")
    flags.add_file(parser, "--export", "write the page into this new folder instead", metavar="DIR")
    parser.add_argument("--force", action="store_true", help="replace the folder of --export if it exists")


def run(args) -> None:
    terminal.need("web", "stegano_tf.web.server")
    from stegano_tf.commands import streams
    from stegano_tf.web import server, site

    if args.export:
        written = site.export(args.export, force=args.force)
        streams.say(f"{args.export}: {len(written)} files of a page that any web server can serve")
        return
    server.run(args.port, browser=not args.no_browser and sys.stdout.isatty())
