"""Hide a picture, or any file, in a picture and write it as sound."""

from stegano_tf.commands import encode, flags, hide, messages, terminal


def add_arguments(parser) -> None:
    hide.add_pictures(parser)
    flags.add_output(parser, "audio", flags.SOUND_OUT)
    hide.add_hiding(parser)
    encode.add_sound(parser)
    encode.add_play(parser)


def run(args) -> None:
    from stegano_tf import pipeline, scratch
    from stegano_tf.message import pictures

    hiding, sound = hide.hiding_options(args), encode.sound_options(args)
    way = hide.way_in_sound(args)
    with scratch.off_disk(sound["lock"] is not None):
        if way is None:
            cover, secret = hide.pictures(args)
        else:
            cover, secret = pictures.read(args.cover, args.max_pixels), args.secret
        cover = encode.announce(args, cover, sound, least=True)
        with terminal.working(args) as progress:
            sent = pipeline.send(cover, secret, args.audio, progress=progress, way=way, **hiding, **sound)
        encode.describe(sent.info)
        if sent.hidden is None:
            hide.report(args, cover, secret, sent.stego)
        else:
            messages.describe(args, cover, sent.stego, sent.hidden, [None])
    encode.play(args, sent.info)
