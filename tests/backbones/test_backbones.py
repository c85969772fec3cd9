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
    found = {
        name: build.args[0]
        for name, build in backbones.BACKBONES.items()
        if getattr(build, "func", None) is backbones.from_application
    }
    assert found == {
        name: getattr(keras.applications, title) for name, title in APPLICATIONS.items()
    }


def test_builders_take_the_arguments_of_get():
    _, *shared, options = inspect.signature(backbones.get).parameters.values()
    assert options.kind is options.VAR_KEYWORD
    for build in backbones.BACKBONES.values():
        found = list(inspect.signature(build).parameters.values())
        assert [p for p in found if p in shared] == shared
        own = [p for p in found if p not in shared]
        assert all(p.kind is p.KEYWORD_ONLY for p in own)
        assert all(p.default is not p.empty for p in own)


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


def test_option_of_a_backbone_reaches_its_builder():
    options = {"multi_grid": (1, 2, 4), "width_multiplier": 0.125}
    model = backbones.get("resnet50", (64, 64, 3), **options)
    assert model.get_layer("conv5_block3_2_conv").dilation_rate == (4, 4)


@pytest.mark.parametrize(
    ("name", "option", "known"),
    [
        ("mobilenet_v2", "multi_grid", "none"),
        ("resnet50", "stem", "`deep_stem`, `multi_grid`, `stride_position`"),
        ("xception41", "deep_stem", "`multi_grid`"),
    ],
)
def test_option_that_the_backbone_does_not_take_is_named(name, option, known):
    message = f"`{option}` is no option of .*{name}.*takes {known}.*{option}=7"
    with pytest.raises(ValueError, match=message):
        backbones.get(name, (64, 64, 3), **{option: 7})


@pytest.mark.parametrize(
    "argument",
    [
        {"weights": "imagenet"},
        {"width_multiplier": 0.5},
        {"rescale": False},
        {"multi_grid": (1, 2, 4)},
    ],
    ids=str,
)
def test_what_builds_a_named_backbone_is_refused_with_a_model(argument):
    ((key, value),) = argument.items()
    with pytest.raises(ValueError) as error:
        backbones.get(user_model(2, 4), (64, 64, 3), **argument)
    assert f"`{key}` must be left out with a `keras.Model`" in str(error.value)
    assert f"Received: {key}={value!r} with backbone='mine'" in str(error.value)


@pytest.mark.parametrize("shape", [(None, None, 3), (48, 64, 3)], ids=str)
def test_output_stride_of_a_model_is_its_own(shape):
    message = "that of the `keras.Model`.*, 8. Received: output_stride=16"
    with pytest.raises(ValueError, match=message):
        backbones.get(user_model(1, 4, 8), shape, output_stride=16)


def test_output_stride_of_a_model_may_round_up_or_down():
    for padding in ("same", "valid"):
        image = keras.Input((None, None, 3))
        maps = [layers.Conv2D(1, 3, s, padding=padding)(image) for s in (2, 8)]
        model = keras.Model(image, maps)
        for size in (63, 64, 65):
            assert backbones.get(model, (size, 33, 3), output_stride=8) is model


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
