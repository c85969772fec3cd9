"""What is true of the net with a feature pyramid alone."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import ndimage

from kseg.models import fpn


def images(*shape):
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def three_maps():
    """A backbone with maps of 4, 5 and 6 channels at strides 2, 4 and 8."""
    image = keras.Input((None, None, 3))
    maps = [
        layers.Conv2D(4 + i, 3, stride, padding="same", name=f"map{stride}")(image)
        for i, stride in enumerate((2, 4, 8))
    ]
    return keras.Model(image, maps, name="maps")


def half_pixel(x, size):
    """Bilinear resizing of whole factors, by scipy: pixels are areas."""
    grid = np.meshgrid(
        *(
            np.clip((np.arange(n) + 0.5) * o / n - 0.5, 0, o - 1)
            for n, o in zip(size, x.shape[1:3], strict=True)
        ),
        indexing="ij",
    )
    return np.stack(
        [
            np.stack(
                [
                    ndimage.map_coordinates(x[b, :, :, c], grid, order=1)
                    for c in range(x.shape[3])
                ],
                -1,
            )
            for b in range(x.shape[0])
        ]
    )


@pytest.mark.parametrize("size", [(32, 48), (33, 50)])
def test_output_is_the_equation_of_the_docstring(size):
    model = fpn((*size, 3), 2, backbone=three_maps(), filters=(3, 4, 5))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        values = rng.normal(0, 1, weight.shape)
        weight.assign(abs(values) + 0.5 if "variance" in weight.name else values)
    batch = images(2, *size, 3) / 255
    fine, middle, coarse = (
        ops.convert_to_numpy(x).astype("float64")
        for x in model.get_layer("maps")(batch)
    )

    def weights(name):
        return [w.astype("float64") for w in model.get_layer(name).get_weights()]

    def project(x, name):
        kernel, *bias = weights(name)
        return x @ kernel[0, 0] + sum(bias)

    def norm(x, name):
        gamma, beta, mean, variance = weights(f"{name}_norm")
        x = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
        return np.clip(x, 0, 6)

    def smooth(x, name):
        (kernel,) = weights(name)
        channels = [
            ndimage.correlate(
                x[..., c], kernel[None, :, :, c, 0], mode="constant", cval=0
            )
            for c in range(x.shape[-1])
        ]
        return norm(np.stack(channels, -1), name)

    pooled = coarse.mean((1, 2), keepdims=True)
    x = coarse / (1 + np.exp(-project(pooled, "gate_conv")))
    x = norm(project(x, "top"), "top")
    for level, finer in ((2, middle), (1, fine)):
        x = project(smooth(x, f"smooth{level + 1}"), f"up{level}")
        x = half_pixel(x, finer.shape[1:3]) + project(finer, f"lateral{level}")
        x = norm(x, f"sum{level}")
    scores = project(norm(project(smooth(x, "smooth1"), "last"), "last"), "scores")
    logits = half_pixel(scores, size)
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    expected = exponentials / exponentials.sum(-1, keepdims=True)
    assert expected.std(axis=(0, 1, 2)).max() > 1e-3
    np.testing.assert_allclose(ops.convert_to_numpy(model(batch)), expected, atol=1e-5)


def test_number_of_parameters():
    """The head is counted by hand, the backbone where its own tests are."""
    fine = (12, 16, 24, 40, 52)  # channels of the maps
    filters = (12, 16, 24, 40, 40)
    head = 52 * 52 + 52  # the gate
    head += 52 * 40  # top
    norms = 40
    for level in (4, 3, 2, 1):
        head += 9 * filters[level] + filters[level] * filters[level - 1]
        head += fine[level - 1] * filters[level - 1]
        norms += filters[level] + filters[level - 1]
    head += 9 * 12 + 12 * 12 + 12 + 1  # the last smoothing and the scores
    norms += 12 + 12
    model = fpn((None, None, 3), 1, activation="sigmoid")
    trunk = model.get_layer("inverted_residuals").count_params()
    assert model.count_params() == trunk + head + 4 * norms


def test_a_backbone_of_fewer_maps_takes_the_last_filters():
    model = fpn((64, 64, 3), 2, backbone=three_maps())
    widths = [model.get_layer(f"lateral{i}").kernel.shape[-1] for i in (1, 2)]
    assert widths == [24, 40]
    assert model.get_layer("top").kernel.shape[-1] == 40


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"num_classes": 0}, "num_classes=0"),
        ({"num_classes": 1}, "activation='softmax', num_classes=1"),
        ({"input_shape": (31, 64, 3)}, r"input_shape=\(31, 64, 3\)"),
        ({"filters": (8, 8)}, r"filters=\(8, 8\)"),
        ({"filters": (8, 8, 0, 8, 8)}, "filters="),
        ({"width_multiplier": -1}, "width_multiplier=-1"),
        ({"backbone": "lenet"}, "backbone='lenet'"),
        ({"weights": "imagenet"}, "weights='imagenet'"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_values_that_no_net_can_be_built_with(arguments, message):
    arguments = {"input_shape": (64, 64, 3), "num_classes": 2, **arguments}
    with pytest.raises(ValueError, match=f"Received: {message}"):
        fpn(**arguments)
