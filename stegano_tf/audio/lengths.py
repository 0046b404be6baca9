"""How long sounds become, and how much goes into a recording, before anything is written."""

import contextlib
import os

import numpy as np

from stegano_tf import sealing
from stegano_tf.audio import forms, framing
from stegano_tf.audio.forms.form import Form
from stegano_tf.audio.payloads import PAYLOADS
from stegano_tf.errors import ImageError
from stegano_tf.sealing import age


def message_bytes(image: np.ndarray, *, payload: str = "bmp") -> int:
    """Returns how many bytes a picture, uint8[H, W, 3] RGB, takes in a carrier without seal and parity."""
    return PAYLOADS[payload].encode(image)[0] + framing.OVERHEAD


def sealed_bytes(size: int) -> int:
    """Returns how many bytes a message of so many takes once it is sealed with a passphrase; for recipients it is more.

    Example:
      >>> sealed_bytes(1), sealed_bytes(65_537)
      (65790, 131342)
    """
    return age.sealed_bytes(size) + framing.OVERHEAD


def durations(image: np.ndarray, form: Form, *, lock: sealing.Lock | None = None) -> dict[str, float]:
    """Returns how many seconds the sound of a picture, uint8[H, W, 3] RGB, lasts, by payload; of a form with a rate."""
    found = {}
    for name, payload in PAYLOADS.items():
        with contextlib.suppress(ImageError):
            found[name] = duration(payload.encode(image)[0], form, lock=lock)
    return found


def duration(size: int, form: Form, *, lock: sealing.Lock | None = None) -> float:
    """Returns how many seconds the sound of a payload of `size` bytes lasts; of a form with a rate."""
    size += framing.OVERHEAD
    return form.samples(sealed_bytes(size) if lock else size) / form.rate


def capacities(path: str | os.PathLike) -> dict[float, int]:
    """Returns how many bytes of message a recording of 16 or 24 bits carries, by bits a sample; raises AudioError.

    At less than one bit a sample it is the stealth form, whose messages are sealed with a passphrase.
    """
    return {bits: size for form in forms.FORMS for bits, size in form.capacities(path).items()}
