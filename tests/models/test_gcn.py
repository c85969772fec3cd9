"""What is true of the Global Convolutional Network alone."""

import keras
import numpy as np
import pytest
from keras import layers

from kseg.layers import BilinearUpsampling2D, BoundaryRefinement2D, GlobalConv2D
from kseg.models import gcn

to_numpy = keras.ops.convert_to_numpy


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def four_maps():
    """A backbone with the strides of a ResNet."""
    x = image = keras.Input((None, None, 3))
    maps = []
    for filters in (3, 4, 5, 6, 7):
        x = layers.Conv2D(filters, 3, 2, padding="same", activation="relu")(x)
        maps.append(x)
    return keras.Model(image, maps, name="maps")


@pytest.mark.parametrize(
    ("backbone", "kernel_size", "count"),
    # Trunk, four global convolutions and nine refinements of 21 classes.
    [
        ("resnet50", 15, 26_052_308),
        ("resnet50", 7, 24_733_844),
        ("resnet101", 15, 45_044_436),
        pytest.param("resnet101", 7, 43_725_972, marks=pytest.mark.slow),
        pytest.param("resnet152", 15, 60_688_084, marks=pytest.mark.slow),
        pytest.param("resnet152", 7, 59_369_620, marks=pytest.mark.slow),
    ],
)
def test_number_of_parameters(backbone, kernel_size, count):
    model = gcn((None, None, 3), 21, backbone=backbone, kernel_size=kernel_size)
    assert trainable(model) == count


def test_learned_upsampling_adds_five_kernels_of_4x4():
    arguments = {"backbone": four_maps(), "kernel_size": 3}
    plain = gcn((64, 96, 3), 21, **arguments)
    learned = gcn((64, 96, 3), 21, learn_upsampling=True, **arguments)
    assert trainable(learned) - trainable(plain) == 5 * 16 * 21**2
    ups = [x for x in learned.layers if isinstance(x, BilinearUpsampling2D)]
    assert len(ups) == 5 and all(x.scale == 2 for x in ups)


def test_boxes_of_figure_2():
    """Four maps from stride 4 on are scored; nine refinements; sums coarse to fine."""
    model = gcn((64, 96, 3), 5, backbone=four_maps())
    scored = [x for x in model.layers if isinstance(x, GlobalConv2D)]
    assert sorted(x.input.shape[1] for x in scored) == [2, 4, 8, 16]
    assert all((x.kernel_size, x.filters) == (15, 5) for x in scored)
    refined = [x for x in model.layers if isinstance(x, BoundaryRefinement2D)]
    assert sorted(x.output.shape[1] for x in refined) == [2, 4, 4, 8, 8, 16, 16, 32, 64]
    sums = [x for x in model.layers if isinstance(x, layers.Add)]
    assert [x.output.shape[1] for x in sums] == [4, 8, 16]


def test_coarsest_scores_reach_the_output_by_bilinear_steps():
    """Without the finer maps and refinements, the output is resized five times."""
    model = gcn((64, 96, 3), 2, backbone=four_maps(), activation=None)
    for layer in model.layers:
        if isinstance(layer, BoundaryRefinement2D) or (
            isinstance(layer, GlobalConv2D) and layer.name != "global32"
        ):
            layer.set_weights([np.zeros(w.shape) for w in layer.weights])
    image = np.random.default_rng(0).uniform(0, 255, (1, 64, 96, 3)).astype("float32")
    maps = model.get_layer("maps")(image)
    expected = model.get_layer("global32")(maps[-1])
    for size in [(4, 6), (8, 12), (16, 24), (32, 48), (64, 96)]:
        expected = keras.ops.image.resize(expected, size)
    np.testing.assert_allclose(
        to_numpy(model(image)), to_numpy(expected), rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 14}, "kernel_size=14"),
        ({"backbone": "resnet"}, "backbone='resnet'"),
        ({"output_stride": 4, "backbone": "resnet50"}, "output_stride=4"),
        ({"num_classes": 1}, "activation='softmax', num_classes=1"),
        ({"input_shape": (31, 64, 3)}, "input_shape="),
    ],
    ids=str,
)
def test_values_that_no_net_can_be_built_with(arguments, message):
    arguments = {
        "input_shape": (64, 64, 3),
        "num_classes": 2,
        "backbone": four_maps(),
        **arguments,
    }
    with pytest.raises(ValueError, match=f"Received: {message}"):
        gcn(**arguments)
