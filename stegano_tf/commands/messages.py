"""What `hide`, `send`, `reveal` and `receive` share where a secret is hidden as bytes, without networks."""

import argparse
import dataclasses
import math
import re
from pathlib import Path

from stegano_tf import outputs, settings
from stegano_tf.commands import flags, streams, terminal
from stegano_tf.settings import setting


def survival(text: str) -> str:
    """Reads what a stego image is to survive: jpeg:N or chat; raises ValueError."""
    if text != "chat" and not re.fullmatch(r"jpeg:[5-9]\d", text):
        raise ValueError("expected jpeg:N, N being the lowest quality, 50 to 99, or chat")
    return text


@dataclasses.dataclass(frozen=True)
class Bytes:
    """How a secret is hidden as bytes."""

    exact: bool = setting(False, "hide bytes, without networks: any file, or a picture as good as fits")
    stealth: bool = setting(False, "hide few bytes, where they are hard to tell from noise")
    rate: float | None = setting(
        None, "bits a sample to hide (default: 0.1 with --stealth, 2.5 for other pictures)", low=0.001, high=3.5
    )


@dataclasses.dataclass(frozen=True)
class Survival:
    """What a picture goes through."""

    survive: str | None = setting(
        None,
        "hide bytes that outlast JPEG of quality N, 50 to 99, or better; chat: scaled to 1600 pixels, quality 75",
        metavar="jpeg:N|chat",
        parse=survival,
    )


def add_also(parser: argparse.ArgumentParser) -> None:
    """Adds the options for further secrets in one cover."""
    flags.add_file(
        parser, "--also", "a further secret; each takes an --also-passphrase-file", action="append", default=[]
    )
    flags.add_file(
        parser, "--also-passphrase-file", "the passphrase of the --also before it", action="append", default=[]
    )


def way(args: argparse.Namespace, *, anyway: bool, sound: bool = False):
    """Returns the way that `way_options` names, made; None if it names none."""
    from stegano_tf.message import ways

    found = way_options(args, anyway=anyway, sound=sound)
    return found and ways.make(found[0], **found[1])


def way_options(args: argparse.Namespace, *, anyway: bool, sound: bool = False) -> tuple[str, dict] | None:
    """Returns the way that the options ask for, and its own options; exits if they exclude each other.

    Without any of them it is the first way if bytes are hidden `anyway`, or else None. `sound` says that --survive is
    the sound's.
    """
    from stegano_tf.message import pictures, ways

    survive = None if sound else args.survive
    asked = [
        f"--{name}" for name, value in (("exact", args.exact), ("stealth", args.stealth), ("survive", survive)) if value
    ]
    if len(asked) > 1:
        args.usage_error(f"{asked[0]} does not go with {asked[1]}")
    if args.rate is not None and (survive or not (asked or anyway)):
        args.usage_error("--rate takes --stealth or --exact")
    options = {} if args.rate is None else {"rate": args.rate}
    if survive:
        options = {"quality": pictures.CHAT_QUALITY if survive == "chat" else int(survive[5:])}
    if not asked and not anyway:
        return None
    name = "jpeg" if survive else "stealth" if args.stealth else "capacity"
    try:
        ways.make(name, **options)
    except ValueError as error:
        args.usage_error(f"{asked[0]}: {error}")
    return name, options


def refuse_networks(args: argparse.Namespace, reason: str, *groups: type) -> None:
    """Exits if options of networks were given although none is used, for a reason."""
    for name in settings.given(args, flags.Networks, *groups):
        args.usage_error(f"--{name.replace('_', '-')} does not go with {reason}: no network is used")


def scaled(args: argparse.Namespace, cover):
    """Returns the cover as chat apps would scale it, if that is asked for, and says so."""
    from stegano_tf.message import pictures

    found = pictures.as_chats_scale(cover) if args.survive == "chat" else cover
    if found is not cover:
        streams.complain(f"{args.cover}: is scaled to {found.shape[1]}x{found.shape[0]}, as chat apps do")
    return found


def describe(args: argparse.Namespace, cover, stego, hidden, locks) -> None:
    """Says what was hidden; with `--report`, how stego image and secrets do."""
    from stegano_tf import metrics
    from stegano_tf.message import contents

    for secret, source, lock in zip(hidden.secrets, hidden.sources, locks, strict=True):
        how = "" if lock is None else ", sealed"
        streams.say(f"holds {source.name}: {quality(source, contents.picture(secret, max_pixels=2**40))}{how}")
    if args.report:
        rate = 8 * sum(map(len, hidden.written.messages.values())) / cover.size
        # The file may be a JPEG file, which changes more than what is hidden does.
        pictures = {"": hidden.stego} | ({"  as this JPEG file": stego} if (stego != hidden.stego).any() else {})
        for what, picture in pictures.items():
            found = metrics.quality(cover, picture)
            streams.say(f"cover   {found.psnr:5.1f} dB  SSIM {found.ssim:.3f}  APD {found.apd:.2f}{what}")
        streams.say(f"rate    {rate:.3f} bits a sample")


def quality(source, revealed) -> str:
    """Returns how close a secret will come to what was given."""
    from stegano_tf import metrics

    if source.picture is None or revealed is None:
        return f"{len(source.data):,} bytes"
    if revealed.shape != source.picture.shape:
        return f"made smaller, {revealed.shape[1]}x{revealed.shape[0]}"
    found = metrics.psnr(source.picture, revealed)
    return "identical" if math.isinf(found) else f"{found:.1f} dB"


def check_secret(args: argparse.Namespace, *, picture: bool) -> None:
    """Raises what `write` or `write_picture` would for the name that was given, before long work."""
    from stegano_tf import images

    if outputs.is_folder(args.secret):
        outputs.check_folder(args.secret)
    elif picture:
        images.check(args.secret, lossless=False, force=args.force)
    else:
        outputs.check(args.secret, force=args.force)


def write_picture(args: argparse.Namespace, secret, source: str) -> None:
    """Writes a picture that networks revealed, uint8[H, W, 3]; in a folder it is called as the file that it came in."""
    from stegano_tf import images

    name = f"{Path(source).stem}_secret.png"
    path = outputs.inside(args.secret, name) if outputs.is_folder(args.secret) else args.secret
    images.write(path, secret, lossless=False, force=args.force)
    terminal.wrote(str(path), secret.shape)


def write(args: argparse.Namespace, out: str, found, stego, name: str) -> None:
    """Writes what was found in a stego image as the file `out`, or into that folder, and says what it is."""
    from stegano_tf.message import contents, pictures

    kept = contents.name(found.secret)
    path = outputs.inside(out, kept) if outputs.is_folder(out) else Path(out)
    picture = pictures.save(path, found, stego, name=name, max_pixels=args.max_pixels, force=args.force)
    if picture is not None:
        terminal.wrote(str(path), picture.shape)
        return
    sent = "" if path.name == kept else f", sent as {kept}"
    streams.say(f"{path}: {len(found.secret.data):,} bytes{sent}")
