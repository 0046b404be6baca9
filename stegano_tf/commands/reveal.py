"""Reveal the picture, or the file, that a stego image holds."""

import dataclasses

from stegano_tf import presets, settings
from stegano_tf.commands import flags, messages, streams, terminal
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
    flags.add_passphrase(parser)
    flags.add_identity(parser)


def run(args) -> None:
    from stegano_tf import pipeline, runtime, scratch
    from stegano_tf.message import pictures

    options = flags.networks(args, flags.Pictures, Size)
    asked = [name for name in ("passphrase_file", "ask_passphrase", "identity") if getattr(args, name)]
    chosen = args.preset or args.weights or args.runtime or args.size
    if asked:
        messages.refuse_networks(args, f"--{asked[0].replace('_', '-')}", Size)
    messages.check_secret(args, picture=bool(chosen))
    stego = pictures.read(args.stego, args.max_pixels)
    if not chosen:
        key = flags.picture_key(args)
        with scratch.off_disk(key is not None):
            with terminal.working(args):
                found = pictures.find(stego, key=key, name=args.stego)
            if found is not None:
                if asked and not found.sealed:
                    streams.complain(f"stegano-tf: warning: {args.stego}: is not sealed, so nothing had to be opened")
                messages.write(args, args.secret, found, stego, args.stego)
                return
        if asked:
            raise pictures.nothing(args.stego)
    messages.check_secret(args, picture=True)
    runtime.check_side(stego, f"{args.stego}: the stego image")
    with terminal.working(args) as progress:
        secret = pipeline.reveal(stego, **{"preset": presets.DEFAULT, **options}, progress=progress)
    messages.write_picture(args, secret, args.stego)
