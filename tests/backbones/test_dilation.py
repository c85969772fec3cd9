"""Nets that are built dense compute what they compute strided, at more positions.

The oracle is the strided net itself: the dense map, subsampled, is its map.
"""

import keras
import numpy as np
import pytest

from kseg.backbones.dilation import steps

to_numpy = keras.ops.convert_to_numpy


def test_steps_follow_the_rule_of_the_layer_that_loses_its_stride():
    # Of DeepLab's `stack_blocks_dense`: once the target is reached, strides become rates.
    assert steps([2, 2, 1, 2, 2], 8) == [
        (2, 1, 1),
        (2, 1, 1),
        (1, 1, 1),
        (2, 1, 1),
        (1, 1, 2),
    ]
    assert steps([2, 2, 2, 2, 1, 2], 8)[3:] == [(1, 1, 2), (1, 2, 2), (1, 2, 4)]


def randomize(model):
    """Every BatchNorm far from the identity, those inside of layers included."""
    rng = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.6, 1.4, w.shape) for w in layer.weights])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet50", {"stride_position": "1x1"}),
        ("resnet50", {"multi_grid": (1, 2, 4), "deep_stem": True}),
        ("xception41", {"multi_grid": (1, 2, 4)}),
        pytest.param("resnet50", {}, marks=pytest.mark.slow),
        pytest.param("xception41", {}, marks=pytest.mark.slow),
        pytest.param("resnet101", {}, marks=pytest.mark.slow),
        pytest.param("xception65", {}, marks=pytest.mark.slow),
        pytest.param("xception71", {}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_dense_maps_subsampled_are_the_strided_ones(name, options, narrow, picture):
    strided = narrow(name, 32, **options)
    randomize(strided)
    for size in [(65, 65), (64, 96)]:
        image = picture(*size)
        expected = [to_numpy(x) for x in strided(image)]
        for output_stride in (16, 8):
            dense = narrow(name, output_stride, **options)
            dense.set_weights(strided.get_weights())
            found = [to_numpy(x) for x in dense(image)]
            assert len(found) == {16: 4, 8: 3}[output_stride]
            *finer, last = found
            for fine, wanted in zip(finer, expected[: len(finer)], strict=True):
                np.testing.assert_allclose(fine, wanted, rtol=1e-4, atol=1e-4)
            assert last.shape[1] == -(-size[0] // output_stride)
            step = 32 // output_stride
            scale = np.abs(expected[-1]).max()
            assert scale > 0.1
            np.testing.assert_allclose(
                last[:, ::step, ::step] / scale, expected[-1] / scale, atol=1e-4
            )
