"""Hide a picture in another one."""

import dataclasses

from stegano_tf import settings
from stegano_tf.commands import flags, streams, terminal
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
    flags.add_output(parser, "stego", "the picture to write, losslessly")
    add_hiding(parser)
    settings.add_arguments(parser, flags.Output)


def add_pictures(parser) -> None:
    """Adds the two pictures that are read."""
    flags.add_file(parser, "cover", "the picture to hide it in, at least 16x16 pixels")
    flags.add_file(parser, "secret", "the picture to hide; it is resized to the cover's size")


def add_hiding(parser) -> None:
    """Adds the options of whatever hides a picture."""
    settings.add_arguments(parser, *GROUPS)
    parser.add_argument("--report", action="store_true", help="say how the stego image and the revealed secret will do")


def run(args) -> None:
    from stegano_tf import images, pipeline

    options = hiding_options(args)
    images.check(args.stego, force=args.force)
    cover, secret = pictures(args)
    with terminal.working(args) as progress:
        stego = pipeline.hide(cover, secret, progress=progress, **options)
    images.write(args.stego, stego, force=args.force)
    terminal.wrote(args.stego, stego.shape)
    report(args, cover, secret, stego)


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
