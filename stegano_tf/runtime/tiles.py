"""Pictures of any size in bounded memory: a network runs on overlapping tiles, with the result of one run on the whole.

A network looks at most `halo` pixels around a pixel. So its result is the same whether it sees the whole picture or a
tile that reaches `halo` pixels further. What lies nearer to a tile's inner borders is computed and thrown away. All
tiles of a picture have one shape, so that an engine plans its memory once.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from stegano_tf import scratch
from stegano_tf.networks.family import Refiner
from stegano_tf.runtime import memory

_TILE_COST = 2**10
"""What a run costs beside its pixels, in pixels. Without it, thousands of strips would be as cheap as a few squares."""

Progress = Callable[[str, int, int], None]
"""Is called with what is going on, how many parts of it are done, and how many there are."""


class Span(NamedTuple):
    """A tile along one side: the network sees [start, stop), and its result is kept in [first, last)."""

    start: int
    stop: int
    first: int
    last: int


class Tile(NamedTuple):
    """A part of a picture; `seen` and `kept` index the picture, and `inner` is `kept` within `seen`."""

    rows: Span
    columns: Span

    @property
    def seen(self) -> tuple[slice, ...]:
        return tuple(slice(side.start, side.stop) for side in self)

    @property
    def kept(self) -> tuple[slice, ...]:
        return tuple(slice(side.first, side.last) for side in self)

    @property
    def inner(self) -> tuple[slice, ...]:
        return tuple(slice(side.first - side.start, side.last - side.start) for side in self)


def plan(size: tuple[int, int], halo: int, multiple: int, max_pixels: float) -> list[Tile] | None:
    """Returns the tiles that cover a picture at the least cost, row by row; most of the cost is overlap.

    Args:
      size: (height, width) of the picture.
      halo: how far around a pixel the network looks.
      multiple: what the sides of the network's inputs must be multiples of. Every tile starts at a multiple and has
        such sides, except the last ones, which end with the picture.
      max_pixels: how many of them a tile may have.

    Returns:
      The tiles; None if even the smallest ones have more pixels.
    """
    height, width = size
    lowest = min(round_up(height, multiple), 2 * halo + multiple)
    columns = _fewest(width, max_pixels // lowest, halo, multiple)
    if columns is None:
        return None
    best = None
    # More columns cost more. Stop once their cost alone is above the best so far.
    while best is None or (width + 2 * halo * (columns - 1)) * height + columns * _TILE_COST < best[0]:
        side = _side(width, columns, halo, multiple)
        rows = _fewest(height, max_pixels // side, halo, multiple)
        if rows is not None:
            other = _side(height, rows, halo, multiple)
            cost = columns * rows * (side * other + _TILE_COST)
            best = min(best or (math.inf,), (cost, side, other))
        columns += 1
    _, side, other = best
    return [
        Tile(down, across)
        for down in spans(height, other, halo, multiple)
        for across in spans(width, side, halo, multiple)
    ]


def spans(length: int, side: int, halo: int, multiple: int) -> list[Span]:
    """Returns how tiles of `side`, a multiple of `multiple`, cover `length`; arguments as `plan`."""
    whole = round_up(length, multiple)
    if side >= whole:
        return [Span(0, length, 0, length)]
    step = side - 2 * halo
    starts = [min(i * step, whole - side) for i in range(-(-(whole - 2 * halo) // step))]
    borders = [0, *(start + halo for start in starts[1:]), length]
    return [
        Span(start, min(start + side, length), first, last)
        for start, first, last in zip(starts, borders[:-1], borders[1:], strict=True)
    ]


def run(
    network: Callable[..., np.ndarray],
    pictures: Sequence[np.ndarray],
    result: np.ndarray,
    tiles: Sequence[Tile],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes what a network makes of pictures into `result`, uint8[H, W, 3], tile by tile.

    Args:
      network: takes uint8[1, h, w, 3], one for each of `pictures`, and returns another one.
      pictures: uint8[H, W, 3] each; none of them may share memory with `result` if there are several tiles.
      tiles: cover the pictures.
      progress: is called after each tile with how many are done, and how many there are.
    """
    for done, tile in enumerate(tiles, start=1):
        seen = [np.ascontiguousarray(picture[tile.seen])[None] for picture in pictures]
        for picture in pictures:
            scratch.release(picture)  # before the network takes its memory
        result[tile.kept] = network(*seen)[0][tile.inner]
        scratch.release(result)
        if progress:
            progress(done, len(tiles))


def refine(
    refiner: Refiner,
    cover: np.ndarray,
    secret: np.ndarray,
    stego: np.ndarray,
    *,
    steps: int,
    weight: float,
    memory_limit: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Improves a stego image in place: no tile becomes worse, and nearly all become better.

    Args:
      cover, secret, stego: uint8[H, W, 3]. Where H or W is no multiple of `refiner.multiple`, the last rows or columns
        stay as they are.
      steps, weight: as `Refiner.refine_tile`, for each tile.
      memory_limit: as `Runtime.hide`; raises MemoryLimitError as well.
      progress: is called after each step.
    """
    steps = min(steps, refiner.max_steps)
    size = tuple(side - side % refiner.multiple for side in stego.shape[:2])
    fewest, most = refiner.tile_pixels
    free = memory.free(memory_limit, min(fewest, math.prod(size)) * refiner.bytes_per_pixel)
    most = max(fewest, min(most, free // refiner.bytes_per_pixel))
    tiles = plan(size, refiner.halo, refiner.multiple, most)
    for number, tile in enumerate(tiles):
        done = number * steps

        def report(text: str, last: int = done + steps) -> None:
            nonlocal done
            done = min(done + 1, last)
            if progress:
                progress(text, done, len(tiles) * steps)

        seen = (picture[tile.seen] for picture in (cover, secret, stego))
        stego[tile.kept] = refiner.refine_tile(*seen, inner=tile.inner, steps=steps, weight=weight, report=report)
        for picture in (cover, secret, stego):
            scratch.release(picture)


def _side(length: int, count: int, halo: int, multiple: int) -> int:
    """The side of `count` tiles that cover `length`."""
    whole = round_up(length, multiple)
    return whole if count == 1 else min(whole, round_up(-(-(whole - 2 * halo) // count), multiple) + 2 * halo)


def _fewest(length: int, side: float, halo: int, multiple: int) -> int | None:
    """How many tiles of at most `side` cover `length`; None if such tiles overlap all over."""
    whole = round_up(length, multiple)
    step = int(side) // multiple * multiple - 2 * halo
    if whole <= side:
        return 1
    return -(-(whole - 2 * halo) // step) if step > 0 else None


def round_up(length: int, multiple: int) -> int:
    """Returns the least multiple of `multiple` that is no less than `length`."""
    return length + -length % multiple
