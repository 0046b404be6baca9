"""Refinement of pictures of any size: tiles, memory and progress around a family's `Refiner`."""

import math

import numpy as np

from stegano_tf import scratch
from stegano_tf.networks.family import Refiner
from stegano_tf.runtime import memory, tiles


def refine(
    refiner: Refiner,
    cover: np.ndarray,
    secret: np.ndarray,
    stego: np.ndarray,
    *,
    steps: int,
    weight: float,
    memory_limit: int | None = None,
    progress: tiles.Progress | None = None,
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
    plan = tiles.plan(size, refiner.halo, refiner.multiple, most)
    for number, tile in enumerate(plan):
        done = number * steps

        def report(text: str, last: int = done + steps) -> None:
            nonlocal done
            done = min(done + 1, last)
            if progress:
                progress(text, done, len(plan) * steps)

        seen = (picture[tile.seen] for picture in (cover, secret, stego))
        stego[tile.kept] = refiner.refine_tile(*seen, inner=tile.inner, steps=steps, weight=weight, report=report)
        for picture in (cover, secret, stego):
            scratch.release(picture)
