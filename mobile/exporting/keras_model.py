"""The Keras side of an export: which tensor of a model are its scores."""

import importlib
from pathlib import Path

import keras
import numpy as np

from kseg.mobile.exporting.parity import ExportError
from kseg.mobile.images import as_pair
from kseg.models.inference import output_kind, photo_size

_ROOMS = ("layers", "backbones", "models", "losses", "metrics")


class KerasNet:
    """A Keras model as a function from images to scores.

    Args:
        model: A Keras model of one image input and one output.
        size: `(height, width)` or an int, for a model that takes any size.

    Attributes:
        input_size: `(height, width)`, or `None` if the model takes any.
        channels: Channels of the input.
        num_classes: Channels of the output.
        labels: Empty; a Keras model carries no names.
        activation: What makes the outputs probabilities.
    """

    labels = ()

    def __init__(self, model, size=None):
        height, width, self.channels = image_shape(model)
        model = _functional(model, None if size is None else as_pair(size))
        # With the bare tensor as input, whatever structure the model was built with.
        self._model = keras.Model(model.inputs[0], model.outputs[0])
        self.input_size = None
        if height and width:
            self.input_size = (height, width)
        elif size is not None:
            self.input_size = as_pair(size)
        self.num_classes = int(model.outputs[0].shape[-1])
        self.activation = "none"
        if output_kind(model) == "logits":
            self.activation = "sigmoid" if self.num_classes == 1 else "softmax"

    def size_for(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns the input's `(height, width)` for an image of `size`."""
        return self.input_size or photo_size(size)

    def run(self, images: np.ndarray) -> np.ndarray:
        """Returns float32 scores `(batch, height, width, num_classes)`."""
        scores = self._model(images.astype("float32"), training=False)
        return np.asarray(keras.ops.convert_to_numpy(scores), "float32")


def load_keras(path: Path) -> keras.Model:
    """Reads a `.keras` file in Keras' safe mode, with kseg's layers registered.

    Args:
        path: The file.

    Returns:
        The model, not compiled.

    Raises:
        ValueError: If the file is damaged or no Keras model.
    """
    for room in _ROOMS:
        importlib.import_module(f"kseg.{room}")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # zip, json, h5py and Keras each raise their own
        raise ValueError(
            f"`path` must be a complete .keras file. Keras says: {error}. "
            f"Received: path={str(path)!r}"
        ) from error


def check_backend():
    """Raises `ExportError` if Keras runs on another backend than TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            "Exporting needs Keras on TensorFlow: save the model as .keras, set the "
            "environment variable KERAS_BACKEND=tensorflow, load it and export it. "
            f"Received: backend {keras.backend.backend()!r}"
        )


def image_shape(model) -> tuple[int | None, int | None, int]:
    """Returns `(height, width, channels)` of a model's image input.

    Args:
        model: A built Keras model.

    Raises:
        TypeError: If it is no Keras model.
        ValueError: If it is not built, or its input is not one batch of images.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a keras.Model. "
            f"Received: model of type {type(model).__name__}"
        )
    if not getattr(model, "inputs", None):
        # A subclassed model knows only what it was called with, and may take any size.
        called = model.get_build_config() if model.built else None
        called = called["input_shape"] if called else ()
        shape = (None, None, None, called[-1]) if len(called) == 4 else None
    else:
        shape = model.inputs[0].shape if len(model.inputs) == 1 else None
    if shape is None or len(shape) != 4 or shape[-1] is None:
        raise ValueError(
            "`model` must have one image input, (batch, height, width, channels), and "
            "know it: call the model once, or build it from keras.Input (a step of a "
            "video is driven by `kseg.models.video.Stream`). "
            f"Received: {[tuple(x.shape) for x in getattr(model, 'inputs', None) or []]}"
        )
    if shape[0] not in (None, 1):
        raise ValueError(
            "`model` must take one image at a time: build it without batch_size. "
            f"Received: a batch of {shape[0]}"
        )
    return shape[1:]


def with_output(model, output: str, size=None) -> keras.Model:
    """Returns a model over the same layers that ends in the wanted scores.

    Args:
        model: A Keras model of one image input.
        output: `"probabilities"` or `"logits"`.
        size: `(height, width)` for a subclassed model, whose layers may not work on any.

    Returns:
        A functional model in float32. What a mixed-precision policy computes in
        half precision is rebuilt in float32 with the same weights: LiteRT's half
        precision lies in the file's weights, not in its activations.

    Raises:
        ValueError: If the model has no such output and none can be derived.
    """
    model = _functional(in_float32(model), size)
    return keras.Model(model.inputs[0], wanted_scores(model, output))


def wanted_scores(model, output: str, kind: str | None = None):
    """Returns the tensor of a functional model that `with_output` ends in.

    Args:
        model: A functional model.
        output: `"probabilities"` or `"logits"`.
        kind: What the model ends in; `None` where its last layers have to tell.
    """
    scores = model.outputs[0]
    if kind is None and len(model.outputs) == 1:
        kind = output_kind(model)
    if kind == output:
        return scores
    if kind == "logits":
        activation = "sigmoid" if scores.shape[-1] == 1 else "softmax"
        # Names of layers are unique in a model, and Keras counts only per session.
        name = f"{model.name}_probabilities"
        return keras.layers.Activation(activation, name=name)(scores)
    last = scores._keras_history.operation
    if kind == "probabilities":
        found = _before_activation(scores)
        if found is not None:
            return found
    inputs = keras.layers.InputLayer  # whose names are the user's
    if output in [x.name for x in model.layers if not isinstance(x, inputs)]:
        return model.get_layer(output).output
    if kind is None and len(model.outputs) == 1:  # parity looks at the values
        return scores
    raise ValueError(
        f"`output={output!r}` needs a layer of that name, or an activation layer at the "
        "end of a model of one output: build it with activation=None, then add "
        f"keras.layers.Activation. Received: a model that ends in {last.name!r}, "
        f"with {len(model.outputs)} outputs"
    )


def _before_activation(scores):
    """What a layer at the end makes scores of, be it in a model inside; or `None`."""
    last, node, index = scores._keras_history
    given = last._inbound_nodes[node].input_tensors
    if type(last).__name__ in ("Activation", "Softmax"):
        return given[0]
    if not getattr(last, "outputs", None):
        return None
    inner = _before_activation(last.outputs[index])
    return inner if inner is None else keras.Model(last.inputs, inner)(given)


def check_scores(scores, output):
    """Raises if Keras' own scores are not of the kind that the file promises."""
    sums = scores.sum(axis=-1) if scores.shape[-1] > 1 else np.ones(1)
    within = scores.min() >= -1e-3 and scores.max() <= 1 + 1e-3
    if within and np.abs(sums - 1).max() < 1e-2:
        return
    if output != "logits" and np.isfinite(scores).all():
        raise ValueError(
            f"`output={output!r}` needs a model that ends in probabilities, or in a "
            "layer without activation. Received: scores from "
            f"{scores.min():.3g} to {scores.max():.3g}"
        )


def _functional(model, size=None):
    if isinstance(model, keras.Model) and getattr(model, "outputs", None):
        return model
    height, width, channels = image_shape(model)
    image = keras.Input((*(size or (height, width)), channels))
    return keras.Model(image, model(image), name=model.name)


def in_float32(model):
    """Returns a model that computes in float32, with the same weights."""
    if all(layer.compute_dtype == "float32" for layer in model._flatten_layers()):
        return model

    def clone(layer):
        config = {**layer.get_config(), "dtype": "float32"}
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone, recursive=True)
    copy.set_weights(model.get_weights())
    return copy
