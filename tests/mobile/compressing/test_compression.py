"""Pruned and clustered nets: what is zero or shared stays so, and reaches the file."""

import zlib

import keras
import numpy as np
import pytest

import kseg
from kseg.mobile import cluster, prune

SIZE = (64, 96)
LARGE = 1024  # weights of the smallest kernel that is touched


def kernels_of(model):
    """Returns the kernels of what is exported, by the names of the tf_keras layers."""
    return {
        layer.name: layer.kernel.numpy()
        for layer in model.get_layer("twin").finished.layers
        if hasattr(layer, "kernel")
    }


def fit(model, crops, steps):
    images, masks = crops
    model.compile(keras.optimizers.Adam(1e-3), kseg.losses.SparseCrossEntropy())
    batch = images[:8].astype("float32"), masks[:8]
    return [model.train_on_batch(*batch) for _ in range(steps)]


def exported(model, crops, tmp_path, precision):
    report = kseg.mobile.export(
        model,
        tmp_path / "net.tflite",
        size=SIZE,
        precision=precision,
        calibration=crops[0],
        verbose=False,
    )
    return report, len(zlib.compress(report.path.read_bytes(), 9))


@pytest.fixture(scope="module")
def sparse(net, crops):
    """Returns a pruned net, its kernels and answers of before, and its losses."""
    model = prune(net, sparsity=0.75, steps=5, size=SIZE)
    first = np.asarray(model(crops[0][:2].astype("float32")))
    before = kernels_of(model)
    return model, before, first, fit(model, crops, 7)


@pytest.fixture(scope="module")
def few(net, crops):
    """Returns a clustered net, its answers of before, and its losses."""
    keras.utils.set_random_seed(0)  # where k-means starts
    model = cluster(net, clusters=8, size=SIZE)
    first = np.asarray(model(crops[0][:2].astype("float32")))
    return model, first, fit(model, crops, 6)


def test_pruning_starts_from_the_net_as_it_is(sparse, net, crops):
    np.testing.assert_allclose(
        sparse[2], net(crops[0][:2].astype("float32")), atol=1e-5
    )


def test_the_share_of_zeros_is_reached_and_kept(sparse):
    model, before, _, losses = sparse
    found = kernels_of(model)
    assert sum(kernel.size >= LARGE for kernel in found.values()) == 3  # small_net's
    for name, kernel in found.items():
        zeros = np.count_nonzero(kernel == 0) / kernel.size
        assert zeros == pytest.approx(0.75 * (kernel.size >= LARGE), abs=1e-3)
        assert (kernel != before[name]).any()
    # What is left is what was large at the start, but for a few.
    kernel, old = found["step3"], before["step3"]
    large = np.abs(old) > np.quantile(np.abs(old), 0.75)
    assert (large == (kernel != 0)).mean() > 0.9
    assert losses[-1] < max(losses)


def test_two_of_four_neighbours_are_zero(net, crops):
    model = prune(net, sparsity="2:4", steps=1, size=SIZE)
    model(crops[0][:1].astype("float32"), training=True)
    for kernel in kernels_of(model).values():
        if kernel.size >= LARGE:
            neighbours = np.moveaxis(kernel, 2, -1).reshape(-1, 4)
            assert np.count_nonzero(neighbours, axis=-1).max() == 2


def test_kernels_have_few_values_that_are_trained(few, net, crops):
    model, first, losses = few
    for kernel in kernels_of(model).values():
        if kernel.size >= LARGE:
            assert len(np.unique(kernel)) <= 8
    images = crops[0][:2].astype("float32")
    original = np.asarray(net(images))
    assert np.abs(first - original).max() > 1e-3  # clustered before any training
    assert (first.argmax(-1) == original.argmax(-1)).mean() > 0.8
    assert np.abs(np.asarray(model(images)) - first).max() > 1e-3
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("precision", ["float16", "full_int8"])
def test_files_zip_better_in_every_precision(
    sparse, few, net, crops, tmp_path, precision
):
    _, plain = exported(net, crops, tmp_path, precision)
    for model in (sparse[0], few[0]):
        report, zipped = exported(model, crops, tmp_path, precision)
        assert zipped < plain
        assert report.parity.agreement >= 0.97


@pytest.mark.parametrize("make", ["prune", "cluster"])
def test_weights_are_saved_and_loaded(make, sparse, few, crops, tmp_path):
    model = {"prune": sparse, "cluster": few}[make][0]
    images = crops[0][:2].astype("float32")
    expected = np.asarray(model(images))
    model.save_weights(tmp_path / "net.weights.h5")
    model.train_on_batch(images, crops[1][:2])
    assert np.abs(np.asarray(model(images)) - expected).max() > 1e-4
    model.load_weights(tmp_path / "net.weights.h5")
    np.testing.assert_array_equal(model(images), expected)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sparsity": 1.0, "steps": 5}, ValueError, "Received: sparsity=1.0"),
        ({"sparsity": 0.0, "steps": 5}, ValueError, "Received: sparsity=0.0"),
        ({"sparsity": "1:4", "steps": 5}, ValueError, "Received: sparsity='1:4'"),
        ({"sparsity": 0.5, "steps": 0}, ValueError, "Received: steps=0"),
        ({"sparsity": 0.5, "steps": 2.5}, TypeError, "Received: steps=2.5"),
    ],
    ids=["all", "none", "another pattern", "no steps", "half a step"],
)
def test_pruning_without_sense_is_refused(net, arguments, error, message):
    with pytest.raises(error, match=message):
        prune(net, size=SIZE, **arguments)


@pytest.mark.parametrize("clusters", [1, 257])
def test_clusters_out_of_range_are_refused(net, clusters):
    with pytest.raises(ValueError, match=f"Received: clusters={clusters}"):
        cluster(net, clusters=clusters, size=SIZE)


def test_a_net_of_small_kernels_is_refused():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Conv2D(2, 3)(image), name="tiny")
    with pytest.raises(ValueError, match="Received: 'tiny', of 56 parameters"):
        prune(model, steps=5)
