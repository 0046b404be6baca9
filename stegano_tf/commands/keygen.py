"""Make an identity; its recipient, which others seal for, is printed."""

from stegano_tf import settings
from stegano_tf.commands import flags, streams


def add_arguments(parser) -> None:
    flags.add_output(parser, "identity", "the file to write, for its owner's eyes alone")
    settings.add_arguments(parser, flags.Output)


def run(args) -> None:
    from stegano_tf import sealing

    streams.say(sealing.keygen(args.identity, force=args.force))
