"""Send and receive bundled photographs and show what comes back."""

from pathlib import Path

from stegano_tf import settings
from stegano_tf.commands import flags, streams, terminal
from stegano_tf.errors import OutputError


def add_arguments(parser) -> None:
    text = "folder to write to (default: %(default)s)"
    parser.add_argument("--out", metavar="DIR", default="stegano_tf_demo", help=text)
    settings.add_arguments(parser, flags.Networks, flags.Output)


def run(args) -> None:
    from stegano_tf import demo_pictures, figures, images, metrics, outputs, pipeline

    options = flags.networks(args)
    out = Path(args.out)
    if outputs.check_folder(out).is_dir() and not args.force:
        raise OutputError(f"{out}: exists already", option="force", effect="writes into it")
    terminal.need("demo", "skimage")
    out.mkdir(exist_ok=True)
    # The sound names its networks, unless they are one's own.
    receiving = options if args.weights else {name: value for name, value in options.items() if name != "preset"}
    rows = []
    for name, cover, secret in demo_pictures.pairs():
        stem = name.replace(" ", "_")
        audio = out / f"{stem}.wav"
        with terminal.working(args):
            sent = pipeline.send(cover, secret, audio, force=args.force, **options)
            received = pipeline.receive(audio, **receiving)
        identical = (received.stego == sent.stego).all()
        images.write(out / f"{stem}_stego.png", received.stego, force=args.force)
        images.write(out / f"{stem}_secret.png", received.secret, force=args.force)
        rows.append((cover, received.stego, secret, received.secret, name))
        streams.say(
            f"{name:22}  cover {metrics.psnr(cover, received.stego):.1f} dB  "
            f"secret {metrics.psnr(secret, received.secret):.1f} dB  "
            f"stego image from the sound: {'identical' if identical else 'DIFFERENT'}  {audio}"
        )
    images.write(out / "contact_sheet.png", figures.contact_sheet(rows), force=args.force)
    streams.say(f"Look at {out / 'contact_sheet.png'}")
