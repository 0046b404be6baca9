"""Reveal the picture that a stego image holds."""

from stegano_tf import settings
from stegano_tf.commands import flags, terminal


def add_arguments(parser) -> None:
    flags.add_file(parser, "stego", "the stego image")
    flags.add_output(parser, "secret", flags.SECRET_OUT)
    text = "the secret's size (default: that of the stego image)"
    parser.add_argument("--size", metavar="WxH", type=flags.picture_size, help=text)
    settings.add_arguments(parser, flags.Networks, flags.Pictures, flags.Output)


def run(args) -> None:
    from stegano_tf import images, pipeline

    options = flags.networks(args, flags.Pictures)
    images.check(args.secret, lossless=False, force=args.force)
    with terminal.working(args) as progress:
        secret = pipeline.reveal(args.stego, size=args.size, progress=progress, **options)
    images.write(args.secret, secret, lossless=False, force=args.force)
    terminal.wrote(args.secret, secret.shape)
