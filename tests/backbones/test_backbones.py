"""Backbones by name, and those that a user brings."""

import inspect

import keras
import pytest
from keras import layers

from kseg import backbones

APPLICATIONS = {  # Name in kseg: function of keras.applications.
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_small": "MobileNetV3Small",
    "mobilenet_v3_large": "MobileNetV3Large",
    "convnext_tiny": "ConvNeXtTiny",
    "densenet121": "DenseNet121",
    **{f"efficientnet_b{n}": f"EfficientNetB{n}" for n in range(4)},
    **{f"efficientnet_v2_b{n}": f"EfficientNetV2B{n}" for n in range(4)},
}


def test_every_application_has_its_name():
    found = {name: build.args[0] for name, build in backbones.BACKBONES.items()}
    assert found == {
        name: getattr(keras.applications, title) for name, title in APPLICATIONS.items()
    }


def test_builders_take_the_arguments_of_get():
    by_name = list(inspect.signature(backbones.get).parameters.values())[1:]
    for build in backbones.BACKBONES.values():
        assert list(inspect.signature(build).parameters.values()) == by_name


@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
@pytest.mark.parametrize(
    ("output_stride", "strides"),
    [(8, [2, 4, 8]), (16, [2, 4, 8, 16]), (32, [2, 4, 8, 16, 32])],
)
def test_one_map_per_stride_down_to_the_output_stride(
    size, output_stride, strides, narrow
):
    backbone = narrow("mobilenet_v3_small", output_stride)
    assert [x[1:3] for x in backbone.compute_output_shape((1, *size, 3))] == [
        (-(-size[0] // stride), -(-size[1] // stride)) for stride in strides
    ]


def test_net_that_starts_at_stride_4_has_no_finer_map(narrow):
    shapes = narrow("convnext_tiny").compute_output_shape((1, 64, 96, 3))
    assert [x[1:3] for x in shapes] == [(16, 24), (8, 12), (4, 6), (2, 3)]


def test_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="'mobilenet_v2', .*backbone='mobilenet'"):
        backbones.get("mobilenet", (64, 64, 3))


def test_neither_name_nor_model_is_refused():
    with pytest.raises(TypeError, match="Received: backbone=None"):
        backbones.get(None, (64, 64, 3))


def user_model(*strides, shape=(None, None, 3)):
    image = keras.Input(shape)
    maps = [layers.Conv2D(4, 1, strides=stride)(image) for stride in strides]
    return keras.Model(image, maps, name="mine")


@pytest.mark.parametrize("shape", [(None, None, 3), (48, 64, 3)], ids=str)
def test_model_of_falling_maps_is_taken_as_it_is(shape):
    model = user_model(1, 4, 8, shape=shape)
    assert backbones.get(model, (48, 64, 3)) is model
    if shape[0] is None:
        assert backbones.get(model, (None, None, 3), output_stride=8) is model


@pytest.mark.parametrize(
    ("make", "input_shape", "message"),
    [
        (lambda: user_model(8, 4), (64, 64, 3), "falling resolution"),
        (lambda: user_model(4, 4), (None, None, 3), "falling resolution"),
        (lambda: user_model(4), (64, 64, 3), "two outputs or more"),
        (lambda: user_model(2, 4), (64, 64, 1), r"fit the input \(None, None, 3\)"),
        (
            lambda: user_model(2, 4, shape=(32, 32, 3)),
            (None, None, 3),
            r"fit the input \(32, 32, 3\)",
        ),
        (
            lambda: keras.Model(a := keras.Input((8,)), [layers.Dense(2)(a), a]),
            (64, 64, 3),
            "one input",
        ),
        (
            lambda: keras.Model(
                a := keras.Input((64, 64, 3)),
                [layers.Conv2D(2, 1)(a), layers.GlobalAveragePooling2D()(a)],
            ),
            (64, 64, 3),
            "must have outputs of shape",
        ),
        (
            lambda: keras.Sequential([layers.Dense(2)]),
            (64, 64, 3),
            "two outputs or more",
        ),
    ],
    ids=[
        "rising",
        "equal",
        "single map",
        "channels",
        "fixed size",
        "no image",
        "vector",
        "not built",
    ],
)
def test_model_that_is_no_backbone_is_refused(make, input_shape, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        backbones.get(make(), input_shape)
