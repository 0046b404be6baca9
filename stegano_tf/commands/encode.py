"""Write any picture, or any file, as sound."""

from pathlib import Path

from stegano_tf import settings
from stegano_tf.audio import forms
from stegano_tf.commands import flags, streams


def add_arguments(parser) -> None:
    flags.add_file(parser, "image", "the picture to read", nargs="?")
    flags.add_output(parser, "audio", flags.SOUND_OUT)
    flags.add_file(parser, "--payload-in", "an age file to send instead of IMAGE")
    flags.add_file(parser, "--file", "any file to send instead of IMAGE; decode --out writes it under its name")
    settings.add_arguments(parser, *groups())
    add_sealing(parser)
    add_play(parser)
    settings.add_arguments(parser, flags.Pictures)


def groups() -> tuple[type, ...]:
    """Returns the groups of options of whatever writes a sound."""
    return flags.Sound, *forms.FORMS


def add_sealing(parser) -> None:
    """Adds what says who can open a sound, and how it is written."""
    settings.add_arguments(parser, flags.Output)
    flags.add_passphrase(parser)
    flags.add_recipient(parser)


def add_play(parser) -> None:
    """Adds the option that plays what was written."""
    parser.add_argument("--play", action="store_true", help="then play the sound")


def run(args) -> None:
    from stegano_tf import enclosures, pipeline
    from stegano_tf.audio import codec
    from stegano_tf.errors import FormatError

    if sum(name is not None for name in (args.image, args.payload_in, args.file)) != 1:
        args.usage_error("expected IMAGE AUDIO, or --payload-in FILE AUDIO, or --file FILE AUDIO")
    if args.file:
        if args.payload or args.max_pixels:
            args.usage_error("--file is sent as it is: it goes with no --payload or --max-pixels")
        sound, data = sound_options(args), enclosures.pack(args.file)
        announce_bytes(args, len(data), sound)
        finish(args, codec.encode_file(data, args.audio, **sound))
        return
    if args.image:
        pictures, sound = settings.given(args, flags.Pictures), sound_options(args)
        image = announce(args, args.image, sound)
        finish(args, pipeline.encode(image, args.audio, **pictures, **sound))
        return
    if args.recipient or args.payload or args.max_pixels:
        args.usage_error("--payload-in is sent as it is: it goes with no --recipient, --payload or --max-pixels")
    if (args.passphrase_file or args.ask_passphrase) and not args.carrier:
        args.usage_error("--payload-in is sealed already: a passphrase only orders the samples of a --carrier")
    options, passphrase = given_options(args), flags.passphrase(args)
    data = Path(args.payload_in).read_bytes()
    options["form"] = codec.check(args.audio, age_file=data, passphrase=passphrase, spell=spell, **options)
    announce_bytes(args, len(data), options)
    try:
        finish(args, codec.encode_payload(data, args.audio, passphrase=passphrase, **options))
    except FormatError as error:
        raise FormatError(f"{args.payload_in}: {error}") from error


def sound_options(args) -> dict:
    """Returns the options with which `audio.codec.encode` writes `args.audio`; raises what `audio.codec.check` does."""
    from stegano_tf import sealing
    from stegano_tf.audio import codec

    options = given_options(args) | {"lock": flags.lock(args)}
    if args.play:
        from stegano_tf.commands import devices

        devices.check("--play")
    try:
        return options | {"form": codec.check(args.audio, spell=spell, **options)}
    except forms.OptionError as error:
        if options["lock"] and not (args.passphrase_file or args.ask_passphrase or args.recipient):
            raise forms.OptionError(f"{error}; {sealing.PASSPHRASE_VARIABLE} is set") from error
        raise


def given_options(args) -> dict:
    """Returns the options that were given, once it is known that there is a form with them: nobody is asked before."""
    path = getattr(args, "audio", "")  # a batch names its sounds in the manifest
    form = forms.choose(forms.for_file(path, settings.given(args, *forms.FORMS)), spell)
    if args.sample_rate and (args.carrier or form.lossy):
        reason = "--carrier: a recording keeps its own" if args.carrier else "--survive: a modem has its own"
        args.usage_error(f"--sample-rate does not go with {reason}")
    return settings.given(args, *groups(), flags.Output)


def spell(name: str) -> str:
    """Returns an option as a user knows it."""
    return f"--{name.replace('_', '-')}"


def announce(args, picture, sound: dict, *, least: bool = False):
    """Says how long a modem's sound will be, in each way to send the picture; returns the picture, read if need be.

    With `least` it will be a similar picture, which may take longer.
    """
    from stegano_tf import images
    from stegano_tf.audio import lengths

    if not sound["form"].lossy:
        return picture
    if isinstance(picture, str):
        picture = images.read(picture, max_pixels=args.max_pixels or images.MAX_PIXELS)
    found = lengths.durations(picture, sound["form"], lock=sound["lock"])
    about = {name: "at least " if least and name != "bmp" else "" for name in found}
    streams.say(f"{args.audio}: will last " + ", ".join(f"{about[n]}{s:.0f} s as {n}" for n, s in found.items()))
    return picture


def announce_bytes(args, size: int, sound: dict) -> None:
    """Says how long a modem's sound of `size` bytes will be."""
    from stegano_tf.audio import lengths

    if sound["form"].lossy:
        streams.say(f"{args.audio}: will last {lengths.duration(size, sound['form'], lock=sound.get('lock')):.0f} s")


def finish(args, info) -> None:
    """Says what was written, and plays it if that was asked for."""
    describe(info)
    play(args, info)


def play(args, info) -> None:
    """Plays a sound that was written if that was asked for."""
    if args.play:
        from stegano_tf.commands import devices

        for path in info.parts or [info.path]:
            devices.play(path)


def describe(info) -> None:
    """Prints what a sound that was written holds."""
    what = "a sealed message"
    if info.payload == "file":
        what = f"a {'sealed ' if info.sealed else ''}file with its name, {info.payload_bytes:,} bytes"
    if info.image_size:
        height, width = info.image_size
        what = f"a {'sealed ' if info.sealed else ''}picture of {width}x{height}"
    noise = "" if info.snr is None else f" in {info.bits} bits a sample, noise {info.snr:.1f} dB below full scale"
    name = f"{info.parts[0]} to {info.parts[-1]}" if info.parts[1:] else info.parts[0] if info.parts else info.path
    streams.say(f"{name}: {info.container} {info.subtype}, {info.duration:.1f} s, holds {what}{noise}")
