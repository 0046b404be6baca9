"""Makes a codebook's classes and deals out their bits, before training: gradients cannot find these."""

from collections.abc import Iterable

import numpy as np
import scipy.sparse
from absl import logging
from keras import ops
from scipy.cluster.vq import kmeans2, vq

from stegano_tf.networks.codebook import BLOCK, allocation
from stegano_tf.networks.codebook.layer import Codebook
from stegano_tf.networks.layers import dct_kernel

PICTURES = 2000
"""More pictures than this need not be sampled."""

_BLOCKS_PER_CLASS = 800
_ROUNDS = 8
_HARDEST = 0.04  # share of the blocks that deep classes are made for
_CHUNK = 4096

# A class's variances are means over its blocks and so many more, whose variances are this part of the overall ones.
_PRIOR_BLOCKS, _PRIOR = 10, 1e-5


def sample(pictures: Iterable[np.ndarray], count: int, classes: int, seed: int = 0) -> np.ndarray:
    """Returns coefficients of blocks of pictures, as many as `fit` wants for so many classes: float32[N, 192].

    Half of the blocks lie on the grid that starts at the picture's corner, as that of a JPEG file does: they bear its
    traces. The others lie across it. `pictures` are `count` of uint8[H, W, 3], sides at least 16.
    """
    wanted = max(1, _BLOCKS_PER_CLASS * classes // (2 * count))
    random = np.random.default_rng(seed)
    found = []
    for picture in pictures:
        for start in ((0, 0), random.integers(1, BLOCK, 2)):
            rows, columns = ((length - first) // BLOCK for length, first in zip(picture.shape[:2], start, strict=True))
            (top, left), area = start, (rows * BLOCK, columns * BLOCK)
            blocks = picture[top : top + area[0], left : left + area[1]].reshape(rows, BLOCK, columns, BLOCK, 3)
            blocks = blocks.swapaxes(1, 2).reshape(rows * columns, -1)
            found.append(blocks[random.permutation(len(blocks))[:wanted]])
    values = np.concatenate(found).astype(np.float32) / 255.0 - 0.5
    return values @ dct_kernel(BLOCK).reshape(values.shape[1], -1)


def fit(codebook: Codebook, y: np.ndarray, seed: int = 0) -> None:
    """Makes the classes of a codebook: generalised Lloyd iterations (Linde, Buzo and Gray, 1980).

    Blocks of like spectra are put together, and each class gets the bits and quantisers that suit its variances. Then,
    in turns, each block goes to the class that suits it best, and each class is made anew from its blocks. Deep classes
    are made in the same way, of the blocks that have the largest errors without them. `y` are coefficients of blocks,
    float32[N, C]: a few hundred for each class.
    """
    logging.info("making %d classes of blocks from %d blocks", codebook.classes, len(y))
    normal = codebook.classes - codebook.deep_classes
    errors = _fit(codebook, y, slice(0, normal), seed)
    hardest = np.argsort(errors)[int((1.0 - _HARDEST) * len(y)) :]
    if codebook.deep_classes:
        _fit(codebook, y[hardest], slice(normal, codebook.classes), seed)


def _fit(codebook: Codebook, y: np.ndarray, rows: slice, seed: int) -> np.ndarray:
    """Makes the classes in `rows`; returns each block's error, float[N]."""
    budgets = codebook.level_bits()[rows]
    energies = np.square(y)
    overall = np.mean(energies, axis=0)
    spectra = _spectra(y)
    some = spectra[:: max(1, len(y) // (100 * len(budgets)))]
    centres, _ = kmeans2(some, min(len(budgets), len(some)), minit="++", seed=seed)
    chosen, _ = vq(spectra, centres)
    errors = np.ones(len(y))
    for _ in range(_ROUNDS):
        counts = np.bincount(chosen, minlength=len(budgets))
        sums = scipy.sparse.csr_array((np.ones(len(y)), (chosen, np.arange(len(y)))), (len(budgets), len(y))) @ energies
        variances = (sums + _PRIOR_BLOCKS * _PRIOR * overall) / (counts + _PRIOR_BLOCKS)[:, None]
        # A class that has next to no blocks takes some of the blocks of the class that has the largest error in sum.
        burdens = np.bincount(chosen, errors, minlength=len(budgets))
        for idle in np.flatnonzero(counts < _PRIOR_BLOCKS):
            busiest = np.argmax(burdens)
            variances[idle] = variances[busiest] * np.geomspace(0.5, 2.0, y.shape[1])
            burdens[busiest] /= 2.0
        weights = codebook.bits, codebook.log_scale, codebook.log_steepness
        for weight, table in zip(weights, allocation.tables(variances, budgets), strict=True):
            values = np.array(weight)
            values[rows] = table
            weight.assign(values)
        chosen, errors = _assign(codebook, y, rows)
    return errors


def _assign(codebook: Codebook, y: np.ndarray, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """The class of each block, counted from `rows.start`, by estimate; and its error."""
    chosen, errors = [], []
    for start in range(0, len(y), _CHUNK):
        costs = codebook.estimate(ops.convert_to_tensor(y[start : start + _CHUNK]))[..., rows]
        chosen.append(np.asarray(ops.argmin(costs, axis=-1)))
        errors.append(np.asarray(ops.min(costs, axis=-1)))
    return np.concatenate(chosen), np.concatenate(errors)


def _spectra(y: np.ndarray) -> np.ndarray:
    """Log energies of each colour's mean, and of its low and high frequencies across and along: float[N, 15]."""
    u, v = np.mgrid[:8, :8]
    low = u + v < 3
    bands = [u + v == 0, low & (u > v), low & (u <= v) & (v > 0), ~low & (u > v), ~low & (u <= v)]
    energies = np.square(y).reshape(len(y), -1, 64)
    return np.log(np.concatenate([energies[..., band.ravel()].sum(-1) for band in bands], axis=1) + 1e-4)
