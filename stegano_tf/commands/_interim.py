"""What the branch `audio` brings, on top of what there is: delete once it is merged."""

import dataclasses

from stegano_tf.settings import setting


def _percent(text):
    from stegano_tf.audio import parity

    try:
        share = float(text.removesuffix("%")) / 100
        parity.checks_for(share)
    except ValueError as error:
        raise ValueError(f"expected 0% to 78% ({error})") from error
    return share


@dataclasses.dataclass(frozen=True)
class Raw:
    raw_bmp: bool = setting(False, "write the bare BMP file, as published: no damage is noticed")


@dataclasses.dataclass(frozen=True)
class Marked:
    parity: float = setting(None, "lengthen the sound by this much to repair damage", metavar="PERCENT", parse=_percent)
    depth: int = setting(8, "with --parity, bits a sample; 4 bears far more noise", choices=(8, 4))


@dataclasses.dataclass(frozen=True)
class Carried:
    carrier: str = setting(None, "hide the message in this recording", metavar="SOUND")
    bits: int = setting(None, "of the carrier's samples (default: the fewest)", low=1, high=8)
    parity: float = Marked.__dataclass_fields__["parity"]


@dataclasses.dataclass(frozen=True)
class Bare:
    bare: bool = setting(False, "with a passphrase: a sound like noise, without even a magic")


FORMS = Raw, Marked, Carried, Bare


class OptionError(ValueError):
    pass


class codec:  # noqa: N801
    @staticmethod
    def check(path, *, spell, lock=None, force=False, payload="bmp", sample_rate=44100, **options):
        from stegano_tf import outputs
        from stegano_tf.audio import files

        given = set(options)
        sets = ({"raw_bmp"}, {"parity", "depth"}, {"carrier", "bits", "parity"}, {"bare"}, set())
        if (
            not any(given <= one for one in sets)
            or ("depth" in given and "parity" not in given)
            or ("bits" in given and "carrier" not in given)
            or ("bare" in given and lock is None)
            or ("raw_bmp" in given and (lock or payload != "bmp"))
        ):
            raise OptionError(f"{', '.join(map(spell, given))}: do not go together")
        files.container_for(path, 0)
        outputs.check(path, force=force)


def old(options):
    from stegano_tf.audio.carrier import Carrier
    from stegano_tf.audio.marked import Marks

    parity, depth = options.pop("parity", None), options.pop("depth", 8)
    carrier, bits = options.pop("carrier", None), options.pop("bits", None)
    return options | {
        "marks": None if parity is None else Marks(parity=parity, depth=depth),
        "carrier": Carrier(path=carrier, bits=bits) if carrier else None,
    }
