"""What a video model asks of its caller: state, flow, parts; read off the model."""

import difflib

import keras
import numpy as np
from keras import ops


def state_names(model):
    """Names of the state of a step model, which are those of inputs and outputs both.

    Args:
        model: Model whose inputs and outputs are dicts, such as `kseg.models.video.stfcn`
            and `kseg.models.video.netwarp` build.

    Returns:
        A list of names; an empty one for an image model.
    """
    if not (isinstance(model.input, dict) and isinstance(model.output, dict)):
        return []
    return [name for name in model.input if name in model.output]


def initial_state(model, batch_size=1, size=None):
    """Makes the state in front of the first frame, which is zeros for every model.

    Args:
        model: Step model; see `kseg.models.video.state_names`.
        batch_size: Number of streams. Defaults to `1`.
        size: `(height, width)` of the frames, where the model leaves it open. Defaults to
            `None`.

    Returns:
        A dict of float32 arrays by the names of the state.

    Raises:
        ValueError: If the model leaves the size open, and `size` is not given.

    Examples:

    >>> state = initial_state(model)
    >>> outputs = model.predict_on_batch({"image": frames, **state})
    >>> state = {name: outputs[name] for name in state}
    """
    names = state_names(model)
    shapes = {name: model.input[name].shape for name in names}
    if any(None in shape[1:] for shape in shapes.values()):
        if size is None:
            raise ValueError(
                "`size` must be the `(height, width)` of the frames: the model takes any "
                f"size, and its state has a size that follows. Received: size={size}"
            )
        shapes = _shapes_at(model, size)
    return {
        name: np.zeros((batch_size, *shapes[name][1:]), "float32") for name in names
    }


def check_inputs(model, inputs):
    """Raises an error, naming the inputs, unless they are those of the model.

    Args:
        model: Model whose inputs are a dict.
        inputs: Dict of tensors.

    Raises:
        ValueError: If one is missing, unknown, or of a shape that does not fit.
    """
    expected = model.input
    for name in expected:
        if name not in inputs:
            hint = ""
            if name == "flow":
                hint = ": the optical flow from this frame to the one before, in pixels"
            elif name in state_names(model):
                hint = ": state, at first that of `kseg.models.video.initial_state`"
            raise ValueError(
                f"`inputs` must have {name!r}{hint}. Received: inputs with "
                f"{', '.join(map(repr, inputs)) or 'nothing'}"
            )
    for name, value in inputs.items():
        if name not in expected:
            near = difflib.get_close_matches(name, expected, 1, 0.5)
            near = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"`inputs` must be {', '.join(map(repr, expected))}. "
                f"Received: {name!r}{near}"
            )
        shape, promised = tuple(ops.shape(value)), expected[name].shape
        if len(shape) != len(promised) or any(
            b is not None and a != b for a, b in zip(shape, promised, strict=True)
        ):
            raise ValueError(
                f"`inputs[{name!r}]` must be of shape {promised}"
                f"{_hint(name, promised, shape)}. "
                f"Received: inputs[{name!r}].shape={shape}"
            )


def parts(model):
    """The models inside of a video model that a stream runs apart.

    Args:
        model: Such as `kseg.models.video.clockwork_fcn` and
            `kseg.models.video.low_latency` build.

    Returns:
        A dict of models by their names, in the order of the graph, whose inputs and
        outputs are dicts; an empty one for other models.
    """
    return {
        layer.name: layer
        for layer in model.layers
        if isinstance(layer, keras.Model)
        and isinstance(getattr(layer, "input", None), dict)
    }


def cuts(model):
    """Names of the tensors in which the stages of a clockwork model end.

    Args:
        model: Such as `kseg.models.video.clockwork_fcn` builds.

    Returns:
        A list of one name per stage; an empty one for other models.
    """
    return [
        next(iter(part.output))
        for name, part in parts(model).items()
        if name.startswith("stage")
    ]


def _shapes_at(model, size):
    """Shapes of the outputs, open sizes of state filled in, for frames of a size."""
    height, width = size

    def filled(x):
        batch, *sizes, channels = x.shape
        given = (height, width) if x.name in ("image", "flow") else sizes
        return (batch, *given[: len(sizes)], channels)

    return model.compute_output_shape(
        {name: filled(x) for name, x in model.input.items()}
    )


def _hint(name, promised, shape):
    if name != "image" or len(shape) != 4 or shape[-1] != promised[-1]:
        return ""
    return (
        ", the size that the model was built for: resize the frames, or build it with "
        f"input_shape={shape[1:]}"
    )
