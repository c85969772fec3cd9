"""A model of one frame, run over clips to be trained."""

import keras
from keras import layers, ops

from kseg.layers.checking import check_positive
from kseg.models.video.state import state_names


def unroll(model, frames, *, name=None):
    """Builds the model of clips from that of one frame and its state, with its weights.

    The frames of a clip are run in order, from a state of zeros, and the gradient goes
    back through all of them. What `fit` learns is in the weights of `model`.

    Reference:
    - [STFCN: Spatio-Temporal FCN for Semantic Video Segmentation](
      https://arxiv.org/abs/1608.05971) (ACCV workshops 2016)

    Args:
        model: Step model, such as `kseg.models.video.stfcn` and
            `kseg.models.video.netwarp` build, of a static height and width.
        frames: Number of frames of a clip. NetWarp needs 2.
        name: Name of the model of clips. Defaults to that of `model` with `"_clip"`.

    Returns:
        A `keras.Model` from clips `(batch, frames, height, width, channels)`, or a dict
        of them for a model that takes more than images and state, as `"flow"`, to float32
        `(batch, frames, height, width, num_classes)`. Losses of pixels and metrics take
        masks of shape `(batch, frames, height, width)`, 255 in frames that have no label.
        Its layer `"unroll"` has `model` as its `step`.

    Raises:
        ValueError: If `model` has no state, or an open size.
        TypeError: If `frames` is not an integer.

    Examples:

    >>> model = kseg.models.video.stfcn((360, 480, 3), 11, recurrence="shared")
    >>> clips = kseg.models.video.unroll(model, frames=4)
    >>> clips.compile("adam", kseg.losses.SparseCrossEntropy())
    """
    check_positive("frames", frames)
    names = state_names(model) if isinstance(model, keras.Model) else []
    if not names:
        raise ValueError(
            "`model` must have state: dicts of inputs and outputs that share names, as "
            "`kseg.models.video.stfcn` and `netwarp` build. "
            f"Received: model={getattr(model, 'name', model)!r}"
        )
    shapes = {key: x.shape for key, x in model.input.items()}
    if any(None in shape[1:] for shape in shapes.values()):
        raise ValueError(
            "`model` must have a static height and width: build it for clips of one size "
            "(`set_weights` hands weights on to one of any size). Received: "
            f"model={model.name!r} with inputs of shape {shapes}"
        )
    inputs = {
        key: keras.Input((frames, *x.shape[1:]), dtype=x.dtype, name=key)
        for key, x in model.input.items()
        if key not in names
    }
    outputs = Unroll(model, name="unroll")(inputs)
    if len(inputs) == 1:
        (inputs,) = inputs.values()
    return keras.Model(inputs, outputs, name=name or f"{model.name}_clip")


@keras.saving.register_keras_serializable(package="kseg.models")
class Unroll(layers.Layer):
    """Runs a step model over clips; see `kseg.models.video.unroll`.

    Args:
        step: Step model.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: Dict of clips, `(batch, frames, ...)`, by the names of the inputs of
            `step` that are no state.

    Output shape:
        `(batch, frames, ...)`, the first output of `step` that is no state.
    """

    def __init__(self, step, **kwargs):
        # Each layer of the step casts what it gets, as it does outside of clips.
        super().__init__(autocast=False, **kwargs)
        self.step = step
        self._states = state_names(step)
        (self._result,) = (key for key in step.output if key not in self._states)

    def build(self, input_shape):
        pass

    def call(self, inputs, training=None):
        first = next(iter(inputs.values()))
        batch, frames = ops.shape(first)[0], first.shape[1]
        state = {
            key: ops.zeros((batch, *self.step.input[key].shape[1:]), "float32")
            for key in self._states
        }
        results = []
        for t in range(frames):
            frame = {key: clip[:, t] for key, clip in inputs.items()}
            outputs = self.step({**frame, **state}, training=training)
            state = {key: outputs[key] for key in self._states}
            results.append(outputs[self._result])
        return ops.stack(results, axis=1)

    def compute_output_shape(self, input_shape):
        frames = next(iter(input_shape.values()))[:2]
        return (*frames, *self.step.output[self._result].shape[1:])

    def get_config(self):
        step = keras.saving.serialize_keras_object(self.step)
        return {**super().get_config(), "step": step}

    @classmethod
    def from_config(cls, config):
        step = keras.saving.deserialize_keras_object(config.pop("step"))
        return cls(step, **config)
