"""The model that is trained: both networks under the combined loss."""

import keras
from keras import metrics, ops

from stegano_tf.networks.build import Networks


class SteganoModel(keras.Model):
    """Hide, round to 8 bits, reveal; trained on `h_loss + beta * r_loss`, both mean squared errors of [0, 1] pictures.

    The loss is that of A. Chennupati et al. (ICCCNT 2024), taken on the rounded stego image: the hide network ends in
    `Round8Bit`. One pair in ten, such as any secret under a black cover, costs ten times the usual and more. The mean
    of the loss's logarithm over pairs, which takes that weight off them, was tried for `invertible`: the hard pairs
    came apart and dragged the others along.

    Input are (cover, secret) as uint8[B, H, W, 3] each; output are stego and revealed secret as float32.

    Metrics: `h_loss`, `r_loss`, and `cover_psnr`, `secret_psnr` in dB, means over pictures of 8-bit RGB PSNR;
    `step_loss`, the geometric mean of the combined loss over the pairs of the latest step alone.
    """

    def __init__(self, networks: Networks, beta: float = 0.75):
        super().__init__(name="stegano")
        self.hide, self.reveal = networks
        self.beta = beta
        self.h_loss = metrics.Mean("h_loss")
        self.r_loss = metrics.Mean("r_loss")
        self.cover_psnr = metrics.Mean("cover_psnr")
        self.secret_psnr = metrics.Mean("secret_psnr")
        self.step_loss = _Latest("step_loss")

    @property
    def networks(self) -> Networks:
        return Networks(self.hide, self.reveal)

    def call(self, inputs, training=None):
        cover, secret = map(to_unit, inputs)
        stego = self.hide([cover, secret], training=training)
        return stego, self.reveal(stego, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        cover, secret = map(to_unit, x)
        stego, revealed = y_pred
        h_loss, r_loss = _squared_error(stego, cover), _squared_error(revealed, secret)
        combined = h_loss + self.beta * r_loss
        self.h_loss.update_state(h_loss)
        self.r_loss.update_state(r_loss)
        self.cover_psnr.update_state(psnr(stego, cover))
        self.secret_psnr.update_state(psnr(revealed, secret))
        self.step_loss.update_state(ops.exp(ops.mean(ops.log(combined + 1e-10))))
        return ops.mean(combined)


class _Latest(metrics.Metric):
    """The last value it was given: Keras' own loss is a mean over the epoch, in which a jump is hard to see."""

    def __init__(self, name):
        super().__init__(name=name)
        self.latest = self.add_variable((), "zeros", name="latest")

    def update_state(self, value, sample_weight=None):
        self.latest.assign(value)

    def result(self):
        return ops.convert_to_tensor(self.latest)


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
