"""Adam that clips gradients to what they usually are.

Deep invertible stacks diverge at learning rates that pay off otherwise: one unlucky batch gives a gradient many times
the usual, and the next steps never come back. What "usual" is changes by orders of magnitude during a run, so that a
fixed clipping norm (`global_clipnorm`) either does nothing early or stops everything late.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="stegano_tf")
class ClippedAdam(keras.optimizers.Adam):
    """Adam behind clipping of the global gradient norm to `clip` times its running geometric mean.

    With g the global norm and m the running mean of log g (momentum 0.98, of the clipped norm, started at the first
    step), the gradient is scaled by min(1, clip * exp(m) / g). A gradient that is not finite is replaced by zero.
    """

    _MOMENTUM = 0.98

    def __init__(self, learning_rate=1e-3, *, clip: float = 1.5, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.clip = clip

    def build(self, variables):
        if not self.built:
            self.log_norm = self.add_variable((), dtype="float32", name="log_norm")
        super().build(variables)

    def apply(self, grads, trainable_variables=None):
        if not self.built:
            self.build(trainable_variables)
        grads = [ops.convert_to_tensor(grad) for grad in grads]
        norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(grad, "float32"))) for grad in grads))
        finite = ops.isfinite(norm)
        log = ops.log(ops.where(finite, norm, 1.0) + 1e-30)
        mean = ops.where(self.iterations == 0, log, self.log_norm.value)
        clipped = ops.minimum(log, mean + ops.log(self.clip))
        self.log_norm.assign(ops.where(finite, self._MOMENTUM * mean + (1 - self._MOMENTUM) * clipped, mean))
        scale = ops.exp(clipped - log)
        grads = [ops.where(finite, grad * ops.cast(scale, grad.dtype), ops.zeros_like(grad)) for grad in grads]
        super().apply(grads, trainable_variables)

    def get_config(self):
        return super().get_config() | {"clip": self.clip}
