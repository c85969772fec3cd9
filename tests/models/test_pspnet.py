"""What is true of PSPNet alone."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kseg.losses import SparseCrossEntropy
from kseg.models import pspnet


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def images(*shape):
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def backbone(channels=6):
    image = keras.Input((None, None, 3))
    maps = [
        layers.Conv2D(filters, 1, stride, padding="same", use_bias=False)(image)
        for filters, stride in ((4, 4), (channels, 8))
    ]
    return keras.Model(image, maps, name="maps")


def test_number_of_parameters_beyond_the_trunk():
    """Layer by layer of the authors' prototxt, for Cityscapes."""
    model = pspnet((None, None, 3), 19, backbone=backbone(2048))
    pyramid = 4 * (2048 * 512 + 2 * 512)
    conv5_4 = 9 * 4096 * 512 + 2 * 512
    conv6 = 512 * 19 + 19
    assert trainable(model) - 3 * (4 + 2048) == pyramid + conv5_4 + conv6


def test_layers_of_the_release():
    """NetWarp warps what is between `conv5_4` with its BatchNorm and the ReLU."""
    model = pspnet((96, 144, 3), 3, backbone=backbone())
    names = [layer.name for layer in model.layers]
    start = names.index("pyramid")
    assert names[start : start + 6] == [
        "pyramid",
        "conv5_4",
        "conv5_4_norm",
        "conv5_4_relu",
        "conv5_4_dropout",
        "scores",
    ]
    assert model.get_layer("conv5_4").output.shape == (None, 12, 18, 512)
    assert model.get_layer("conv5_4_dropout").rate == 0.1


def test_auxiliary_scores_are_those_of_the_fourth_stage_of_a_resnet():
    model = pspnet(
        (64, 96, 3),
        3,
        backbone="resnet50",
        width_multiplier=1 / 16,
        auxiliary_outputs=True,
    )
    resnet = model.get_layer("resnet50")
    conv4, conv5 = (resnet.get_layer(f"conv{i}_out") for i in ("4_block6", "5_block3"))
    assert resnet.outputs[-2] is conv4.output and resnet.outputs[-1] is conv5.output
    # Both at stride 8, so that a list of one map per stride has the latter only.
    assert conv4.output.shape[1:3] == conv5.output.shape[1:3] == (8, 12)
    assert model.get_layer("auxiliary_conv").output.shape == (None, 8, 12, 16)
    assert [output.shape for output in model.outputs] == [(None, 64, 96, 3)] * 2
    model.compile(
        "sgd",
        [SparseCrossEntropy(), SparseCrossEntropy()],
        loss_weights=[1.0, 0.4],
        run_eagerly=True,
    )
    masks = np.random.default_rng(0).integers(0, 3, (2, 64, 96))
    logs = model.train_on_batch(images(2, 64, 96, 3), [masks] * 2, return_dict=True)
    expected = logs["probabilities_loss"] + 0.4 * logs["auxiliary_probabilities_loss"]
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


def test_auxiliary_scores_are_those_of_the_map_before_the_last_of_any_other():
    model = pspnet((64, 96, 3), 3, backbone=backbone(), auxiliary_outputs=True)
    assert model.get_layer("auxiliary_conv").output.shape == (None, 16, 24, 256)


@pytest.mark.parametrize("size", [(32, 47), (48, 96)])
def test_any_size_from_32_works(size):
    model = pspnet((*size, 3), 2, backbone=backbone(), width_multiplier=1 / 16)
    outputs = ops.convert_to_numpy(model(images(1, *size, 3)))
    assert outputs.shape == (1, *size, 2)
    np.testing.assert_allclose(outputs.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"num_classes": 1}, "activation='softmax', num_classes=1"),
        ({"input_shape": (31, 64, 3)}, r"input_shape=\(31, 64, 3\)"),
        ({"bins": ()}, r"bins=\(\)"),
        ({"width_multiplier": 0}, "width_multiplier=0"),
        ({"backbone": "mobilenet_v2", "output_stride": 4}, "output_stride=4"),
    ],
)
def test_values_that_no_net_can_be_built_with(arguments, message):
    arguments = {
        "input_shape": (64, 64, 3),
        "num_classes": 2,
        "backbone": backbone(),
        **arguments,
    }
    with pytest.raises(ValueError, match=f"Received: {message}"):
        pspnet(**arguments)
