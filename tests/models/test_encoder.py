"""What the networks learn of their backbone."""

import keras
import pytest
from keras import layers

from kseg.models import encoder


def own(*strides, size=(None, None)):
    image = keras.Input((*size, 3))
    maps = [layers.Conv2D(4, 3, n, padding="same")(image) for n in strides]
    return keras.Model(image, maps, name="own")


def build(backbone, size=(65, 97), **arguments):
    defaults = {
        "weights": None,
        "width_multiplier": 0.1,
        "output_stride": 16,
        "rescale": True,
    }
    return encoder.build(backbone, (*size, 3), **{**defaults, **arguments})


@pytest.mark.parametrize(
    "output_stride,size", [(8, (33, 65)), (16, (None, None)), (32, (33, 65))]
)
def test_strides_of_a_named_backbone(output_stride, size):
    net, strides = build("mobilenet_v2", size, output_stride=output_stride)
    assert strides == [n for n in (2, 4, 8, 16, 32) if n <= output_stride]
    shapes = net.compute_output_shape((1, *(n or 65 for n in size), 3))
    height = size[0] or 65
    assert [s[1] for s in shapes] == [-(-height // n) for n in strides]


def test_strides_of_a_backbone_that_starts_at_4():
    _, strides = build("convnext_tiny", output_stride=32)
    assert strides == [4, 8, 16, 32]


@pytest.mark.parametrize("size", [(None, None), (64, 96), (129, 97)])
@pytest.mark.parametrize("strides", [(2, 4), (4, 8, 16, 32), (2, 16)])
def test_strides_of_an_own_backbone(size, strides):
    net, measured = build(own(*strides, size=size), size)
    assert net.name == "own"
    assert measured == list(strides)


def test_weights_of_an_own_backbone_are_its_own():
    with pytest.raises(ValueError, match="Received: weights='imagenet'"):
        build(own(2, 4), weights="imagenet")


def test_an_option_that_a_backbone_does_not_have():
    with pytest.raises(ValueError, match=r"Received: multi_grid=\(1, 2, 4\)"):
        build("mobilenet_v2", multi_grid=(1, 2, 4))


@pytest.mark.parametrize(
    "strides,index",
    [((2, 4, 8, 16), 1), ((4, 8, 16, 32), 0), ((2, 16), 0), ((2, 4), 0), ((8, 32), 0)],
)
def test_nearest_map_to_stride_4_is_never_the_coarsest(strides, index):
    assert encoder.nearest(list(strides), 4) == index


@pytest.mark.parametrize(
    "stride,rates",
    # 16 and 8 are the paper's.
    [(16, (6, 12, 18)), (8, (12, 24, 36)), (32, (3, 6, 9)), (128, (1, 1, 2))],
)
def test_dilation_rates_at_an_output_stride(stride, rates):
    assert encoder.dilation_rates((6, 12, 18), [2, stride]) == rates
