"""What is true of pyramid pooling alone."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg.layers import PyramidPooling2D

# Every bin divides the map; none but 1 does; the map is smaller than the bins.
SIZES = {"divisible": (12, 18), "indivisible": (11, 13), "small": (5, 3), "one": (1, 1)}


def random_tensor(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def built(layer, shape):
    layer.build(shape)
    rng = np.random.default_rng(1)
    for w in layer.weights:
        low, high = (
            (0.5, 1.5) if w.path.endswith(("gamma", "variance")) else (-0.3, 0.5)
        )
        w.assign(rng.uniform(low, high, w.shape))
    return layer


def weight(layer, name):
    (value,) = (w for w in layer.weights if w.path.endswith(name))
    return ops.convert_to_numpy(value).copy()


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("bins", [(1, 2, 3, 6), (4,)])
def test_is_that_of_torch(size, bins):
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    inputs = random_tensor(2, *size, 5)
    layer = built(PyramidPooling2D(4, bins), inputs.shape)
    x = torch.from_numpy(inputs).permute(0, 3, 1, 2)
    parts = [x]
    for i, n in enumerate(bins, 1):
        y = torch.nn.functional.adaptive_avg_pool2d(x, n)
        kernel = torch.from_numpy(weight(layer, f"projection{i}/conv/kernel"))
        y = torch.nn.functional.conv2d(y, kernel.permute(3, 2, 0, 1))
        y = torch.nn.functional.batch_norm(
            y,
            *(
                torch.from_numpy(weight(layer, f"projection{i}/norm/{name}"))
                for name in ("moving_mean", "moving_variance", "gamma", "beta")
            ),
            eps=1e-5,
        )
        parts.append(
            torch.nn.functional.interpolate(
                torch.relu(y), size, mode="bilinear", align_corners=False
            )
        )
    expected = torch.cat(parts, 1).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(inputs)), expected, rtol=1e-4, atol=1e-5
    )


def test_number_of_parameters_on_resnet():
    """Four projections of 2048 channels to 512, with gamma and beta."""
    layer = PyramidPooling2D(512)
    layer.build((None, None, None, 2048))
    count = sum(int(np.prod(w.shape)) for w in layer.trainable_weights)
    assert count == 4 * (2048 * 512 + 2 * 512)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="sizes are open in TensorFlow alone"
)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_sizes_known_only_at_run_time(size):
    import tensorflow as tf

    x = random_tensor(2, *size, 5)
    layer = built(PyramidPooling2D(4), x.shape)
    signature = [tf.TensorSpec((None, None, None, 5))]
    compiled = tf.function(lambda x: layer(x), signature, autograph=False)
    np.testing.assert_allclose(compiled(x), layer(x), atol=1e-5)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="TensorFlow Lite converts TensorFlow",
)
@pytest.mark.parametrize(
    "size,pools",
    [
        ((12, 18), {"AVERAGE_POOL_2D"}),
        ((11, 13), {"MEAN", "SLICE", "AVERAGE_POOL_2D"}),
    ],
)
def test_export_has_what_phones_run(size, pools):
    pytest.importorskip("ai_edge_litert", reason="needs pip install 'kseg[mobile]'")
    from kseg.mobile.exporting.conversion import concrete_function, convert
    from kseg.mobile.tflite.graph import op_counts

    image = keras.Input((*size, 5))
    logits = PyramidPooling2D(4)(image)
    logits = keras.layers.Activation("linear", name="logits")(logits)
    content = convert(concrete_function(keras.Model(image, logits), size, "logits"))
    names = set(op_counts(content))
    assert names <= {"CONCATENATION", "CONV_2D", "RESIZE_BILINEAR", *pools}


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"filters": 0}, "filters=0"),
        ({"bins": ()}, r"bins=\(\)"),
        ({"bins": (1, 0)}, "bins=0"),
    ],
)
def test_values(arguments, message):
    with pytest.raises(ValueError, match=f"Received: {message}"):
        PyramidPooling2D(**{"filters": 4, **arguments})


@pytest.mark.parametrize(
    "arguments,message", [({"bins": 6}, "bins=6"), ({"bins": (1.5,)}, "bins=1.5")]
)
def test_types(arguments, message):
    with pytest.raises(TypeError, match=f"Received: {message}"):
        PyramidPooling2D(**{"filters": 4, **arguments})
