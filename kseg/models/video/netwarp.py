"""NetWarp: Gadde, Jampani, Gehler (ICCV 2017)."""

import keras
from keras import layers

from kseg.layers import FlowCNN, ResizingLike2D, WarpedSum2D, Warping2D
from kseg.models.split import split
from kseg.models.video.stages import check_image_model, result_name

# Where a size is open, the stride of the layer shows at this one.
_PROBE = 256


def netwarp(model, at, *, variant="paper", initial_weights=(1.0, 0.0), name="netwarp"):
    """Builds one step of an image model that sees the features of the frame before.

    The features of the frame before are warped along optical flow, which a small net
    (`kseg.layers.FlowCNN`) has transformed, and added to those of the current frame, with
    a weight per channel for each. It starts as `model` itself, whose weights it shares;
    the first frame of a stream is that of `model` always. Fine-tune it on pairs of
    frames, `kseg.models.video.unroll(net, 2)`.

    Differs from the published code, as the paper does: the flow is divided by the stride
    of the features, and it and the frames are averaged, not maximised, over the cells.

    Reference:
    - [Semantic Video CNNs through Representation Warping](
      https://arxiv.org/abs/1708.03088) (ICCV 2017)

    Args:
        model: Functional `keras.Model` from an image to scores.
        at: Name of the layer whose features are mixed, as `kseg.models.split` takes it;
            in the paper that in front of the last ReLU, behind BatchNorm.
        variant: `"paper"` or `"release"`; see `kseg.layers.FlowCNN`. Defaults to
            `"paper"`.
        initial_weights: What the weights of the current frame and of the one before
            begin with; the published nets have `(0.5, 0.5)`. Defaults to `(1.0, 0.0)`.
        name: Name of the model.

    Returns:
        A `keras.Model` with dicts of inputs and outputs. Inputs: `"image"`, of shape
        `(batch, height, width, channels)`, `"flow"`, of shape `(batch, height, width,
        2)`: from the current frame to the one before, in pixels to the right and down;
        and the state, zeros at first: `"features"` and `"thumbnail"` of the frame before,
        and `"started"`, of shape `(batch, 1)`. Outputs: the result of `model`, as
        `"probabilities"` or `"logits"`, and the state.

    Raises:
        ValueError: If there is no such layer, or its map is not the image in smaller.
        TypeError: If an argument is of the wrong type.
    """
    check_image_model(model)
    if not isinstance(at, str):
        raise TypeError(
            "`at` must be the name of a layer. "
            f"Received: at={at!r} (of type {type(at).__name__})"
        )
    first, second = split(model, [at])
    height, width, channels = model.inputs[0].shape[1:]
    stride = _stride(first, at, (height, width, channels))

    image = keras.Input((height, width, channels), name="image")
    flow = keras.Input((height, width, 2), name="flow")
    features, *bypass = keras.tree.flatten(_call(first, [image]))
    before = keras.Input(features.shape[1:], name="features")

    def small(x, scale, offset, name):
        x = layers.AveragePooling2D(stride, padding="same", name=f"{name}_pool")(x)
        x = layers.Rescaling(scale, offset, name=f"{name}_scale")(x)
        return ResizingLike2D(name=f"{name}_small")([x, features])

    thumbnail = small(image, 1 / 127.5, -1.0, "image")
    thumbnail_before = keras.Input(thumbnail.shape[1:], name="thumbnail")
    started = keras.Input((1,), name="started")

    small_flow = small(flow, 1 / stride, 0.0, "flow")
    small_flow = FlowCNN(variant, name="flow_cnn")(
        [small_flow, thumbnail, thumbnail_before]
    )
    warped = Warping2D(name="warp")([before, small_flow])
    mixed = WarpedSum2D(initial_weights, name="mix")([features, warped, started])
    result = _call(second, [mixed, *bypass])
    state = {
        "features": features,
        "thumbnail": thumbnail,
        "started": layers.Rescaling(0.0, 1.0, name="one")(started),
    }
    return keras.Model(
        {
            "image": image,
            "flow": flow,
            "features": before,
            "thumbnail": thumbnail_before,
            "started": started,
        },
        {
            result_name(model): keras.tree.flatten(result)[0],
            # Float32 under every policy, so that what goes out can come in.
            **{
                key: layers.Activation("linear", dtype="float32", name=f"new_{key}")(x)
                for key, x in state.items()
            },
        },
        name=name,
    )


def _call(model, tensors):
    return model(keras.tree.pack_sequence_as(model.input, tensors))


def _stride(first, at, input_shape):
    """Stride of the map behind the layer, which has to cover the image."""
    height, width, channels = input_shape
    size = height or _PROBE, width or _PROBE
    image = keras.Input((*size, channels))
    shape = keras.tree.flatten(_call(first, [image]))[0].shape
    if len(shape) == 4:
        stride = max(1, round(max(size[0] / shape[1], size[1] / shape[2])))
        cells = [-(-side // stride) for side in size]
        if all(abs(a - b) <= 1 for a, b in zip(cells, shape[1:3], strict=True)):
            return stride
    raise ValueError(
        "`at` must be a layer whose map is the image divided by a stride, so that the "
        "flow has its place there: no vector, and no map of an image that was padded by "
        f"more than its convolutions. Received: at={at!r} with a map of shape {shape} "
        f"for an image of {size}"
    )
