"""Write any picture as sound."""

from pathlib import Path

from stegano_tf import settings
from stegano_tf.audio import forms
from stegano_tf.commands import flags, streams


def add_arguments(parser) -> None:
    flags.add_file(parser, "image", "the picture to read", nargs="?")
    flags.add_output(parser, "audio", flags.SOUND_OUT)
    flags.add_file(parser, "--payload-in", "an age file to send instead of IMAGE")
    add_sound(parser)
    settings.add_arguments(parser, flags.Pictures)


def groups() -> tuple[type, ...]:
    """Returns the groups of options of whatever writes a sound."""
    return flags.Sound, *forms.FORMS


def add_sound(parser) -> None:
    """Adds the options of whatever writes a sound."""
    settings.add_arguments(parser, *groups(), flags.Output)
    flags.add_passphrase(parser)
    flags.add_recipient(parser)


def run(args) -> None:
    from stegano_tf import pipeline
    from stegano_tf.audio import codec
    from stegano_tf.errors import FormatError

    if (args.image is None) == (args.payload_in is None):
        args.usage_error("expected IMAGE AUDIO, or --payload-in FILE AUDIO")
    if args.image:
        pictures = settings.given(args, flags.Pictures)
        describe(pipeline.encode(args.image, args.audio, **pictures, **sound_options(args)))
        return
    if args.recipient or args.payload or args.max_pixels:
        args.usage_error("--payload-in is sent as it is: it goes with no --recipient, --payload or --max-pixels")
    if (args.passphrase_file or args.ask_passphrase) and not args.carrier:
        args.usage_error("--payload-in is sealed already: a passphrase only orders the samples of a --carrier")
    options, passphrase = given_options(args), flags.passphrase(args)
    data = Path(args.payload_in).read_bytes()
    options["form"] = codec.check(args.audio, age_file=data, spell=spell, **options)
    try:
        describe(codec.encode_payload(data, args.audio, passphrase=passphrase, **options))
    except FormatError as error:
        raise FormatError(f"{args.payload_in}: {error}") from error


def sound_options(args) -> dict:
    """Returns the options with which `audio.codec.encode` writes `args.audio`; raises what `audio.codec.check` does."""
    from stegano_tf import sealing
    from stegano_tf.audio import codec

    options = given_options(args) | {"lock": flags.lock(args)}
    try:
        return options | {"form": codec.check(args.audio, spell=spell, **options)}
    except forms.OptionError as error:
        if options["lock"] and not (args.passphrase_file or args.ask_passphrase or args.recipient):
            raise forms.OptionError(f"{error}; {sealing.PASSPHRASE_VARIABLE} is set") from error
        raise


def given_options(args) -> dict:
    """Returns the options that were given, once it is known that there is a form with them: nobody is asked before."""
    path = getattr(args, "audio", "")  # a batch names its sounds in the manifest
    forms.choose(forms.for_file(path, settings.given(args, *forms.FORMS)), spell)
    if args.carrier and args.sample_rate:
        args.usage_error("--sample-rate does not go with --carrier: a recording keeps its own")
    return settings.given(args, *groups(), flags.Output)


def spell(name: str) -> str:
    """Returns an option as a user knows it."""
    return f"--{name.replace('_', '-')}"


def describe(info) -> None:
    """Prints what a sound that was written holds."""
    what = "a sealed message"
    if info.image_size:
        height, width = info.image_size
        what = f"a {'sealed ' if info.sealed else ''}picture of {width}x{height}"
    noise = "" if info.snr is None else f" in {info.bits} bits a sample, noise {info.snr:.1f} dB below full scale"
    streams.say(f"{info.path}: {info.container} {info.subtype}, {info.duration:.1f} s, holds {what}{noise}")
