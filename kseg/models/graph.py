"""The calls inside of a model, those of models inside of it included."""

import difflib
import inspect
from typing import NamedTuple

import keras


class Step(NamedTuple):
    """One call of a layer or an operation."""

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
            if isinstance(layer, keras.Model) and has_graph(layer):
                mode = kwargs.get("training", training)
                outputs = self._run(layer, args[0], f"{path}/", mode)
            else:
                layer = self._with_own_name(layer, prefix)
                outputs = layer(*args, **kwargs)
                for x in keras.tree.flatten(outputs):
                    self.producers[id(x)] = len(self.steps)
                self.steps.append(
                    Step(layer, args, kwargs, keras.tree.flatten(outputs))
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


def has_graph(model):
    """Whether a model knows the calls of its layers."""
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
