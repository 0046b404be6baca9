"""Reveal the picture that a stego image holds."""

import dataclasses

from stegano_tf import settings
from stegano_tf.commands import flags, terminal
from stegano_tf.settings import setting


@dataclasses.dataclass(frozen=True)
class Size:
    """How large the secret is."""

    size: tuple[int, int] | None = setting(
        None, "the secret's size (default: that of the stego image)", metavar="WxH", parse=flags.picture_size
    )


GROUPS = (flags.Networks, flags.Pictures, Size)


def add_arguments(parser) -> None:
    flags.add_file(parser, "stego", "the stego image")
    flags.add_output(parser, "secret", flags.SECRET_OUT)
    settings.add_arguments(parser, *GROUPS, flags.Output)


def run(args) -> None:
    from stegano_tf import images, pipeline

    options = flags.networks(args, flags.Pictures, Size)
    images.check(args.secret, lossless=False, force=args.force)
    with terminal.working(args) as progress:
        secret = pipeline.reveal(args.stego, progress=progress, **options)
    images.write(args.secret, secret, lossless=False, force=args.force)
    terminal.wrote(args.secret, secret.shape)
