"""Pictures of any size in bounded memory: a network runs on overlapping tiles, with the result of one run on the whole.

A network looks at most `halo` pixels around a pixel. So its result is the same in the middle of a tile that reaches
`halo` pixels further. All tiles of a picture have one shape, so that an engine plans its memory once.
"""

import concurrent.futures
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import psutil

from stegano_tf import scratch
from stegano_tf.errors import MemoryLimitError
from stegano_tf.networks.family import Refiner

DEFAULT_LIMIT = 9 * 10**8
"""Bytes where no limit is set: a gigabyte, less what estimates miss."""

PICTURES = 48
"""Bytes a pixel: two pictures going in and one coming out, as 8 bits and as float32."""

# What a run costs beside its pixels, in pixels. Without it, thousands of strips would be as cheap as a few squares.
_TILE_COST = 2**10

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


def free(limit: int | None, needed: float, *, held: float = 0.0) -> float:
    """Returns how many bytes may be taken from here on: at least `needed`, or MemoryLimitError.

    Args:
      limit: bytes that the process may take in all, its resident set; None for `DEFAULT_LIMIT`, or more if needed.
      held: bytes that are taken already and can be used again.
    """
    taken = psutil.Process().memory_info().rss - held
    available = psutil.virtual_memory().available + held
    if needed > available:
        raise MemoryLimitError(f"the machine has {_mb(available)} of memory free, one tile needs {_mb(needed)}")
    check_limit(limit, needed, "one tile", held=held)
    return min(max((DEFAULT_LIMIT if limit is None else limit) - taken, needed), available)


def check_limit(limit: int | None, needed: float, what: str, *, held: float = 0.0) -> None:
    """Raises MemoryLimitError if the process passes `limit`, that of `free`, once `what` takes `needed` bytes more."""
    taken = psutil.Process().memory_info().rss - held
    if limit is not None and taken + needed > limit:
        raise MemoryLimitError(
            f"a memory limit of {_mb(limit)} is too low: the pictures and the program take {_mb(taken)}, "
            f"and {what} {_mb(needed)}"
        )


def plan(size: tuple[int, int], halo: int, multiple: int, max_pixels: float) -> list[Tile] | None:
    """Returns the tiles that cover a picture at the least cost, row by row; most of the cost is overlap.

    Args:
      size: (height, width) of the picture.
      halo: how far around a pixel the network looks.
      multiple: every tile starts at a multiple of this and has such sides, but the last ones end with the picture.
      max_pixels: how many a tile may have; None is returned if even the smallest ones have more.
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
    both = spans(height, other, halo, multiple), spans(width, side, halo, multiple)
    return [Tile(*spans) for spans in itertools.product(*both)]


def spans(length: int, side: int, halo: int, multiple: int) -> list[Span]:
    """Returns how tiles of `side`, a multiple of `multiple`, cover `length`; arguments as `plan`."""
    whole = round_up(length, multiple)
    if side >= whole:
        return [Span(0, length, 0, length)]
    step = side - 2 * halo
    starts = [min(i * step, whole - side) for i in range(-(-(whole - 2 * halo) // step))]
    borders = itertools.pairwise([0, *(start + halo for start in starts[1:]), length])
    return [Span(start, min(start + side, length), *kept) for start, kept in zip(starts, borders, strict=True)]


def run(
    network: Callable[..., np.ndarray],
    pictures: Sequence[np.ndarray],
    result: np.ndarray,
    tiles: Sequence[Tile],
    progress: Callable[[int, int], None] | None = None,
    *,
    workers: int = 1,
) -> None:
    """Writes what a network makes of pictures into `result`, uint8[H, W, 3], tile by tile.

    Args:
      network: takes uint8[1, h, w, 3], one for each of `pictures`, and returns another one.
      pictures: uint8[H, W, 3] each; none of them may share memory with `result` if there are several tiles.
      progress: is told after each tile how many are done, and how many there are.
      workers: how many tiles the network takes at once.
    """

    def work(tile: Tile) -> None:
        seen = [np.ascontiguousarray(picture[tile.seen])[None] for picture in pictures]
        for picture in pictures:
            scratch.release(picture)  # before the network takes its memory
        result[tile.kept] = network(*seen)[0][tile.inner]
        scratch.release(result)

    pool = concurrent.futures.ThreadPoolExecutor(workers)
    try:
        for done, _ in enumerate(pool.map(work, tiles), start=1):
            if progress:
                progress(done, len(tiles))
    finally:
        pool.shutdown(cancel_futures=True)


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
    """Improves a stego image in place, tile by tile (`Refiner.refine_tile`); `progress` is called after each step.

    All are uint8[H, W, 3]. If H or W is no multiple of `refiner.multiple`, the last rows or columns stay as they are.
    `memory_limit` is that of `free`.
    """
    steps = min(steps, refiner.max_steps)
    size = tuple(side - side % refiner.multiple for side in stego.shape[:2])
    fewest, most = refiner.tile_pixels
    available = free(memory_limit, min(fewest, math.prod(size)) * refiner.bytes_per_pixel)
    most = max(fewest, min(most, available // refiner.bytes_per_pixel))
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


def _mb(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"


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
