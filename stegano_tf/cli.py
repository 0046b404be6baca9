"""The `stegano-tf` command: flags, messages and exit statuses around `stegano_tf.pipeline`.

Exit status 0: done; 1: bad input, said in one line on stderr; 2: bad usage; 130: interrupted.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from absl import app
from absl.flags import argparse_flags

from stegano_tf import __version__, presets, settings
from stegano_tf.audio import forms
from stegano_tf.audio.payloads import PAYLOADS
from stegano_tf.errors import SteganoError


def run() -> None:
    """The console script."""
    # Before TensorFlow is imported anywhere: its start-up notices are no concern of whoever sends a picture.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app.run(main, flags_parser=parse)


def main(args: argparse.Namespace) -> None:
    """Runs a parsed command and exits with its status."""
    warnings.showwarning = _show_warning
    # So that temporary files are removed as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        args.command(args)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except (SteganoError, OSError, MemoryError) as error:
        if args.debug:
            raise
        message = str(error) or type(error).__name__
        print(f"stegano-tf: {message}", file=sys.stderr)
        sys.exit(1)


def parse(argv: list[str]) -> argparse.Namespace:
    """Parses the command line; exits with status 2 if it is wrong."""
    return _parser().parse_args(settings.spelled(argv[1:], "-"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse_flags.ArgumentParser(
        prog="stegano-tf", description="Hide a photograph in a photograph and send it as sound."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(function, name: str, text: str, *positionals: tuple[str, str]) -> argparse.ArgumentParser:
        # Subparsers must not inherit absl's flags a second time, hence the plain class.
        sub = commands.add_parser(name, help=text, description=text, inherited_absl_flags=None)
        for argument, meaning in positionals:
            sub.add_argument(argument, metavar=argument.upper(), help=meaning, type=_name)
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
        sub.set_defaults(command=function, usage_error=sub.error)
        return sub

    cover = "cover", "the picture to hide it in, at least 16x16 pixels"
    secret = "secret", "the picture to hide; it is resized to the cover's size"
    sound_out = "audio", "the sound to write: .wav .flac .aiff .caf .w64 .rf64"
    sound_in = "audio", "the sound to read, in any lossless form"
    stego_in = "stego", "the stego image"
    secret_out = "secret", "the picture to write"

    sub = command(_send, "send", "Hide a picture in another one and write it as sound.", cover, secret, sound_out)
    _network_flags(sub)
    _hiding_flags(sub)
    _limit_flags(sub)
    _sound_flags(sub)
    _sealing_flags(sub)
    _force_flag(sub)

    sub = command(_receive, "receive", "Reveal the picture that a sound holds.", sound_in, secret_out)
    sub.add_argument(
        "--stego", metavar="FILE", help="also write the stego image, bit for bit as it was sent", type=_name
    )
    _network_flags(sub, default=None)
    _limit_flags(sub, pictures=False)
    _opening_flags(sub)
    _force_flag(sub)

    sub = command(
        _hide, "hide", "Hide a picture in another one.", cover, secret, ("stego", "the picture to write, losslessly")
    )
    _network_flags(sub)
    _hiding_flags(sub)
    _limit_flags(sub)
    _force_flag(sub)

    sub = command(_reveal, "reveal", "Reveal the picture that a stego image holds.", stego_in, secret_out)
    sub.add_argument("--size", metavar="WxH", type=_size, help="the secret's size (default: that of the stego image)")
    _network_flags(sub)
    _limit_flags(sub)
    _force_flag(sub)

    _sound_commands(command, sound_out, sound_in)
    command(_presets, "presets", "List the networks: parameters, measured quality, speed.")

    sub = command(_serve, "serve", "Answer TensorFlow Serving's REST and gRPC requests with the exported networks.")
    _server_flags(sub)

    sub = command(_demo, "demo", "Send and receive bundled photographs and show what comes back.")
    sub.add_argument(
        "--out", metavar="DIR", default="stegano_tf_demo", help="folder to write to (default: %(default)s)"
    )
    _network_flags(sub)
    _force_flag(sub)
    return parser


def _sound_commands(command, sound_out: tuple[str, str], sound_in: tuple[str, str]) -> None:
    """Adds the commands that need no network."""
    sub = command(_encode, "encode", "Write any picture as sound.")
    sub.add_argument("image", metavar="IMAGE", nargs="?", type=_name, help="the picture to read")
    sub.add_argument("audio", metavar="AUDIO", type=_name, help=sound_out[1])
    sub.add_argument("--payload-in", metavar="FILE", type=_name, help="an age file to send instead of IMAGE")
    _sound_flags(sub)
    _sealing_flags(sub)
    _force_flag(sub)

    sub = command(_decode, "decode", "Get the picture back from sound, bit for bit.", sound_in)
    sub.add_argument("image", metavar="IMAGE", nargs="?", type=_name, help="the picture to write")
    sub.add_argument(
        "--payload-out", metavar="FILE", type=_name, help="write the payload as it is; a sealed one stays an age file"
    )
    _opening_flags(sub)
    _force_flag(sub)

    sub = command(_inspect, "inspect", "Say what a sound holds, and whether it is whole.", sound_in)
    sub.add_argument("picture", metavar="PICTURE", nargs="?", type=_name, help="for --capacity: what is to be sent")
    sub.add_argument("--capacity", action="store_true", help="say how much a recording, AUDIO, can carry")
    _opening_flags(sub)
    sub.add_argument("--plot", metavar="FIGURE", help="draw waveform and spectrogram into this picture", type=_name)
    _force_flag(sub)

    sub = command(
        _keygen,
        "keygen",
        "Make an identity; its recipient, which others seal for, is printed.",
        ("identity", "the file to write, for its owner's eyes alone"),
    )
    _force_flag(sub)


def _network_flags(parser: argparse.ArgumentParser, default: str | None = presets.DEFAULT) -> None:
    text = f"default: {default}" if default else "default: the one that the sound names"
    parser.add_argument("--preset", choices=list(presets.PRESETS), default=default, help=f"which networks ({text})")
    parser.add_argument("--weights", metavar="FILE", help="weights for them instead of the installed ones", type=_name)
    parser.add_argument(
        "--runtime", choices=presets.RUNTIMES, help="what runs them (default: litert; keras with --weights)"
    )


def _hiding_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--refine", metavar="N", type=_integer(0, 10_000), default=0, help="improve the stego image in N steps: slow"
    )
    parser.add_argument(
        "--balance",
        metavar="DB",
        type=float,
        default=0.0,
        help="with --refine: weigh the secret by so much more than usual, or if negative, the cover",
    )
    parser.add_argument("--report", action="store_true", help="say how the stego image and the revealed secret will do")


def _limit_flags(parser: argparse.ArgumentParser, pictures: bool = True) -> None:
    parser.add_argument(
        "--memory-limit", metavar="SIZE", type=_bytes, help="memory that may be taken in all, such as 800MB or 2GB"
    )
    if pictures:
        parser.add_argument(
            "--max-pixels",
            metavar="N",
            type=_integer(1, 2**40),
            help="refuse larger pictures before they are decoded (default: 178956970, as Pillow)",
        )


def _sound_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sample-rate", metavar="HZ", type=int, default=44100, help="default: %(default)s")
    parser.add_argument("--payload", choices=list(PAYLOADS), default="bmp", help="png and webp last half as long")
    settings.add_arguments(parser, *forms.FORMS)


def _sealing_flags(parser: argparse.ArgumentParser) -> None:
    _passphrase_flags(parser)
    parser.add_argument(
        "--recipient",
        metavar="AGE1…",
        action="append",
        default=[],
        help="seal for this one, too; ssh-… keys also serve",
    )


def _opening_flags(parser: argparse.ArgumentParser) -> None:
    _passphrase_flags(parser)
    parser.add_argument("--identity", metavar="FILE", action="append", default=[], help="that opens it", type=_name)
    parser.add_argument("--bare", action="store_true", help="take the sound for what --bare writes")


def _passphrase_flags(parser: argparse.ArgumentParser) -> None:
    # Never the passphrase itself: every process of the machine can read a command line.
    parser.add_argument("--passphrase-file", metavar="FILE", help="its first line is the passphrase", type=_name)
    parser.add_argument(
        "--ask-passphrase", action="store_true", help="take STEGANO_TF_PASSPHRASE if it is set, else ask"
    )


def _server_flags(parser: argparse.ArgumentParser) -> None:
    from stegano_tf.serving.settings import Settings

    parser.add_argument(
        "--savedmodels", metavar="DIR", type=_name, help="models to serve (default: the installed ones)"
    )
    parser.add_argument("--preset", metavar="NAME", action="append", default=[], help="only this model of them")
    settings.add_arguments(parser, Settings)


def _force_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="overwrite an existing output")


def _name(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("an empty file name")
    return text


def _integer(low: int, high: int):
    def parse_integer(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r}, expected an integer from {low} to {high}")
        return int(text)

    return parse_integer


def _bytes(text: str) -> int:
    number, unit = text[:-2], {"MB": 10**6, "GB": 10**9}.get(text[-2:].upper())
    try:
        size = float(number) * unit
        return {True: int(size)}[0 < size < 2**62]
    except (ValueError, TypeError, KeyError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}, expected megabytes or gigabytes, such as 800MB or 2GB") from error


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r}, expected WIDTHxHEIGHT in pixels, such as 640x480")
    return int(height), int(width)


def _show_warning(message, category, *_) -> None:
    if category.__module__.startswith("stegano_tf"):
        print(f"stegano-tf: warning: {message}", file=sys.stderr)


@contextlib.contextmanager
def _quiet(args: argparse.Namespace) -> Iterator[None]:
    """Keeps what TensorFlow and LiteRT greet with off stderr: they are in C++, and no setting silences either.

    What Python writes there, warnings and progress, still arrives.
    """
    if args.debug:
        yield
        return
    sys.stderr.flush()
    with os.fdopen(os.dup(2), "w", buffering=1) as real, tempfile.TemporaryFile() as greetings:
        ours = contextlib.redirect_stderr(real) if sys.stderr is sys.__stderr__ else contextlib.nullcontext()
        os.dup2(greetings.fileno(), 2)
        try:
            with ours:
                yield
        finally:
            os.dup2(real.fileno(), 2)


def _networks(args: argparse.Namespace) -> dict:
    """The options about networks, as the functions of `pipeline` take them; exits if they exclude each other."""
    if args.weights and args.runtime not in (None, "keras"):
        args.usage_error("--weights goes with --runtime keras only")
    return {"preset": args.preset, "weights": args.weights, "runtime": args.runtime}


def _limits(args: argparse.Namespace) -> dict:
    """The options about size, as the functions of `pipeline` take them."""
    limits = {"memory_limit": args.memory_limit}
    return limits | {"max_pixels": args.max_pixels} if "max_pixels" in args else limits


def _hiding(args: argparse.Namespace) -> dict:
    """The options of hiding; exits if they exclude each other."""
    if args.balance and not args.refine:
        args.usage_error("--balance takes --refine")
    return {"refine": args.refine, "balance": args.balance}


@contextlib.contextmanager
def _progress() -> Iterator:
    """Yields what draws a bar with an estimate on stderr while it is told of progress; None where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    import rich.console
    import rich.progress

    console = rich.console.Console(file=sys.stderr)
    with rich.progress.Progress(console=console, transient=True) as bars:
        task = bars.add_task("", start=False, visible=False)

        def progress(name: str, done: int, total: int) -> None:
            if bars.tasks[0].total != total:
                bars.reset(task, total=total, visible=total > 1)
            bars.update(task, description=name, completed=done)

        yield progress


def _print_report(args: argparse.Namespace, stego, options: dict) -> None:
    from stegano_tf import pipeline

    with _quiet(args), _progress() as progress:
        report = pipeline.report(args.cover, args.secret, stego, progress=progress, **options)
    for name, quality in ("cover", report.cover), ("secret", report.secret):
        print(f"{name:7} {quality.psnr:5.1f} dB  SSIM {quality.ssim:.3f}  APD {quality.apd:.2f}")


def _describe(info) -> str:
    what = "a sealed message"
    if info.image_size:
        height, width = info.image_size
        what = f"a {'sealed ' if info.sealed else ''}picture of {width}x{height}"
    text = f"{info.path}: {info.container} {info.subtype}, {info.duration:.1f} s, holds {what}"
    return (
        text if info.snr is None else f"{text} in {info.bits} bits a sample, noise {info.snr:.1f} dB below full scale"
    )


def _passphrase(args, *, twice: bool = False) -> str | None:
    """The passphrase that the flags lead to, or None."""
    from stegano_tf.audio import sealing

    if args.passphrase_file:
        return sealing.read_passphrase(args.passphrase_file)
    if args.ask_passphrase:
        return os.environ.get(sealing.PASSPHRASE_VARIABLE) or sealing.ask_passphrase(twice=twice)
    return None


def _sound_options(args) -> dict:
    """The options that `audio.codec.encode` and `encode_payload` share; exits if they exclude each other."""
    given = settings.given(args, *forms.FORMS)
    try:
        forms.choose(given, _spell)
    except forms.OptionError as error:
        args.usage_error(str(error))
    return {"sample_rate": args.sample_rate, "force": args.force, **given}


def _check(args, **options) -> None:
    from stegano_tf.audio import codec

    try:
        codec.check(args.audio, spell=_spell, **options)
    except forms.OptionError as error:
        args.usage_error(str(error))


def _spell(name: str) -> str:
    return "--" + name.replace("_", "-")


def _lock(args):
    """Who can open what is sent; None for everybody."""
    from stegano_tf.audio.sealing import Lock

    passphrase = _passphrase(args, twice=True)
    if passphrase is not None and args.recipient:
        args.usage_error("a message is sealed with a passphrase or for recipients, not both")
    return Lock(passphrase=passphrase, recipients=args.recipient) if passphrase is not None or args.recipient else None


def _key(args):
    """What opens a message; the terminal is asked only when one turns out to need it."""
    from stegano_tf.audio import sealing

    passphrase = _passphrase(args) or os.environ.get(sealing.PASSPHRASE_VARIABLE) or sealing.ask_passphrase
    return sealing.Key(passphrase=passphrase, identities=args.identity, bare=args.bare)


def _report_damage(info) -> None:
    if info.damage:
        print(f"{info.path}: was damaged: {info.damage}", file=sys.stderr)


def _send(args) -> None:
    from stegano_tf import pipeline

    options = _networks(args) | _limits(args)
    hiding, sound, lock = _hiding(args), _sound_options(args), _lock(args)
    _check(args, payload=args.payload, lock=lock, **sound)
    with _quiet(args), _progress() as progress:
        sent = pipeline.send(
            args.cover,
            args.secret,
            args.audio,
            payload=args.payload,
            lock=lock,
            progress=progress,
            **options,
            **hiding,
            **sound,
        )
    print(_describe(sent.info))
    if args.report:
        _print_report(args, sent.stego, options)


def _receive(args) -> None:
    from stegano_tf import images, pipeline

    options = _networks(args) | _limits(args)
    images.check(args.secret, lossless=False, force=args.force)
    if args.stego:
        images.check(args.stego, force=args.force)
    key = _key(args)
    with _quiet(args), _progress() as progress:
        received = pipeline.receive(args.audio, key=key, progress=progress, **options)
    _report_damage(received.info)
    if args.stego:
        images.write(args.stego, received.stego, force=args.force)
    images.write(args.secret, received.secret, lossless=False, force=args.force)


def _hide(args) -> None:
    from stegano_tf import images, pipeline

    options, hiding = _networks(args) | _limits(args), _hiding(args)
    images.check(args.stego, force=args.force)
    with _quiet(args), _progress() as progress:
        stego = pipeline.hide(args.cover, args.secret, progress=progress, **options, **hiding)
    images.write(args.stego, stego, force=args.force)
    if args.report:
        _print_report(args, stego, options)


def _reveal(args) -> None:
    from stegano_tf import images, pipeline

    options = _networks(args) | _limits(args)
    images.check(args.secret, lossless=False, force=args.force)
    with _quiet(args), _progress() as progress:
        secret = pipeline.reveal(args.stego, size=args.size, progress=progress, **options)
    images.write(args.secret, secret, lossless=False, force=args.force)


def _encode(args) -> None:
    from stegano_tf import pipeline
    from stegano_tf.audio import codec
    from stegano_tf.errors import FormatError

    if (args.image is None) == (args.payload_in is None):
        args.usage_error("expected either IMAGE or --payload-in")
    options = _sound_options(args)
    if args.payload_in:
        if args.recipient or args.payload != "bmp":
            args.usage_error("--payload-in is sent as it is: it goes with no --recipient or --payload")
        try:
            info = codec.encode_payload(
                Path(args.payload_in).read_bytes(), args.audio, passphrase=_passphrase(args), **options
            )
        except FormatError as error:
            raise FormatError(f"{args.payload_in}: {error}") from error
    else:
        lock = _lock(args)
        _check(args, payload=args.payload, lock=lock, **options)
        info = pipeline.encode(args.image, args.audio, payload=args.payload, lock=lock, **options)
    print(_describe(info))


def _decode(args) -> None:
    from stegano_tf import images, outputs, pipeline
    from stegano_tf.audio import codec

    if (args.image is None) == (args.payload_out is None):
        args.usage_error("expected either IMAGE or --payload-out")
    if args.payload_out:
        outputs.check(args.payload_out, force=args.force)
        payload = codec.read_payload(args.audio, key=_key(args))
        with outputs.replacing(args.payload_out, force=args.force) as partial:
            partial.write_bytes(payload)
        return
    images.check(args.image, force=args.force)
    if Path(args.image).suffix.lower() == ".bmp":  # of any size, in little memory
        _report_damage(codec.decode_file(args.audio, args.image, key=_key(args), force=args.force))
        return
    decoded = pipeline.decode(args.audio, key=_key(args))
    _report_damage(decoded.info)
    images.write(args.image, decoded.image, force=args.force)


def _inspect(args) -> None:
    from stegano_tf import images
    from stegano_tf.audio import codec, files, sealing

    if args.capacity:
        _print_capacity(args)
        return
    if args.picture:
        args.usage_error("PICTURE takes --capacity")
    if args.plot:
        images.check(args.plot, lossless=False, force=args.force)
    # Without a sign that it is wanted, nothing is opened and nobody asked.
    passphrase = _passphrase(args) or os.environ.get("STEGANO_TF_PASSPHRASE")
    key = sealing.Key(passphrase=passphrase, identities=args.identity, bare=args.bare)
    info = codec.inspect(args.audio, verify=True, key=key)
    seconds = f"{info.frames:,} samples, {info.duration:.2f} s at {info.sample_rate} Hz"
    print(f"file       {info.path}")
    print(f"sound      {info.container} {info.subtype}, {info.channels} channel(s), {seconds}")
    message = f"{info.form} in channel {info.channel}, {info.payload_bytes:,} bytes"
    print(f"message    {message}, {info.samples_after} samples after it")
    if info.parity is not None:
        print(f"parity     {info.parity} of 255, {info.damage or 'nothing to repair'}")
    if info.sealed:
        print(f"sealed     {'opened' if info.image_size else 'with age; not opened'}")
    if info.image_size:
        print(f"picture    {info.image_size[1]}x{info.image_size[0]}")
        print(f"payload    {info.payload}")
    if info.secret_size:
        print(f"secret     {info.secret_size[1]}x{info.secret_size[0]}")
    if info.network:
        print(f"network    {info.network.hex()}")
    print(f"integrity  {f'not known: {info.unproved}' if info.unproved else 'SHA-256 is right'}")
    if args.plot:
        from stegano_tf import figures

        samples = files.read_channel(args.audio, info.channel)
        images.write(
            args.plot,
            figures.sound_figure(samples, info.sample_rate, Path(args.audio).name),
            lossless=False,
            force=args.force,
        )


def _print_capacity(args) -> None:
    from stegano_tf import images
    from stegano_tf.audio import codec, files

    if not args.picture:
        args.usage_error("--capacity takes PICTURE too")
    recording = files.read_recording(args.audio)
    image = images.read(args.picture)
    sizes = {name: codec.message_bytes(image, payload=name) for name in codec.PAYLOADS}
    print(f"{args.picture}: " + ", ".join(f"{size:,} bytes as {name}" for name, size in sizes.items()))
    print(f"{args.audio}: {recording.samples.size:,} samples of {recording.depth} bits")
    for bits, fits in codec.capacities(args.audio).items():
        names = [name for name, size in sizes.items() if size <= fits]
        print(f"{bits} bits a sample: {fits:,} bytes, fits {', '.join(names) or 'none'}")


def _keygen(args) -> None:
    from stegano_tf.audio import sealing

    print(sealing.keygen(args.identity, force=args.force))


def _presets(args) -> None:
    import json

    import rich.console
    import rich.table

    from stegano_tf import savedmodels

    table = rich.table.Table()
    for heading in ("preset", "parameters", "weights", "cover", "secret"):
        table.add_column(heading, justify="right" if heading in ("parameters", "cover", "secret") else "left")
    notes = []
    for preset in presets.PRESETS.values():
        card = savedmodels.card_file(preset.name)
        figures = json.loads(card.read_text()) if card.is_file() else None
        table.add_row(
            preset.name + (" (default)" if preset.name == presets.DEFAULT else ""),
            f"{preset.parameters:,}",
            "installed" if savedmodels.weights_file(preset.name).is_file() else "to be trained",
            *((f"{figures['cover_psnr']:.1f} dB", f"{figures['secret_psnr']:.1f} dB") if figures else ("", "")),
        )
        notes.append(f"{preset.name}: {preset.description}" + (f"; {figures['speed']}" if figures else ""))
    rich.console.Console().print(table)
    print("\n".join(notes))


def _serve(args) -> None:
    from stegano_tf import savedmodels
    from stegano_tf.serving.settings import Settings

    with _quiet(args):
        try:
            from stegano_tf.serving import server
        except ModuleNotFoundError as error:
            raise SteganoError(f"serve needs the package {error.name}, which is not installed") from error
        models = server.load(Path(args.savedmodels or savedmodels.FOLDER), args.preset)
    server.run(models, Settings(**settings.given(args, Settings)))


def _demo(args) -> None:
    from stegano_tf import demo_pictures, figures, images, metrics, outputs, pipeline
    from stegano_tf.errors import OutputError

    out = Path(args.out)
    if not out.is_dir():
        outputs.check(out)
    elif not args.force:
        raise OutputError(f"{out}: exists already; --force writes into it")
    options = _networks(args)
    out.mkdir(exist_ok=True)
    rows = []
    for name, cover, secret in demo_pictures.pairs():
        stem = name.replace(" ", "_")
        audio = out / f"{stem}.wav"
        with _quiet(args):
            sent = pipeline.send(cover, secret, audio, force=args.force, **options)
            # Which networks revealed it is in the sound, unless they are one's own.
            received = pipeline.receive(audio, **options if args.weights else {"runtime": args.runtime})
        identical = (received.stego == sent.stego).all()
        images.write(out / f"{stem}_stego.png", received.stego, force=args.force)
        images.write(out / f"{stem}_secret.png", received.secret, force=args.force)
        rows.append(figures.Row(cover, received.stego, secret, received.secret, name))
        print(
            f"{name:22}  cover {metrics.psnr(cover, received.stego):.1f} dB  "
            f"secret {metrics.psnr(secret, received.secret):.1f} dB  "
            f"stego image from the sound: {'identical' if identical else 'DIFFERENT'}  {audio}"
        )
    images.write(out / "contact_sheet.png", figures.contact_sheet(rows), force=args.force)
    print(f"Look at {out / 'contact_sheet.png'}")


if __name__ == "__main__":
    run()
