"""What the parts of a network cost."""

import math

import keras

from kseg.models.graph import Graph


def multiply_adds(model, shapes):
    """Counts the multiplications of the convolutions and dense layers of a model.

    Every weight that is no vector counts once per position of its layer's output (of its
    input, for transposed convolutions). Attention, resizing and what else has no weights
    counts nothing.

    Args:
        model: Functional model with a dict of inputs.
        shapes: Dict of their shapes, all of them known, the batch included.

    Returns:
        An integer, for the whole batch.
    """
    inputs = {
        name: keras.Input(batch_shape=shapes[name], dtype=tensor.dtype, name=name)
        for name, tensor in model.input.items()
    }
    graph = Graph(keras.Model(inputs, model(inputs)))
    return sum(cost_of_step(step) for step in graph.steps)


def cost_of_step(step):
    """Counts the multiplications of one call of a layer, in a graph of `split`."""
    layer = step.operation
    kernels = [w for w in getattr(layer, "weights", ()) if len(w.shape) > 1]
    if not kernels:
        return 0
    tensors = step.outputs
    if "Transpose" in type(layer).__name__:
        tensors = [x for x in keras.tree.flatten(step.args) if hasattr(x, "shape")]
    positions = math.prod(size or 1 for size in tensors[0].shape[:-1])
    return positions * sum(math.prod(kernel.shape) for kernel in kernels)
