"""The transposed convolution of FCN against torch, resizing and the Caffe filler."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg.layers import BilinearUpsampling2D, ResizingLike2D


def random_tensor(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def caffe_filler(size):
    """Bilinear filler of Caffe, pixel by pixel; `upsample_filt` of FCN's surgery.py."""
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 == 1 else factor - 0.5
    return np.array(
        [
            [
                (1 - abs(i - center) / factor) * (1 - abs(j - center) / factor)
                for j in range(size)
            ]
            for i in range(size)
        ]
    )


def in_torch(x, kernel, scale, groups=1):
    """Transposed convolution of torch, without padding; kernel (h, w, out, in)."""
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    y = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(np.moveaxis(x, -1, 1).copy()),
        torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))),
        stride=scale,
        groups=groups,
    )
    return np.moveaxis(y.numpy(), 1, -1)


@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8, 16, 32])
def test_kernel_is_that_of_caffe_between_equal_channels_and_zero_between_others(
    scale, per_class
):
    layer = BilinearUpsampling2D(scale, True, per_class, "valid")
    impulses = np.eye(3, dtype="float32").reshape(3, 1, 1, 3)
    y = ops.convert_to_numpy(layer(impulses))
    expected = caffe_filler(2 * scale - scale % 2)
    for source in range(3):
        for target in range(3):
            np.testing.assert_allclose(
                y[source, ..., target], expected * (source == target), atol=1e-6
            )


@pytest.mark.parametrize("scale", [2, 3, 4, 5, 8, 16, 32])
def test_interior_is_the_resize_with_half_pixel_centres(scale):
    x = random_tensor(2, 4, 5, 3)
    y = BilinearUpsampling2D(scale)(x)
    expected = ResizingLike2D()([x, np.zeros(y.shape)])
    inner = slice(scale // 2, -(scale // 2))
    np.testing.assert_allclose(
        ops.convert_to_numpy(y)[:, inner, inner],
        ops.convert_to_numpy(expected)[:, inner, inner],
        atol=1e-5,
    )


def test_at_the_border_zeros_are_seen():
    """The outermost pixels of a doubled row are 3/4 of the edge, the corners 9/16."""
    y = ops.convert_to_numpy(BilinearUpsampling2D(2)(np.ones((1, 3, 4, 1), "float32")))
    expected = np.outer([0.75, 1, 1, 1, 1, 0.75], [0.75, 1, 1, 1, 1, 1, 1, 0.75])
    np.testing.assert_allclose(y[0, ..., 0], expected, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_same_is_valid_without_half_of_what_is_more(scale):
    x = random_tensor(2, 3, 4, 2)
    whole = BilinearUpsampling2D(scale, padding="valid")(x)
    assert whole.shape[1:3] == (
        scale * 2 + 2 * scale - scale % 2,
        scale * 3 + 2 * scale - scale % 2,
    )
    border = scale // 2
    np.testing.assert_allclose(
        BilinearUpsampling2D(scale)(x),
        whole[:, border:-border, border:-border],
        atol=1e-6,
    )


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_a_learned_kernel_of_all_classes_is_the_transposed_convolution_of_torch(scale):
    layer = BilinearUpsampling2D(scale, True, False, "valid")
    x = random_tensor(2, 3, 4, 3)
    layer.build(x.shape)
    kernel = random_tensor(*layer.kernel.shape)
    layer.set_weights([kernel])
    found = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(found, in_torch(x, kernel, scale), atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_a_learned_kernel_per_class_is_the_grouped_one_of_torch(scale):
    layer = BilinearUpsampling2D(scale, True, padding="valid")
    x = random_tensor(2, 3, 4, 3)
    layer.build(x.shape)
    kernel = random_tensor(*layer.kernel.shape)
    layer.set_weights([kernel])
    expected = in_torch(x, kernel[:, :, None], scale, groups=3)
    found = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_number_of_weights():
    """The kernel of FCN-32s has 64x64 taps: 21 times, or 21 times 21."""

    def count(**arguments):
        layer = BilinearUpsampling2D(32, **arguments)
        layer.build((None, None, None, 21))
        return layer.count_params()

    assert count() == count(per_class=False) == 0
    assert count(learnable=True) == 64 * 64 * 21
    assert count(learnable=True, per_class=False) == 64 * 64 * 21 * 21


def test_training_leaves_classes_apart_unless_told_otherwise():
    """The second class is asked to follow the first, and cannot."""
    x = random_tensor(4, 3, 4, 2)
    for per_class in (True, False):
        layer = BilinearUpsampling2D(2, True, per_class)
        model = keras.Sequential([keras.Input((3, 4, 2)), layer])
        model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
        y = np.repeat(x[..., :1].repeat(2, 1).repeat(2, 2), 2, -1)
        model.fit(x, y, epochs=2, verbose=0)
        impulse = np.zeros((1, 3, 4, 2), "float32")
        impulse[0, 1, 1, 0] = 1
        moved = np.abs(model.predict(impulse, verbose=0)[..., 1]).max()
        assert (moved == 0) == per_class


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="TensorFlow Lite converts TensorFlow",
)
@pytest.mark.parametrize(
    "arguments",
    [{}, {"learnable": True}, {"learnable": True, "per_class": False}],
    ids=str,
)
def test_is_one_transposed_convolution_for_phones(arguments):
    """At the size of FCN-32s, whose kernel is too large for a careless constant."""
    pytest.importorskip("ai_edge_litert", reason="needs pip install 'kseg[mobile]'")
    from kseg.mobile.exporting.conversion import concrete_function, convert
    from kseg.mobile.tflite.graph import op_counts

    image = keras.Input((2, 3, 21))
    model = keras.Model(image, BilinearUpsampling2D(32, **arguments)(image))
    content = convert(concrete_function(model, (2, 3), "probabilities"))
    assert op_counts(content) == {"TRANSPOSE_CONV": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 0}, "Received: scale=0"),
        ({"scale": 2, "padding": "full"}, "Received: padding='full'"),
    ],
)
def test_values(arguments, message):
    with pytest.raises(ValueError, match=message):
        BilinearUpsampling2D(**arguments)


def test_types():
    with pytest.raises(TypeError, match="Received: scale=2.0"):
        BilinearUpsampling2D(2.0)
