"""Refinement of stego images whose blocks stand alone: by trial, with the errors of both pictures in view.

Hiding takes the class of a block that codes the secret best, whatever that does to the cover. Here each block tries
further classes, and the one with the least |x - cover|² + weight |reveal(x) - secret|² is kept. Classes differ in both
terms: where a lattice point happens to lie close to the cover, and in the scale of the lattice itself.
"""

import keras
import numpy as np
from keras import ops

from stegano_tf import presets, scratch
from stegano_tf.networks.build import Networks
from stegano_tf.runtime import memory, tiles

BLOCK = presets.Codebook.BLOCK

_TILE = 2**18  # pixels of a tile at most: larger ones are no faster
_SMALLEST = 2**16  # where memory is short
_BYTES_PER_PIXEL = 1500  # of a tile: measured


class BlockRefiner:
    """Refines stego images of `networks.invertible`, on any back end of Keras."""

    def __init__(self, networks: Networks):
        self._codebook = networks.pair.get_layer("codebook")
        self._analysis = networks.pair.get_layer("analysis")
        y, cover = (keras.Input((None, None, 3 * BLOCK**2)) for _ in range(2))
        inputs = [y, cover, keras.Input((None, None), dtype="int32")]
        # As a model, because that is what every back end compiles; operators one by one take several times longer.
        self._trial = keras.Model(inputs, _Trial(self._codebook)(inputs))

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
        _, likeliest = ops.top_k(-codebook.estimate(y, cover_weight=1.0 / weight), steps)
        y, cover, best, likeliest = map(np.asarray, (y, cover, best, likeliest))

        level, chosen = codebook.extract(best)
        of_cover, of_secret = _errors(codebook, y, cover, best, level, chosen)
        least = np.asarray(of_cover + weight * of_secret)
        for step in range(steps):
            samples, of_cover, of_secret = self._trial.predict_on_batch([y, cover, likeliest[..., step]])
            found = of_cover + weight * of_secret
            best, least = np.where(found < least, samples, best), np.minimum(found, least)
            report()
        return np.asarray(ops.depth_to_space(best, BLOCK)).astype(np.uint8)


class _Trial(keras.layers.Layer):
    """Hides coefficients by given classes; returns the samples, and as `_errors` what that does to both pictures."""

    def __init__(self, codebook):
        super().__init__(dtype="float32")
        self._codebook = codebook

    def call(self, inputs):
        y, cover, chosen = inputs
        level = self._codebook.quantise(y, chosen)
        samples = self._codebook.embed(cover, level, chosen)
        return samples, *_errors(self._codebook, y, cover, samples, level, chosen)


def _errors(codebook, y, cover, samples, level, chosen):  # noqa: PLR0917
    """Squared errors of the cover and of the secret in each block, of [0, 1] values: float32[B, h, w, 1] each."""
    differences = (samples - cover) / 255.0, codebook.decode(level, chosen) - y
    return tuple(ops.sum(ops.square(difference), axis=-1, keepdims=True) for difference in differences)
