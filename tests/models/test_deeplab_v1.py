"""What is true of DeepLab v1 alone."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg.models import deeplab_v1


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def narrow(size=(None, None), **options):
    return deeplab_v1((*size, 3), 3, width_multiplier=1 / 64, **options)


@pytest.fixture
def empty_weights(monkeypatch):
    """Full-size nets are only counted: drawing their numbers takes seconds."""

    def zeros(self, shape, dtype=None, **kwargs):
        return ops.zeros(shape, dtype)

    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)


@pytest.mark.parametrize(
    ("field_of_view", "count"),
    # 20.5 and 65.1 million in table 2 of the paper; the last is that of FCN-32s.
    [
        ("large", 20_505_429),
        pytest.param("4x4", 65_140_565, marks=pytest.mark.slow),
        pytest.param("7x7", 134_346_581, marks=pytest.mark.slow),
    ],
)
def test_number_of_parameters(field_of_view, count, empty_weights):
    model = deeplab_v1((None, None, 3), 21, field_of_view=field_of_view)
    assert trainable(model) == count


def test_large_field_of_view_is_that_of_the_published_net():
    model = deeplab_v1((None, None, 3), 3, width_multiplier=1 / 8)
    fc6, fc7, scores = (model.get_layer(name) for name in ("fc6", "fc7", "scores"))
    assert (fc6.kernel_size, fc6.dilation_rate, fc6.filters) == ((3, 3), (12, 12), 128)
    assert (fc7.kernel_size, fc7.filters) == ((1, 1), 128)
    assert model.get_layer("drop6").rate == model.get_layer("drop7").rate == 0.5
    kernel, bias = scores.get_weights()
    np.testing.assert_allclose(kernel.std(), 0.01, rtol=0.2)
    assert not bias.any()
    backbone = model.get_layer("vgg16")
    assert backbone.get_layer("pool1").pool_size == (3, 3)
    assert backbone.get_layer("conv5_3").dilation_rate == (2, 2)


def test_crops_of_321_have_scores_of_41():
    model = narrow(upsample=False)
    assert model.compute_output_shape((1, 321, 321, 3)) == (1, 41, 41, 3)
    assert narrow().compute_output_shape((1, 321, 321, 3)) == (1, 321, 321, 3)


def test_upsampled_logits_are_the_resized_scores():
    small, large = (
        narrow((41, 57), activation=None, upsample=upsample)
        for upsample in (False, True)
    )
    large.set_weights(small.get_weights())
    batch = np.random.default_rng(0).uniform(0, 255, (1, 41, 57, 3)).astype("float32")
    scores = small(batch)
    assert scores.shape == (1, 6, 8, 3)
    expected = ops.image.resize(scores, (41, 57))
    np.testing.assert_allclose(
        ops.convert_to_numpy(large(batch)), ops.convert_to_numpy(expected), atol=1e-6
    )


def test_average_pool_counts_the_zeros_around_the_map():
    """As Caffe does, and torch unless told otherwise."""
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    model = narrow((41, 57))
    before = keras.Model(model.input, model.get_layer("pool5a_pad").input)
    behind = keras.Model(model.input, model.get_layer("pool5a").output)
    batch = np.random.default_rng(0).uniform(0, 255, (1, 41, 57, 3)).astype("float32")
    x = ops.convert_to_numpy(before(batch))
    assert x[:, 0].any()
    expected = torch.nn.functional.avg_pool2d(
        torch.from_numpy(np.moveaxis(x, -1, 1).copy()), 3, 1, 1
    )
    found = np.moveaxis(ops.convert_to_numpy(behind(batch)), -1, 1)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("field_of_view", ["large", "4x4", "7x7"])
def test_window_in_pixels_does_not_depend_on_the_output_stride(field_of_view):
    reach = set()
    for stride in (8, 16, 32):
        model = narrow(
            (64, 96),
            backbone="vgg16",
            output_stride=stride,
            field_of_view=field_of_view,
        )
        reach.add(stride * model.get_layer("fc6").dilation_rate[0])
        assert model.output.shape == (None, 64, 96, 3)
    assert reach == {8 * {"large": 12, "4x4": 4, "7x7": 4}[field_of_view]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, "activation='softmax', num_classes=1"),
        ({"input_shape": (31, 64, 3)}, r"input_shape=\(31, 64, 3\)"),
        ({"field_of_view": "small"}, "field_of_view='small'"),
        ({"output_stride": 4}, "output_stride=4"),
        ({"dropout_rate": 1.0}, "dropout_rate=1.0"),
        ({"width_multiplier": 0}, "width_multiplier=0"),
        ({"backbone": "lenet"}, "backbone='lenet'"),
        ({"weights": "imagenet", "input_shape": (64, 64, 1)}, "channels=1"),
    ],
    ids=str,
)
def test_values(arguments, message):
    arguments = {"input_shape": (64, 64, 3), "num_classes": 2, **arguments}
    with pytest.raises(ValueError, match=f"Received: {message}"):
        deeplab_v1(**arguments)
