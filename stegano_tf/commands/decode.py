"""Get the picture back from sound, bit for bit."""

import sys
from pathlib import Path

from stegano_tf import settings
from stegano_tf.commands import flags


def add_arguments(parser) -> None:
    flags.add_files(parser, audio=flags.SOUND)
    flags.add_file(parser, "image", "the picture to write", nargs="?")
    flags.add_file(parser, "--payload-out", "write the payload as it is; a sealed one stays an age file")
    flags.add_opening(parser)
    settings.add_arguments(parser, flags.Output)


def run(args) -> None:
    from stegano_tf import images, outputs, pipeline
    from stegano_tf.audio import codec

    if (args.image is None) == (args.payload_out is None):
        args.usage_error("expected either IMAGE or --payload-out")
    if args.payload_out:
        outputs.check(args.payload_out, force=args.force)
        payload = codec.read_payload(args.audio, key=flags.key(args))
        with outputs.replacing(args.payload_out, force=args.force) as partial:
            partial.write_bytes(payload)
        return
    images.check(args.image, force=args.force)
    if Path(args.image).suffix.lower() == ".bmp":  # of any size, in little memory
        report_damage(codec.decode_file(args.audio, args.image, key=flags.key(args), force=args.force))
        return
    decoded = pipeline.decode(args.audio, key=flags.key(args))
    report_damage(decoded.info)
    images.write(args.image, decoded.image, force=args.force)


def report_damage(info) -> None:
    """Says what was repaired of a sound that was read."""
    if info.damage:
        print(f"{info.path}: was damaged: {info.damage}", file=sys.stderr)
