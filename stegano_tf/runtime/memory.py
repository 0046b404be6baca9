"""How much memory a network may take for a tile, and how much it takes.

The limits are for the whole process, with its libraries and pictures: for its resident set.
"""

import psutil

from stegano_tf.errors import MemoryLimitError

DEFAULT_LIMIT = 9 * 10**8
"""Bytes that hiding and revealing aim to stay within where no limit is set: a gigabyte, less what estimates miss."""

PICTURES = 48
"""Bytes a pixel: two pictures going in and one coming out, as 8 bits and as float32."""


def free(limit: int | None, needed: float, *, held: float = 0.0) -> float:
    """Returns how many bytes may be taken from here on.

    Args:
      limit: bytes that the process may take in all; None for `DEFAULT_LIMIT`, or more if `needed` is more.
      needed: the least that is of any use, in bytes.
      held: bytes that are taken already and can be used again.

    Raises:
      MemoryLimitError: `needed` exceeds what `limit` leaves, or what the machine has.
    """
    taken = psutil.Process().memory_info().rss - held
    available = psutil.virtual_memory().available + held
    if needed > available:
        raise MemoryLimitError(f"the machine has {_mb(available)} of memory free, one tile needs {_mb(needed)}")
    if limit is not None and taken + needed > limit:
        raise MemoryLimitError(
            f"a memory limit of {_mb(limit)} is too low: the pictures and the program take {_mb(taken)}, "
            f"and one tile {_mb(needed)}"
        )
    return min(max((DEFAULT_LIMIT if limit is None else limit) - taken, needed), available)


def _mb(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"
