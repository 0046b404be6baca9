"""The raw form: the BMP file alone, as the publication has it."""

import dataclasses

from stegano_tf import sealing
from stegano_tf.audio.forms.form import Form, Found, Sound
from stegano_tf.audio.payloads import bmp
from stegano_tf.settings import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Raw(Form):
    """Every byte of a BMP file is a sample; there is no frame, so no damage is noticed."""

    raw_bmp: bool = setting(dataclasses.MISSING, "write the bare BMP file, as published: no damage is noticed")

    name = "raw bmp"
    magic = bmp.MAGIC
    framed = sealable = False
    payloads = ("bmp",)
    unproved = "a raw BMP has no checksum"

    @classmethod
    def recognise(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        found = super().recognise(sound, key)
        if found:
            found.length = int.from_bytes(sound.heads[found.facts["channel"]][2:6], "little")  # as its header states
        return found


FORM = Raw
