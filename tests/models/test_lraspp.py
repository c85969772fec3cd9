"""What is true of LR-ASPP alone."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kseg.models import lraspp


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def images(*shape):
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def backbone_of_strides(*strides):
    image = keras.Input((None, None, 3))
    maps = [
        layers.Conv2D(4 + i, 3, stride, padding="same", name=f"map{stride}")(image)
        for i, stride in enumerate(strides)
    ]
    return keras.Model(image, maps, name="maps")


def half_pixel(x, size):
    """Bilinear resizing as a product of two matrices of shares."""

    def shares(old, new):
        matrix = np.zeros((new, old))
        for i in range(new):
            position = np.clip((i + 0.5) * old / new - 0.5, 0, old - 1)
            left = int(position)
            right = min(left + 1, old - 1)
            matrix[i, left] += 1 - (position - left)
            matrix[i, right] += position - left
        return matrix

    rows, columns = shares(x.shape[1], size[0]), shares(x.shape[2], size[1])
    return np.einsum("yh,bhwc,xw->byxc", rows, x, columns)


def test_number_of_parameters_is_that_of_torchvision():
    """torchvision publishes 3,221,538 for MobileNetV3-Large and 21 classes.

    Its map at stride 8 is the output of a block, with 40 channels; ours is the last
    tensor at that stride, the expansion of the next block to 240 channels.
    """
    torchvision = 3_221_538
    trunk = 2_971_952  # MobileNetV3-Large without its top, BatchNorm's gamma and beta.
    low, high, filters, num_classes = 40, 960, 128, 21
    head = 2 * high * filters + 2 * filters  # Two 1x1 convolutions, one BatchNorm.
    head += (filters + 1) * num_classes + (low + 1) * num_classes
    assert trunk + head == torchvision
    model = lraspp((None, None, 3), num_classes)
    assert trainable(model) == torchvision + (240 - low) * num_classes


def test_output_is_the_equation_of_figure_10():
    size = (33, 50)
    model = lraspp((*size, 3), 4, backbone=backbone_of_strides(8, 16), filters=6)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    batch = images(2, *size, 3) / 255
    low, high = (
        ops.convert_to_numpy(x).astype("float64")
        for x in model.get_layer("maps")(batch)
    )

    def weights(name):
        return [w.astype("float64") for w in model.get_layer(name).get_weights()]

    def project(x, name):
        kernel, *bias = weights(name)
        return x @ kernel[0, 0] + sum(bias)

    gamma, beta, mean, variance = weights("norm")
    x = (project(high, "conv") - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    pooled = high.mean((1, 2), keepdims=True)
    gate = 1 / (1 + np.exp(-project(pooled, "gate_conv")))
    x = half_pixel(np.maximum(x, 0) * gate, low.shape[1:3])
    scores = project(x, "high_scores") + project(low, "low_scores")
    logits = half_pixel(scores, size)
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    expected = exponentials / exponentials.sum(-1, keepdims=True)
    np.testing.assert_allclose(ops.convert_to_numpy(model(batch)), expected, atol=1e-4)


@pytest.mark.parametrize(
    "strides,low",
    [((2, 4, 8, 16), 8), ((2, 4, 8, 16, 32), 8), ((2, 4, 8), 4), ((4, 32), 4)],
)
@pytest.mark.parametrize("size", [(None, None), (33, 65)])
def test_finer_map_is_that_at_stride_8(strides, low, size):
    model = lraspp((*size, 3), 2, backbone=backbone_of_strides(*strides), filters=6)
    channels = 4 + strides.index(low)
    assert model.get_layer("low_scores").kernel.shape == (1, 1, channels, 2)
    assert model.get_layer("conv").kernel.shape == (1, 1, 3 + len(strides), 6)


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_output_stride_is_that_of_the_backbone(output_stride):
    model = lraspp(
        (64, 96, 3),
        2,
        backbone="mobilenet_v2",
        width_multiplier=0.1,
        output_stride=output_stride,
    )
    scored = model.get_layer("conv").input.shape[1:3]
    assert scored == (64 // output_stride, 96 // output_stride)
    fine = model.get_layer("low_scores").output.shape[1:3]
    assert fine == ((16, 24) if output_stride == 8 else (8, 12))


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"num_classes": 0}, "num_classes=0"),
        ({"num_classes": 1}, "activation='softmax', num_classes=1"),
        ({"activation": "tanh"}, "activation='tanh'"),
        ({"input_shape": (31, 64, 3)}, r"input_shape=\(31, 64, 3\)"),
        ({"filters": 0}, r"filters=\[0\]"),
        ({"width_multiplier": -1}, "width_multiplier=-1"),
        ({"output_stride": 4}, "output_stride=4"),
        ({"backbone": "lenet"}, "backbone='lenet'"),
        ({"backbone": backbone_of_strides(8)}, "backbone='maps' with"),
    ],
)
def test_values_that_no_net_can_be_built_with(arguments, message):
    arguments = {"input_shape": (64, 64, 3), "num_classes": 2, **arguments}
    with pytest.raises(ValueError, match=f"Received: {message}"):
        lraspp(**arguments)


@pytest.mark.parametrize("filters", [(32, 32), 1.5])
def test_filters_of_a_wrong_type(filters):
    with pytest.raises(TypeError, match="Received: filters="):
        lraspp((64, 64, 3), 2, filters=filters)
