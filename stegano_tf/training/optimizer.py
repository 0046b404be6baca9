"""Adam that clips gradients to what they usually are, and may train one network at a rate of its own.

Deep stacks diverge at learning rates that pay off otherwise: one unlucky batch gives a gradient many times
the usual, and the next steps never come back. What "usual" is changes by orders of magnitude during a run, so that a
fixed clipping norm (`global_clipnorm`) either does nothing early or stops everything late.
"""

from collections.abc import Sequence

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="stegano_tf")
class ClippedAdam(keras.optimizers.Adam):
    """Adam behind clipping of the global gradient norm to `clip` times its running geometric mean.

    With g the global norm and m the running mean of log g (momentum 0.98, of the clipped norm, started at the first
    step), the gradient is scaled by min(1, clip * exp(m) / g). A gradient that is not finite is replaced by zero.

    Under `tf.distribute` the gradient is the sum over replicas, so that they clip alike, and as one device would. (The
    `global_clipnorm` of Keras clips each replica's own before they are added.)

    Args:
      clip: None clips nothing.
      reveal_variables: those that are trained at `reveal_rate` instead of `learning_rate`: the publication lowers the
        rates of its two networks independently. Both start at `learning_rate`.
    """

    _MOMENTUM = 0.98

    def __init__(self, learning_rate=1e-3, *, clip: float | None = 1.5, reveal_variables: Sequence = (), **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.clip = clip
        self._reveal_keys = {self._var_key(variable) for variable in reveal_variables}
        if self._reveal_keys:
            self.reveal_rate = self._variable("reveal_rate", float(learning_rate))

    def build(self, variables):
        if not self.built and self.clip is not None:
            self.log_norm = self._variable("log_norm")
        super().build(variables)

    def _variable(self, name: str, value: float = 0.0) -> keras.Variable:
        # The replicas compute the same value, and any of them may write it.
        return self.add_variable(
            (),
            keras.initializers.Constant(value),
            dtype="float32",
            aggregation="only_first_replica",
            name=name,
        )

    def update_step(self, gradient, variable, learning_rate):
        rate = self.reveal_rate if self._var_key(variable) in self._reveal_keys else learning_rate
        super().update_step(gradient, variable, rate)

    def apply(self, grads, trainable_variables=None):
        if not self.built:
            self.build(trainable_variables)
        if not hasattr(super(), "_all_reduce_sum_gradients"):  # one device: nothing to add up
            grads = self._clipped(grads)
        super().apply(grads, trainable_variables)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        # Called by TensorFlow's optimizers alone, between the gradients of replicas and the updates of variables.
        grads, variables = zip(*super()._all_reduce_sum_gradients(grads_and_vars), strict=True)
        return list(zip(self._clipped(grads), variables, strict=True))

    def _clipped(self, grads: Sequence) -> list:
        if self.clip is None:
            return list(grads)
        grads = [ops.convert_to_tensor(grad) for grad in grads]
        norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(grad, "float32"))) for grad in grads))
        finite = ops.isfinite(norm)
        log = ops.log(ops.where(finite, norm, 1.0) + 1e-30)
        mean = ops.where(self.iterations == 0, log, self.log_norm.value)
        clipped = ops.minimum(log, mean + ops.log(self.clip))
        self.log_norm.assign(ops.where(finite, self._MOMENTUM * mean + (1 - self._MOMENTUM) * clipped, mean))
        scale = ops.exp(clipped - log)
        return [ops.where(finite, grad * ops.cast(scale, grad.dtype), ops.zeros_like(grad)) for grad in grads]

    def get_config(self):
        return super().get_config() | {"clip": self.clip}
