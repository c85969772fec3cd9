"""A model in parts, which share its weights."""

import difflib
import inspect
from typing import NamedTuple

import keras


def split(model, at):
    """Cuts a functional model into models that give, one after the other, its outputs.

    Models inside of the model, such as its backbone, are inlined: their layers become
    layers of the parts. All layers are those of `model`, with the same weights; training
    or freezing one of the parts changes `model` too. An inlined layer that has the name
    of another one goes by `"backbone_layer"` in the parts.

    A part computes all that its cut depends on and that no part before it has computed.
    It gives the tensors of the cut, then those that bypass it on their way to a later
    part, such as skips and the image, in the order of the graph: one tensor or a list,
    which is what the next part takes.

    Args:
        model: Functional or sequential `keras.Model`.
        at: Where to cut: a list with an entry per cut, in the order of the graph. An
            entry is the name of a layer, behind which the cut is, or a tuple of names,
            for a cut through several. `"mobilenet_v2/block_6_expand"` is a layer inside
            of the backbone `"mobilenet_v2"`, whose own name cuts at all of its maps. An
            empty list inlines the model.

    Returns:
        A list of `len(at) + 1` models. The first takes what `model` takes, the last gives
        what `model` gives.

    Raises:
        ValueError: If no layer has a name, one is called several times, or a cut leaves
            nothing to a part.
        TypeError: If `model` is no functional model, or `at` no list.

    Examples:

    >>> model = kseg.models.unet((64, 96, 3), 2, backbone="mobilenet_v2")
    >>> first, second = kseg.models.split(model, at=["mobilenet_v2/block_6_expand"])
    >>> probabilities = second(first(images))
    """
    if not isinstance(model, keras.Model) or not _has_graph(model):
        raise TypeError(
            "`model` must be a functional `keras.Model`. "
            f"Received: model={model!r} (of type {type(model).__name__})"
        )
    if not isinstance(at, list | tuple):
        raise TypeError(
            "`at` must be a list with the name of a layer per cut. "
            f"Received: at={at!r} (of type {type(at).__name__})"
        )
    graph = Graph(model)
    cuts = [graph.tensors(cut) for cut in at]
    parts, given, done = [], graph.inputs, set()
    for name, cut in zip(at, cuts, strict=True):
        steps = graph.steps_to(cut) - done
        if not steps:
            raise ValueError(
                "`at` must be in the order of the graph, and each cut behind the one "
                f"before: nothing is left for the part up to {name!r}. Received: at={at}"
            )
        done |= steps
        passed = graph.passed(cut, done)
        parts.append(graph.part(given, steps, passed, len(parts) + 1))
        given = passed
    steps = set(range(len(graph.steps))) - done
    if at and not steps:
        raise ValueError(
            "`at` must leave a layer behind the last cut. "
            f"Received: at={at}, which ends at an output"
        )
    parts.append(graph.part(given, steps, graph.outputs, len(parts) + 1))
    return parts


class _Step(NamedTuple):
    operation: keras.Operation
    args: tuple
    kwargs: dict
    outputs: list


class Graph:
    """The calls of a model's layers, those of models inside of it included.

    Attributes:
        steps: List of the calls, in an order in which they can be made.
        calls: Dict of a layer's path, such as `"backbone/conv1"`: one list of tensors per
            call.
        producers: Dict of the id of a tensor: the index of its step.
        inputs: What the model takes, as new tensors.
        outputs: What it makes of them.
    """

    def __init__(self, model):
        self.name = model.name
        self.steps = []
        self.calls = {}
        self._copies = {}  # Of an operation: what stands for it, under a name of its own.
        operations = getattr(model, "operations", model.layers)  # Bare ones included.
        self._names = {operation.name for operation in operations}
        self.producers = {}
        self.inputs = keras.tree.map_structure(
            lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name),
            model.inputs[0] if isinstance(model, keras.Sequential) else model.input,
        )
        self.outputs = self._run(model, self.inputs, "")

    def tensors(self, cut):
        """The tensors behind a layer, or behind several."""
        names = cut if isinstance(cut, tuple | list) else [cut]
        found = []
        for name in names:
            if name not in self.calls:
                near = [path for path in self.calls if path.endswith(f"/{name}")]
                near += difflib.get_close_matches(str(name), self.calls, 3, 0.4)
                near = ", ".join(map(repr, dict.fromkeys(near))) or "none"
                raise ValueError(
                    "`at` must be names of layers; those with a name like it: "
                    f"{near}. Received: {name!r}"
                )
            if len(self.calls[name]) > 1:
                raise ValueError(
                    "`at` must be names of layers that are called once. Received: "
                    f"{name!r}, which is called {len(self.calls[name])} times"
                )
            found += self.calls[name][0]
        return _unique(found)

    def steps_to(self, tensors):
        """Indices of the steps that compute the tensors."""
        found, pending = set(), list(tensors)
        while pending:
            index = self.producers.get(id(pending.pop()))
            if index is not None and index not in found:
                found.add(index)
                pending += _tensors_in(self.steps[index])
        return found

    def passed(self, cut, done):
        """The tensors of a cut, then those made in `done` that are needed behind it."""
        needed = {id(x) for x in keras.tree.flatten(self.outputs)}
        for index, step in enumerate(self.steps):
            if index not in done:
                needed |= {id(x) for x in _tensors_in(step)}
        made = keras.tree.flatten(self.inputs)
        for index in sorted(done):
            made += self.steps[index].outputs
        passed = _unique([*cut, *(x for x in made if id(x) in needed)])
        return passed if len(passed) > 1 else passed[0]

    def part(self, inputs, indices, outputs, number):
        """A model of some steps, from tensors to tensors of this graph."""
        names = {self.steps[index].operation.name for index in indices}
        new = {}
        for x in keras.tree.flatten(inputs):
            name = self._name_of(x)
            while name in names:
                name += "_"
            names.add(name)
            new[id(x)] = keras.Input(batch_shape=x.shape, dtype=x.dtype, name=name)

        def renewed(structure):
            return keras.tree.map_structure(lambda x: new.get(id(x), x), structure)

        for index in sorted(indices):
            step = self.steps[index]
            results = step.operation(*renewed(step.args), **renewed(step.kwargs))
            for old, result in zip(
                step.outputs, keras.tree.flatten(results), strict=True
            ):
                new[id(old)] = result
        name = f"{self.name}_part{number}"
        return keras.Model(renewed(inputs), renewed(outputs), name=name)

    def _run(self, model, inputs, prefix, training=None):
        """Calls the layers of a model on other inputs, and takes down the calls."""

        def call(layer, *args, **kwargs):
            path = prefix + layer.name
            if training is not None and (
                "training" in inspect.signature(layer.call).parameters
            ):
                kwargs.setdefault("training", training)
            if isinstance(layer, keras.Model) and _has_graph(layer):
                mode = kwargs.get("training", training)
                outputs = self._run(layer, args[0], f"{path}/", mode)
            else:
                layer = self._with_own_name(layer, prefix)
                outputs = layer(*args, **kwargs)
                for x in keras.tree.flatten(outputs):
                    self.producers[id(x)] = len(self.steps)
                self.steps.append(
                    _Step(layer, args, kwargs, keras.tree.flatten(outputs))
                )
            self.calls.setdefault(path, []).append(keras.tree.flatten(outputs))
            return outputs

        if isinstance(model, keras.Sequential):
            x = inputs
            for layer in model.layers:
                x = call(layer, x)
            return x
        # Without what it was compiled with, which would be copied too.
        plain = keras.Model(model.input, model.output)
        return keras.models.clone_model(
            plain,
            input_tensors=inputs,
            clone_function=lambda layer: layer,
            call_function=call,
        ).output

    def _with_own_name(self, operation, prefix):
        """The operation, or if its name is taken a copy of it with the same weights."""
        if not prefix:
            return operation
        if id(operation) not in self._copies:
            name = operation.name
            if name in self._names:
                name = f"{prefix}{name}".replace("/", "_")
            while name in self._names:
                name += "_"
            self._names.add(name)
            self._copies[id(operation)] = (
                operation if name == operation.name else _renamed(operation, name)
            )
        return self._copies[id(operation)]

    def _name_of(self, x):
        index = self.producers.get(id(x))
        if index is None:
            return x.name
        return f"{self.steps[index].operation.name}_output"


def _has_graph(model):
    return model.built and getattr(model, "inputs", None) is not None


def _tensors_in(step):
    arguments = keras.tree.flatten((step.args, step.kwargs))
    return [x for x in arguments if isinstance(x, keras.KerasTensor)]


def _unique(tensors):
    return list({id(x): x for x in tensors}.values())


def _renamed(operation, name):
    """The same object under another name: state and weights are shared, calls are not."""
    copy = object.__new__(type(operation))
    vars(copy).update(vars(operation))
    vars(copy).update(name=name, _inbound_nodes=[], _outbound_nodes=[])
    return copy
