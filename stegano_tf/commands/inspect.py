"""Say what a sound or a picture holds, and whether it is whole."""

from pathlib import Path

from stegano_tf import settings
from stegano_tf.commands import flags, looking, streams, terminal


def add_arguments(parser) -> None:
    flags.add_sound(parser, "the sound, or the picture, to look at")
    flags.add_file(parser, "picture", "for --capacity: what is to be sent, or hidden", nargs="?")
    parser.add_argument("--capacity", action="store_true", help="say how much AUDIO, a recording or a cover, can carry")
    flags.add_opening(parser)
    flags.add_output(parser, "--plot", "draw waveform and spectrogram into this picture", metavar="FIGURE")
    settings.add_arguments(parser, flags.Pictures, flags.Output)


def run(args) -> None:
    from stegano_tf import figures, images
    from stegano_tf.audio import codec, files

    in_picture = not args.listen and looking.is_picture(args.audio)
    if args.capacity != bool(args.picture) and not (args.capacity and in_picture):
        args.usage_error("--capacity takes PICTURE too" if args.capacity else "PICTURE takes --capacity")
    unused = ["max_pixels"]
    if args.capacity:
        unused = ["plot", "listen", "bare", "identity", "passphrase_file", "ask_passphrase"]
    elif in_picture:
        unused = ["plot", "listen", "bare"]
    for name in unused:
        if getattr(args, name):
            goes = "does not go with" if args.capacity or in_picture else "takes"
            args.usage_error(f"--{name.replace('_', '-')} {goes} {'a picture' if in_picture else '--capacity'}")
    if args.force and not (args.plot or args.listen):
        args.usage_error("--force takes --plot or --listen")
    if in_picture:
        (looking.show_capacity if args.capacity else looking.show)(args)
        return
    if args.capacity:
        _show_capacity(args)
        return
    if args.plot:
        images.check(args.plot, lossless=False, force=args.force)
        files.refuse_pipe(args.audio)
        terminal.need("--plot", "matplotlib.figure", "librosa")
    flags.listen(args)
    info = codec.inspect(args.audio, verify=True, key=flags.key(args, ask=args.ask_passphrase))
    for name, text in _lines(info):
        streams.show(f"{name:10} {streams.plain(str(text))}")
    flags.report(args, info)
    if args.plot:
        samples = files.read_channel(args.audio, info.channel)
        shown = "" if len(samples) == info.frames else f", the first {len(samples):,} samples"
        figure = figures.sound_figure(samples, info.sample_rate, Path(args.audio).name + shown)
        images.write(args.plot, figure, lossless=False, force=args.force)


def _lines(info):
    """Yields what is known of a sound as names and texts."""
    seconds = f"{info.frames:,} samples, {info.duration:.2f} s at {info.sample_rate} Hz"
    yield "file", info.path
    yield "sound", f"{info.container} {info.subtype}, {info.channels} channel(s), {seconds}"
    form = f"taken for a {info.form}" if info.unproved else info.form
    message = f"{form} in channel {info.channel}, {info.payload_bytes:,} bytes"
    yield "message", f"{message}, {info.samples_after:,} samples after it"
    if info.parity is not None:
        yield "parity", f"{info.parity} of 255, {info.damage or 'nothing to repair'}"
    if info.profile:
        yield "modem", f"{info.profile}; {info.reception}; {info.damage or 'no block was lost'}"
    if info.sealed:
        yield "sealed", "opened" if info.payload else "with age; not opened"
    if info.image_size:
        yield "picture", f"{info.image_size[1]}x{info.image_size[0]}"
    if info.payload:
        yield "payload", info.payload
    if info.secret_size:
        yield "secret", f"{info.secret_size[1]}x{info.secret_size[0]}"
    if info.network:
        yield "network", info.network.hex()
    yield "integrity", f"not known: {info.unproved}" if info.unproved else "SHA-256 is right"


def _show_capacity(args) -> None:
    from stegano_tf import images
    from stegano_tf.audio import codec, files, lengths

    recording = files.read_recording(args.audio)
    image = images.read(args.picture, max_pixels=args.max_pixels or images.MAX_PIXELS)
    sizes = {name: lengths.message_bytes(image, payload=name) for name in codec.PAYLOADS}
    as_payload = ", ".join(f"{size:,} bytes as {name}" for name, size in sizes.items())
    streams.show(streams.plain(f"{args.picture}: {as_payload}"))
    streams.show(streams.plain(f"{args.audio}: {recording.samples.size:,} samples of {recording.depth} bits"))
    for bits, fits in lengths.capacities(args.audio).items():
        stealth = bits < 1
        names = [name for name, size in sizes.items() if (lengths.sealed_bytes(size) if stealth else size) <= fits]
        how = " with --stealth" if stealth else ""
        streams.show(f"{bits} bits a sample{how}: {fits:,} bytes, fits {', '.join(names) or 'none'}")
