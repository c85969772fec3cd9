"""Models of clouds, steps of videos, parts: inputs and outputs, each by its name."""

import re

import keras
import numpy as np

from kseg.mobile.exporting.clouds import static_points
from kseg.mobile.exporting.conversion import check_layer_names, class_ids
from kseg.mobile.exporting.keras_model import in_float32, wanted_scores
from kseg.mobile.images import as_pair
from kseg.models.inference import output_kind
from kseg.models.video import initial_state, state_names

SCORES = ("probabilities", "logits")
IMAGES = ("image", "key_image")
OF_FRAMES = (*IMAGES, "flow")  # what a video alone gives
# What Keras calls an input that was given no name: another one in every process.
_UNNAMED = re.compile(r"keras_tensor(_\d+)?")


def takes_names(model) -> bool:
    """Tells whether a model is anything but one image to one map of scores.

    Args:
        model: A Keras model.
    """
    inputs = getattr(model, "inputs", None) or []
    outputs = getattr(model, "outputs", None) or []
    if len(inputs) > 1 or (inputs and len(inputs[0].shape) == 3):
        return True
    # A Sequential that was not called yet has none.
    if not inputs or not isinstance(getattr(model, "output", None), dict):
        return False
    is_image = len(inputs[0].shape) == 4 and inputs[0].shape[-1] in (1, 3)
    return len(outputs) > 1 or not is_image or set(model.output).isdisjoint(SCORES)


class NamedModel:
    """A Keras model as a function of arrays by name, with the sizes of a file.

    The names are those of the dicts that the model was built with; else those of the
    `keras.Input`s, and, of outputs behind the first, of the layers that make them. The
    scores are `"probabilities"` or `"logits"`: without a dict the first output. A name of
    an input and an output both is state.

    Args:
        model: A functional Keras model for which `takes_names`.
        size: `(height, width)` or an int of its images, or the number of its points;
            `None` for the model's own.
        output: What the scores become, as for `kseg.mobile.export`.

    Attributes:
        name: Name of the model.
        inputs: Name to Keras tensor.
        outputs: The same, the scores first and as `output` has them.
        scores: Name of the scores, `None` for a part that gives none.
        state: Name to the array in front of the first sample, zeros.
        main: Name of the input that has the size.
        size: `(height, width)`, or `(points,)`; `None` where only a sample can tell.
        num_classes: Channels of the scores; 0 where there are none.

    Raises:
        TypeError: If inputs or outputs are nested.
        ValueError: If `size` is missing or does not fit, or the model has no such output.
    """

    def __init__(self, model, size, output):
        model = in_float32(model)
        if isinstance(model, keras.Sequential):  # which has no structure until called
            model = keras.Model(model.inputs, model.outputs, name=model.name)
        self.name = model.name
        self.inputs, outputs = named_ends(model)
        self.scores = next((name for name in SCORES if name in outputs), None)
        self.state, self.num_classes = {}, 0
        if self.scores is None and output != "probabilities":
            raise ValueError(
                f"`output` must be left out for a model without scores, which are called "
                f"'probabilities' or 'logits'. Received: output={output!r}, "
                f"{self.name!r} with outputs {', '.join(map(repr, outputs))}"
            )
        if self.scores is not None:
            scores = outputs.pop(self.scores)
            kind = self.scores if isinstance(model.output, dict) else None
            self.scores = "logits" if output == "logits" else "probabilities"
            sub = keras.Model(list(self.inputs.values()), scores, name=self.name)
            outputs = {self.scores: wanted_scores(sub, self.scores, kind), **outputs}
            self.num_classes = int(scores.shape[-1])
        self.outputs = outputs
        known = [name for name in ("image", "points") if name in self.inputs]
        self.main = [*known, *self.inputs][0]
        self.size = self._static_size(size)
        if state_names(model):
            self.state = initial_state(model, 1, self.size)
        self._output = output
        self._model = keras.Model(list(self.inputs.values()), list(outputs.values()))

    def __call__(self, values: dict) -> dict:
        """Returns float32 outputs by name for arrays by name, of a batch of 1."""
        given = [np.asarray(values[name], "float32") for name in self.inputs]
        found = keras.tree.flatten(self._model(given, training=False))
        arrays = [keras.ops.convert_to_numpy(x).astype("float32") for x in found]
        return dict(zip(self.outputs, arrays, strict=True))

    def shape(self, name: str) -> tuple:
        """Returns the static shape of an input; `None` where only a sample can tell."""
        if name in self.state:
            return self.state[name].shape
        *own, channels = self.inputs[name].shape[1:]
        if name == self.main or name in OF_FRAMES:
            own = [n or m for n, m in zip(own, self.size, strict=True)]
        return (1, *own, channels)

    def trace(self, shapes: dict):
        """Traces the model for one sample, weights as constants.

        Args:
            shapes: Name to the shape of every input.

        Returns:
            A `tf.ConcreteFunction` from float32 arrays by name to a dict of them; with
            `output="category_mask"` the scores are int32 class ids of that name.

        Raises:
            ExportError: If a layer has a name that TensorFlow refuses.
        """
        import tensorflow as tf

        check_layer_names(self._model)
        trainable = [variable.numpy() for variable in self._model.trainable_variables]
        fixed = [variable.numpy() for variable in self._model.non_trainable_variables]

        @tf.function
        def serve(**values):
            given = [values[name] for name in self.inputs]
            found, _ = self._model.stateless_call(
                trainable, fixed, given, training=False
            )
            named = {
                name: tf.cast(x, "float32")
                for name, x in zip(self.outputs, keras.tree.flatten(found), strict=True)
            }
            if self._output == "category_mask":
                named[self._output] = class_ids(named.pop(self.scores))
            return named

        return serve.get_concrete_function(
            **{
                name: tf.TensorSpec(shapes[name], "float32", name=name)
                for name in self.inputs
            }
        )

    def _static_size(self, size):
        name = self.main
        batch, *own, _ = shape = tuple(self.inputs[name].shape)
        if batch not in (None, 1):
            raise ValueError(
                "`model` must take a batch of 1 or of any size, because a file takes one "
                f"sample. Received: {self.name!r} of input {shape}"
            )
        if len(own) == 1:
            return static_points(self.name, shape, size)
        own = tuple(own)
        if size is None:
            if None in own and name == "image":
                raise ValueError(
                    "`size` must be given, because the model takes any size and a "
                    "phone's file one: size=(height, width). "
                    f"Received: size=None, {self.name!r} with input {name!r} of {own}"
                )
            return own
        given = as_pair(size) if len(own) == 2 else (size,)
        if len(given) != len(own) or any(
            n is not None and n != m for n, m in zip(own, given, strict=True)
        ):
            raise ValueError(
                f"`size` must be that of input {name!r}, {own}, or left out. "
                f"Received: size={size}"
            )
        return given


def named_ends(model) -> tuple[dict, dict]:
    """Returns the inputs and the outputs of a model: name to Keras tensor.

    Args:
        model: A functional Keras model.

    Raises:
        TypeError: If inputs or outputs are nested.
    """
    return _named_inputs(model), _named_outputs(model)


def _named_inputs(model):
    if isinstance(model.input, dict):
        return _checked(model.input, model.inputs, "inputs")
    named = {
        f"input_{i}" if _UNNAMED.fullmatch(x.name) else x.name: x
        for i, x in enumerate(model.inputs)
    }
    return _checked(named, model.inputs, "inputs")


def _named_outputs(model):
    if isinstance(model.output, dict):
        return _checked(model.output, model.outputs, "outputs")
    first, *others = model.outputs
    named = {output_kind(model) or "probabilities": first}
    named |= {x._keras_history.operation.name: x for x in others}
    return _checked(named, model.outputs, "outputs")


def _checked(named, tensors, kind):
    flat = all(isinstance(x, keras.KerasTensor) for x in named.values())
    if not flat or len(named) != len(tensors):
        raise TypeError(
            f"`model` must have a dict or a list of {kind}, each of another name. "
            f"Received: {kind} {list(named)} of {len(tensors)} tensors"
        )
    return dict(named)
