"""How much of what a sound claims is believed, by its size on the disk; docs/SECURITY.md states what that promises.

A sample that compresses well costs a FLAC file nothing, and neither does a pixel a PNG file. A few bytes may claim so
much as an honest small file holds, and beyond that in proportion to what they are.
"""

CHANNELS = 8
"""In how many channels of a sound a message is searched: each takes the whole file."""

HELD_FIRST = 32 << 20
"""Samples of all channels, in a longer sound than which no form that holds all of them is asked before others."""

_STREAMED = 24 << 20
_HELD = 8 << 20
_SEARCHED = 4 << 20


def streamed(file_bytes: int) -> int:
    """Returns how many bytes, or samples of all channels, may be read front to back from a file of so many bytes."""
    return _STREAMED + 8 * file_bytes


def held(file_bytes: int) -> int:
    """Returns how many bytes may be held in memory, several times over: those of what hardly compresses."""
    return _HELD + 2 * file_bytes


def heard(file_bytes: int) -> int:
    """Returns in how many samples, of all channels, a message is searched block by block: speech takes few bytes."""
    return _SEARCHED + 128 * file_bytes


def searched(file_bytes: int) -> int:
    """Returns in how many samples, of all channels, a message is searched: all are held as numbers of 4 bytes."""
    return _SEARCHED + 2 * file_bytes
