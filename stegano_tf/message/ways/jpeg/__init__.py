"""The way `jpeg`: bytes in a picture that survive JPEG of the design quality, and of every better one, exactly.

A bit is the parity of a coefficient of the luma in steps of the design quality (B. Chen and G. Wornell, "Quantization
index modulation", IEEE Trans. Information Theory 47(4), 2001). LDPC codes mend what recompression and black or white
pixels spoil. docs/FORMAT.md describes all of it.
"""

import functools
from collections.abc import Callable, Mapping

import numpy as np

from stegano_tf import channels
from stegano_tf.message.ways.jpeg import blocks as jpeg
from stegano_tf.message.ways.jpeg import channel, codewords, parts, places, plan, reading, targets
from stegano_tf.message.ways.jpeg.drafts import Draft
from stegano_tf.message.ways.jpeg.keys import TAG, Keys
from stegano_tf.message.ways.way import SALT, DamagedError, RoomError, Way

QUALITIES = (75, 60, 50, 85, 90)  # a reader looks for these
_FULL = 0.95  # the part of the room that messages fill at most
_USES = (0.9, 0.82, 0.7, 0.55, 0.4)  # the part that they are to fill: the next if one is not read with bits to spare
_SPARE = 0.04  # the part of its bits that a message must not need


class Jpeg(Way):
    """Bytes that survive JPEG.

    Attributes:
      quality: the design quality: JPEG files of it and of all better ones keep the bytes. The worse it is, the more
        shows. It is the best of `QUALITIES` that is no better than the one that was asked for.

    Example:
      >>> way = Jpeg(quality=75)
      >>> stego = way.embed(way.with_salt(cover, os.urandom(32)), {key: b"some bytes"})
      >>> way.extract(stego, key)
      b'some bytes'
    """

    name = "jpeg"

    def __init__(self, quality: int = 75) -> None:
        if not 50 <= quality < 100:
            raise ValueError(f"quality {quality}, expected 50 to 99")
        self.quality = max(design for design in QUALITIES if design <= quality)

    def __str__(self) -> str:
        return f"{self.name}, quality {self.quality}"

    @property
    def file_options(self) -> dict:
        """What Pillow's `Image.save` takes for a JPEG file that keeps as much as one of the design quality can."""
        return {"format": "JPEG", "quality": self.quality, "subsampling": "4:4:4", "optimize": True}

    def salt(self, picture: np.ndarray) -> bytes:
        grid = places.grid(picture)
        found = None if grid.too_small else self._salt(jpeg.split(picture), grid)
        return found[1] if found else bytes(SALT)

    def with_salt(self, picture: np.ndarray, salt: bytes) -> np.ndarray:
        grid = _grid(picture)
        draft = Draft(grid)
        draft.put_salt(salt)
        blocks = targets.write(jpeg.split(picture), draft, self.quality)
        result = jpeg.join(blocks, picture)
        if any(self._salt(jpeg.split(one(result)), grid) != (self.quality, salt) for one in self._channels()):
            raise RoomError("too much black, white and pure colour: nothing can be read after JPEG")
        return result

    def capacity(self, cover: np.ndarray) -> int:
        grid = places.grid(cover)
        return 0 if grid.too_small else _capacity(plan.look(cover, jpeg.split(cover), grid, self.quality), grid)

    def embed(self, cover: np.ndarray, messages: Mapping[bytes, bytes]) -> np.ndarray:
        grid, blocks = _grid(cover), jpeg.split(cover)
        tiles = plan.look(cover, blocks, grid, self.quality)
        lanes = _share(grid, [len(data) for data in messages.values()])
        shares = [_Share(*part, grid, tiles) for part in zip(messages.items(), lanes, strict=True)]
        filled = max((share.filled for share in shares), default=0)
        if filled > _FULL:
            raise RoomError(
                f"{sum(map(len, messages.values()))} bytes in {len(messages)} message(s), expected at most about "
                f"{_capacity(tiles, grid)} in one message in this cover at JPEG quality {self.quality}"
            )
        uses = sorted({max(use, filled) for use in _USES}, reverse=True)
        likely = self._channels()
        # The last try makes room for all bits, although that shows.
        for use, all_matters in [*((use, False) for use in uses), (uses[-1], True)]:
            draft = Draft(grid)
            for share in shares:
                draft.put(share.keys, share.data, share.lanes, share.levels(self.quality, use))
            draft.matters |= all_matters
            stego = jpeg.join(targets.write(blocks, draft, self.quality), cover)
            failed = next((one for one in likely if not self._holds(one(stego), shares, grid)), None)
            if failed is None:
                return stego
            likely.sort(key=lambda one, failed=failed: one is not failed)  # the next try fails there, if anywhere
        raise RoomError("too much black, white and pure colour: nothing can be read after JPEG")

    def extract(self, stego: np.ndarray, key: bytes) -> bytes | None:
        grid = places.grid(stego)
        if grid.too_small:
            return None
        blocks = jpeg.split(stego)
        found = self._salt(blocks, grid)
        return found and reading.Reading(blocks, grid, found[0]).message(Keys(key))

    def _salt(self, blocks: np.ndarray, grid: places.Grid) -> tuple[int, bytes] | None:
        return reading.salt(blocks, grid, list(dict.fromkeys([self.quality, *QUALITIES])))

    def _channels(self) -> list[Callable[[np.ndarray], np.ndarray]]:
        """Returns what takes a picture through JPEG of the better qualities that spoil most, the worst first."""
        fast = sorted({min(self.quality + more, channel.FAST) for more in (10, 5)}, reverse=True)
        return [
            *(functools.partial(channel.compress_fast, quality=quality) for quality in fast),
            functools.partial(channels.jpeg, quality=self.quality + 3),
        ]

    def _holds(self, stego: np.ndarray, shares: list, grid: places.Grid) -> bool:
        found = reading.Reading(jpeg.split(stego), grid, self.quality, _SPARE)
        try:
            return all(found.message(share.keys) == share.data for share in shares)
        except DamagedError:
            return False


WAY = Jpeg
EXAMPLES = [{"quality": quality} for quality in (75, 60)]


class _Share:
    """What one message has of a picture."""

    def __init__(self, message: tuple[bytes, bytes], lanes: range, grid: places.Grid, tiles: plan.Tiles) -> None:
        key, self.data = message
        self.keys, self.lanes, self._tiles = Keys(key), lanes, tiles
        self._need = parts.data_code(len(self.data)).need
        mine = grid.message(self.keys.places, lanes)[2]
        self._sizes = np.bincount(grid.tiles[mine], minlength=grid.tile_count)

    @property
    def filled(self) -> float:
        """The part of the room that the message fills at least."""
        return self._need / max(plan.room(self._tiles, self._sizes), 1)

    def levels(self, quality: int, use: float) -> np.ndarray:
        """Returns the levels of all tiles so that the message fills a part, `use`, of the room that they make."""
        return plan.levels(self._tiles, self._sizes, quality, self._need / use)


def _grid(picture: np.ndarray) -> places.Grid:
    grid = places.grid(picture)
    if grid.too_small:
        height, width, _ = picture.shape
        raise RoomError(f"{width}x{height} pixels, expected at least {places.SMALLEST} blocks of 8x8, as 256x256 has")
    return grid


def _share(grid: places.Grid, sizes: list[int]) -> list[range]:
    """Returns the lanes of messages of these sizes, in proportion, at least one each."""
    if len(sizes) > grid.lanes:
        raise RoomError(f"{len(sizes)} messages, expected at most {grid.lanes} in a picture of this size")
    counts = np.ones(len(sizes), int)
    for _ in range(grid.lanes - len(sizes) if sizes else 0):
        counts[np.argmax((np.array(sizes) + 1) / counts)] += 1
    return [range(end - count, end) for end, count in zip(np.cumsum(counts).tolist(), counts.tolist(), strict=True)]


def _capacity(tiles: plan.Tiles, grid: places.Grid) -> int:
    spent = places.SALT_BLOCKS + places.HEADER_BLOCKS + grid.map_blocks
    bits = plan.room(tiles, np.bincount(grid.tiles)) * (1 - spent / grid.blocks)
    return max(0, codewords.longest(bits * _FULL) - TAG)
