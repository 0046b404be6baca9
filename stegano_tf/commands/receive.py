"""Reveal the picture that a sound holds."""

from stegano_tf import settings
from stegano_tf.commands import decode, flags, terminal


def add_arguments(parser) -> None:
    flags.add_files(parser, audio=flags.SOUND, secret=flags.SECRET_OUT)
    flags.add_file(parser, "--stego", "also write the stego image, bit for bit as it was sent")
    settings.add_arguments(parser, flags.Networks, flags.Pictures, flags.Output)
    flags.add_opening(parser)


def run(args) -> None:
    from stegano_tf import images, pipeline

    options = flags.networks(args, flags.Pictures)
    images.check(args.secret, lossless=False, force=args.force)
    if args.stego:
        images.check(args.stego, force=args.force)
    key = flags.key(args)
    with terminal.working(args) as progress:
        received = pipeline.receive(args.audio, key=key, progress=progress, **options)
    decode.report_damage(received.info)
    if args.stego:
        images.write(args.stego, received.stego, force=args.force)
    images.write(args.secret, received.secret, lossless=False, force=args.force)
