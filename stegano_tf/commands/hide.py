"""Hide a picture, or any file, in a picture."""

import dataclasses

from stegano_tf import settings
from stegano_tf.commands import flags, messages, streams, terminal
from stegano_tf.settings import setting


@dataclasses.dataclass(frozen=True)
class Refinement:
    """How much work goes into the stego image."""

    refine: int = setting(0, "improve the stego image in N steps: slow", low=0, high=10_000)
    balance: float = setting(
        0.0, "with --refine: weigh the secret more, or below 0, the cover", low=-99, high=99, metavar="DB"
    )


GROUPS = (flags.Networks, flags.Pictures, Refinement)


def add_arguments(parser) -> None:
    add_pictures(parser)
    flags.add_output(parser, "stego", "the picture to write: .png .bmp .tif .webp; with --survive also .jpg")
    add_hiding(parser)
    settings.add_arguments(parser, messages.Survival)
    flags.add_passphrase(parser)
    flags.add_recipient(parser, "seal for this one: age1...")
    messages.add_also(parser)
    settings.add_arguments(parser, flags.Output)


def add_pictures(parser) -> None:
    """Adds the two files that are read."""
    flags.add_file(parser, "cover", "the picture to hide it in, at least 16x16 pixels")
    flags.add_file(parser, "secret", "the picture to hide, which is scaled to the cover, or any other file")


def add_hiding(parser, *more: type) -> None:
    """Adds the options of whatever hides a picture, and more groups."""
    settings.add_arguments(parser, *GROUPS, messages.Bytes, *more)
    parser.add_argument(
        "--report", action="store_true", help="print PSNR, SSIM and APD of stego image and revealed secret"
    )


def run(args) -> None:
    from stegano_tf import images, pipeline

    options = hiding_options(args)
    way = messages.way(args, anyway=as_bytes(args))
    if way is not None:
        _hide_bytes(args, way)
        return
    images.check(args.stego, force=args.force)
    cover, secret = pictures(args)
    with terminal.working(args) as progress:
        stego = pipeline.hide(cover, secret, progress=progress, **options)
    images.write(args.stego, stego, force=args.force)
    terminal.wrote(args.stego, stego.shape)
    report(args, cover, secret, stego)


def as_bytes(args) -> bool:
    """Returns whether the secret is hidden as bytes: exits if an option of networks was given, too."""
    from stegano_tf import sealing
    from stegano_tf.message import contents

    names = ("exact", "stealth", "survive", "passphrase_file", "ask_passphrase", "recipient", "also")
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name, None)]
    if not given and not settings.given(args, flags.Networks, Refinement) and sealing.variable() is not None:
        given = [sealing.PASSPHRASE_VARIABLE]
    if not given and "secret" in args and not contents.is_picture(args.secret):  # a batch has many
        given = ["a secret that is no picture"]
    if given:
        messages.refuse_networks(args, given[0], Refinement)
    return bool(given)


def way_in_sound(args):
    """Returns the way in which `send` hides bytes, None for networks: passphrases and recipients seal the sound."""
    from stegano_tf.message import contents

    way = messages.way(args, anyway=not contents.is_picture(args.secret), sound=True)
    if way is not None:
        messages.refuse_networks(args, "bytes", Refinement)
    return way


def _hide_bytes(args, way) -> None:
    from stegano_tf import images, scratch, sealing
    from stegano_tf.message import pictures as message_pictures

    if len(args.also) != len(args.also_passphrase_file):
        args.usage_error("each --also takes an --also-passphrase-file, and the other way round")
    if args.report:
        terminal.need("--report", "skimage.metrics")
    lossless = way.file_options is None
    images.check(args.stego, lossless=lossless, force=args.force)
    locks = [
        flags.lock(args),
        *(sealing.Lock(passphrase=sealing.read_passphrase(p)) for p in args.also_passphrase_file),
    ]
    with scratch.off_disk(any(locks)):
        cover = message_pictures.read(args.cover, args.max_pixels)
        if args.survive:
            cover = messages.scaled(args, cover)
        with terminal.working(args):
            also = list(zip(args.also, locks[1:], strict=True))
            options = {"way": way, "lock": locks[0], "also": also, "max_pixels": args.max_pixels}
            hidden = message_pictures.hide(cover, args.secret, name=args.cover, **options)
        message_pictures.write(args.stego, hidden, force=args.force)
        terminal.wrote(args.stego, hidden.stego.shape)
        stego = hidden.stego if lossless else images.read(args.stego)
        messages.describe(args, cover, stego, hidden, locks)


def hiding_options(args) -> dict:
    """Returns the options of `pipeline.hide` that were given; exits if they exclude each other."""
    if args.balance and not args.refine:
        args.usage_error("--balance takes --refine")
    if args.refine and args.runtime not in (None, "keras"):
        args.usage_error(f"--refine does not go with --runtime {args.runtime}: it runs on keras")
    return flags.networks(args, flags.Pictures, Refinement)


def pictures(args) -> tuple:
    """Returns cover and secret: names of files, or for `--report` arrays, because a pipe is read once only."""
    from stegano_tf import images, runtime

    files = args.cover, args.secret
    if not args.report:
        return files
    terminal.need("--report", "skimage.metrics")
    cover, secret = (images.read(file, max_pixels=args.max_pixels or images.MAX_PIXELS) for file in files)
    runtime.check_side(cover, f"{args.cover}: the cover")
    return cover, secret


def report(args, cover, secret, stego) -> None:
    """Prints what `--report` asks for, of the three pictures, uint8[H, W, 3]."""
    from stegano_tf import pipeline

    if not args.report:
        return
    with terminal.working(args) as progress:
        found = pipeline.report(cover, secret, stego, progress=progress, **flags.networks(args, flags.Pictures))
    for name, quality in ("cover", found.cover), ("secret", found.secret):
        streams.say(f"{name:7} {quality.psnr:5.1f} dB  SSIM {quality.ssim:.3f}  APD {quality.apd:.2f}")
