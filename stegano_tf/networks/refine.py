"""Refinement by gradients: a stego image is improved through the reveal network, whose weights stay as they are.

What is minimised, over 8-bit pictures x, is |x - cover|² + weight |reveal(x) - secret|². Conjugate gradients solve this
but for the rounding. Plain rounding would cost more than they have won, because the reveal network amplifies errors of
some directions by a factor of 20. So pixels are rounded to the side where it hurts least, as lattices are decoded:

* One gradient of a random projection (Hutchinson's estimator) gives the mean Gauss-Newton matrix of blocks of 4x4
  pixels. It preconditions the conjugate gradients. By its Cholesky factor the pixels of a block are rounded one after
  the other, each making up for those before (Babai's nearest plane, 1986; https://doi.org/10.1007/BF02579403).
* Blocks are rounded in four turns, every other one each way. After each turn, further steps change the blocks that are
  still free, and so make up for the errors of the rounded ones.

Needs Keras on TensorFlow. The network's own halo is wider than `halo`, but what lies out there hardly matters.
"""

import dataclasses
import math
from collections.abc import Callable

import keras
import numpy as np

from stegano_tf.errors import BackendError

BLOCK = 4
"""Pixels each way that are rounded together."""

_SAMPLES = 2048  # blocks that the mean Gauss-Newton matrix is taken over, at least: it has 1176 values to be found
_TURNS = ((0, 0), (1, 1), (0, 1), (1, 0))  # of blocks, by whether their row and their column is odd
_FEWEST_FOR_TURNS = 20  # steps below which all blocks are rounded at once


class GradientRefiner:
    """Refines stego images for a frozen reveal network; a `networks.family.Refiner`."""

    halo = 64  # errors of the secret count in the inner half of it
    tile_pixels = (2 * halo + 128) ** 2, 2**19  # larger ones are slower, because they leave the cache
    bytes_per_pixel = 1000  # measured, with what the gradient needs
    max_steps = math.inf

    def __init__(self, reveal, multiple: int = 1):
        """Takes the network and what its sides are multiples of; BackendError if Keras does not run on TensorFlow."""
        self.multiple = math.lcm(BLOCK, multiple)
        if keras.config.backend() != "tensorflow":
            raise BackendError(f"refinement needs Keras on TensorFlow, found it on {keras.config.backend()}")
        import tensorflow as tf  # noqa: PLC0415

        picture = tf.TensorSpec((None, None, None, 3))

        @tf.function(input_signature=[picture, picture, picture, picture, tf.TensorSpec(())])
        def errors(x, cover, secret, judged, weight):
            with tf.GradientTape() as tape:
                tape.watch(x)
                revealed = tf.clip_by_value(reveal(x, training=False), 0.0, 1.0)
                of_cover = tf.reduce_sum(tf.square(x - cover))
                of_secret = tf.reduce_sum(judged * tf.square(revealed - secret))
                objective = (of_cover + weight * of_secret) / 2
            return of_cover, of_secret, tape.gradient(objective, x)

        @tf.function(input_signature=[picture, picture])
        def projection(x, direction):
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = tf.reduce_sum(direction * reveal(x, training=False))
            return tape.gradient(value, x)

        self._errors, self._projection = errors, projection

    def refine_tile(self, cover, secret, stego, *, inner, steps, weight, report):
        """As `networks.family.Refiner`; a step takes one gradient."""
        rows, columns = inner
        free = np.zeros((1, *stego.shape[:2], 1), np.float32)
        free[:, rows, columns] = 1
        judged = np.zeros_like(free)
        near = (slice(max(0, side.start - self.halo // 2), side.stop + self.halo // 2) for side in inner)
        judged[:, *near] = 1
        x, cover, secret = (picture[None].astype(np.float32) / 255 for picture in (stego, cover, secret))
        task = _Task(self, cover, secret, np.broadcast_to(judged, x.shape), weight, report)
        before, gradient = task.objective(x)
        refined = _search(task, x, gradient, free, steps)
        after, _ = task.objective(refined)
        kept = refined if after < before else x
        return np.rint(kept[0, rows, columns] * 255).astype(np.uint8)


@dataclasses.dataclass
class _Task:
    """What is asked of one tile: float32[1, H, W, 3] in [0, 1]; judged is 1 where errors of the secret count."""

    refiner: GradientRefiner
    cover: np.ndarray
    secret: np.ndarray
    judged: np.ndarray
    weight: float
    report: Callable[[str], None]

    def objective(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns the sum of the squared errors, the secret's times `weight`, and half its gradient."""
        *errors, gradient = self.refiner._errors(x, self.cover, self.secret, self.judged, self.weight)
        cover, secret = map(float, errors)
        psnrs = (-10 * math.log10(max(e, 1e-10) / n) for e, n in ((cover, x.size), (secret, int(self.judged.sum()))))
        self.report("refining: cover {:.1f} dB, secret {:.1f} dB".format(*psnrs))
        return cover + self.weight * secret, gradient.numpy()

    def metric(self, x: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Returns float64[48, 48]: the mean Gauss-Newton matrix of the free blocks."""
        blocks = int(free.sum()) // BLOCK**2
        count = max(1, _SAMPLES // blocks)
        noise = np.random.default_rng(0).standard_normal((count, *x.shape[1:]), np.float32) * self.judged
        gradients = free * self.refiner._projection(np.repeat(x, count, axis=0), noise).numpy()
        samples = np.concatenate([_blocks(gradient[None]) for gradient in gradients]).astype(np.float64)
        return np.eye(samples.shape[1]) + self.weight / (count * blocks) * (samples.T @ samples)


def _search(task: _Task, x: np.ndarray, gradient: np.ndarray, free: np.ndarray, steps: int) -> np.ndarray:
    """Returns `x` refined and on the grid of 8 bits, changed where `free` is 1."""
    metric = task.metric(x, free)
    turns = _TURNS if steps >= _FEWEST_FOR_TURNS else (None,)
    # The first descent starts from a known gradient, each further one takes a gradient to start from.
    left = steps - 1 - len(turns)
    later = left // (len(turns) + 1) if len(turns) > 1 else 0
    x = _descend(task, x, gradient, free, metric, max(1, left - later * (len(turns) - 1)))
    for turn in turns:
        now = free if turn is None else free * _every_other(x.shape, turn)
        x = np.where(now > 0, _round(x, metric), x)
        free = free - now
        if free.any():
            x = _descend(task, x, task.objective(x)[1], free, metric, later)
    return x


def _descend(task: _Task, x, gradient, free, metric, steps: int) -> np.ndarray:  # noqa: PLR0917  (one caller)
    """Conjugate gradients (Polak-Ribière) on the free pixels, one gradient a step; clips what it returns."""
    # The gradient is nearly linear in x: one at a trial point gives the step's length and, interpolated, its end's.
    inside = ~(((x <= 0) & (gradient > 0)) | ((x >= 1) & (gradient < 0)))
    free = free * inside
    inverse = np.linalg.inv(metric).astype(np.float32)

    def precondition(gradient):
        return free * _unblocks(_blocks(gradient) @ inverse, gradient.shape)

    gradient = free * gradient
    step = precondition(gradient)
    direction, product, length = -step, np.vdot(gradient, step), 0.02
    known = math.inf
    for _ in range(steps):
        if not product > 0:
            break
        value, trial = task.objective(x + length * direction)
        if value > known:  # out where the gradient is anything but linear
            direction, length = -step, length / 5
            continue
        known = 1.5 * value
        trial = free * trial
        change = (trial - gradient) / length
        curvature = np.vdot(direction, change)
        if curvature > 0:
            length = float(np.clip(-np.vdot(gradient, direction) / curvature, 1e-4, 3 * length))
        x = x + length * direction
        last, gradient = gradient, gradient + length * change
        step = precondition(gradient)
        before, product = product, np.vdot(gradient, step)
        direction = max(0.0, (product - np.vdot(last, step)) / before) * direction - step
    return np.clip(x, 0.0, 1.0)


def _round(x: np.ndarray, metric: np.ndarray) -> np.ndarray:
    """Returns x on the grid of 8 bits, by Babai's nearest plane in each block."""
    factor = np.linalg.cholesky(metric).T
    factor = factor / np.diagonal(factor)[:, None]
    wanted = _blocks(x).astype(np.float64) * 255
    errors = np.zeros_like(wanted)
    for i in reversed(range(wanted.shape[1])):
        value = np.rint(wanted[:, i] - errors[:, i + 1 :] @ factor[i, i + 1 :])
        errors[:, i] = np.clip(value, 0, 255) - wanted[:, i]
    return _unblocks(((wanted + errors) / 255).astype(np.float32), x.shape)


def _every_other(shape: tuple[int, ...], turn: tuple[int, int]) -> np.ndarray:
    """float32[1, H, W, 1]: 1 in the blocks of a turn."""
    rows, columns = (np.arange(side) // BLOCK % 2 == odd for side, odd in zip(shape[1:3], turn, strict=True))
    return (rows[:, None] & columns)[None, ..., None].astype(np.float32)


def _blocks(x: np.ndarray) -> np.ndarray:
    """[1, H, W, 3] -> [number of blocks, 48]."""
    return np.asarray(keras.ops.space_to_depth(x, BLOCK)).reshape(-1, 3 * BLOCK**2)


def _unblocks(blocks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The way back to `shape`."""
    _, height, width, _ = shape
    return np.asarray(keras.ops.depth_to_space(blocks.reshape(1, height // BLOCK, width // BLOCK, -1), BLOCK))
