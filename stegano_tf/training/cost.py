"""The memory and the floating-point operations of a training step, estimated before it runs.

On JAX the figures are the compiler's. TensorFlow's graph is walked in the order in which it was traced. Limits: the
scratch space of kernels is unknown, and so is which operations run at the same time.
"""

import keras
import numpy as np

from stegano_tf import presets
from stegano_tf.training.model import SteganoModel

# The outputs of these operations take no memory: they share that of another tensor or of a variable.
_VIEWS = {"Identity", "Placeholder", "ReadVariableOp", "Reshape", "Squeeze", "ExpandDims", "StopGradient", "IdentityN"}


def report(preset: presets.Preset, model: SteganoModel, *, pairs: int, side: int) -> str:
    """Returns lines to print: what a model, all its variables made, and a step of `pairs` pairs of `side`² take."""
    weights, state = _bytes(model.variables), _bytes(model.optimizer.variables)
    trainable = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    peak, operations = step(model, pairs=pairs, side=side)
    lines = [
        f"preset {preset.name}: {preset.description}",
        f"parameters: {preset.parameters:,}, {trainable:,} of them trained",
        *(f"  {p.name}: {p.count_params():,} parameters, {len(p.layers)} layers" for p in (model.hide, model.reveal)),
        f"a step on each device: {pairs} pairs of {side}x{side}, about {operations / 1e9:,.1f} GFLOP",
        f"memory on each device: about {(weights + state + peak) / 1e6:,.0f} MB: {weights / 1e6:,.0f} MB weights, "
        f"{state / 1e6:,.0f} MB optimizer, {peak / 1e6:,.0f} MB activations and gradients",
        f"memory on the host: {(weights + state) / 1e6:,.0f} MB more, for the last good weights; as much a checkpoint",
    ]
    return "\n".join(lines)


def step(model: SteganoModel, *, pairs: int, side: int) -> tuple[int, int]:
    """Returns (bytes, operations) of a training step: the most that its tensors take at one time, and its FLOP."""
    shape = (pairs, side, side, 3)
    if keras.backend.backend() == "jax":
        import jax  # noqa: PLC0415

        picture = jax.ShapeDtypeStruct(shape, np.uint8)
        state = tuple([variable.value for variable in group] for group in model.state)
        compiled = jax.jit(model.train_step, donate_argnums=0).lower(state, ((picture, picture),)).compile()
        return compiled.memory_analysis().temp_size_in_bytes, int(compiled.cost_analysis()["flops"])
    import tensorflow as tf  # noqa: PLC0415

    picture = tf.TensorSpec(shape, tf.uint8)
    strategy = model.distribute_strategy

    def run(batch):
        strategy.run(model.train_step, args=((batch,),))

    graph = tf.function(run).get_concrete_function((picture, picture)).graph
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation()).with_empty_output().build()
    operations = profiler.profile(graph, options=options).total_float_ops // strategy.num_replicas_in_sync
    return _peak(graph.get_operations()) // strategy.num_replicas_in_sync, operations


def _peak(operations) -> int:
    """Bytes of the tensors that are alive at one time, at most, when operations run in this order."""
    owner, last_use = {}, {}  # by id of a tensor: the tensor whose memory it shares; the last operation that reads it
    for i, operation in enumerate(operations):
        for tensor in operation.inputs:
            last_use[owner.get(id(tensor), id(tensor))] = i
        if operation.type in _VIEWS and operation.inputs:
            for tensor in operation.outputs:
                owner[id(tensor)] = owner.get(id(operation.inputs[0]), id(operation.inputs[0]))
    change = [0] * (len(operations) + 1)
    for i, operation in enumerate(operations):
        if operation.type in _VIEWS or operation.type == "Const":
            continue
        for tensor in operation.outputs:
            if tensor.shape.is_fully_defined() and tensor.dtype.size:
                size = tensor.shape.num_elements() * tensor.dtype.size
                change[i] += size
                change[last_use.get(id(tensor), i) + 1] -= size
    return int(np.max(np.cumsum(change)))


def _bytes(variables: list[keras.Variable]) -> int:
    return sum(int(np.prod(variable.shape)) * np.dtype(variable.dtype).itemsize for variable in variables)
