"""Reveal the picture, or the file, that a sound holds."""

from stegano_tf import settings
from stegano_tf.commands import flags, messages, terminal

GROUPS = (flags.Networks, flags.Pictures)


def add_arguments(parser) -> None:
    flags.add_sound(parser, "the sound to read, or its parts in any order", nargs="+")
    flags.add_output(parser, "secret", flags.SECRET_OUT)
    flags.add_output(parser, "--stego", "also write the stego image, bit for bit as it was sent")
    settings.add_arguments(parser, *GROUPS, flags.Output)
    flags.add_opening(parser)


def run(args) -> None:
    from stegano_tf import images, pipeline

    options = flags.networks(args, flags.Pictures)
    messages.check_secret(args, picture=bool(settings.given(args, flags.Networks)))
    if args.stego:
        images.check(args.stego, force=args.force)
    key = flags.key(args)
    flags.listen(args)
    with terminal.working(args) as progress:
        received = pipeline.receive(args.audio, key=key, progress=progress, **options)
    flags.report(args, received.info)
    if args.stego:
        images.write(args.stego, received.stego, force=args.force)
        terminal.wrote(args.stego, received.stego.shape)
    if received.found is not None:
        messages.write(args, args.secret, received.found, received.stego, str(received.info.path))
        return
    messages.write_picture(args, received.secret, received.info.path)
