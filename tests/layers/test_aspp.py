"""What is true of atrous spatial pyramid pooling alone."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg.layers import ASPP, ASPPSum


def random_tensor(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def trainable(layer, channels):
    layer.build((None, None, None, channels))
    return sum(int(np.prod(w.shape)) for w in layer.trainable_weights)


def set_random_weights(layer):
    rng = np.random.default_rng(1)
    layer.set_weights([rng.uniform(-0.3, 0.5, w.shape) for w in layer.get_weights()])
    for w in layer.weights:
        if w.path.endswith(("gamma", "variance")):
            w.assign(rng.uniform(0.5, 1.5, w.shape))


class TorchWeights:
    """The weights of a layer by the end of their path, and torch's functions on them."""

    def __init__(self, torch, layer):
        self.torch = torch
        self.weights = {
            w.path: torch.from_numpy(ops.convert_to_numpy(w).copy())
            for w in layer.weights
        }

    def __getitem__(self, name):
        (value,) = (w for path, w in self.weights.items() if path.endswith(name))
        return value

    def convolution(self, x, kernel, rate=1, groups=1):
        return self.torch.nn.functional.conv2d(
            x,
            kernel.permute(3, 2, 0, 1),
            padding=rate * (kernel.shape[0] // 2),
            dilation=rate,
            groups=groups,
        )

    def norm_relu(self, x, name):
        statistics = [
            self[f"{name}/{key}"] for key in ("moving_mean", "moving_variance")
        ]
        gamma, beta = self[f"{name}/gamma"], self[f"{name}/beta"]
        x = self.torch.nn.functional.batch_norm(x, *statistics, gamma, beta, eps=1e-5)
        return self.torch.relu(x)

    def unit(self, x, name, rate=1):
        x = self.convolution(x, self[f"{name}/conv/kernel"], rate)
        return self.norm_relu(x, f"{name}/norm")

    def separable_unit(self, x, name, rate):
        kernel = self[f"{name}/depthwise_kernel"].permute(0, 1, 3, 2)
        x = self.convolution(x, kernel, rate, groups=x.shape[1])
        x = self.norm_relu(x, f"{name}/depthwise_norm")
        x = self.convolution(x, self[f"{name}/pointwise_kernel"])
        return self.norm_relu(x, f"{name}/pointwise_norm")

    def image_pooling(self, x):
        pooled = self.unit(x.mean((2, 3), keepdim=True), "image_pooling")
        return self.torch.nn.functional.interpolate(
            pooled, x.shape[2:], mode="bilinear", align_corners=False
        )


class TestASPP:
    @pytest.mark.parametrize(
        "arguments,count",
        [
            ({}, 15_535_104),
            ({"separable": True}, 3_019_776),
            ({"dilation_rates": (6, 12, 18, 24)}, 20_319_744),
        ],
    )
    def test_number_of_parameters_on_resnet(self, arguments, count):
        assert trainable(ASPP(**arguments), 2048) == count

    @pytest.mark.parametrize("separable", [False, True])
    @pytest.mark.parametrize("rates", [(1, 2, 4), (3,), (2, 9, 4, 6)])
    def test_is_that_of_torch(self, separable, rates):
        torch = pytest.importorskip("torch", reason="needs `make oracles`")
        inputs = random_tensor(2, 7, 9, 5)
        layer = ASPP(6, rates, separable=separable)
        layer.build(inputs.shape)
        set_random_weights(layer)
        weights = TorchWeights(torch, layer)
        x = torch.from_numpy(inputs).permute(0, 3, 1, 2)
        unit = weights.separable_unit if separable else weights.unit
        # The order of the authors' code: image pooling, 1x1, rates ascending.
        parts = [weights.image_pooling(x), weights.unit(x, "pointwise")]
        parts += [unit(x, f"atrous{i}", rate) for i, rate in enumerate(rates, 1)]
        expected = weights.unit(torch.cat(parts, 1), "projection").permute(0, 2, 3, 1)
        np.testing.assert_allclose(
            ops.convert_to_numpy(layer(inputs)), expected.numpy(), rtol=1e-4, atol=1e-5
        )

    def test_dropout_is_behind_the_projection_in_training_alone(self):
        layer = ASPP(16, (1, 2), dropout_rate=0.5)
        x = random_tensor(2, 12, 15, 3)
        layer(x)
        for w in layer.projection.weights:
            if w.path.endswith("beta"):
                w.assign(np.full(w.shape, 9.0))
        assert ops.convert_to_numpy(layer(x)).min() > 0
        dropped = ops.convert_to_numpy(layer(x, training=True)) == 0
        assert 0.45 < dropped.mean() < 0.55

    def test_image_branch_of_a_batch_of_one_is_its_offset_in_training(self):
        """As the docstring warns; with two images it is not."""
        layer = ASPP(4, (1,))
        layer.build((None, None, None, 3))
        set_random_weights(layer)
        branch = layer.branches[0]
        offset = np.maximum(ops.convert_to_numpy(branch.norm.beta), 0)
        x = random_tensor(2, 5, 6, 3)
        one = ops.convert_to_numpy(branch(x[:1], training=True))
        two = ops.convert_to_numpy(branch(x, training=True))
        np.testing.assert_allclose(one, np.broadcast_to(offset, one.shape), atol=1e-6)
        assert abs(two - offset).max() > 0.1
        layer.trainable = False
        frozen = ops.convert_to_numpy(branch(x[:1], training=True))
        assert abs(frozen - offset).max() > 0.01

    @pytest.mark.parametrize(
        "arguments,message",
        [
            ({"filters": 0}, "filters=0"),
            ({"dilation_rates": ()}, r"dilation_rates=\(\)"),
            ({"dilation_rates": (6, 0)}, "dilation_rates=0"),
            ({"dropout_rate": 1.0}, "dropout_rate=1.0"),
        ],
    )
    def test_values(self, arguments, message):
        with pytest.raises(ValueError, match=f"Received: {message}"):
            ASPP(**arguments)

    @pytest.mark.parametrize(
        "arguments,message",
        [
            ({"filters": 2.5}, "filters=2.5"),
            ({"dilation_rates": 6}, "dilation_rates=6"),
            ({"dilation_rates": (6, 1.5)}, "dilation_rates=1.5"),
        ],
    )
    def test_types(self, arguments, message):
        with pytest.raises(TypeError, match=f"Received: {message}"):
            ASPP(**arguments)


class TestASPPSum:
    @pytest.mark.parametrize(
        "channels,hidden_filters,count",
        # Of the whole nets of the paper: 44,048,532 less the 42,500,160 of ResNet-101,
        # and 37,877,652 less the 14,714,688 of VGG-16's convolutions.
        [
            (2048, None, 44_048_532 - 42_500_160),
            (512, 1024, 37_877_652 - 14_714_688),
        ],
    )
    def test_number_of_parameters(self, channels, hidden_filters, count):
        layer = ASPPSum(21, hidden_filters=hidden_filters)
        assert trainable(layer, channels) == count

    @pytest.mark.parametrize("hidden_filters", [None, 8])
    @pytest.mark.parametrize("rates", [(6, 12, 18, 24), (2,)])
    def test_is_that_of_torch(self, hidden_filters, rates):
        torch = pytest.importorskip("torch", reason="needs `make oracles`")
        inputs = random_tensor(2, 13, 15, 5)
        layer = ASPPSum(3, rates, hidden_filters)
        layer.build(inputs.shape)
        set_random_weights(layer)
        weights = TorchWeights(torch, layer)

        def convolution(x, name, rate=1):
            bias = weights[f"{name}/bias"][None, :, None, None]
            return weights.convolution(x, weights[f"{name}/kernel"], rate) + bias

        expected = 0
        for i, rate in enumerate(rates, 1):
            x = torch.from_numpy(inputs).permute(0, 3, 1, 2)
            if hidden_filters:
                x = torch.relu(convolution(x, f"branch{i}_hidden1", rate))
                x = torch.relu(convolution(x, f"branch{i}_hidden2"))
                rate = 1
            expected = expected + convolution(x, f"branch{i}_scores", rate)
        np.testing.assert_allclose(
            ops.convert_to_numpy(layer(inputs)),
            expected.permute(0, 2, 3, 1).numpy(),
            rtol=1e-4,
            atol=1e-4,
        )

    def test_scores_start_from_a_gaussian_of_deviation_0_01(self):
        layer = ASPPSum(21)
        layer.build((None, None, None, 512))
        for w in layer.weights:
            values = ops.convert_to_numpy(w)
            if w.path.endswith("bias"):
                assert not values.any()
            else:
                np.testing.assert_allclose(values.std(), 0.01, rtol=0.02)

    def test_dropout_is_behind_hidden_layers_in_training_alone(self):
        x = random_tensor(2, 6, 7, 3)
        layer = ASPPSum(2, (1,), hidden_filters=64)
        same = [ops.convert_to_numpy(layer(x)) for _ in range(2)]
        np.testing.assert_array_equal(*same)
        keras.utils.set_random_seed(0)
        dropped = [ops.convert_to_numpy(layer(x, training=True)) for _ in range(2)]
        assert abs(dropped[0] - dropped[1]).max() > 0
        layer = ASPPSum(2, (1,))
        np.testing.assert_array_equal(
            ops.convert_to_numpy(layer(x, training=True)),
            ops.convert_to_numpy(layer(x)),
        )

    @pytest.mark.parametrize(
        "arguments,message",
        [
            ({"filters": 0}, "filters=0"),
            ({"dilation_rates": []}, r"dilation_rates=\[\]"),
            ({"hidden_filters": 0}, "hidden_filters=0"),
            ({"dropout_rate": -0.1}, "dropout_rate=-0.1"),
        ],
    )
    def test_values(self, arguments, message):
        with pytest.raises(ValueError, match=f"Received: {message}"):
            ASPPSum(**{"filters": 3, **arguments})

    def test_types(self):
        with pytest.raises(TypeError, match="Received: hidden_filters=1.5"):
            ASPPSum(3, hidden_filters=1.5)
