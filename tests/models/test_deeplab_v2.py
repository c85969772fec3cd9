"""What is true of DeepLab v2 alone."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kseg.layers import ResizingByScale2D, ResizingLike2D
from kseg.losses import SparseCrossEntropy
from kseg.models import deeplab_v2


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def images(*shape):
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def backbone(channels=6, size=(None, None)):
    image = keras.Input((*size, 3))
    fine = layers.Conv2D(4, 3, 4, padding="same", use_bias=False)(image)
    coarse = layers.Conv2D(channels, 3, 2, padding="same", use_bias=False)(fine)
    return keras.Model(image, [fine, coarse], name="maps")


def vgg(**arguments):
    return deeplab_v2((64, 96, 3), 3, width_multiplier=1 / 16, **arguments)


def test_number_of_parameters_on_vgg16():
    assert trainable(deeplab_v2((None, None, 3), 21)) == 37_877_652


def test_number_of_parameters_beyond_the_trunk_of_resnet101():
    model = deeplab_v2((None, None, 3), 21, backbone=backbone(2048))
    assert trainable(model) - 9 * (3 * 4 + 4 * 2048) == 44_048_532 - 42_500_160


@pytest.mark.slow
def test_number_of_parameters_on_resnet101():
    model = deeplab_v2((None, None, 3), 21, backbone="resnet101")
    assert trainable(model) == 44_048_532


def test_vgg16_has_the_pools_and_rates_of_deeplab_and_hidden_layers():
    model = vgg()
    net = model.get_layer("vgg16")
    pools = [net.get_layer(f"pool{i}") for i in range(1, 6)]
    assert [pool.strides[0] for pool in pools] == [2, 2, 2, 1, 1]
    assert {pool.pool_size for pool in pools} == {(3, 3)}
    assert {net.get_layer(f"conv5_{i}").dilation_rate for i in (1, 2, 3)} == {(2, 2)}
    assert model.get_layer("scores").hidden_filters == 64
    assert model.get_layer("scores").dilation_rates == (6, 12, 18, 24)


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (None, None)])
def test_scores_at_output_stride(size):
    model = deeplab_v2((*size, 3), 3, backbone=backbone(), upsample=False)
    height, width = (65, 97) if None in size else size
    assert model(images(1, height, width, 3)).shape == (
        1,
        -(-height // 8),
        -(-width // 8),
        3,
    )


def test_scores_at_output_stride_8_hold_those_at_16():
    keras.utils.set_random_seed(0)
    coarse, fine = (
        deeplab_v2(
            (65, 97, 3),
            3,
            backbone="mobilenet_v2",
            width_multiplier=0.1,
            output_stride=output_stride,
            dilation_rates=rates,
            upsample=False,
            activation=None,
        )
        for output_stride, rates in ((16, (1, 3)), (8, (2, 6)))
    )
    rng = np.random.default_rng(0)
    for weight in coarse.get_layer("mobilenet_v2").weights:
        if len(weight.shape) == 4:  # As narrow as this, it would fade to nothing.
            weight.assign(ops.convert_to_numpy(weight) * 3)
        else:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    fine.set_weights(coarse.get_weights())
    batch = images(1, 65, 97, 3)
    expected = ops.convert_to_numpy(coarse(batch))
    assert expected.shape[1:3] == (5, 7) and expected.std() > 1e-4
    np.testing.assert_allclose(
        ops.convert_to_numpy(fine(batch))[:, ::2, ::2], expected, rtol=1e-3, atol=1e-5
    )


class TestScales:
    SCALES = (0.5, 0.75, 1.0)

    def build(self, **arguments):
        keras.utils.set_random_seed(0)
        return deeplab_v2(
            (65, 97, 3),
            3,
            backbone=backbone(),
            dilation_rates=(1, 2),
            upsample=False,
            activation=None,
            **arguments,
        )

    def test_are_the_net_at_each_size_fused_by_the_maximum(self):
        model = self.build(scales=self.SCALES, auxiliary_outputs=True)
        single = self.build()
        # One net, shared by the scales.
        assert [w.shape for w in single.weights] == [w.shape for w in model.weights]
        single.set_weights(model.get_weights())
        batch = images(2, 65, 97, 3)
        fused, *scores = (ops.convert_to_numpy(x) for x in model(batch))
        whole = ops.convert_to_numpy(single(batch))
        np.testing.assert_allclose(scores[2], whole, rtol=1e-4, atol=1e-4)
        any_size = deeplab_v2(
            (None, None, 3),
            3,
            backbone=single.get_layer("maps"),
            dilation_rates=(1, 2),
            upsample=False,
            activation=None,
        )
        any_size.set_weights(model.get_weights())
        for scale, size, actual in zip((0.5, 0.75), (33, 49), scores, strict=False):
            smaller = ResizingByScale2D(scale)(batch)
            assert smaller.shape[1] == size
            expected = ResizingLike2D()([any_size(smaller), whole])
            expected = ops.convert_to_numpy(expected)
            np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(fused, np.max(scores, axis=0))
        assert all((fused == score).any() for score in scores)

    def test_outputs_are_the_fused_scores_alone_by_default(self):
        model = self.build(scales=self.SCALES)
        assert model.output.shape == (None, 9, 13, 3)

    def test_four_losses_train_every_weight(self):
        model = deeplab_v2(
            (64, 96, 3),
            3,
            backbone=backbone(),
            dilation_rates=(1, 2),
            scales=self.SCALES,
            auxiliary_outputs=True,
        )
        names = [output.shape for output in model.outputs]
        assert names == [(None, 64, 96, 3)] * 4
        model.compile("sgd", [SparseCrossEntropy() for _ in range(4)], run_eagerly=True)
        masks = np.random.default_rng(0).integers(0, 3, (2, 64, 96))
        logs = model.train_on_batch(images(2, 64, 96, 3), [masks] * 4, return_dict=True)
        losses = [value for key, value in logs.items() if key != "loss"]
        assert len(losses) == 4
        np.testing.assert_allclose(sum(losses), logs["loss"], rtol=1e-5)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"num_classes": 1}, "activation='softmax', num_classes=1"),
        ({"input_shape": (31, 64, 3)}, r"input_shape=\(31, 64, 3\)"),
        ({"scales": (0.5, 1.0), "input_shape": (63, 64, 3)}, r"input_shape=\(63, 64"),
        ({"scales": ()}, r"scales=\(\)"),
        ({"scales": (0.5, 0.75)}, r"scales=\(0.5, 0.75\)"),
        ({"scales": (0, 1)}, r"scales=\(0, 1\)"),
        ({"scales": (1.0, 1.0)}, r"scales=\(1.0, 1.0\)"),
        ({"auxiliary_outputs": True}, "auxiliary_outputs=True, scales="),
        ({"dilation_rates": ()}, r"dilation_rates=\(\)"),
        ({"width_multiplier": 0}, "width_multiplier=0"),
        ({"backbone": "mobilenet_v2", "output_stride": 4}, "output_stride=4"),
        (
            {"backbone": backbone(size=(64, 64)), "scales": (0.5, 1.0)},
            r"input_shape=\(None, None, 3\)",
        ),
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
        deeplab_v2(**arguments)


def test_scales_of_a_wrong_type():
    with pytest.raises(TypeError, match="Received: scales=0.5"):
        deeplab_v2((64, 64, 3), 2, backbone=backbone(), scales=0.5)
