"""Get the picture back from sound, bit for bit."""

from pathlib import Path

from stegano_tf import settings
from stegano_tf.commands import flags, streams, terminal


def add_arguments(parser) -> None:
    flags.add_sound(parser)
    flags.add_output(parser, "image", "the picture to write", nargs="?")
    flags.add_output(parser, "--payload-out", "write the payload as it is; a sealed one stays an age file")
    flags.add_opening(parser)
    settings.add_arguments(parser, flags.Output)


def run(args) -> None:
    from stegano_tf import images, outputs, pipeline
    from stegano_tf.audio import codec

    if (args.image is None) == (args.payload_out is None):
        args.usage_error("expected either IMAGE or --payload-out")
    if args.payload_out:
        if args.identity:
            args.usage_error("--identity does not go with --payload-out: nothing is opened")
        outputs.check(args.payload_out, force=args.force)
        payload = codec.read_payload(args.audio, key=flags.key(args))
        with outputs.replacing(args.payload_out, force=args.force) as partial:
            partial.write_bytes(payload)
        streams.say(f"{args.payload_out}: {len(payload):,} bytes")
        return
    images.check(args.image, force=args.force)
    if Path(args.image).suffix.lower() == ".bmp":  # of any size, in little memory
        info = codec.decode_file(args.audio, args.image, key=flags.key(args), force=args.force)
        flags.report(args, info)
        terminal.wrote(args.image, info.image_size)
        return
    decoded = pipeline.decode(args.audio, key=flags.key(args))
    flags.report(args, decoded.info)
    images.write(args.image, decoded.image, force=args.force)
    terminal.wrote(args.image, decoded.image.shape)
