"""T-Net: where it starts, and its loss."""

import numpy as np
import pytest
from keras import ops

from kseg.layers import TNet


def inputs(channels=3):
    return np.random.default_rng(0).normal(size=(4, 9, channels)).astype("float32")


@pytest.mark.parametrize("channels", [3, 8])
def test_starts_as_the_identity_with_a_loss_of_zero(channels):
    layer, x = TNet((4, 6), (5,), orthogonality=0.001), inputs(channels)
    for training in (False, True):
        found = layer(x, training=training)
        np.testing.assert_allclose(ops.convert_to_numpy(found), x, atol=1e-6)
        (loss,) = layer.losses
        assert ops.convert_to_numpy(loss) == 0
    expected = np.broadcast_to(np.eye(channels), (4, channels, channels))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(layer.transform(ops.convert_to_tensor(x))), expected
    )


def lively(channels, **arguments):
    layer = TNet((4, 6), (5,), **arguments)
    layer.build((None, 9, channels))
    rng = np.random.default_rng(1)
    kernel, bias = layer.matrix.weights
    kernel.assign(rng.normal(size=kernel.shape))
    bias.assign(rng.normal(size=bias.shape))
    return layer


def test_multiplies_rows_by_the_matrix_of_their_cloud():
    layer, x = lively(3), inputs()
    matrices = ops.convert_to_numpy(layer.transform(ops.convert_to_tensor(x)))
    assert np.ptp(matrices, axis=0).max() > 1e-3
    expected = np.einsum("bni,bij->bnj", x, matrices)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, atol=1e-5)


def test_the_loss_is_the_mean_squared_distance_from_orthogonal():
    layer, x = lively(3, orthogonality=0.01), inputs()
    layer(x)
    matrices = ops.convert_to_numpy(layer.transform(ops.convert_to_tensor(x)))
    distances = [np.linalg.norm(np.eye(3) - a @ a.T) ** 2 for a in matrices]
    (loss,) = layer.losses
    expected = 0.01 * np.mean(distances)
    np.testing.assert_allclose(ops.convert_to_numpy(loss), expected, rtol=1e-5)


def test_without_a_factor_there_is_no_loss():
    layer = lively(3)
    layer(inputs())
    assert layer.losses == []


def test_the_order_of_the_points_does_not_change_the_matrix():
    layer, x = lively(3), inputs()
    one, other = (
        ops.convert_to_numpy(layer.transform(ops.convert_to_tensor(points)))
        for points in (x, x[:, ::-1].copy())
    )
    np.testing.assert_allclose(other, one, atol=1e-6)


def test_what_is_not_finite_is_named_with_its_row():
    x = inputs()
    x[2, 5] = np.nan
    with pytest.raises(ValueError, match=r"Received: inputs\[2, 5\]="):
        TNet((4,), (5,))(x)


@pytest.mark.parametrize("argument", ["filters", "units"])
@pytest.mark.parametrize("value", [(), 4])
def test_layers_without_numbers(argument, value):
    with pytest.raises(ValueError, match=f"Received: {argument}="):
        TNet(**{argument: value})


@pytest.mark.parametrize("value", [-0.1, float("nan")])
def test_a_negative_factor(value):
    with pytest.raises(ValueError, match="Received: orthogonality="):
        TNet(orthogonality=value)
