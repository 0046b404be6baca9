"""Reading what lies in a picture that JPEG may have changed."""

import dataclasses

import numpy as np

from stegano_tf.message.ways.jpeg import blocks as jpeg
from stegano_tf.message.ways.jpeg import keys, parts, places, plan
from stegano_tf.message.ways.way import DamagedError

# The variance of a coefficient, in squared steps: what a JPEG table that is a little finer leaves; and in squared units
# for each black or white pixel, of which nobody knows how far it was beyond. Measured on photographs.
_VARIANCE, _CUT = 1 / 22, 0.09
_SURE = 6  # the largest likelihood: some encoders err where nothing shows it


def salt(blocks: np.ndarray, grid: places.Grid, qualities: list[int]) -> tuple[int, bytes] | None:
    """Returns the design quality, one of `qualities`, and the salt in blocks, uint8[3, N, 64]; None without any."""
    rows = [Reading(blocks, grid, quality).likely(grid.salt, places.COARSE, keys.PUBLIC) for quality in qualities]
    found = parts.SALT_CODE.decode(np.stack(rows))
    return found and (qualities[found[0]], found[1])


@dataclasses.dataclass(frozen=True)
class Reading:
    """The reading of a picture of one design.

    Attributes:
      blocks: of the picture, uint8[3, N, 64].
      grid: of the picture.
      quality: the design quality.
      spare: the part of all bits that is not looked at: what is read without them is no narrow escape. Then reading
        ends where a part of a message is lost, and the rest is not tried.
    """

    blocks: np.ndarray
    grid: places.Grid
    quality: int
    spare: float = 0

    def message(self, key: keys.Keys) -> bytes | None:
        """Returns the message under a key, None if there is none; raises DamagedError."""
        grid = self.grid
        heads = [self.likely(grid.header(key.places, lane), places.COARSE, key.places) for lane in range(grid.lanes)]
        found = parts.HEADER_CODE.decode(np.stack(heads))
        header = found and key.open(parts.HEAD, found[1])
        if not header:
            return None
        version, count, length = parts.HEADER.unpack(header)
        if version != parts.VERSION or not 0 < count <= grid.lanes - found[0]:
            raise DamagedError(f"a message of version {version}, expected {parts.VERSION}: made by a newer version?")
        _, map_blocks, mine = grid.message(key.places, range(found[0], found[0] + count))
        found = parts.map_code(grid).decode(self.likely(map_blocks, places.COARSE, key.places)[None])
        levels = found and key.open(parts.MAP, found[1])
        if not levels:
            raise self._damaged(0)
        counts = plan.unpack(levels, grid.tile_count)[grid.tiles[mine]]
        code = parts.data_code(length)
        if not code.fits(int(counts.sum())):
            raise DamagedError(f"a message of {length} bytes, which the picture is too small for")
        text, right = code.decode(self.likely(mine, counts, key.places), whole=bool(self.spare))
        data = key.open(parts.DATA, text)
        if data is None:
            raise self._damaged(right)
        return data[:length]

    def likely(self, which: np.ndarray, counts: np.ndarray | int, key: bytes) -> np.ndarray:
        """Returns the logarithms of P(0) / P(1) of the first `counts` bits of some blocks, their mask taken off.

        Args:
          which: the numbers of the blocks, int[n].
          counts: int[n], or one for all.
          key: of the mask.

        Returns:
          float32[sum of counts].
        """
        step = jpeg.steps(self.quality).astype(np.float32)
        counts = np.broadcast_to(counts, which.shape)

        def work(part: slice) -> np.ndarray:
            chosen = self.blocks[:, which[part]]
            values = (jpeg.luma(chosen) @ jpeg.BASIS) / step
            values -= 2 * np.rint(values / 2)
            cut = jpeg.extreme(chosen).astype(np.float32)
            values = (0.5 - np.abs(values)) / (_VARIANCE + _CUT * cut[:, None] / step**2)
            return values[np.arange(len(step)) < counts[part, None]].clip(-_SURE, _SURE)

        result = np.concatenate(jpeg.in_parts(work, len(which)))
        result *= 1 - 2 * keys.mask(key, len(result)).astype(np.float32)
        if self.spare:
            result[np.random.default_rng(0).random(len(result)) < self.spare] = 0
        return result

    def _damaged(self, share: float) -> DamagedError:
        return DamagedError(
            f"a message of which {share:.0%} can be read: damaged by recompression below quality {self.quality}, or "
            "otherwise"
        )
