"""Refinement of stego images whose blocks stand alone: by trial, with the errors of both pictures in view.

Hiding takes the class of a block that codes the secret best, whatever that does to the cover. Here each block tries
further classes, and the one with the least |x - cover|² + weight |reveal(x) - secret|² is kept. Classes differ in both
terms: where a lattice point happens to lie close to the cover, and in the scale of the lattice itself.
"""

import numpy as np
from keras import ops

from stegano_tf import presets, scratch
from stegano_tf.networks.build import Networks
from stegano_tf.runtime import memory, tiles

BLOCK = presets.Invertible.BLOCK

_TILE = 2**18  # pixels of a tile at most: larger ones are no faster
_SMALLEST = 2**14  # where memory is short
_BYTES_PER_PIXEL = 1500  # of a tile: measured


class BlockRefiner:
    """Refines stego images of `networks.invertible`, on any back end of Keras."""

    def __init__(self, networks: Networks):
        self._codebook = networks.pair.get_layer("codebook")
        self._analysis = networks.pair.get_layer("analysis")

    def refine(
        self,
        cover: np.ndarray,
        secret: np.ndarray,
        stego: np.ndarray,
        *,
        steps: int,
        weight: float,
        memory_limit: int | None = None,
        progress: tiles.Progress | None = None,
    ) -> np.ndarray:
        """Returns a stego image that is no worse in any block.

        Args:
          cover, secret, stego: uint8[H, W, 3], sides multiples of `BLOCK`.
          steps: how many classes to try on each block.
          weight, memory_limit, progress: as `refine.Refiner.refine`.

        Raises:
          MemoryLimitError: as `Runtime.hide`.
        """
        steps = min(steps, self._codebook.classes)
        free = memory.free(memory_limit, min(_SMALLEST, stego.size // 3) * _BYTES_PER_PIXEL)
        plan = tiles.plan(stego.shape[:2], 0, BLOCK, max(_SMALLEST, min(_TILE, free // _BYTES_PER_PIXEL)))
        done = 0

        def report():
            nonlocal done
            done += 1
            if progress:
                progress("refining", done, steps * len(plan))

        def refine_tile(*pictures):
            return self._refine_tile(*pictures, steps, weight, report)

        result = scratch.copy(stego)
        tiles.run(refine_tile, (cover, secret, stego), result, plan)
        return result

    def _refine_tile(self, cover, secret, stego, steps, weight, report):  # noqa: PLR0917  (one caller)
        codebook = self._codebook
        y = self._analysis(secret.astype(np.float32) / 255.0 - 0.5)
        cover, best = (ops.space_to_depth(picture.astype(np.float32), BLOCK) for picture in (cover, stego))

        def cost(samples, level, chosen):
            of_cover = ops.sum(ops.square((samples - cover) / 255.0), axis=-1, keepdims=True)
            of_secret = ops.sum(ops.square(codebook.decode(level, chosen) - y), axis=-1, keepdims=True)
            return of_cover + weight * of_secret

        least = cost(best, *codebook.extract(best))
        _, likeliest = ops.top_k(-codebook.estimate(y, cover_weight=1.0 / weight), steps)
        for step in range(steps):
            chosen = likeliest[..., step]
            level = codebook.quantise(y, chosen)
            samples = codebook.embed(cover, level, chosen)
            found = cost(samples, level, chosen)
            best, least = ops.where(found < least, samples, best), ops.minimum(found, least)
            report()
        return np.asarray(ops.depth_to_space(best, BLOCK)).astype(np.uint8)
