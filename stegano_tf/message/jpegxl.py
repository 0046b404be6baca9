"""The header of a JPEG XL codestream (ISO/IEC 18181-1), read before a decoder believes it."""

from stegano_tf.errors import FormatError

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def size(data: bytes) -> tuple[int, int]:
    """Returns (height, width) of a plain RGB picture of 8 bits a sample, without further channels or frames.

    Raises FormatError for anything else: a few bytes can claim what takes gigabytes to decode.

    Example:
      >>> size(bytes.fromhex("ff0a434024080401"))
      (16, 16)
    """
    if not data.startswith(b"\xff\x0a"):
        raise FormatError(f"holds a picture that starts with {data[:2].hex(' ')}, expected JPEG XL, ff 0a")
    bits = _Bits(int.from_bytes(data[2:32], "little"))
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if ratio:
        over, under = _RATIOS[ratio - 1]
        width = height * over // under
    else:
        width = _side(bits, small)
    if not bits.take(1):  # otherwise, all metadata is as usual
        unusual = bits.take(1), bits.take(1), bits.take(2)  # further fields, floating point, not 8 bits
        bits.take(1)  # whether buffers of 16 bits are enough
        if any(unusual) or bits.take(2):  # further channels
            raise FormatError("holds a JPEG XL picture of another kind, expected RGB of 8 bits")
    return height, width


class _Bits:
    """Reads bits, the lowest first."""

    def __init__(self, number: int):
        self._number = number

    def take(self, count: int) -> int:
        taken = self._number & (1 << count) - 1
        self._number >>= count
        return taken


def _side(bits: _Bits, small: int) -> int:
    return 8 * (1 + bits.take(5)) if small else 1 + bits.take((9, 13, 18, 30)[bits.take(2)])
