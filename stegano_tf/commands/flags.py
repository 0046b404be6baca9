"""What several subcommands share: groups of options, the readers of option values, and what the options lead to.

A group is a dataclass of settings (`stegano_tf.settings`), named as the keyword arguments of the functions that they
are for. The forms of sound (`stegano_tf.audio.forms.FORMS`) are such groups, too.
"""

import argparse
import collections
import dataclasses
import itertools
import os
import re
from collections.abc import Callable
from pathlib import Path

from stegano_tf import outputs, presets, settings
from stegano_tf.audio.payloads import PAYLOADS
from stegano_tf.commands import streams
from stegano_tf.settings import STDIN, file_name, setting

SECRET_OUT = "the file to write; or a folder (a name with / at its end), in which it keeps its own name"
SOUND_OUT = "the sound to write: .wav .flac .aiff .caf .w64 .rf64; .mp3 .ogg .opus .m4a for --survive"
_SEALED_FOR = "seal for this one, too: age1..., ssh-ed25519 ... or ssh-rsa ..."
_PRESET = f"which networks (default: {presets.DEFAULT}; to receive, those that the sound names)"


def output_name(text: str) -> str:
    """Reads the name of a file to write."""
    if text == "-":
        raise argparse.ArgumentTypeError("'-' is no file: nothing is written to standard output, expected a name")
    return file_name(text)


def memory_size(text: str) -> int:
    """Reads a number of bytes, above 0."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d*)?)([MG])B", text, re.IGNORECASE)
    size = int(float(match[1]) * {"M": 10**6, "G": 10**9}[match[2].upper()]) if match else 0
    if not size:
        raise argparse.ArgumentTypeError(f"{text!r}, expected megabytes or gigabytes, such as 800MB or 2GB")
    return size


def duration(text: str) -> float:
    """Reads a number of seconds, above 0."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d*)?)s?", text)
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r}, expected seconds, such as 60s")
    return float(match[1])


def picture_size(text: str) -> tuple[int, int]:
    """Reads a width and a height in pixels; returns (height, width)."""
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text, re.ASCII)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r}, expected WIDTHxHEIGHT in pixels, such as 640x480")
    return int(match[2]), int(match[1])


@dataclasses.dataclass(frozen=True)
class Networks:
    """Which networks run, on what, and in how much memory."""

    preset: str | None = setting(None, _PRESET, choices=tuple(presets.PRESETS), parse=presets.current)
    weights: str | None = setting(None, "weights to use instead of the installed ones", metavar="FILE", parse=file_name)
    runtime: str | None = setting(
        None, "what runs them (default: litert; for --weights keras)", choices=presets.RUNTIMES
    )
    threads: int | None = setting(None, "threads that compute (default: a core each)", low=1, high=1024)
    memory_limit: int | None = setting(None, "memory to take in all: 800MB, 2GB", metavar="SIZE", parse=memory_size)


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Which pictures are read."""

    max_pixels: int | None = setting(None, "refuse larger pictures (default: Pillow's 178956970)", low=1, high=2**40)


@dataclasses.dataclass(frozen=True)
class Output:
    """How files are written."""

    force: bool = setting(False, "overwrite an existing output")


@dataclasses.dataclass(frozen=True)
class Sound:
    """What a sound holds, whatever its form."""

    sample_rate: int = setting(
        44100, "samples a second; a --carrier keeps its own, --survive has its own", low=1, high=2**31 - 1, metavar="HZ"
    )
    payload: str = setting("bmp", "how the picture is packed: png and webp last half as long", choices=tuple(PAYLOADS))


def add_file(
    parser: argparse.ArgumentParser,
    name: str,
    text: str,
    *,
    metavar: str = "FILE",
    kind: Callable[[str], str] = file_name,
    **options,
) -> None:
    """Adds an option, or an argument, that names a file or a folder; `options` are those of `add_argument`."""
    metavar = metavar if name.startswith("--") or metavar != "FILE" else name.upper()
    parser.add_argument(name, metavar=metavar, help=text, type=kind, **options)


def add_sound(parser: argparse.ArgumentParser, what: str = "the sound to read", **options) -> None:
    """Adds the argument that names the sound to read, and what records it first."""
    add_file(parser, "audio", what, **options)
    text = "first record so many seconds, such as 60s, from the microphone into AUDIO"
    parser.add_argument("--listen", metavar="SECONDS", type=duration, help=text)


def listen(args: argparse.Namespace) -> None:
    """Records what --listen asks for."""
    if not args.listen:
        return
    from stegano_tf.commands import devices, terminal

    names = args.audio if isinstance(args.audio, list) else [args.audio]
    if len(names) > 1:
        args.usage_error("--listen takes one AUDIO")
    outputs.check(names[0], force=args.force)
    with terminal.working(args) as progress:
        devices.record(names[0], args.listen, force=args.force, progress=progress)


def add_output(parser: argparse.ArgumentParser, name: str, text: str, **options) -> None:
    """Adds what names a file to write, as `add_file`."""
    add_file(parser, name, text, kind=output_name, **options)
    written = name.lstrip("-").replace("-", "_")
    parser.set_defaults(outputs=(*(parser.get_default("outputs") or ()), written))


def check_files(args: argparse.Namespace) -> None:
    """Exits for wrong usage if an output is another output or an input, or standard input is to be read twice."""
    words = {name: value if isinstance(value, list) else [value] for name, value in vars(args).items()}
    named = [(name, word) for name, values in words.items() for word in values if isinstance(word, str)]
    written = set(vars(args).get("outputs", ()))
    if getattr(args, "out", None):  # of `decode`: then all names are of sounds
        written.discard("image")
    for (name, word), (other, another) in itertools.combinations(named, 2):
        if (name in written or other in written) and outputs.same(word, another):
            found = f"{word} is named twice" if word == another else f"{word} and {another} are one file"
            args.usage_error(f"{found}, expected another name for an output")
    if collections.Counter(word for _, word in named)[STDIN] > 1:
        args.usage_error("standard input can be read once only")


def add_opening(parser: argparse.ArgumentParser) -> None:
    """Adds what opens a sealed message."""
    add_passphrase(parser)
    add_identity(parser)
    parser.add_argument("--bare", action="store_true", help="the sound was written with --bare")


def add_identity(parser: argparse.ArgumentParser) -> None:
    """Adds the option for files of identities."""
    add_file(parser, "--identity", "an identity that may open it, as keygen writes it", action="append", default=[])


def add_recipient(parser: argparse.ArgumentParser, text: str = _SEALED_FOR) -> None:
    """Adds the option for recipients."""
    parser.add_argument("--recipient", metavar="RECIPIENT", action="append", default=[], help=text)


def add_passphrase(parser: argparse.ArgumentParser) -> None:
    """Adds the ways to state a passphrase: none on the command line, which every process of the machine can read."""
    add_file(parser, "--passphrase-file", "its first line is the passphrase")
    text = "take STEGANO_TF_PASSPHRASE if it is set, else ask on the terminal"
    parser.add_argument("--ask-passphrase", action="store_true", help=text)


def networks(args: argparse.Namespace, *groups: type) -> dict:
    """Returns the options of `Networks` and other groups that were given."""
    if args.weights and args.runtime not in (None, "keras"):
        args.usage_error("--weights goes with --runtime keras only")
    return settings.given(args, Networks, *groups)


def lock(args: argparse.Namespace):
    """Returns who can open what is sent, an `sealing.Lock`, or None for everybody."""
    from stegano_tf import sealing

    text = passphrase(args, twice=True)
    if text is not None and args.recipient:
        args.usage_error("a message is sealed with a passphrase or for recipients, not both")
    if not args.recipient and text is None:
        text = sealing.variable()
    return None if text is None and not args.recipient else sealing.Lock(passphrase=text, recipients=args.recipient)


def passphrase(args: argparse.Namespace, *, twice: bool = False) -> str | None:
    """Returns the passphrase that the options lead to, or None; `twice` asks for it twice."""
    from stegano_tf import sealing

    if args.passphrase_file and args.ask_passphrase:
        args.usage_error("--passphrase-file does not go with --ask-passphrase")
    if args.passphrase_file:
        return sealing.read_passphrase(args.passphrase_file)
    if args.ask_passphrase:
        return sealing.variable() or sealing.ask_passphrase(twice=twice)
    return None


def key(args: argparse.Namespace, *, ask: bool = True):
    """Returns what opens a message, an `sealing.Key`; with `ask` it asks once a message needs it."""
    from stegano_tf import sealing

    if args.bare and args.identity:
        args.usage_error("--identity does not go with --bare: only a passphrase opens a bare sound")
    for path in args.identity:
        if not Path(path).exists():  # said although the message may not need it
            raise sealing.KeyFileError(f"{path}: does not exist, expected an identity file")
    variable = os.environ.get(sealing.PASSPHRASE_VARIABLE) and sealing.variable()
    text = passphrase(args) or variable or (sealing.ask_passphrase if ask else None)
    return sealing.Key(passphrase=text, identities=args.identity, bare=args.bare)


def picture_key(args: argparse.Namespace):
    """Returns what finds and opens a message in a picture, a `sealing.Key`, or None if nothing was given."""
    from stegano_tf import sealing

    identities = sealing.load_identities(args.identity)  # once: one may come through a pipe
    text = passphrase(args) or sealing.variable()
    return None if text is None and not identities else sealing.Key(passphrase=text, identities=identities)


def report(args: argparse.Namespace, info) -> None:
    """Says what was repaired of a sound that was read, and which options were given for nothing."""
    if info.damage:
        streams.complain(f"{info.path}: was damaged: {info.damage}")
    if info.others:
        streams.complain(f"{info.path}: holds more than one message: {info.others}, too")
    given = [name for name in ("passphrase_file", "ask_passphrase", "identity", "bare") if getattr(args, name)]
    if given and not info.sealed:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        streams.complain(f"stegano-tf: warning: {info.path}: is not sealed, so {names} opened nothing")
