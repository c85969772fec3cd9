"""What is true of the backbone of inverted residuals alone."""

import keras
import numpy as np
import pytest
from keras import layers

from kseg import backbones

to_numpy = keras.ops.convert_to_numpy
TINY = {"filters": (4, 5, 6, 7, 8), "blocks": (1, 2, 2, 1), "expansion": 2}


def by_hand(filters, blocks, expansion, fused_stages=0):
    """The table of the net, layer by layer: kernels, gamma and beta."""
    stem, *widths = filters
    count, inputs = 9 * 3 * stem + 2 * stem, stem
    rows = zip(widths, blocks, (3, 3, 5, 5), range(4), strict=True)
    for width, number, size, stage in rows:
        for _ in range(number):
            if stage < fused_stages:
                count += 9 * inputs * width + 2 * width
                inputs = width
                continue
            inside = inputs * expansion
            count += inputs * inside + 2 * inside  # to many channels
            count += size * size * inside + 2 * inside  # depthwise
            count += inside * width + 2 * width  # back to few
            inputs = width
    return count


@pytest.mark.parametrize(
    "arguments",
    [
        {"filters": (16, 24, 32, 40, 48), "blocks": (1, 2, 2, 3), "expansion": 3},
        TINY,
        {**TINY, "fused_stages": 1},
        {**TINY, "fused_stages": 4},
    ],
    ids=["defaults", "tiny", "first stage fused", "all fused"],
)
def test_number_of_parameters(arguments):
    defaults = arguments["filters"] != TINY["filters"]
    model = backbones.get(
        "inverted_residuals", (None, None, 3), **({} if defaults else arguments)
    )
    found = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert found == by_hand(**arguments)
    assert [x.shape[-1] for x in model.outputs] == [*arguments["filters"]]


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (32, 32)])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_one_map_per_stride(size, output_stride):
    model = backbones.get(
        "inverted_residuals", (*size, 3), output_stride=output_stride, **TINY
    )
    strides = [2**i for i in range(1, 6) if 2**i <= output_stride]
    assert [x.shape[1:3] for x in model.outputs] == [
        (-(-size[0] // stride), -(-size[1] // stride)) for stride in strides
    ]


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
@pytest.mark.parametrize("fused_stages", [0, 4])
def test_dense_map_subsampled_is_the_strided_map(
    output_stride, size, fused_stages, picture, randomize
):
    arguments = {**TINY, "fused_stages": fused_stages}
    strided, dense = (
        backbones.get(
            "inverted_residuals", (None, None, 3), output_stride=n, **arguments
        )
        for n in (32, output_stride)
    )
    randomize(strided)
    dense.set_weights(strided.get_weights())
    image = picture(*size)
    expected = to_numpy(strided(image)[-1])
    step = 32 // output_stride
    found = to_numpy(dense(image)[-1])[:, ::step, ::step]
    scale = np.abs(expected).max()
    assert scale > 0.1
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-5)


def test_blocks_of_equal_shape_have_a_sum_and_no_others():
    model = backbones.get("inverted_residuals", (64, 64, 3), **TINY)
    sums = {x.name for x in model.layers if isinstance(x, layers.Add)}
    assert sums == {"stage2_block2_add", "stage3_block2_add"}


def test_a_fused_block_is_one_convolution():
    model = backbones.get("inverted_residuals", (64, 64, 3), **TINY, fused_stages=2)
    names = [x.name for x in model.layers if isinstance(x, layers.Conv2D)]
    assert names[:4] == ["stem", "stage1_block1", "stage2_block1", "stage2_block2"]
    assert "stage3_block1_expand" in names
    assert {x.name for x in model.layers if isinstance(x, layers.Add)} == {
        "stage2_block2_add",
        "stage3_block2_add",
    }


def test_no_activation_but_relu6_which_every_runtime_fuses():
    model = backbones.get("inverted_residuals", (64, 64, 3), **TINY)
    relus = [x for x in model.layers if isinstance(x, layers.ReLU)]
    assert {x.max_value for x in relus} == {6}
    assert len(relus) == 1 + 2 * sum(TINY["blocks"])
    assert not [x for x in model.layers if isinstance(x, layers.Activation)]


def test_images_become_minus_one_to_one():
    model = backbones.get("inverted_residuals", (64, 64, 3), **TINY)
    probe = keras.Model(model.input, model.get_layer("rescaling").output)
    values = to_numpy(probe(np.full((1, 64, 64, 3), [0, 127.5, 255], "float32")))
    np.testing.assert_allclose(values[0, 5, 5], [-1, 0, 1], atol=1e-6)


def test_weights_of_such_a_backbone_are_loaded_and_others_refused(picture, tmp_path):
    path = tmp_path / "net.weights.h5"
    first = backbones.get("inverted_residuals", (64, 64, 3), **TINY)
    first.save_weights(path)
    second = backbones.get("inverted_residuals", (64, 64, 3), weights=path, **TINY)
    image = picture(64, 64)
    np.testing.assert_array_equal(
        to_numpy(second(image)[-1]), to_numpy(first(image)[-1])
    )
    with pytest.raises(ValueError, match=r"filters \[16, 24, .*Received: weights="):
        backbones.get("inverted_residuals", (64, 64, 3), weights=path)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"weights": "imagenet"}, ValueError, "weights='imagenet'"),
        ({"output_stride": 64}, ValueError, "output_stride=64"),
        ({"width_multiplier": -1}, ValueError, "width_multiplier=-1"),
        ({"input_shape": (31, 64, 3)}, ValueError, "input_shape="),
        ({"filters": (4, 5, 6, 7)}, ValueError, r"filters=\(4, 5, 6, 7\)"),
        ({"filters": (4, 5, 6, 7, 0)}, ValueError, "filters=0"),
        ({"filters": 8}, TypeError, "filters=8"),
        ({"blocks": (1, 2, 3)}, ValueError, r"blocks=\(1, 2, 3\)"),
        ({"blocks": (1, 2, 3, 1.5)}, TypeError, "blocks=1.5"),
        ({"expansion": 0}, ValueError, "expansion=0"),
        ({"expansion": 1.5}, TypeError, "expansion=1.5"),
        ({"fused_stages": 5}, ValueError, "fused_stages=5"),
        ({"fused_stages": -1}, ValueError, "fused_stages=-1"),
        ({"fused_stages": 2.0}, TypeError, "fused_stages=2.0"),
        ({"fused_stages": True}, TypeError, "fused_stages=True"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_values_that_no_net_can_be_built_with(arguments, error, message):
    arguments = {"input_shape": (64, 64, 3), **arguments}
    with pytest.raises(error, match=f"Received: {message}"):
        backbones.get("inverted_residuals", **arguments)
