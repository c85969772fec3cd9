"""STFCN: Fayyaz, Saffar, Sabokrou, Fathy, Klette, Huang (ACCV workshops 2016)."""

import keras
from keras import layers

from kseg.layers import ChannelSlice, ConvGRU2D, ConvLSTM2D, LocalGRU2D, LocalLSTM2D
from kseg.models import head, skips

# By `recurrence` and `cell`.
_LAYERS = {
    ("local", "lstm"): LocalLSTM2D,
    ("local", "gru"): LocalGRU2D,
    ("shared", "lstm"): ConvLSTM2D,
    ("shared", "gru"): ConvGRU2D,
    ("conv", "lstm"): ConvLSTM2D,
    ("conv", "gru"): ConvGRU2D,
}
_OPTIONS = {"local": {}, "shared": {"kernel_size": 1}, "conv": {"kernel_size": 3}}


def stfcn(
    input_shape,
    num_classes,
    *,
    backbone="vgg16",
    weights=None,
    recurrence="local",
    cell="lstm",
    units=30,
    padding="valid",
    score_initializer="zeros",
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="stfcn",
):
    """Builds one step of a spatio-temporal FCN: an FCN-8s with a memory of past frames.

    An LSTM in every cell of the coarsest map, that of `fc7`, sees the features of the
    cell over time; the scores at stride 32 come from its hidden state. The skips see the
    current frame alone. Weights of an FCN-8s but its `score_fr` are handed on by
    `kseg.models.copy_weights`.

    The model takes a frame and the state that the frame before has left, and gives the
    state for the next frame: that goes into a stream (`kseg.models.video.Stream`) and
    into a file for a phone. `kseg.models.video.unroll(model, frames)` is the same net
    over clips, for `fit`.

    The paper's nets on AlexNet and on dilated convolutions (Dilation8) are not offered.
    The gradients of their hidden states were clipped in training, at 0.1; clip those of
    the weights in the optimizer (`clipnorm`).

    Reference:
    - [STFCN: Spatio-Temporal FCN for Semantic Video Segmentation](
      https://arxiv.org/abs/1608.05971) (ACCV workshops 2016) and its published Caffe nets

    Args:
        input_shape: Shape of a frame, `(height, width, channels)`. Height and width may
            be `None` but for `recurrence="local"`. Any size of at least 32 works.
        num_classes: Number of classes; 1 for the probability of a foreground.
        backbone: As for `kseg.models.fcn_8s`. Defaults to `"vgg16"`.
        weights: Weights of a backbone that is given by name: `None` for random ones,
            `"imagenet"`, or the path of a file. Defaults to `None`.
        recurrence: `"local"` for weights of every cell, as published; `"shared"` for one
            set of weights for all cells, each of which still sees itself alone; `"conv"`
            for 3x3 convolutions of features and state. Defaults to `"local"`.
        cell: `"lstm"`, or `"gru"`. Defaults to `"lstm"`.
        units: Size of the hidden state of a cell. Defaults to `30`.
        padding: `"valid"` as in the paper, or `"same"`; see `kseg.models.fcn_32s`.
            Defaults to `"valid"`.
        score_initializer: Initializer of the kernels of the scores. Take `"he_normal"`
            for random weights of the backbone. Defaults to `"zeros"`.
        width_multiplier: Factor on all numbers of filters. Defaults to `1.0`.
        rescale: Whether images of 0 to 255 are normalised inside; `False` for CT and
            other data. Defaults to `True`.
        activation: `"softmax"`, `"sigmoid"` (with one class), or `None` for logits.
        name: Name of the model.

    Returns:
        A `keras.Model` with dicts of inputs and outputs. Inputs: `"image"`, of shape
        `(batch, height, width, channels)`, and `"state"`, of shape `(batch, rows,
        columns, 2 * units)` (`units` with `"gru"`), zeros at first. Outputs:
        `"probabilities"` (`"logits"` without an activation), float32 of shape `(batch,
        height, width, num_classes)`, and `"state"`.

    Raises:
        ValueError: If an argument has a value that no network can be built with.
        TypeError: If an argument is of the wrong type.
    """
    head.check_classes(num_classes, activation)
    head.check_input_shape(input_shape, 32)
    _check_recurrence(recurrence, cell, input_shape)
    (units,) = head.scaled([units], width_multiplier)

    image = keras.Input(input_shape, name="image")
    maps = skips.encode(
        image,
        8,
        padding,
        backbone=backbone,
        weights=weights,
        dropout_rate=0,
        width_multiplier=width_multiplier,
        rescale=rescale,
    )
    recur = _LAYERS[recurrence, cell](units, name="recurrence", **_OPTIONS[recurrence])
    size = recur.state_size * units
    state = keras.Input((*maps[32].shape[1:3], size), name="state")
    new_state = recur([maps[32], state])
    maps[32] = ChannelSlice(0, units, name="hidden")(new_state)
    scores = skips.decode(
        image,
        maps,
        8,
        num_classes,
        padding=padding,
        score_initializer=score_initializer,
    )
    return keras.Model(
        {"image": image, "state": state},
        {
            "probabilities" if activation else "logits": head.outputs(
                scores, activation
            ),
            # Under every policy, so that what goes out can come in.
            "state": layers.Activation("linear", dtype="float32", name="new_state")(
                new_state
            ),
        },
        name=name,
    )


def _check_recurrence(recurrence, cell, input_shape):
    if recurrence not in _OPTIONS:
        raise ValueError(
            '`recurrence` must be "local", "shared" or "conv". '
            f"Received: recurrence={recurrence!r}"
        )
    if (recurrence, cell) not in _LAYERS:
        raise ValueError(f'`cell` must be "lstm" or "gru". Received: cell={cell!r}')
    if recurrence == "local" and None in input_shape[:2]:
        raise ValueError(
            "`input_shape` must have a height and a width with weights of every cell; "
            '`recurrence="shared"` takes frames of any size. '
            f"Received: input_shape={input_shape}, recurrence='local'"
        )
