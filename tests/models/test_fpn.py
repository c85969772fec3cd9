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
        # Mostly positive, so that few of the few channels are zero everywhere.
        weight.assign(rng.uniform(-0.2, 0.6, weight.shape))
        if "variance" in weight.name or "gamma" in weight.name:
            weight.assign(rng.uniform(0.5, 1, weight.shape))
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
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    def relu(x):
        return np.maximum(x, 0)

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
    x = relu(norm(project(x, "top"), "top"))
    for level, finer in ((2, middle), (1, fine)):
        x = relu(smooth(x, f"smooth{level + 1}"))
        x = half_pixel(norm(project(x, f"up{level}"), f"up{level}"), finer.shape[1:3])
        lateral = f"lateral{level}"
        x = relu(x + norm(project(finer, lateral), lateral))
    x = relu(norm(project(relu(smooth(x, "smooth1")), "last"), "last"))
    scores = project(x, "scores")
    logits = half_pixel(scores, size)
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    expected = exponentials / exponentials.sum(-1, keepdims=True)
    assert expected.std(axis=(0, 1, 2)).max() > 1e-3
    np.testing.assert_allclose(ops.convert_to_numpy(model(batch)), expected, atol=1e-5)


def test_number_of_parameters():
    """The head is counted by hand, the backbone where its own tests are."""
    maps = (24, 32, 40, 48)  # channels of the backbone from stride 4 on
    filters = (24, 32, 32, 32)
    head = 48 * 48 + 48  # the gate
    head += 48 * 32 + 4 * 32  # top, and its BatchNorm
    for level in (3, 2, 1):
        head += 9 * filters[level] + 4 * filters[level]
        head += filters[level] * filters[level - 1] + 4 * filters[level - 1]
        head += maps[level - 1] * filters[level - 1] + 4 * filters[level - 1]
    head += 9 * 24 + 4 * 24 + 24 * 24 + 4 * 24 + 24 + 1  # the last map and the scores
    model = fpn((None, None, 3), 1, activation="sigmoid")
    trunk = model.get_layer("inverted_residuals").count_params()
    assert model.count_params() == trunk + head


@pytest.mark.parametrize(
    "filters,widths",
    [((3, 4, 5), [3, 4]), ((9, 3, 4, 5), [3, 4]), ((4, 5), [4])],
    ids=["one each", "more", "fewer"],
)
def test_filters_go_to_the_coarsest_maps(filters, widths):
    model = fpn((64, 64, 3), 2, backbone=three_maps(), filters=filters)
    found = [x for x in model.layers if x.name in ("lateral1", "lateral2")]
    assert sorted(x.kernel.shape[-1] for x in found) == widths
    assert model.get_layer("top").kernel.shape[-1] == 5
    fine = 32 if len(widths) == 2 else 16
    assert model.get_layer("scores").output.shape[1:3] == (fine, fine)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"num_classes": 0}, "num_classes=0"),
        ({"num_classes": 1}, "activation='softmax', num_classes=1"),
        ({"input_shape": (31, 64, 3)}, r"input_shape=\(31, 64, 3\)"),
        ({"filters": (8,)}, r"filters=\(8,\)"),
        ({"filters": (8, 8, 0, 8)}, "filters="),
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
