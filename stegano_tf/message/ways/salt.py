"""The salt of a picture: the lowest bits of 256 samples, in 32 groups of 8 neighbours that lie evenly in the picture.

Nothing is written there but for a recipient: the noise that is in them anyway is what makes a salt.
"""

import numpy as np

from stegano_tf.message.ways.way import SALT, RoomError

GROUP = 8  # samples that lie together, of the picture as one row of samples


def groups(samples: int) -> np.ndarray:
    """Returns which of the groups of 8 in a picture of so many samples are the salt's: int64[32].

    Raises RoomError if there are not twice as many.

    Example:
      >>> groups(16 * 16 * 3)[:4].tolist()  # of 96
      [1, 4, 7, 10]
    """
    count = samples // GROUP
    if count < 2 * SALT:
        raise RoomError(f"has {samples // 3} pixels, expected at least {-(-GROUP * 2 * SALT // 3)}")
    return (2 * np.arange(SALT) + 1) * count // (2 * SALT)


def read(picture: np.ndarray) -> bytes:
    """Returns the salt of uint8[H, W, 3]; the first sample of a group has the highest bit of a byte."""
    return np.packbits(_grouped(picture)[groups(picture.size)] & 1).tobytes()


def write(picture: np.ndarray, salt: bytes) -> np.ndarray:
    """Returns a picture with another salt: about half of the samples change by 1, up or down at random."""
    written = np.array(picture, order="C")
    grouped, places = _grouped(written), groups(picture.size)
    before = grouped[places].astype(np.int16)
    bits = np.unpackbits(np.frombuffer(salt, np.uint8)).reshape(SALT, GROUP)
    change = np.random.default_rng().choice(np.array([-1, 1], np.int16), before.shape)
    change = np.where((before == 0) | (before == 255), 1 - 2 * (before == 255), change)
    grouped[places] = before + change * ((before & 1) != bits)
    return written


def _grouped(picture: np.ndarray) -> np.ndarray:
    """Returns the samples of a picture as [N, 8], a view if it is C-contiguous; the last few may be left out."""
    flat = picture.reshape(-1)
    return flat[: len(flat) // GROUP * GROUP].reshape(-1, GROUP)
