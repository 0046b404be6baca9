"""Get the picture, or the file, back from sound, bit for bit."""

import argparse
from pathlib import Path

from stegano_tf import settings
from stegano_tf.commands import flags, streams, terminal


def add_arguments(parser) -> None:
    what = "the sound to read, or its parts; then IMAGE, the picture to write, without --out and --payload-out"
    flags.add_sound(parser, what, nargs="+", action=_Files, metavar="AUDIO")
    parser.set_defaults(image=None, outputs=("image",))
    flags.add_file(parser, "--out", "write what is inside, a file or a picture, into this folder", metavar="FOLDER")
    flags.add_output(parser, "--payload-out", "write the payload as it is; a sealed one stays an age file")
    flags.add_opening(parser)
    settings.add_arguments(parser, flags.Output)


class _Files(argparse.Action):
    """Takes the last of several names for IMAGE, the picture to write; with --out, `run` takes it back."""

    def __call__(self, parser, args, values, option=None):
        if values[1:] and values[-1] == flags.STDIN:
            parser.error("argument IMAGE: '-' is no file: nothing is written to standard output, expected a name")
        args.audio = values[:-1] or values
        args.image = values[-1] if values[1:] else None


def run(args) -> None:
    from stegano_tf import enclosures, images, outputs, pipeline
    from stegano_tf.audio import codec

    if args.out:
        args.audio += [args.image] if args.image else []
        if args.payload_out:
            args.usage_error("expected one of IMAGE, --payload-out and --out")
        key = flags.key(args)
        flags.listen(args)
        path, info = enclosures.decode(args.audio, args.out, key=key, force=args.force)
        flags.report(args, info)
        streams.say(f"{path}: {path.stat().st_size:,} bytes")
        return
    if (args.image is None) == (args.payload_out is None):
        args.usage_error("expected IMAGE, --payload-out or --out")
    if args.payload_out:
        if args.identity:
            args.usage_error("--identity does not go with --payload-out: nothing is opened")
        outputs.check(args.payload_out, force=args.force)
        flags.listen(args)
        payload = codec.read_payload(args.audio, key=flags.key(args))
        with outputs.replacing(args.payload_out, force=args.force) as partial:
            partial.write_bytes(payload)
        streams.say(f"{args.payload_out}: {len(payload):,} bytes")
        return
    images.check(args.image, force=args.force)
    flags.listen(args)
    if Path(args.image).suffix.lower() == ".bmp":  # of any size, in little memory
        info = codec.decode_file(args.audio, args.image, key=flags.key(args), force=args.force)
        flags.report(args, info)
        terminal.wrote(args.image, info.image_size)
        return
    decoded = pipeline.decode(args.audio, key=flags.key(args))
    flags.report(args, decoded.info)
    images.write(args.image, decoded.image, force=args.force)
    terminal.wrote(args.image, decoded.image.shape)
