"""Hide a picture in another one and write it as sound."""

from stegano_tf.commands import encode, flags, hide, terminal


def add_arguments(parser) -> None:
    hide.add_pictures(parser)
    flags.add_output(parser, "audio", flags.SOUND_OUT)
    hide.add_hiding(parser)
    encode.add_sound(parser)
    encode.add_play(parser)


def run(args) -> None:
    from stegano_tf import pipeline, scratch

    hiding, sound = hide.hiding_options(args), encode.sound_options(args)
    with scratch.off_disk(sound["lock"] is not None):
        cover, secret = hide.pictures(args)
        cover = encode.announce(args, cover, sound, least=True)
        with terminal.working(args) as progress:
            sent = pipeline.send(cover, secret, args.audio, progress=progress, **hiding, **sound)
        encode.describe(sent.info)
        hide.report(args, cover, secret, sent.stego)
    encode.play(args, sent.info)
