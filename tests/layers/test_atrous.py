"""What is true of the atrous convolutions alone."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg.layers import AtrousConv2D, AtrousSeparableConv2D

# Kernel size, dilation rate, strides: odd and even, equal and unequal.
GEOMETRIES = [
    (3, 1, 1),
    (3, 2, 1),
    (3, 1, 2),
    (3, 2, 2),
    (3, 3, 2),
    (3, 6, 1),
    (2, 3, 1),
    (2, 2, 3),
    (5, 1, 2),
    (1, 1, 2),
    ((3, 1), (2, 1), (1, 2)),
]
every_geometry = pytest.mark.parametrize(
    "kernel_size,dilation_rate,strides", GEOMETRIES
)


def random_tensor(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def torch_convolution(torch, x, kernel, dilation_rate, strides, groups=1):
    """torch's convolution of a tensor that is padded by hand, channels last."""
    sides = []
    for size, rate in zip(kernel.shape[:2], pair(dilation_rate), strict=True):
        total = (size - 1) * rate
        sides.append((total // 2, total - total // 2))
    (top, bottom), (left, right) = sides
    y = torch.nn.functional.conv2d(
        torch.nn.functional.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom)),
        kernel.permute(3, 2, 0, 1),
        stride=pair(strides),
        dilation=pair(dilation_rate),
        groups=groups,
    )
    return y.permute(0, 2, 3, 1)


def close(actual, expected, atol=1e-5):
    np.testing.assert_allclose(ops.convert_to_numpy(actual), expected, atol=atol)


def set_random_weights(layer):
    rng = np.random.default_rng(1)
    layer.set_weights([rng.uniform(0.1, 1, w.shape) for w in layer.get_weights()])


@every_geometry
@pytest.mark.parametrize("size", [(16, 17), (13, 20)])
def test_convolution_is_that_of_torch(kernel_size, dilation_rate, strides, size):
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    x = random_tensor(2, *size, 3)
    layer = AtrousConv2D(4, kernel_size, dilation_rate, strides, activation="relu")
    y = layer(x)
    layer.bias.assign(random_tensor(4))
    y = layer(x)
    kernel, bias = map(torch.from_numpy, layer.get_weights())
    expected = torch_convolution(
        torch, torch.from_numpy(x), kernel, dilation_rate, strides
    )
    close(y, torch.relu(expected + bias).numpy())


@every_geometry
@pytest.mark.parametrize("activations", [("relu", "relu"), (None, None)])
def test_separable_convolution_is_that_of_torch(
    kernel_size, dilation_rate, strides, activations
):
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    x = random_tensor(2, 13, 20, 3)
    layer = AtrousSeparableConv2D(
        4,
        kernel_size,
        dilation_rate,
        strides,
        depth_activation=activations[0],
        activation=activations[1],
        epsilon=1e-3,
    )
    layer.build(x.shape)
    set_random_weights(layer)
    weights = {w.path: torch.from_numpy(ops.convert_to_numpy(w)) for w in layer.weights}

    def weight(name):
        (value,) = (w for path, w in weights.items() if path.endswith(name))
        return value

    def norm(x, name, activation):
        mean, variance = (
            weight(f"{name}/moving_mean"),
            weight(f"{name}/moving_variance"),
        )
        x = (x - mean) / torch.sqrt(variance + 1e-3)
        x = x * weight(f"{name}/gamma") + weight(f"{name}/beta")
        return torch.relu(x) if activation else x

    depthwise = weight("depthwise_kernel").permute(0, 1, 3, 2)
    y = torch_convolution(
        torch, torch.from_numpy(x), depthwise, dilation_rate, strides, groups=3
    )
    y = norm(y, "depthwise_norm", activations[0])
    y = norm(y @ weight("pointwise_kernel")[0, 0], "pointwise_norm", activations[1])
    close(layer(x), y.numpy(), atol=1e-4)


@pytest.mark.parametrize("rate", [2, 3, 4])
def test_dilation_is_a_kernel_with_zeros_in_between(rate):
    x = random_tensor(1, 15, 18, 2)
    layer = AtrousConv2D(3, 3, rate, use_bias=False)
    y = layer(x)
    sparse = np.zeros((2 * rate + 1, 2 * rate + 1, 2, 3), "float32")
    sparse[::rate, ::rate] = layer.get_weights()[0]
    plain = keras.layers.Conv2D(3, 2 * rate + 1, padding="same", use_bias=False)
    plain.build(x.shape)
    plain.set_weights([sparse])
    close(y, ops.convert_to_numpy(plain(x)), atol=1e-6)


@pytest.mark.parametrize("size", [(16, 20), (15, 21), (16, 21)])
@pytest.mark.parametrize("make", [AtrousConv2D, AtrousSeparableConv2D])
def test_without_its_stride_a_net_is_dense(make, size):
    """Left out, the stride moves into the rates of what follows; even sizes included."""
    x = random_tensor(2, *size, 3)
    strided = make(4, 3, strides=2), make(5, 3, 1), make(6, 3, 2)
    dense = make(4, 3), make(5, 3, 2), make(6, 3, 4)
    y, z = x, x
    for one, other in zip(strided, dense, strict=True):
        y = one(y)
        other.build(z.shape)
        other.set_weights(one.get_weights())
        z = other(z)
    assert z.shape[1:3] == size
    close(ops.convert_to_numpy(z)[:, ::2, ::2], ops.convert_to_numpy(y))


@pytest.mark.parametrize("size", [(8, 9), (9, 8)])
def test_rates_beyond_the_map_leave_the_centre_of_the_kernel(size):
    """Section 3.3 of DeepLab v3: a 3x3 kernel degenerates to a 1x1 one."""
    x = random_tensor(1, *size, 3)
    layer = AtrousConv2D(4, 3, 9, use_bias=False)
    y = layer(x)
    close(y, x @ layer.get_weights()[0][1, 1])


def test_gradients_with_strides_and_dilation_are_those_of_torch():
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    x = random_tensor(2, 11, 14, 3)
    layer = AtrousConv2D(4, 3, 2, 2, use_bias=False)
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    kernel = torch.from_numpy(layer.get_weights()[0].copy()).requires_grad_()
    loss = torch_convolution(torch, torch.from_numpy(x), kernel, 2, 2).square().mean()
    loss.backward()
    before = layer.get_weights()[0]
    model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=True)
    model.train_on_batch(x, np.zeros(model.compute_output_shape(x.shape)))
    close(before - layer.get_weights()[0], kernel.grad.numpy())


def test_separable_kernels_start_at_the_deviations_of_the_authors():
    """Normals cut at two deviations, which leaves 0.88 of the deviation."""
    layer = AtrousSeparableConv2D(256, 3)
    layer.build((None, None, None, 256))
    for kernel, deviation in (
        (layer.depthwise_kernel, 0.33),
        (layer.pointwise_kernel, 0.06),
    ):
        values = ops.convert_to_numpy(kernel)
        np.testing.assert_allclose(values.std(), 0.8796 * deviation, rtol=0.05)
        assert abs(values).max() <= 2 * deviation


def test_number_of_parameters_of_a_separable_convolution():
    """Kernels, and gamma and beta of both BatchNorms."""
    layer = AtrousSeparableConv2D(256, 3)
    layer.build((None, None, None, 2048))
    count = sum(int(np.prod(w.shape)) for w in layer.trainable_weights)
    assert count == 9 * 2048 + 2 * 2048 + 2048 * 256 + 2 * 256


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="TensorFlow Lite converts TensorFlow",
)
class TestExport:
    @pytest.mark.parametrize("dilation_rate,strides", [(1, 1), (6, 1), (1, 2), (3, 2)])
    def test_is_one_convolution(self, dilation_rate, strides):
        layer = AtrousConv2D(4, 3, dilation_rate, strides, activation="relu")
        assert exported(layer) == {"CONV_2D": 1, **({"PAD": 1} if strides > 1 else {})}

    @pytest.mark.parametrize("dilation_rate,strides", [(1, 1), (6, 1), (1, 2), (3, 2)])
    def test_is_one_depthwise_and_one_pointwise_convolution(
        self, dilation_rate, strides
    ):
        layer = AtrousSeparableConv2D(4, 3, dilation_rate, strides)
        assert exported(layer) == {
            "DEPTHWISE_CONV_2D": 1,
            "CONV_2D": 1,
            **({"PAD": 1} if strides > 1 else {}),
        }


def exported(layer, shape=(20, 24, 3)):
    """Counts the operations of a .tflite file, and compares its answer with Keras'."""
    pytest.importorskip("ai_edge_litert", reason="needs pip install 'kseg[mobile]'")
    from ai_edge_litert.interpreter import Interpreter

    from kseg.mobile.exporting.conversion import concrete_function, convert
    from kseg.mobile.tflite.graph import op_counts

    image = keras.Input(shape)
    logits = keras.layers.Activation("linear", name="logits")(layer(image))
    model = keras.Model(image, logits)
    set_random_weights(model)
    content = convert(concrete_function(model, shape[:2], "logits"))
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    x = random_tensor(1, *shape)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(y, ops.convert_to_numpy(model(x)), rtol=1e-4, atol=1e-4)
    return op_counts(content)


class TestErrors:
    @pytest.mark.parametrize(
        "arguments,message",
        [
            ({"filters": 0}, "filters=0"),
            ({"kernel_size": 0}, "kernel_size=0"),
            ({"kernel_size": (3, 3, 3)}, r"kernel_size=\(3, 3, 3\)"),
            ({"dilation_rate": 0}, "dilation_rate=0"),
            ({"dilation_rate": (2, -1)}, "dilation_rate=-1"),
            ({"strides": 0}, "strides=0"),
        ],
    )
    @pytest.mark.parametrize("make", [AtrousConv2D, AtrousSeparableConv2D])
    def test_values(self, make, arguments, message):
        with pytest.raises(ValueError, match=f"Received: {message}"):
            make(**{"filters": 4, "kernel_size": 3, **arguments})

    @pytest.mark.parametrize("make", [AtrousConv2D, AtrousSeparableConv2D])
    def test_types(self, make):
        with pytest.raises(TypeError, match="Received: dilation_rate=1.5"):
            make(4, 3, 1.5)
        with pytest.raises(TypeError, match="Received: filters='4'"):
            make("4", 3)
