"""The model that is trained: both networks under the combined loss."""

from collections.abc import Iterable

import keras
from keras import Layer, metrics, ops

from stegano_tf.networks.family import Networks


class SteganoModel(keras.Model):
    """Hides and reveals; trained on `h_loss + beta * r_loss`, both mean squared errors of pictures in [0, 1].

    The loss is that of A. Chennupati et al. (ICCCNT 2024), but taken on the stego image in 8 bits, as every hide
    network gives it. With a `power` below 1 the mean over pairs is that of the pairs' losses to this power. Then pairs
    with small losses count for more, as they do in a mean of PSNR.

    The secret is revealed from what the layers of `channel` make of the stego image, one after the other.

    Input are (cover, secret) as uint8[B, H, W, 3] each. Output are the stego image and the revealed secret as float32.

    Under `tf.distribute` a replica's loss is its share of the global batch's, since gradients of replicas are summed.

    Metrics: `h_loss`, `r_loss`, and `cover_psnr`, `secret_psnr` in dB: means over pictures, of 8-bit RGB PSNR, weighted
    by `sample_weight` (0 for pictures that only fill up a batch). `loss` is made of the first two. `step_loss` is the
    geometric mean of the combined loss over the pairs of the latest step alone.
    """

    def __init__(self, networks: Networks, beta: float = 0.75, power: float = 1.0, channel: Iterable[Layer] = ()):
        super().__init__(name="stegano")
        self.hide, self.reveal, self.pair = networks
        self.beta = beta
        self.power = power
        self.channel = list(channel)
        self.h_loss = metrics.Mean("h_loss")
        self.r_loss = metrics.Mean("r_loss")
        self.cover_psnr = metrics.Mean("cover_psnr")
        self.secret_psnr = metrics.Mean("secret_psnr")
        self.step_loss = _LatestGeometricMean("step_loss")

    @property
    def networks(self) -> Networks:
        return Networks(self.hide, self.reveal, self.pair)

    @property
    def state(self) -> tuple[list[keras.Variable], ...]:
        """All variables, in the groups and the order in which Keras' `train_step` takes and returns them on JAX."""
        weights = self.trainable_variables, self.non_trainable_variables
        return *weights, self.optimizer.variables, self.metrics_variables

    def call(self, inputs, training=None):
        pair = list(map(to_unit, inputs))
        if not self.channel:
            return tuple(self.pair(pair, training=training))
        received = stego = self.hide(pair, training=training)
        for step in self.channel:
            received = step(received)
        return stego, self.reveal(received, training=training)

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
        # Only TensorFlow's models have a strategy.
        strategy = getattr(self, "distribute_strategy", None)
        powered = combined if self.power == 1 else ops.power(combined + 1e-10, self.power)
        return ops.mean(powered) / (strategy.num_replicas_in_sync if strategy else 1)

    def get_metrics_result(self):
        logs = super().get_metrics_result()
        # Keras' own loss weighs batches by their length and ignores the weights of their samples.
        return logs | {"loss": logs["h_loss"] + self.beta * logs["r_loss"]}


class _LatestGeometricMean(metrics.Metric):
    """The geometric mean of the latest values alone: Keras' own loss is a mean over the epoch, which hides jumps."""

    def __init__(self, name):
        super().__init__(name=name)
        self.log = self.add_variable((), "zeros", aggregation="mean", name="log")

    def update_state(self, values, sample_weight=None):
        self.log.assign(ops.mean(ops.log(values + 1e-10)))

    def result(self):
        return ops.exp(self.log)


def assign(variables: list[keras.Variable], values: Iterable) -> None:
    """Assigns to each variable its value."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def to_unit(picture):
    """uint8 0 to 255 -> float32 0 to 1."""
    return ops.cast(picture, "float32") / 255.0


def psnr(picture, reference):
    """float32[B, H, W, 3] in [0, 1], clipped and rounded to 8 bits first -> PSNR: float32[B] dB."""
    stored = ops.round(ops.clip(picture, 0.0, 1.0) * 255.0) / 255.0
    # Equal pictures get 100 dB: infinity would make every mean infinite.
    return -10.0 * ops.log10(ops.maximum(_squared_error(stored, reference), 1e-10))


def _squared_error(a, b):
    return ops.mean(ops.square(a - b), axis=(1, 2, 3))
