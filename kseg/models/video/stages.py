"""Parts of a network that a stream runs apart, with named inputs and outputs."""

import keras

from kseg.models import inference
from kseg.models.split import split


def stages(model, at, names, renamed=None):
    """Cuts an image model into parts that read and write tensors by their names.

    A part reads what it uses alone, whichever part before wrote it, and writes what it
    makes itself for a later part. Tensors are named like the layer that makes them, the
    image `"image"`, and the result `"probabilities"` or `"logits"`.

    Args:
        model: Functional `keras.Model` of one image and one result.
        at: Where to cut, see `kseg.models.split`: its tensors are the first that each
            part writes.
        names: Names of the parts, one more than cuts.
        renamed: Dict from the name of a part to the name of the first tensor that it
            writes, in place of that of its layer. Defaults to `None`.

    Returns:
        A list of functional models, whose inputs and outputs are dicts.

    Raises:
        ValueError: If the model has another number of inputs or outputs than one.
    """
    check_image_model(model)
    parts = []
    given = ["image"]  # Names of the tensors that the next part of `split` takes.
    for part, name in zip(split(model, at), names, strict=True):
        named = dict(zip((id(x) for x in part.inputs), given, strict=True))
        made = {}
        for index, x in enumerate(part.outputs):
            if id(x) in named:
                continue  # It passes by.
            if name == names[-1]:
                key = result_name(model)
            elif index == 0 and renamed and name in renamed:
                key = renamed[name]
            else:
                key = _unused(x._keras_history.operation.name, [*given, *made])
            made[key] = x
            named[id(x)] = key
        used = _used_inputs(part.inputs, made.values())
        parts.append(_with_names({named[id(x)]: x for x in used}, made, name))
        given = [named[id(x)] for x in part.outputs]
    return parts


def run(part, cache):
    """Runs one part on what lies in a dict by name, and lays what it makes there.

    Args:
        part: Model whose inputs and outputs are dicts.
        cache: Dict of tensors by their names, which is updated.
    """
    cache.update(part({name: cache[name] for name in part.input}))


def result_name(model):
    """Name of the result of a model: `"probabilities"`, or `"logits"` if it is those."""
    return inference.output_kind(model) or "probabilities"


def check_image_model(model):
    """Raises an error unless a model leads from one image to one map of classes."""
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise TypeError(
            "`model` must be a functional `keras.Model`. "
            f"Received: model={model!r} (of type {type(model).__name__})"
        )
    shapes = [x.shape for x in [*model.inputs, *model.outputs]]
    if len(model.inputs) != 1 or len(shapes) != 2 or {len(s) for s in shapes} != {4}:
        raise ValueError(
            "`model` must lead from one image to one map, both of shape `(batch, height, "
            f"width, channels)`. Received: model={model.name!r} with inputs "
            f"{[x.shape for x in model.inputs]} and outputs "
            f"{[x.shape for x in model.outputs]}"
        )


def _unused(name, names):
    while name in names:
        name += "_"
    return name


def _used_inputs(inputs, outputs):
    """The inputs from which the outputs are computed."""
    ends = {id(x) for x in inputs}
    found, pending = set(), list(outputs)
    while pending:
        x = pending.pop()
        if id(x) not in found:
            found.add(id(x))
            if id(x) not in ends:
                operation, node, _ = x._keras_history
                pending += operation._inbound_nodes[node].input_tensors
    return [x for x in inputs if id(x) in found]


def _with_names(inputs, outputs, name):
    """A model of the same layers, the layers of whose inputs have the names as well."""
    model = keras.Model(list(inputs.values()), list(outputs.values()))
    renewed = {
        key: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=key)
        for key, x in inputs.items()
    }
    clone = keras.models.clone_model(
        model,
        input_tensors=list(renewed.values()),
        clone_function=lambda layer: layer,
    )
    return keras.Model(
        renewed, dict(zip(outputs, clone.outputs, strict=True)), name=name
    )
