"""A-CNN: its counts and symmetries."""

import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from keras import ops
from scipy.spatial.transform import Rotation

from kseg.data.datasets import KinectScenes
from kseg.data.points import estimate_normals
from kseg.models import points as networks

NARROW = {
    "samples": (16, 6),
    "rings": (((0, 0.5), (0.5, 1.0)), ((0.3, 0.9), (0.9, 1.8))),
    "neighbors": (4, 6),
    "width_multiplier": 1 / 8,
}

# Rings that all have as many points as they should: what fills a ring with fewer is the
# point of the lowest index, which depends on the order.
FULL = {"rings": (((0, 2), (0.5, 4)), ((0, 4), (0.1, 8)))}


# Counted from the layers of the authors' code; the net for rooms is our own.
@pytest.mark.parametrize(
    "builder,shape,count",
    [
        (networks.a_cnn_classification, (1024, 6), 1_774_792),
        (networks.a_cnn_part_segmentation, (2048, 6), 1_434_162),
    ],
)
def test_counts(builder, shape, count):
    model = builder(shape, 40 if "class" in builder.__name__ else 50)
    weights = model.trainable_weights
    assert sum(int(np.prod(weight.shape)) for weight in weights) == count


def lively(builder, **arguments):
    model = builder((None, 6), 4, activation=None, **{**NARROW, **arguments})
    rng = np.random.default_rng(0)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if len(shape) == 1:
            weight.assign(rng.uniform(0.5, 1.5, shape))
        else:
            weight.assign(rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape))
    return model


def cloud(count=40):
    rng = np.random.default_rng(1)
    normals = rng.normal(size=(1, count, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    xyz = rng.uniform(-1, 1, (1, count, 3))
    return np.concatenate([xyz, normals], -1).astype("float32")


def predict(model, inputs):
    return ops.convert_to_numpy(model(inputs, training=False))


def assert_close(found, expected):
    """Logits, to 1e-5 of the largest; probabilities of such weights are all 0 or 1."""
    largest = np.abs(expected).max()
    assert expected.std() > 0.1 * largest > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest)


def order_behind_the_first():
    """Another order of 40 points, of which the first, where sampling starts, is kept."""
    return np.r_[0, 1 + np.random.default_rng(2).permutation(39)]


def test_the_class_of_a_cloud_does_not_depend_on_the_order_behind_the_first_point():
    model = lively(networks.a_cnn_classification, **FULL)
    points = cloud()
    assert_close(
        predict(model, points[:, order_behind_the_first()]), predict(model, points)
    )


def test_outputs_come_in_the_order_of_the_points():
    model = lively(networks.a_cnn_part_segmentation, **FULL)
    points, category = cloud(), np.eye(16, dtype="float32")[[5]]
    order = order_behind_the_first()
    assert_close(
        predict(model, [points[:, order], category]),
        predict(model, [points, category])[:, order],
    )


def test_the_points_of_each_level_are_those_that_a_rotation_turns():
    model = lively(networks.a_cnn_classification)
    turn = Rotation.random(random_state=3).as_matrix().astype("float32")
    points = cloud()
    turned = np.concatenate([points[..., :3] @ turn, points[..., 3:] @ turn], -1)
    sampling = model.get_layer("sampling1")
    before = ops.convert_to_numpy(sampling(points))
    after = ops.convert_to_numpy(sampling(turned))
    np.testing.assert_allclose(after[..., :3], before[..., :3] @ turn, atol=1e-5)
    np.testing.assert_allclose(after[..., 3:], before[..., 3:] @ turn, atol=1e-5)


def test_a_cloud_of_one_point():
    model = lively(networks.a_cnn_part_segmentation, samples=(1, 1))
    points, category = cloud(1), np.eye(16, dtype="float32")[[5]]
    outputs = predict(model, [points, category])
    assert outputs.shape == (1, 1, 4) and np.isfinite(outputs).all()
    # As many of the same: each ring holds the point alone, however often.
    same = predict(model, [np.repeat(points, 9, axis=1), category])
    assert_close(same[0], np.repeat(outputs[0], 9, axis=0))


@pytest.mark.parametrize("what", ["duplicates_only", "far_apart", "zero_normals"])
def test_degenerate_clouds_have_classes(what):
    model, points = lively(networks.a_cnn_classification), cloud()
    if what == "duplicates_only":
        points[:] = points[:, :1]
    elif what == "far_apart":  # Every ring but the innermost is empty.
        points[..., :3] *= 1000
    else:
        points[..., 3:] = 0
    assert np.isfinite(predict(model, points)).all()


def test_fewer_points_than_samples_is_an_error():
    with pytest.raises(ValueError, match=r"at least 512 .*input_shape=\(511, 6\)"):
        networks.a_cnn_classification((511, 6), 4)
    model = lively(networks.a_cnn_classification)
    with pytest.raises(ValueError, match=r"at least 16 points.*shape=\(1, 15, 6\)"):
        predict(model, cloud(15))


@pytest.mark.parametrize(
    "argument,value",
    [
        ("samples", (16,)),
        ("samples", (6, 16)),
        ("rings", (((0, 1), (1, 2)),)),
        ("rings", (((0, 1),), ((0, 1),))),
        ("neighbors", (4, 6, 8)),
        ("neighbors", 4),
    ],
)
def test_levels_that_do_not_fit(argument, value):
    with pytest.raises(ValueError, match=f"Received: {argument}="):
        lively(networks.a_cnn_classification, **{argument: value})


def test_rooms_may_have_colours_and_must_have_normals():
    model = networks.a_cnn_semantic_segmentation((1024, 9), 4, width_multiplier=1 / 32)
    assert model.output.shape == (None, 1024, 4)
    with pytest.raises(ValueError, match=r"Received: input_shape=\(1024, 5\)"):
        networks.a_cnn_semantic_segmentation((1024, 5), 4)


STEP = """
import keras
import numpy as np
from kseg.models.points import a_cnn_semantic_segmentation

model = a_cnn_semantic_segmentation((8192, 6), 3)
model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy")
model.optimizer.build(model.trainable_variables)
clouds = np.random.default_rng(0).uniform(-1, 1, (4, 8192, 6)).astype("float32")
model.fit(clouds, np.zeros((4, 8192), "int32"), batch_size=4, verbose=0)
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        print(int(line.split()[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_training_on_8192_points_stays_within_4_gigabytes():
    """Four clouds at once, at full width; the peak of a process with its libraries."""
    run = subprocess.run(
        [sys.executable, "-c", STEP], capture_output=True, text=True, check=True
    )
    assert int(run.stdout.split()[-1]) < 4096


@pytest.mark.slow
def test_a_step_on_a_real_scene_takes_what_random_points_take(data_dir):
    """What a step costs may depend on the number of the points, not on where they lie.

    The first step is another matter: Keras traces it on TensorFlow, which takes 20 s of a
    processor for any cloud, half of it where the optimizer is built beforehand.
    """
    xyz = KinectScenes(data_dir("kinect-scenes"))[0].points[::4, :3]
    real = np.concatenate([xyz, estimate_normals(xyz)], 1)[None]
    random = np.random.default_rng(0).uniform(-1, 1, real.shape).astype("float32")
    model = networks.a_cnn_semantic_segmentation((4096, 6), 3, width_multiplier=0.25)
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    labels = np.zeros((1, 4096), "int32")
    model.train_on_batch(random, labels)
    seconds = {"real": [], "random": []}
    for _ in range(3):
        for name, points in (("real", real), ("random", random)):
            start = time.process_time()
            assert np.isfinite(float(model.train_on_batch(points, labels)))
            seconds[name].append(time.process_time() - start)
    assert min(seconds["real"]) < 2 * min(seconds["random"])
