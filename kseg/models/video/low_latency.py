"""Low-latency video segmentation: Li, Shi, Lin (CVPR 2018)."""

import math

import keras
import numpy as np
from keras import layers

from kseg.layers import ResizingLike2D, SpatiallyVariantConv2D
from kseg.layers.checking import check_positive
from kseg.models import head
from kseg.models.video.stages import result_name, run, stages


def low_latency(model, at, *, filters=256, kernel_size=9, name="low_latency"):
    """Builds a net that runs the deep part of an image model on key frames alone.

    Between them the deep features of the last key frame are moved to their new places,
    by a convolution whose kernel at every pixel a small net predicts from the shallow
    features of both frames; an adapter adds what the shallow features of the current
    frame show. A scheduler predicts from the shallow features how much the result
    differs from that of the key frame, for a new key frame in time.

    As a whole it is the net to train: of a key frame and a later one. Its parts,
    `kseg.models.video.parts(net)`, are models whose inputs and outputs are dicts, which
    `kseg.models.video.Stream` runs:

    | part | reads | writes |
    |---|---|---|
    | `low` | `image` | `low` |
    | `high` | `low` | `high` |
    | `head` | `high` | `probabilities`, of a key frame |
    | `propagation` | `low`, `key_low`, `key_high` | `propagated` |
    | `adapter` | `image`, `low`, `propagated` | `probabilities` |
    | `scheduler` | `low`, `key_low` | `deviation` |

    (and what `model` passes by from `low` to `high` and `head`). The first three have the
    weights of `model`. Train it first; then freeze them and the scheduler, and train the
    others with a loss on `"probabilities"`; then the scheduler alone on `"deviation"`, the
    share of pixels whose class differs between the results of `model` on both frames.

    The kernels of the propagation start with half of their weight at the centre, the
    scheduler with a deviation of 0.12 for all that does not differ.

    Reference:
    - [Low-Latency Video Semantic Segmentation](https://arxiv.org/abs/1804.00389) (CVPR
      2018)

    Args:
        model: Functional `keras.Model` from an image to scores.
        at: Two names of layers, as `kseg.models.split` takes them: that of the shallow
            features, where about a sixth of the time is over, and that of the deep ones.
        filters: Number of filters of the nets that are added. Defaults to `256`.
        kernel_size: Size of the kernels of the propagation, odd. Defaults to `9`.
        name: Name of the model.

    Returns:
        A `keras.Model` with dicts of inputs and outputs. Inputs: `"key_image"` and
        `"image"`. Outputs: `"probabilities"` of the image, from the features of the key
        image; `"key_probabilities"`, of `model` for the key image; `"deviation"`, of
        shape `(batch, 1)`, 0 to 1. With a `model` that gives logits, `"logits"` and
        `"key_logits"`.

    Raises:
        ValueError: If there are no such layers, or an argument does not fit.
        TypeError: If an argument is of the wrong type.
    """
    check_positive("filters", filters)
    if not isinstance(at, tuple | list) or len(at) != 2:
        raise ValueError(
            "`at` must be two names of layers, of the shallow and of the deep features. "
            f"Received: at={at!r}"
        )
    low, high, top = stages(
        model, at, ["low", "high", "head"], {"low": "low", "high": "high"}
    )
    image_shape = model.inputs[0].shape[1:]
    shapes = {
        "image": image_shape,
        "low": low.output["low"].shape[1:],
        "key_low": low.output["low"].shape[1:],
        "key_high": high.output["high"].shape[1:],
        "propagated": high.output["high"].shape[1:],
    }
    result, num_classes = result_name(model), model.output_shape[-1]
    propagation = _part(
        "propagation",
        lambda x: {"propagated": _propagated(x, filters, kernel_size)},
        shapes,
        ("low", "key_low", "key_high"),
    )
    adapter = _part(
        "adapter",
        lambda x: {result: _adapted(x, filters, num_classes, result)},
        shapes,
        ("image", "low", "propagated"),
    )
    scheduler = _part(
        "scheduler",
        lambda x: {"deviation": _deviation(x, filters)},
        shapes,
        ("low", "key_low"),
    )

    key = {"image": keras.Input(image_shape, name="key_image")}
    frame = {"image": keras.Input(image_shape, name="image")}
    inputs = {"key_image": key["image"], "image": frame["image"]}
    for part in (low, high, top):
        run(part, key)
    run(low, frame)
    frame |= {"key_low": key["low"], "key_high": key["high"]}
    for part in (propagation, adapter, scheduler):
        run(part, frame)
    outputs = {
        result: frame[result],
        f"key_{result}": key[result],
        "deviation": frame["deviation"],
    }
    return keras.Model(inputs, outputs, name=name)


def _part(name, function, shapes, names):
    inputs = {key: keras.Input(shapes[key], name=key) for key in names}
    return keras.Model(inputs, function(inputs), name=name)


def _propagated(inputs, filters, kernel_size):
    """The deep features of the key frame, at their places in the current frame."""
    low, key_low, key_high = inputs.values()
    reduce = _conv(filters, name="reduce", activation="relu")
    x = layers.Concatenate(name="concat")(
        [
            reduce(ResizingLike2D(name="key_low_resized")([key_low, key_high])),
            reduce(ResizingLike2D(name="low_resized")([low, key_high])),
        ]
    )
    x = _conv(filters, name="conv", activation="relu")(x)
    score = layers.Conv2D(kernel_size**2, 1, name="kernel_scores")
    kernels = layers.Softmax(name="kernels")(score(x))
    score.bias.assign(_favouring_centre(kernel_size**2))
    return SpatiallyVariantConv2D(kernel_size, name="propagate")([key_high, kernels])


def _adapted(inputs, filters, num_classes, result):
    """The result for the current frame, with what its own shallow features show."""
    image, low, propagated = inputs.values()
    x = ResizingLike2D(name="low_resized")([low, propagated])
    for number in (1, 2, 3):
        x = _conv_norm_relu(x, filters, f"adapt{number}")
    x = layers.Concatenate(name="concat")([propagated, x])
    x = _conv_norm_relu(x, filters, "fuse")
    scores = layers.Conv2D(num_classes, 1, name="scores")(x)
    activation = None
    if result == "probabilities":
        activation = "sigmoid" if num_classes == 1 else "softmax"
    return head.outputs(scores, activation, like=image)


def _deviation(inputs, filters):
    """The share of pixels whose class is likely to differ from the key frame's."""
    low, key_low = inputs.values()
    reduce = _conv(filters, name="reduce", activation="relu")
    x = layers.Subtract(name="difference")([reduce(low), reduce(key_low)])
    x = _conv(filters, name="conv", activation="relu")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return layers.Dense(
        1,
        activation="sigmoid",
        # 0.12, about what frames differ by. From 0.5 the first thing to be learned would
        # be that all features lower the deviation, which is the wrong way round.
        bias_initializer=keras.initializers.Constant(-2.0),
        dtype="float32",
        name="deviation",
    )(x)


def _conv_norm_relu(x, filters, name):
    x = _conv(filters, name=f"{name}_conv", use_bias=False)(x)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _conv(filters, **arguments):
    return layers.Conv2D(
        filters, 3, padding="same", kernel_initializer="he_normal", **arguments
    )


def _favouring_centre(taps):
    """Scores whose softmax is 1/2 at the centre, and the rest spread evenly."""
    scores = np.zeros(taps, "float32")
    scores[taps // 2] = math.log(max(taps - 1, 1))
    return scores
