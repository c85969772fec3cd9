"""Warping along flow; torch, SciPy and tensorflow-addons know what it gives."""

import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from kseg.layers import WarpedSum2D, Warping2D

SIZE = (6, 9)
every_border = pytest.mark.parametrize("border", ["edge", "zeros"])


def features(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def flows(batch=2, size=SIZE, scale=3.0):
    """Within the map and far outside of it; no whole numbers."""
    rng = np.random.default_rng(1)
    return rng.normal(0, scale, (batch, *size, 2)).astype("float32")


def warp(x, flow, border="edge"):
    return ops.convert_to_numpy(Warping2D(border)([x, flow]))


def with_torch(torch, x, flow, border):
    """grid_sample, whose positions are from -1 to 1 between the outer pixels' centres."""
    height, width = x.shape[1:3]
    rows, columns = flow.shape[1:3]
    x_positions = torch.arange(columns)[None, None] + flow[..., 0]
    y_positions = torch.arange(rows)[None, :, None] + flow[..., 1]
    grid = torch.stack(
        [2 * x_positions / (width - 1) - 1, 2 * y_positions / (height - 1) - 1], -1
    )
    y = torch.nn.functional.grid_sample(
        x.permute(0, 3, 1, 2),
        grid,
        mode="bilinear",
        padding_mode={"edge": "border", "zeros": "zeros"}[border],
        align_corners=True,
    )
    return y.permute(0, 2, 3, 1)


@every_border
@pytest.mark.parametrize("size", [SIZE, (4, 11)], ids=["same_size", "other_size"])
def test_is_grid_sample_of_torch(border, size):
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    x, flow = features(2, *SIZE, 3), flows(size=size)
    expected = with_torch(torch, torch.tensor(x), torch.tensor(flow), border)
    np.testing.assert_allclose(warp(x, flow, border), expected.numpy(), atol=1e-5)


def test_is_map_coordinates_of_scipy():
    x, flow = features(1, *SIZE, 2), flows(1)
    y, x_axis = np.mgrid[: SIZE[0], : SIZE[1]]
    places = [y + flow[0, ..., 1], x_axis + flow[0, ..., 0]]
    expected = np.stack(
        [
            ndimage.map_coordinates(x[0, ..., c], places, order=1, mode="nearest")
            for c in range(2)
        ],
        -1,
    )
    np.testing.assert_allclose(warp(x, flow)[0], expected, atol=1e-5)


def test_is_dense_image_warp_of_tensorflow_addons(data_dir):
    """Which subtracts its flow, and has rows first."""
    vectors = np.load(data_dir("../reference") / "tfa_0_23_vectors.npz")
    flow = -vectors["warp_flow"][..., ::-1]
    np.testing.assert_allclose(
        warp(vectors["warp_image"], flow), vectors["warp_out"], atol=1e-5
    )


@every_border
def test_zero_flow_is_the_identity(border):
    x = features(2, *SIZE, 3)
    flow = np.zeros((2, *SIZE, 2), "float32")
    np.testing.assert_array_equal(warp(x, flow, border), x)


@pytest.mark.parametrize("u,v", [(2, 0), (0, 1), (-3, 2)])
def test_whole_numbers_shift_exactly(u, v):
    x = features(1, *SIZE, 3)
    flow = np.zeros((1, *SIZE, 2), "float32")
    flow[...] = u, v
    rows = np.arange(SIZE[0]) + v
    columns = np.arange(SIZE[1]) + u
    clamped = x[:, rows.clip(0, SIZE[0] - 1)][:, :, columns.clip(0, SIZE[1] - 1)]
    np.testing.assert_array_equal(warp(x, flow), clamped)
    inside = (rows >= 0) & (rows < SIZE[0])
    inside = inside[:, None] & (columns >= 0) & (columns < SIZE[1])
    np.testing.assert_array_equal(
        warp(x, flow, "zeros"), clamped * inside[None, ..., None]
    )


def test_flow_to_the_frame_before_brings_it_onto_the_current_one():
    """A bright pixel moves two to the right: the flow leads two back to the left."""
    before, now = np.zeros((2, 1, *SIZE, 1), "float32")
    before[0, 3, 4], now[0, 3, 6] = 1, 1
    flow = np.zeros((1, *SIZE, 2), "float32")
    flow[..., 0] = -2
    np.testing.assert_array_equal(warp(before, flow), now)


@every_border
def test_gradients_are_those_of_torch(border, gradient):
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    x, flow, factors = features(2, *SIZE, 3), flows(), flows(2, SIZE, 1.0)[..., :1]
    layer = Warping2D(border)
    x_torch = torch.tensor(x, requires_grad=True)
    flow_torch = torch.tensor(flow, requires_grad=True)
    y = with_torch(torch, x_torch, flow_torch, border)
    (y * torch.tensor(factors)).sum().backward()
    x_fixed, flow_fixed, factors = map(ops.convert_to_tensor, (x, flow, factors))
    of_map = gradient(lambda x: ops.sum(layer([x, flow_fixed]) * factors), x)
    of_flow = gradient(lambda flow: ops.sum(layer([x_fixed, flow]) * factors), flow)
    np.testing.assert_allclose(of_map, x_torch.grad.numpy(), atol=1e-4)
    np.testing.assert_allclose(of_flow, flow_torch.grad.numpy(), atol=1e-4)


def test_positions_are_exact_in_half_precision():
    """Float16 has steps of 2 above 2048: neighbours would fall on the same pixel."""
    width = 4000
    x = (np.arange(width) % 7).astype("float32").reshape(1, 1, width, 1)
    flow = np.zeros((1, 1, width, 2), "float32")
    flow[..., 0] = 1
    y = ops.convert_to_numpy(Warping2D(dtype="mixed_float16")([x, flow]))
    assert y.dtype == np.float16
    np.testing.assert_array_equal(y[0, 0, :-1, 0], x[0, 0, 1:, 0])


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(1, 4, 5, 3), (1, 4, 5, 3)], r"2 channels.*flow of shape \(1, 4, 5, 3\)"),
        ([(1, 4, 5, 3), (1, 4, 5)], "list of a map and a flow"),
    ],
    ids=["channels", "rank"],
)
def test_a_flow_that_is_none(shapes, message):
    with pytest.raises(ValueError, match=message):
        Warping2D()([np.zeros(shape, "float32") for shape in shapes])


def test_border_that_is_none():
    with pytest.raises(ValueError, match="Received: border='reflect'"):
        Warping2D("reflect")


class TestWarpedSum2D:
    def test_starts_as_the_current_frame(self):
        current, warped = features(2, 2, *SIZE, 3)
        layer = WarpedSum2D()
        np.testing.assert_array_equal(
            ops.convert_to_numpy(layer([current, warped, np.ones((2, 1), "float32")])),
            current,
        )

    def test_has_a_weight_per_channel_for_each_but_at_the_first_frame(self):
        current, warped = features(2, 2, *SIZE, 3)
        layer = WarpedSum2D((0.5, 0.5))
        started = np.array([[1.0], [0.0]], "float32")
        layer([current, warped, started])
        w1, w2 = np.float32([[0.25, 2, -1], [0.75, 0, 3]])
        layer.set_weights([w1, w2])
        found = ops.convert_to_numpy(layer([current, warped, started]))
        expected = w1 * current[0] + w2 * warped[0]
        np.testing.assert_allclose(found[0], expected, atol=1e-6)
        np.testing.assert_array_equal(found[1], current[1])

    def test_one_weight_is_not_enough(self):
        with pytest.raises(ValueError, match=r"Received: initial_weights=\(1.0,\)"):
            WarpedSum2D((1.0,))
