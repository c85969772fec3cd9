"""PointNet as a .tflite: the file answers as Keras does on real clouds."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from kseg import losses, mobile, models
from kseg.data.datasets import KinectScenes
from kseg.data.points import Blocks, loader, unit_sphere
from kseg.mobile.exporting.named_model import NamedModel

POINTS = 256


def run_litert(path, cloud):
    """Runs a file without any of kseg's code."""
    interpreter = Interpreter(model_content=path.read_bytes())
    interpreter.allocate_tensors()
    (inputs,), (outputs,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    assert inputs["shape"].tolist() == [1, *cloud.shape]
    interpreter.set_tensor(inputs["index"], cloud[None])
    interpreter.invoke()
    return interpreter.get_tensor(outputs["index"])[0]


@pytest.fixture(scope="module")
def scenes(data_dir):
    """Real clouds in the unit sphere, x, y, z alone, and the labels of their points."""
    scenes = KinectScenes(data_dir("kinect-scenes"), "test")
    clouds, labels = [], []
    for scene in scenes[:12]:
        clouds.append(unit_sphere(scene.points[::64, :3]))
        labels.append(scene.labels[::64])
    return np.stack(clouds), np.stack(labels)


@pytest.fixture(scope="module")
def model(scenes):
    """A narrow PointNet with its T-Nets, after 20 steps."""
    keras.utils.set_random_seed(0)
    model = models.points.pointnet_segmentation((POINTS, 3), 3, width_multiplier=1 / 8)
    model.compile(keras.optimizers.Adam(0.01), losses.SparseCrossEntropy())
    model.fit(*scenes, batch_size=4, epochs=7, verbose=0)
    return model


@pytest.mark.parametrize(
    "precision,limit",
    [
        ("float32", 1e-5),
        ("float16", 1e-2),
        ("weight_int8", 0.1),
        ("dynamic_int8", 0.15),
        ("full_int8", 0.35),
    ],
)
def test_probabilities_on_unseen_clouds_are_those_of_keras(
    model, scenes, tmp_path, precision, limit
):
    path = tmp_path / "net.tflite"
    report = mobile.export(
        model, path, precision=precision, calibration=scenes[0][:8], verbose=False
    )
    assert (report.size, report.num_classes, report.parity.images) == ((POINTS,), 3, 8)
    assert "256 points" in str(report)
    for cloud in scenes[0][8:]:
        expected = np.asarray(model(cloud[None], training=False))[0]
        actual = run_litert(path, cloud)
        if precision == "full_int8":
            assert actual.dtype == np.uint8
            actual = actual / 256  # as LiteRT's SOFTMAX scales its answer
        assert actual.shape == (POINTS, 3) and expected.std() > 0.05
        assert np.abs(actual - expected).max() < limit


def test_logits_and_class_ids(model, scenes, tmp_path):
    path, cloud = tmp_path / "net.tflite", scenes[0][9]
    expected = np.asarray(model(cloud[None], training=False))[0]
    mobile.export(model, path, output="logits", calibration=scenes[0], verbose=False)
    logits = run_litert(path, cloud)
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    np.testing.assert_allclose(
        powers / powers.sum(-1, keepdims=True), expected, 0, 1e-4
    )
    mobile.export(
        model, path, output="category_mask", calibration=scenes[0], verbose=False
    )
    assert (run_litert(path, cloud) == expected.argmax(-1)).mean() > 0.99


def test_an_open_number_of_points_and_blocks_of_rooms(tmp_path, data_dir):
    rooms = KinectScenes(data_dir("kinect-scenes"))[:2]
    blocks = Blocks(rooms, 0.6, up=1, min_points=100)
    model = models.points.pointnet_semantic_segmentation(
        (None, 9), 3, width_multiplier=1 / 16
    )
    model.compile(keras.optimizers.Adam(0.01), losses.SparseCrossEntropy())
    model.fit(loader(blocks, 4, 128), epochs=3, verbose=0)
    report = mobile.export(
        model, tmp_path / "net.tflite", size=200, calibration=blocks, verbose=False
    )
    assert report.size == (200,) and report.parity.max_error < 1e-5
    with pytest.raises(ValueError, match="number of points.*Received: size=None"):
        mobile.export(model, tmp_path / "b.tflite", calibration=blocks)


@pytest.mark.parametrize(
    "arguments,error,message",
    [
        ({"calibration": None}, TypeError, "none ship with kseg.*NoneType"),
        ({"calibration": []}, ValueError, "at least one cloud"),
        (
            {"calibration": np.zeros((2, 9, 4))},
            ValueError,
            r"cloud 0 of shape \(9, 4\)",
        ),
        ({"calibration": np.full((2, 9, 3), np.nan)}, ValueError, r"calibration\[0\]="),
        ({"size": 100}, ValueError, "own number of points, 256.*Received: size=100"),
        ({"size": (256, 3)}, ValueError, r"Received: size=\(256, 3\)"),
        ({"labels": ["a", "b", "c"]}, ValueError, "Received: labels="),
    ],
)
def test_what_no_file_can_be_made_of(model, tmp_path, arguments, error, message):
    arguments = {"calibration": np.zeros((2, 9, 3)), **arguments}
    with pytest.raises(error, match=message):
        mobile.export(model, tmp_path / "net.tflite", **arguments)
    assert not list(tmp_path.iterdir())


def test_the_number_of_points_may_be_of_numpy_and_the_batch_must_be_one():
    net = keras.Sequential([keras.Input((None, 3)), keras.layers.Dense(2)])
    (size,) = NamedModel(net, np.int64(64), "probabilities").size
    assert size == 64 and type(size) is int
    pair = keras.Sequential([keras.Input((64, 3), batch_size=2), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"batch of 1.*of input \(2, 64, 3\)"):
        NamedModel(pair, None, "probabilities")
