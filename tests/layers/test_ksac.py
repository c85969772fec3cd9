"""What is true of kernel-sharing atrous convolution alone."""

from fractions import Fraction

import keras
import numpy as np
import pytest
from keras import layers, ops

from kseg.layers import ASPP, KSAC

FUSIONS = ("sum", "concat", "sum_all")


def random_tensor(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def counts(layer, channels=2048):
    """Numbers of trainable parameters, by the name of the weight."""
    layer.build((None, None, None, channels))
    return {w.path: int(np.prod(w.shape)) for w in layer.trainable_weights}


def total(layer, channels=2048):
    return sum(counts(layer, channels).values())


def set_random_weights(layer):
    rng = np.random.default_rng(1)
    for w in layer.weights:
        low, high = (
            (0.5, 1.5) if w.path.endswith(("gamma", "variance")) else (-0.3, 0.5)
        )
        w.assign(rng.uniform(low, high, w.shape))


def weight(layer, name):
    (value,) = (w for w in layer.weights if w.path.endswith(name))
    return ops.convert_to_numpy(value).copy()


def torch_ksac(torch, x, layer, kernels, training):
    """The layer in torch, with one kernel per rate, each of which may be the same."""

    def tensor(name):
        return torch.from_numpy(weight(layer, name))

    def norm_relu(x, name):
        return torch.relu(
            torch.nn.functional.batch_norm(
                x,
                tensor(f"{name}/moving_mean"),
                tensor(f"{name}/moving_variance"),
                tensor(f"{name}/gamma"),
                tensor(f"{name}/beta"),
                training=training,
                eps=1e-5,
            )
        )

    def unit(x, name):
        kernel = tensor(f"{name}/conv/kernel").permute(3, 2, 0, 1)
        return norm_relu(torch.nn.functional.conv2d(x, kernel), f"{name}/norm")

    x = torch.from_numpy(x).permute(0, 3, 1, 2)
    rates = [
        norm_relu(
            torch.nn.functional.conv2d(
                x, kernel.permute(3, 2, 0, 1), padding=rate, dilation=rate
            ),
            f"ksac/norm{i}",
        )
        for i, (rate, kernel) in enumerate(
            zip(layer.dilation_rates, kernels, strict=True), 1
        )
    ]
    pooled = unit(x.mean((2, 3), keepdim=True), "image_pooling")
    others = [pooled.expand(-1, -1, *x.shape[2:]), unit(x, "pointwise")]
    if layer.fusion == "sum":
        x = torch.cat([*others, sum(rates)], 1)
    elif layer.fusion == "concat":
        x = torch.cat([*others, *rates], 1)
    else:
        x = sum(others) + sum(rates)
    return unit(x, "projection").permute(0, 2, 3, 1)


@pytest.mark.parametrize(
    "arguments,count",
    [
        ({"fusion": "sum"}, 5_966_848),
        ({"fusion": "concat"}, 6_097_920),
        ({"fusion": "sum_all"}, 5_835_776),
        ({"dilation_rates": (6, 12, 18, 24)}, 5_967_360),
    ],
)
def test_number_of_parameters_on_2048_channels(arguments, count):
    assert total(KSAC(**arguments)) == count


def test_saves_18_of_29_units_of_branch_kernels():
    """The paper's 62 %: 27 + 1 + 1 units of kernels become 9 + 1 + 1."""

    def branch_kernels(layer):
        return sum(
            count
            for path, count in counts(layer).items()
            if path.endswith("kernel") and "projection" not in path
        )

    shared = branch_kernels(KSAC())
    assert 1 - Fraction(shared, branch_kernels(ASPP())) == Fraction(18, 29)
    # Nor do kernels grow with the number of rates.
    assert branch_kernels(KSAC(dilation_rates=(6, 12, 18, 24, 30))) == shared


@pytest.mark.parametrize("fusion", ["sum", "sum_all"])
def test_a_rate_more_costs_one_batch_norm(fusion):
    three, four = (
        counts(KSAC(8, rates, fusion), 5) for rates in ((1, 2, 3), (1, 2, 3, 4))
    )
    assert len(four) == len(three) + 2
    assert sum(four.values()) == sum(three.values()) + 2 * 8


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("rates", [(1, 2, 4), (3,)])
def test_is_that_of_torch(fusion, rates):
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    x = random_tensor(2, 7, 9, 5)
    layer = KSAC(6, rates, fusion, name="ksac")
    layer.build(x.shape)
    set_random_weights(layer)
    kernel = torch.from_numpy(weight(layer, "ksac/kernel"))
    expected = torch_ksac(torch, x, layer, [kernel] * len(rates), training=False)
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(x)), expected.numpy(), rtol=1e-4, atol=1e-5
    )


def test_rates_are_convolutions_that_share_their_weights():
    """Keras' Conv2D, each with the shared kernel: the identity that defines the layer."""
    x = random_tensor(2, 7, 9, 5)
    layer = KSAC(6, (1, 2, 4), "sum_all", name="ksac")
    layer.build(x.shape)
    set_random_weights(layer)
    rates = 0
    for rate, norm in zip(layer.dilation_rates, layer.norms, strict=True):
        conv = layers.Conv2D(6, 3, padding="same", dilation_rate=rate, use_bias=False)
        conv.build(x.shape)
        conv.set_weights([weight(layer, "ksac/kernel")])
        rates = rates + ops.relu(norm(conv(x)))
    expected = layer.projection(rates + layer.pointwise(x) + layer.image_pooling(x))
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(x)), ops.convert_to_numpy(expected), atol=1e-5
    )


@pytest.mark.parametrize("fusion", FUSIONS)
def test_gradient_is_the_sum_of_those_of_the_rates(fusion):
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    x = random_tensor(3, 7, 9, 5)
    layer = KSAC(6, (1, 2, 4), fusion, dropout_rate=0, name="ksac")
    layer.build(x.shape)
    set_random_weights(layer)
    kernel = weight(layer, "ksac/kernel")
    kernels = [torch.from_numpy(kernel.copy()).requires_grad_() for _ in range(3)]
    torch_ksac(torch, x, layer, kernels, training=True).square().mean().backward()
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=True)
    model.train_on_batch(x, np.zeros((3, 7, 9, 6)))
    np.testing.assert_allclose(
        kernel - weight(layer, "ksac/kernel"),
        sum(k.grad for k in kernels).numpy(),
        rtol=1e-3,
        atol=1e-5,
    )


def test_dropout_is_inactive_in_inference():
    layer = KSAC(8, (1, 2), dropout_rate=0.5)
    x = random_tensor(2, 6, 7, 3)
    same = [ops.convert_to_numpy(layer(x)) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    dropped = ops.convert_to_numpy(layer(x, training=True)) == 0
    assert dropped.mean() > (same[0] == 0).mean()


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"filters": 0}, "filters=0"),
        ({"dilation_rates": ()}, r"dilation_rates=\(\)"),
        ({"dilation_rates": (-6,)}, "dilation_rates=-6"),
        ({"fusion": "max"}, "fusion='max'"),
        ({"dropout_rate": 1}, "dropout_rate=1"),
    ],
)
def test_values(arguments, message):
    with pytest.raises(ValueError, match=f"Received: {message}"):
        KSAC(**arguments)


def test_types():
    with pytest.raises(TypeError, match="Received: dilation_rates=6"):
        KSAC(dilation_rates=6)
