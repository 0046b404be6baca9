"""What `inspect` says about pictures."""

import math
from pathlib import Path

from stegano_tf.commands import flags, streams, terminal


def is_picture(path: str) -> bool:
    """Returns whether a file is a picture, and no sound."""
    from stegano_tf.message import contents

    return Path(path).is_file() and contents.is_picture(path)


def show(args) -> None:
    """Says what lies as bytes in a picture; raises SealingError if a key was given and finds nothing."""
    from stegano_tf.message import pictures

    image = pictures.read(args.audio, args.max_pixels)
    key = flags.picture_key(args)
    with terminal.working(args):
        found = pictures.find(image, key=key, name=args.audio)
        if found is None and key is not None:
            raise pictures.nothing(args.audio)
    for name, text in _lines(args, image, found):
        streams.show(f"{name:10} {streams.plain(text)}")


def _lines(args, image, found):
    from stegano_tf.message import contents, pictures

    yield "file", args.audio
    yield "picture", f"{image.shape[1]}x{image.shape[0]}"
    if found is None:
        yield "message", "none for everybody; one may be sealed, or hidden by networks"
        return
    yield "message", f"{found.way}, {found.size:,} bytes, {8 * found.size / image.size:.3f} bits a sample"
    yield "sealed", "opened" if found.sealed else "no"
    picture = pictures.revealed(found, image, name=args.audio, max_pixels=args.max_pixels)
    size = "" if picture is None else f", a picture of {picture.shape[1]}x{picture.shape[0]}"
    yield "secret", f"{contents.name(found.secret)}, {len(found.secret.data):,} bytes{size}"
    yield "integrity", "SHA-256 is right"


def show_capacity(args) -> None:
    """Says what fits into a cover, by every way."""
    from stegano_tf.message import contents, pictures

    cover = pictures.read(args.audio, args.max_pixels)
    secret = None
    if args.picture:
        secret = contents.read(args.picture, most=2**40, max_pixels=args.max_pixels)
    streams.show(streams.plain(f"{args.audio}: {cover.shape[1]}x{cover.shape[0]}, {cover.size:,} samples"))
    for fit in pictures.fits(cover, secret):
        text = f"{fit.way}: {fit.room:,} bytes"
        text += ", does not fit" if fit.cover is None else f", cover {fit.cover:.1f} dB"
        if fit.secret is not None:
            text += ", secret identical" if math.isinf(fit.secret) else f", secret {fit.secret:.1f} dB"
        streams.show(text)
