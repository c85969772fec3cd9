"""FlowCNN; torch's convolutions know what it computes."""

import numpy as np
import pytest
from keras import ops

from kseg.layers import FlowCNN, Warping2D

SIZE = (6, 9)
# What the paper's net and the published one have, for frames of three channels.
COUNTS = {"paper": 6_892, "release": 6_396}
every_variant = pytest.mark.parametrize("variant", COUNTS)


def inputs():
    rng = np.random.default_rng(0)
    flow = rng.normal(0, 3, (2, *SIZE, 2)).astype("float32")
    frames = rng.uniform(-1, 1, (2, 2, *SIZE, 3)).astype("float32")
    return [flow, *frames]


@every_variant
def test_number_of_parameters(variant):
    layer = FlowCNN(variant)
    layer(inputs())
    assert layer.count_params() == COUNTS[variant]
    channels = {"paper": 11, "release": 8}[variant]
    assert layer.conv1.kernel.shape == (3, 3, channels, 16)


@every_variant
def test_starts_as_the_identity(variant):
    flow, *frames = inputs()
    found = ops.convert_to_numpy(FlowCNN(variant)([flow, *frames]))
    np.testing.assert_array_equal(found, flow)


@every_variant
def test_is_its_convolutions_in_torch(variant):
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    flow, image, previous = inputs()
    layer = FlowCNN(variant)
    layer([flow, image, previous])
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(rng.normal(0, 0.2, weight.shape))
    found = ops.convert_to_numpy(layer([flow, image, previous]))

    def conv(x, layer):
        kernel, bias = map(torch.tensor, layer.get_weights())
        kernel = kernel.permute(3, 2, 0, 1)
        padding = kernel.shape[-1] // 2
        return torch.nn.functional.conv2d(x, kernel, bias, padding=padding)

    if variant == "paper":
        seen = [flow, image, previous, image - previous]
    else:
        warped = ops.convert_to_numpy(Warping2D()([previous, flow]))
        seen = [flow, image, warped]
    x = torch.tensor(np.concatenate(seen, -1)).permute(0, 3, 1, 2)
    x = torch.relu(conv(x, layer.conv1))
    x = torch.relu(conv(x, layer.conv2))
    x = conv(x, layer.conv3)  # Without a ReLU: corrections are negative as well.
    x = conv(torch.cat([x, torch.tensor(flow).permute(0, 3, 1, 2)], 1), layer.mix)
    np.testing.assert_allclose(found, x.permute(0, 2, 3, 1).numpy(), atol=1e-5)


def test_variant_that_is_none():
    with pytest.raises(ValueError, match="Received: variant='port'"):
        FlowCNN("port")
