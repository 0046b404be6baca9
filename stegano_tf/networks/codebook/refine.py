"""Refinement by trial, block by block, with the errors of both pictures in view.

Hiding takes the class of a block that codes the secret best. Here each block tries further classes, and keeps the one
with the least |x - cover|² + weight |reveal(x) - secret|². Classes differ in both terms.
"""

import keras
import numpy as np
from keras import ops

from stegano_tf.networks.codebook import BLOCK
from stegano_tf.networks.family import Networks

_VALUES = 3 * BLOCK**2  # of a block


class TrialRefiner:
    """Refines stego images of a codebook on any back end of Keras; a `networks.family.Refiner`."""

    halo = 0
    multiple = BLOCK
    tile_pixels = 2**16, 2**18
    bytes_per_pixel = 1500  # measured

    def __init__(self, networks: Networks):
        self._codebook = networks.pair.get_layer("codebook")
        self.max_steps = self._codebook.classes
        self._analysis = networks.pair.get_layer("analysis")
        inputs = [*(keras.Input((_VALUES,)) for _ in range(2)), keras.Input((), dtype="int32")]
        # As a model, because that is what every back end compiles; operators one by one take several times longer.
        self._trial = keras.Model(inputs, _Trial(self._codebook)(inputs))

    def refine_tile(self, cover, secret, stego, *, inner, steps, weight, report):
        """As `networks.family.Refiner`; a step tries one more class on each block."""
        codebook = self._codebook
        y = self._analysis(secret[None].astype(np.float32) / 255.0 - 0.5)
        cover, best = (ops.space_to_depth(picture[None].astype(np.float32), BLOCK) for picture in (cover, stego))
        shape = best.shape
        y, cover, best = (np.asarray(blocks).reshape(-1, _VALUES) for blocks in (y, cover, best))
        _, likeliest = map(np.asarray, ops.top_k(-codebook.estimate(y, cover_weight=1.0 / weight), steps))

        level, chosen = codebook.extract(best)
        of_cover, of_secret = _errors(codebook, y, cover, best, level, chosen)
        least = np.asarray(of_cover + weight * of_secret)
        for step in range(steps):
            samples, of_cover, of_secret = self._trial.predict_on_batch([y, cover, likeliest[:, step]])
            found = of_cover + weight * of_secret
            best, least = np.where(found < least, samples, best), np.minimum(found, least)
            report("refining")
        return np.asarray(ops.depth_to_space(best.reshape(shape), BLOCK))[0][inner].astype(np.uint8)


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
    """Squared errors of the cover and of the secret in each block, of [0, 1] values: float32[N, 1] each."""
    differences = (samples - cover) / 255.0, codebook.decode(level, chosen) - y
    return tuple(ops.sum(ops.square(difference), axis=-1, keepdims=True) for difference in differences)
