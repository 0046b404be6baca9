"""The plain form: every byte of the frame is a sample."""

import dataclasses

from stegano_tf.audio import framing, sealing
from stegano_tf.audio.forms.form import Form, Found, Sound
from stegano_tf.errors import FormatError

# A sample in the middle of its level is half-way between two of 8 bits; a converter that rounds takes the upper one.
_ROUNDED_MAGIC = bytes(byte + 1 for byte in framing.MAGIC)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plain(Form):
    """The form of a message for which no option is given."""

    name = f"frame v{framing.VERSION}"
    magic = framing.MAGIC

    @classmethod
    def recognise(cls, sound: Sound, key: sealing.Key | None) -> Found | None:
        found = super().recognise(sound, key)
        if not found and any(head.startswith(_ROUNDED_MAGIC) for head in sound.heads):
            lost = "which makes 255 of every byte 254 and cannot be undone"
            raise FormatError(f"was rounded to 8 bits, {lost}; expected 16 bits")
        return found


FORM = Plain
