"""Classical ways to hide a picture in a picture, for comparison. All pictures are uint8[H, W, 3].

* `LeastSignificantBits`: the K low bits of each value of the cover become the K high bits of the secret's value. Then
  the optimal pixel adjustment process (C.-K. Chan, L. M. Cheng, 2004, https://doi.org/10.1016/j.patcog.2003.08.007)
  changes the upper bits by one where that brings the value closer to the cover's.
* `ModuloJpegXl`: the secret becomes a JPEG XL file of the best quality that fits. Its bytes are written in base M. Each
  value of the cover moves to the nearest value whose remainder modulo M is the digit.
* `ModuloJpeg2000`: the same with JPEG 2000.
"""

import math
from collections.abc import Callable

import imagecodecs
import numpy as np


def best_jpeg_xl(picture: np.ndarray, size: int) -> bytes:
    """Returns a JPEG XL file of at most `size` bytes: lossless if that fits, else of the least distance found to fit.

    Raises:
      ValueError: even the coarsest does not fit.
    """
    lossless = imagecodecs.jpegxl_encode(picture, lossless=True, effort=7)
    if len(lossless) <= size:
        return lossless
    distances = math.log(25.0), math.log(0.01)  # Butteraugli, from coarse to fine
    return _finest(lambda d: imagecodecs.jpegxl_encode(picture, distance=math.exp(d), effort=7), distances, size)


def best_jpeg_2000(picture: np.ndarray, size: int) -> bytes:
    """As `best_jpeg_xl`, a JPEG 2000 file of the highest PSNR found to fit."""
    lossless = imagecodecs.jpeg2k_encode(picture, reversible=True, mct=True)
    if len(lossless) <= size:
        return lossless
    return _finest(lambda psnr: imagecodecs.jpeg2k_encode(picture, level=psnr, mct=True), (15.0, 70.0), size)


def _finest(encode: Callable[[float], bytes], ends: tuple[float, float], size: int, steps: int = 8) -> bytes:
    """Returns the finest file of at most `size` bytes that halving finds; `ends` are the coarsest and the finest."""
    fits = None
    coarse, fine = ends
    for _ in range(steps):
        middle = (coarse + fine) / 2
        coded = encode(middle)
        if len(coded) <= size:
            fits, coarse = coded, middle
        else:
            fine = middle
    if fits is None:
        raise ValueError(f"no file of {size} bytes, the coarsest has {len(coded)}")
    return fits


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

    encode = staticmethod(best_jpeg_xl)
    decode = staticmethod(imagecodecs.jpegxl_decode)
    # Bits are written in groups that fit Python's own integers and numpy's: g digits of base M hold b bits.
    _LENGTH_BYTES = 4

    def __init__(self, modulus: int):
        self.modulus = modulus
        self.digits = int(63 / math.log2(modulus))
        self.bits = int(self.digits * math.log2(modulus))

    def hide(self, cover: np.ndarray, secret: np.ndarray) -> np.ndarray:
        """Returns the stego image that holds the secret at the best quality that fits."""
        coded = self.encode(secret, cover.size // self.digits * self.bits // 8 - self._LENGTH_BYTES)
        digits = self._digits(len(coded).to_bytes(self._LENGTH_BYTES, "little") + coded)
        residues = cover.ravel() % self.modulus  # values behind the message stay as they are
        residues[: len(digits)] = digits
        return nearest_residues(cover, residues.reshape(cover.shape), self.modulus)

    def reveal(self, stego: np.ndarray) -> np.ndarray:
        """Returns the secret."""
        message = self._bytes(stego.ravel() % self.modulus)
        length = int.from_bytes(message[: self._LENGTH_BYTES], "little")
        return self.decode(message[self._LENGTH_BYTES : self._LENGTH_BYTES + length])

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


class ModuloJpeg2000(ModuloJpegXl):
    """As `ModuloJpegXl`, with JPEG 2000."""

    encode = staticmethod(best_jpeg_2000)
    decode = staticmethod(imagecodecs.jpeg2k_decode)


def nearest_residues(cover: np.ndarray, residues: np.ndarray, modulus: int) -> np.ndarray:
    """Returns uint8 values nearest to the cover's that are congruent to `residues` modulo `modulus`, up to 256."""
    cover = cover.astype(np.int16)
    half = modulus // 2
    stego = cover + (residues.astype(np.int16) - cover + half) % modulus - half
    stego[stego < 0] += modulus
    stego[stego > 255] -= modulus
    return stego.astype(np.uint8)
