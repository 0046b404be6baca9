"""Hide a picture, or any file, in a picture and write it as sound."""

import argparse
import dataclasses

from stegano_tf.commands import encode, flags, hide, messages, terminal
from stegano_tf.settings import setting


@dataclasses.dataclass(frozen=True)
class Stealth:
    """Options that both the picture and the sound have."""

    stealth: bool = setting(False, "hide few bits, hard to tell from noise: in the --carrier, else in the stego image")
    rate: float | None = setting(
        None, "bits a sample: of --stealth, or that a picture takes (default: 0.1, or 2.5)", low=0.001, high=3.5
    )


def add_arguments(parser) -> None:
    hide.add_pictures(parser)
    flags.add_output(parser, "audio", flags.SOUND_OUT)
    hide.add_hiding(parser, *encode.groups(), Stealth)
    encode.add_sealing(parser)
    encode.add_play(parser)


def run(args) -> None:
    from stegano_tf import pipeline, scratch
    from stegano_tf.message import pictures

    of_picture, of_sound = divided(args)
    hiding, sound = hide.hiding_options(args), encode.sound_options(of_sound)
    way = hide.way_in_sound(of_picture)
    with scratch.off_disk(sound["lock"] is not None):
        if way is None:
            cover, secret = hide.pictures(args)
        else:
            cover, secret = pictures.read(args.cover, args.max_pixels), args.secret
        cover = encode.announce(args, cover, sound, least=True)
        with terminal.working(args) as progress:
            sent = pipeline.send(cover, secret, args.audio, progress=progress, way=way, **hiding, **sound)
        encode.describe(sent.info)
        if sent.hidden is None:
            hide.report(args, cover, secret, sent.stego)
        else:
            messages.describe(args, cover, sent.stego, sent.hidden, [None])
    encode.play(args, sent.info)


def divided(args) -> tuple[argparse.Namespace, argparse.Namespace]:
    """Returns the options of the picture and those of the sound, which has those of `Stealth` if it has a carrier."""
    of_picture, of_sound = (argparse.Namespace(**vars(args)) for _ in range(2))
    if args.carrier and args.stealth and args.exact and args.rate is not None:
        args.usage_error("--rate with --exact and --stealth in a --carrier could be of either, expected one of the two")
    other = of_picture if args.carrier and args.stealth else of_sound
    other.stealth = other.rate = None
    return of_picture, of_sound
