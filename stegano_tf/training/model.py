"""The model that is trained: both networks under the combined loss."""

import keras
from keras import metrics, ops

from stegano_tf.networks.family import Networks


class SteganoModel(keras.Model):
    """Hide, round to 8 bits, reveal; trained on `h_loss + beta * r_loss`, both mean squared errors of [0, 1] pictures.

    The loss is that of A. Chennupati et al. (ICCCNT 2024), taken on the rounded stego image: the hide network ends in
    `Round8Bit`. One pair in ten, such as any secret under a black cover, costs ten times the usual and more. The mean
    of the loss's logarithm over pairs, which takes that weight off them, was tried for `codebook`: the hard pairs
    came apart and dragged the others along.

    Input are (cover, secret) as uint8[B, H, W, 3] each; output are stego and revealed secret as float32.

    Under `tf.distribute`, a replica's loss is its share of the global batch's, as gradients of replicas are added up.

    Metrics: `h_loss`, `r_loss`, and `cover_psnr`, `secret_psnr` in dB, means over pictures of 8-bit RGB PSNR, weighted
    by `sample_weight` (0 for what only fills up a batch); `loss` is made of the first two; `step_loss`, the geometric
    mean of the combined loss over the pairs of the latest step alone.
    """

    def __init__(self, networks: Networks, beta: float = 0.75):
        super().__init__(name="stegano")
        self.hide, self.reveal, self.pair = networks
        self.beta = beta
        self.h_loss = metrics.Mean("h_loss")
        self.r_loss = metrics.Mean("r_loss")
        self.cover_psnr = metrics.Mean("cover_psnr")
        self.secret_psnr = metrics.Mean("secret_psnr")
        self.step_loss = _LatestGeometricMean("step_loss")

    @property
    def networks(self) -> Networks:
        return Networks(self.hide, self.reveal, self.pair)

    def call(self, inputs, training=None):
        return tuple(self.pair(list(map(to_unit, inputs)), training=training))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        cover, secret = map(to_unit, x)
        stego, revealed = y_pred
        h_loss, r_loss = _squared_error(stego, cover), _squared_error(revealed, secret)
        combined = h_loss + self.beta * r_loss
        self.h_loss.update_state(h_loss, sample_weight)
        self.r_loss.update_state(r_loss, sample_weight)
        self.cover_psnr.update_state(psnr(stego, cover), sample_weight)
        self.secret_psnr.update_state(psnr(revealed, secret), sample_weight)
        self.step_loss.update_state(combined)
        return ops.mean(combined) / self._replicas

    def get_metrics_result(self):
        logs = super().get_metrics_result()
        # Keras' own loss counts batches by their length, whatever the weights of their samples are.
        return logs | {"loss": logs["h_loss"] + self.beta * logs["r_loss"]}

    @property
    def _replicas(self) -> int:
        # Only TensorFlow's models have a strategy.
        strategy = getattr(self, "distribute_strategy", None)
        return strategy.num_replicas_in_sync if strategy else 1


class _LatestGeometricMean(metrics.Metric):
    """That of the last values it was given: Keras' own loss is a mean over the epoch, which hides jumps."""

    def __init__(self, name):
        super().__init__(name=name)
        self.log = self.add_variable((), "zeros", aggregation="mean", name="log")

    def update_state(self, values, sample_weight=None):
        self.log.assign(ops.mean(ops.log(values + 1e-10)))

    def result(self):
        return ops.exp(self.log)


def to_unit(picture):
    """uint8 0 to 255 -> float32 0 to 1."""
    return ops.cast(picture, "float32") / 255.0


def psnr(picture, reference):
    """Returns float32[B] dB for float32[B, H, W, 3] in [0, 1], taken as they are stored: clipped, in 8 bits."""
    stored = ops.round(ops.clip(picture, 0.0, 1.0) * 255.0) / 255.0
    # Two pictures that are equal get 100 dB instead of infinity, which no mean survives.
    return -10.0 * ops.log10(ops.maximum(_squared_error(stored, reference), 1e-10))


def _squared_error(a, b):
    return ops.mean(ops.square(a - b), axis=(1, 2, 3))
