"""Classical ways to hide a picture in a picture, for comparison. All pictures are uint8[H, W, 3].

* `LeastSignificantBits`: the K low bits of each value of the cover become the K high bits of the secret's value. Then
  the optimal pixel adjustment process (C.-K. Chan, L. M. Cheng, 2004, https://doi.org/10.1016/j.patcog.2003.08.007)
  changes the upper bits by one where that brings the value closer to the cover's.
* `ModuloJpegXl`: the secret becomes a JPEG XL file of the best quality that fits. Its bytes are written in base M. Each
  value of the cover moves to the nearest value whose remainder modulo M is the digit.
"""

import math

import imagecodecs
import numpy as np


class LeastSignificantBits:
    """K-bit substitution with optimal pixel adjustment; pictures are uint8[H, W, 3]."""

    def __init__(self, bits: int):
        self.bits = bits

    def hide(self, cover: np.ndarray, secret: np.ndarray) -> np.ndarray:
        """Returns the stego image, whose low bits are the secret's high bits."""
        return nearest_residues(cover, secret >> (8 - self.bits), 2**self.bits)

    def reveal(self, stego: np.ndarray) -> np.ndarray:
        """Returns the secret, each value in the middle of those with the same high bits."""
        low = 8 - self.bits
        return ((stego & (2**self.bits - 1)) << low) + np.uint8(2**low // 2)


class ModuloJpegXl:
    """The secret as JPEG XL, its bits as residues modulo M; pictures are uint8[H, W, 3]."""

    # Bits are written in groups that fit Python's own integers and numpy's: g digits of base M hold b bits.
    _LENGTH_BYTES = 4

    def __init__(self, modulus: int):
        self.modulus = modulus
        self.digits = int(63 / math.log2(modulus))
        self.bits = int(self.digits * math.log2(modulus))

    def hide(self, cover: np.ndarray, secret: np.ndarray) -> np.ndarray:
        """Returns the stego image that holds the secret at the best quality that fits."""
        coded = best_jpeg_xl(secret, cover.size // self.digits * self.bits // 8 - self._LENGTH_BYTES)
        digits = self._digits(len(coded).to_bytes(self._LENGTH_BYTES, "little") + coded)
        residues = cover.ravel() % self.modulus  # values behind the message stay as they are
        residues[: len(digits)] = digits
        return nearest_residues(cover, residues.reshape(cover.shape), self.modulus)

    def reveal(self, stego: np.ndarray) -> np.ndarray:
        """Returns the secret."""
        message = self._bytes(stego.ravel() % self.modulus)
        length = int.from_bytes(message[: self._LENGTH_BYTES], "little")
        return imagecodecs.jpegxl_decode(message[self._LENGTH_BYTES : self._LENGTH_BYTES + length])

    def _digits(self, message: bytes) -> np.ndarray:
        bits = np.unpackbits(np.frombuffer(message, np.uint8), bitorder="little")
        groups = np.pad(bits, (0, -len(bits) % self.bits)).reshape(-1, self.bits).astype(np.uint64)
        values = groups @ (np.uint64(1) << np.arange(self.bits, dtype=np.uint64))
        powers = np.uint64(self.modulus) ** np.arange(self.digits, dtype=np.uint64)
        return (values[:, None] // powers % np.uint64(self.modulus)).astype(np.uint8).ravel()

    def _bytes(self, digits: np.ndarray) -> bytes:
        whole = digits[: len(digits) // self.digits * self.digits].reshape(-1, self.digits).astype(np.uint64)
        # A group behind the message may exceed 2**bits and wrap. Nobody reads it.
        values = whole @ (np.uint64(self.modulus) ** np.arange(self.digits, dtype=np.uint64))
        bits = values[:, None] >> np.arange(self.bits, dtype=np.uint64) & np.uint64(1)
        return np.packbits(bits.astype(np.uint8).ravel(), bitorder="little").tobytes()


def nearest_residues(cover: np.ndarray, residues: np.ndarray, modulus: int) -> np.ndarray:
    """Returns uint8 values nearest to the cover's that are congruent to `residues` modulo `modulus`, up to 256."""
    cover = cover.astype(np.int16)
    half = modulus // 2
    stego = cover + (residues.astype(np.int16) - cover + half) % modulus - half
    stego[stego < 0] += modulus
    stego[stego > 255] -= modulus
    return stego.astype(np.uint8)


def best_jpeg_xl(picture: np.ndarray, size: int, steps: int = 8) -> bytes:
    """Returns a JPEG XL file of at most `size` bytes, lossless if it fits, else of the least distance found to fit.

    Raises:
      ValueError: even the coarsest does not fit.
    """
    lossless = imagecodecs.jpegxl_encode(picture, lossless=True, effort=7)
    if len(lossless) <= size:
        return lossless
    fits = None
    low, high = math.log(0.01), math.log(25.0)  # Butteraugli distances
    for _ in range(steps):
        middle = (low + high) / 2
        coded = imagecodecs.jpegxl_encode(picture, distance=math.exp(middle), effort=7)
        if len(coded) <= size:
            fits, high = coded, middle
        else:
            low = middle
    if fits is None:
        raise ValueError(f"no JPEG XL file of {size} bytes, the coarsest has {len(coded)}")
    return fits
