"""What is true of the modified aligned Xception alone."""

import keras
import numpy as np
import pytest
from keras import layers

from kseg import backbones
from kseg.layers import AtrousSeparableConv2D

to_numpy = keras.ops.convert_to_numpy


def separable(inputs, filters):
    """A depthwise 3x3 and a pointwise kernel, with gamma and beta of two BatchNorms."""
    return 9 * inputs + 2 * inputs + inputs * filters + 2 * filters


def unit(inputs, filters, projected=True):
    count = projected * (inputs * filters[-1] + 2 * filters[-1])
    for width in filters:
        count += separable(inputs, width)
        inputs = width
    return count


def by_hand(entry, middle):
    """The table of the net, layer by layer."""
    count = 9 * 3 * 32 + 2 * 32 + 9 * 32 * 64 + 2 * 64
    inputs = 64
    for filters in entry:
        count += unit(inputs, (filters,) * 3)
        inputs = filters
    count += middle * unit(728, (728,) * 3, projected=False)
    count += unit(728, (728, 1024, 1024))
    return count + unit(1024, (1536, 1536, 2048), projected=False)


@pytest.mark.parametrize(
    ("name", "count", "entry", "middle"),
    [
        ("xception41", 24_920_560, (128, 256, 728), 8),
        # 41,055,413 of DeepLab v3+ with 21 classes, less its heads.
        ("xception65", 37_867_312, (128, 256, 728), 16),
        ("xception71", None, (128, 256, 256, 728, 728), 16),
    ],
)
def test_number_of_parameters(name, count, entry, middle):
    model = backbones.get(name, (None, None, 3))
    found = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert found == by_hand(entry, middle)
    assert count in (None, found)
    assert [x.shape[-1] for x in model.outputs] == [128, 256, 728, 1024, 2048]


def plan(output_stride, **options):
    """Rate of each separable convolution, and the names of those with a stride."""
    model = backbones.get(
        "xception65",
        (64, 64, 3),
        width_multiplier=0.0625,
        output_stride=output_stride,
        **options,
    )
    found = [x for x in model.layers if isinstance(x, AtrousSeparableConv2D)]
    rates = {x.name: x.dilation_rate[0] for x in found}
    return rates, [x.name for x in found if x.strides != (1, 1)]


@pytest.mark.parametrize(
    ("output_stride", "strided", "middle", "exit1", "exit2"),
    [
        (32, ["entry1", "entry2", "entry3", "exit1"], 1, 1, 1),
        (16, ["entry1", "entry2", "entry3"], 1, 1, 2),
        (8, ["entry1", "entry2"], 2, 2, 4),
    ],
)
def test_rates_and_strides_are_those_of_the_authors_code(
    output_stride, strided, middle, exit1, exit2
):
    rates, names = plan(output_stride)
    assert sorted(names) == sorted(f"{unit}_conv3" for unit in strided)
    for name, rate in rates.items():
        expected = {"entry": 1, "middl": middle, "exit1": exit1, "exit2": exit2}
        assert rate == expected[name[:5]], name


def test_multi_grid_multiplies_the_last_unit_alone():
    rates, _ = plan(16, multi_grid=(1, 2, 4))
    assert [rates[f"exit2_conv{i}"] for i in (1, 2, 3)] == [2, 4, 8]
    assert rates["exit1_conv3"] == 1


@pytest.mark.parametrize(("name", "block"), [("xception65", 2), ("xception71", 3)])
def test_map_at_stride_4_is_the_low_level_source_of_deeplab_v3_plus(name, block):
    """`entry_flow/block2/unit_1/…/separable_conv2_pointwise`; block3 in Xception-71."""
    model = backbones.get(name, (65, 97, 3), width_multiplier=0.0625, output_stride=16)
    low_level = model.outputs[1]
    source = model.get_layer(f"entry{block}_conv2")
    assert low_level is source.output
    assert low_level.shape == (None, 17, 25, 16)
    # Behind its BatchNorm, in front of the ReLU of the convolution that strides.
    assert keras.activations.serialize(source.activation) == "linear"
    assert model.get_layer(f"entry{block}_relu3").input is low_level
    assert model.get_layer(f"entry{block}_conv3").strides == (2, 2)


def test_layout_of_the_units_is_the_released_one():
    model = backbones.get("xception41", (64, 64, 3), width_multiplier=0.0625)
    relus = {x.name for x in model.layers if isinstance(x, layers.ReLU)}
    for layer in model.layers:
        if isinstance(layer, AtrousSeparableConv2D):
            last = layer.name.startswith("exit2")
            expected = "relu" if last else "linear"
            for activation in (layer.depth_activation, layer.activation):
                assert keras.activations.serialize(activation) == expected
            before = layer.input._keras_history.operation.name
            assert (before in relus) is not last, layer.name
            assert layer.epsilon == 1e-3
    assert {f"middle{i}_add" for i in range(1, 9)} <= {x.name for x in model.layers}
    assert "exit2_add" not in {x.name for x in model.layers}


def test_images_become_minus_one_to_one():
    model = backbones.get("xception41", (64, 64, 3), width_multiplier=0.0625)
    probe = keras.Model(model.input, model.get_layer("conv1").input)
    values = to_numpy(probe(np.full((1, 64, 64, 3), [0, 127.5, 255], "float32")))
    np.testing.assert_allclose(values[0, 5, 5], [-1, 0, 1], atol=1e-6)


def test_weights_of_such_a_backbone_are_loaded_and_others_refused(picture, tmp_path):
    arguments = {"input_shape": (64, 64, 3), "width_multiplier": 0.0625}
    path = tmp_path / "xception.weights.h5"
    first = backbones.get("xception41", **arguments)
    first.save_weights(path)
    second = backbones.get("xception41", weights=path, **arguments)
    image = picture(64, 64)
    np.testing.assert_array_equal(
        to_numpy(second(image)[-1]), to_numpy(first(image)[-1])
    )
    arguments["width_multiplier"] = 0.125
    with pytest.raises(
        ValueError, match="xception41 with .*=0.125. Received: weights="
    ):
        backbones.get("xception41", weights=path, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "imagenet"}, "weights='imagenet'"),
        ({"output_stride": 64}, "output_stride=64"),
        ({"multi_grid": (1, 2, 3, 4)}, "multi_grid="),
        ({"width_multiplier": -1}, "width_multiplier=-1"),
        ({"input_shape": (64, 64)}, "input_shape="),
    ],
    ids=str,
)
def test_values_that_no_net_can_be_built_with(arguments, message):
    arguments = {"input_shape": (64, 64, 3), **arguments}
    with pytest.raises(ValueError, match=f"Received: {message}"):
        backbones.get("xception65", **arguments)
