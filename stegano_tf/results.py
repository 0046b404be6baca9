"""What the functions of `pipeline` return, where it is more than a picture."""

import dataclasses

import numpy as np

from stegano_tf import metrics
from stegano_tf.audio import codec
from stegano_tf.message import hiding, pictures


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What `send` wrote: the stego image, uint8[H, W, 3], and what `inspect` says about the sound.

    If the secret was hidden as bytes, `hidden` is what there is to say about it.
    """

    stego: np.ndarray
    info: codec.AudioInfo
    hidden: pictures.Hidden | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What `receive` found: secret uint8[H', W', 3], stego image uint8[H, W, 3], and where they came from.

    If the secret was hidden as bytes, `found` is it; if it is no picture, `secret` is None.
    """

    secret: np.ndarray | None
    stego: np.ndarray
    info: codec.AudioInfo
    found: hiding.Found | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What there is to see and what will be revealed: the stego image beside the cover, the secret beside its copy."""

    cover: metrics.Quality
    secret: metrics.Quality
