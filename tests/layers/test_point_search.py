"""The search in blocks: same answers, bounded memory."""

import subprocess
import sys

import numpy as np
import pytest
from keras import ops
from scipy.spatial import cKDTree

from kseg.layers import point_search


@pytest.mark.parametrize("rows", [1, 7, 8, 30, 100])
def test_blocks_give_what_all_at_once_gives(rows, monkeypatch):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2, 50, 3)).astype("float32")
    queries = rng.normal(size=(2, 30, 4)).astype("float32")
    monkeypatch.setattr(point_search, "BLOCK", rows * 50)
    distances, index = (
        ops.convert_to_numpy(x)
        for x in point_search.nearest(
            ops.convert_to_tensor(queries), ops.convert_to_tensor(points), 6
        )
    )
    for b in range(2):
        expected, order = cKDTree(points[b]).query(queries[b, :, :3], 6)
        np.testing.assert_array_equal(index[b], order)
        np.testing.assert_allclose(distances[b], expected**2, rtol=1e-4)


def test_lowest_is_argmin_and_the_first_of_equal_ones():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4, (5, 6, 9)).astype("float32")
    found = ops.convert_to_numpy(point_search.lowest(ops.convert_to_tensor(values)))
    np.testing.assert_array_equal(found[..., 0], values.argmin(-1))


def test_lowest_of_values_that_are_not_finite_is_an_index():
    values = np.full((2, 5), np.nan, "float32")
    values[1, 0] = 3
    found = ops.convert_to_numpy(point_search.lowest(ops.convert_to_tensor(values)))
    assert found.shape == (2, 1)
    assert ((found >= 0) & (found < 5)).all()


PROGRAM = """
import numpy as np
from keras import ops
from kseg import layers
points = np.random.default_rng(0).uniform(-1, 1, (1, 8192, 6)).astype("float32")
neighbors = layers.RingNeighbors(48, 0.1, 0.2)([points, points, points[..., 3:]])
layers.NeighborOrdering()([neighbors, points])
layers.FarthestPointSampling(1024)(points)
layers.PointNormals()(points)
layers.FeaturePropagation()([points, points[:, :1024], points[:, :1024]])
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        print(int(line.split()[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_8192_points_stay_within_4_gigabytes():
    # A process of its own, with its libraries. Not ru_maxrss, in which Linux counts what
    # the parent of a process had.
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert int(run.stdout.split()[-1]) < 4096
