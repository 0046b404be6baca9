"""Adam that clips gradients to what they usually are, and may train one network at a rate of its own.

Deep stacks diverge at learning rates that pay off otherwise: one unlucky batch gives a gradient many times the usual
one, and training never recovers. What is usual changes by orders of magnitude during a run. So a fixed clipping norm
(`global_clipnorm`) either does nothing early or stops everything late.
"""

from collections.abc import Sequence

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="stegano_tf")
class ClippedAdam(keras.optimizers.Adam):
    """Adam behind clipping of the global gradient norm to `clip` times its running geometric mean.

    With g the global norm and m the running mean of log g (momentum 0.98, of the clipped norm, started at the first
    step), the gradient is scaled by min(1, clip * exp(m) / g). A gradient that is not finite is replaced by zero.

    Under `tf.distribute` the norm is that of the sum over replicas, so that several devices clip as one would. (The
    `global_clipnorm` of Keras clips each replica's own gradient before they are added.) For that, the gradients are
    summed here and once more by Keras: networks that need clipping are small.

    Args:
      clip: None clips nothing.
      reveal_variables: those that are trained at `reveal_rate` instead of `learning_rate`. Both rates start at
        `learning_rate`.
    """

    _MOMENTUM = 0.98

    def __init__(self, learning_rate=1e-3, *, clip: float | None = 1.5, reveal_variables: Sequence = (), **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.clip = clip
        self._revealing = {id(variable) for variable in reveal_variables}
        if self._revealing:
            self.reveal_rate = self._variable("reveal_rate", float(learning_rate))

    def build(self, variables):
        if not self.built and self.clip is not None:
            self.log_norm = self._variable("log_norm")
        self._reveal_places = {i for i, variable in enumerate(variables) if id(variable) in self._revealing}
        super().build(variables)

    def _variable(self, name: str, value: float = 0.0) -> keras.Variable:
        # The replicas compute the same value, and any of them may write it.
        start = keras.initializers.Constant(value)
        return self.add_variable((), start, dtype="float32", aggregation="only_first_replica", name=name)

    def update_step(self, gradient, variable, learning_rate):
        # Keras' own documentation of `Optimizer` finds a variable's place in this way.
        own = self._get_variable_index(variable) in self._reveal_places
        super().update_step(gradient, variable, self.reveal_rate if own else learning_rate)

    def apply(self, grads, trainable_variables=None):
        if not self.built:
            self.build(trainable_variables)
        super().apply(grads if self.clip is None else self._clipped(grads), trainable_variables)

    def _clipped(self, grads: Sequence) -> list:
        grads = [ops.convert_to_tensor(grad) for grad in grads]
        replicas = 1
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf  # noqa: PLC0415

            context = tf.distribute.get_replica_context()
            replicas = context.num_replicas_in_sync if context else 1
            if replicas > 1:
                grads = context.all_reduce(tf.distribute.ReduceOp.SUM, grads)
        norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(grad, "float32"))) for grad in grads))
        finite = ops.isfinite(norm)
        log = ops.log(ops.where(finite, norm, 1.0) + 1e-30)
        mean = ops.where(self.iterations == 0, log, self.log_norm.value)
        clipped = ops.minimum(log, mean + ops.log(self.clip))
        self.log_norm.assign(ops.where(finite, self._MOMENTUM * mean + (1 - self._MOMENTUM) * clipped, mean))
        # Keras adds up what all replicas return here.
        scale = ops.exp(clipped - log) / replicas
        return [ops.where(finite, grad * ops.cast(scale, grad.dtype), ops.zeros_like(grad)) for grad in grads]

    def get_config(self):
        return super().get_config() | {"clip": self.clip}
