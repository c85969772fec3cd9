"""Training runs: what they keep and record, killed, resumed, and refused."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from kseg import data, losses, training
from kseg.training import networks, run

TRAIN = """
import sys
import tensorflow as tf
import kseg
tf.config.experimental.enable_op_determinism()
tf.config.threading.set_inter_op_parallelism_threads(1)
kseg.training.train(
    sys.argv[1], sys.argv[2], start=sys.argv[3], size=16, epochs=4, batch_size=4,
    learning_rate=1e-2, ema_momentum=0.5, verbose=0, seed=7,
)
"""


def start(squares_folder, output, net):
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    with output.with_suffix(".log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-c", TRAIN, *map(str, (squares_folder, output, net))],
            env=environment,
            stderr=log,
        )


def rows(output):
    with (output / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="op determinism is TensorFlow's"
)
def test_killed_run_continues_to_the_same_weights(squares_folder, tmp_path):
    # A model inside the model, statistics and random numbers: all state that there is.
    image = keras.Input((None, None, 3))
    inner = keras.Sequential(
        [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)], name="inner"
    )
    x = inner(keras.layers.Conv2D(8, 3, padding="same", activation="relu")(image))
    net = keras.Model(image, keras.layers.Conv2D(1, 1, activation="sigmoid")(x))
    net.save(tmp_path / "net.keras")
    whole = start(squares_folder, tmp_path / "whole", tmp_path / "net.keras")
    killed = start(squares_folder, tmp_path / "killed", tmp_path / "net.keras")
    while not (tmp_path / "killed" / "last.keras").exists():
        assert killed.poll() is None, (tmp_path / "killed.log").read_text()
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = len(rows(tmp_path / "killed"))
    assert before < 4, "the run ended before it was killed"
    again = start(squares_folder, tmp_path / "killed", tmp_path / "net.keras")
    assert again.wait() == 0, (tmp_path / "killed.log").read_text()
    assert whole.wait() == 0, (tmp_path / "whole.log").read_text()

    for name in ("last.keras", "best.keras"):
        expected, actual = (
            keras.saving.load_model(tmp_path / run / name).get_weights()
            for run in ("whole", "killed")
        )
        for left, right in zip(actual, expected, strict=True):
            np.testing.assert_allclose(left, right, atol=1e-6, rtol=0)
    assert [r["epoch"] for r in rows(tmp_path / "killed")] == list("1234")
    np.testing.assert_allclose(
        [float(r["loss"]) for r in rows(tmp_path / "killed")],
        [float(r["loss"]) for r in rows(tmp_path / "whole")],
        atol=1e-6,
    )


@pytest.fixture(scope="module")
def arguments(squares_folder, threshold_net):
    """Arguments of a run that starts from a perfect net of logits and learns nothing."""
    net = threshold_net(None)
    net.get_layer("norm").trainable = False
    return {
        "dataset": squares_folder,
        "start": net,
        "size": np.int64(16),
        "epochs": np.int64(2),
        "batch_size": 4,
        "learning_rate": 1e-12,
        "weight_decay": 0.0,
        "verbose": 0,
    }


@pytest.fixture(scope="module")
def finished(arguments, tmp_path_factory):
    """The folder and the summary of that run."""
    folder = tmp_path_factory.mktemp("runs") / "new" / "run"
    return folder, training.train(output=folder, **arguments)


def test_a_start_that_training_does_not_improve_is_kept_and_named(finished, arguments):
    folder, summary = finished
    assert summary["kept"] == "start"
    assert set(summary["tried"]) == {"start", "epoch 2"}
    assert summary["validation"] == summary["tried"]["start"]
    assert summary["validation"]["mean_iou"] > 0.99
    kept = keras.saving.load_model(folder / "best.keras", compile=False)
    for new, old in zip(
        kept.get_weights(), arguments["start"].get_weights(), strict=True
    ):
        np.testing.assert_array_equal(new, old)
    assert not kept.get_layer("norm").trainable
    assert not arguments["start"].compiled  # a copy was trained


def test_the_summary_says_what_the_net_was_made_of(finished):
    folder, summary = finished
    config = summary["config"]
    assert json.loads((folder / "summary.json").read_text())["config"] == config
    assert json.loads((folder / "config.json").read_text()) == config
    assert (config["model"], config["backbone"]) == (None, None)
    assert config["start"].startswith("threshold, ")
    assert config["train_data"].startswith("11 photos, ")
    assert config["validation_data"].startswith("1 photos, ")
    assert (config["epochs"], config["size"]) == (2, [16, 16])


def test_a_finished_run_returns_its_summary_again(finished, arguments):
    folder, summary = finished
    before = (folder / "best.keras").stat().st_mtime_ns
    assert training.train(output=folder, **arguments) == summary
    assert (folder / "best.keras").stat().st_mtime_ns == before


def test_other_arguments_in_the_same_folder_are_refused_by_name(
    finished, arguments, threshold_net
):
    folder, _ = finished
    with pytest.raises(ValueError, match=r"seed \(0 then, 1 now\)"):
        training.train(output=folder, **{**arguments, "seed": 1})
    photos = data.datasets.ImageFolder(arguments["dataset"])
    other = {"dataset": photos[:8], "validation": photos[8:]}
    with pytest.raises(
        ValueError, match="train_data .*8 photos, .*validation_data .*4 photos"
    ):
        training.train(output=folder, **{**arguments, **other})
    net = threshold_net(None)
    net.get_layer("score").set_weights([np.zeros((1, 1, 2, 1)), np.array([0.0])])
    with pytest.raises(ValueError, match=r"start \('threshold, .* then"):
        training.train(output=folder, **{**arguments, "start": net})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("best.keras", None),
        ("last.keras", b"P"),
        ("config.json", b'{"epochs": 2, "si'),
        ("config.json", None),
        ("metrics.csv", None),
        ("metrics.csv", b"epoch,loss\n1,0.5"),
    ],
)
def test_a_damaged_run_is_refused_with_the_file_and_the_way_out(
    finished, arguments, tmp_path, name, content
):
    folder = shutil.copytree(finished[0], tmp_path / "run")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}'.*delete 'last\.keras'.*Received"):
        training.train(output=folder, **arguments)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"schedule": "step"}, "`schedule` must be one of"),
        ({"epochs": 0}, "`epochs` must be at least 1. Received: epochs=0"),
        ({"learning_rate": -1.0}, "Received: learning_rate=-1.0"),
        ({"ema_momentum": 2.0}, "Received: ema_momentum=2.0"),
        ({"size": (16, 16, 3)}, "`size` must be"),
        ({"seed": -1}, "Received: seed=-1"),
        ({"start": "person"}, "Received: start='person'"),
        ({"start": None, "model": "segnet"}, "`model` must be one of"),
        (
            {"start": None, "model": "unet", "model_arguments": {"deep": 1}},
            r"Received: \['deep'\]",
        ),
        ({"start": None, "size": 20}, "Received: input_shape="),
        (
            {
                "start": None,
                "model": "unet",
                "backbone": None,
                "model_arguments": {"filters": (4, 8), "padding": "valid"},
                "size": 64,
            },
            "padding='same'",
        ),
    ],
)
def test_bad_arguments_are_named_before_anything_is_written(
    arguments, tmp_path, wrong, message
):
    with pytest.raises(ValueError, match=message):
        training.train(output=tmp_path / "run", **{**arguments, **wrong})
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_without_validation_is_an_error(arguments, tmp_path):
    photos = data.datasets.ImageFolder(arguments["dataset"])
    with pytest.raises(ValueError, match="`validation` must be a data set"):
        training.train(output=tmp_path, **{**arguments, "dataset": photos})


def test_the_start_sets_the_defaults_of_size_and_learning_rate(
    squares_folder, tmp_path, threshold_net, monkeypatch
):
    class Stop(Exception):
        pass

    def record(output, config, *more):
        configs.append(config)
        raise Stop

    configs = []
    monkeypatch.setattr(run, "RunFolder", record)
    for start in (None, threshold_net(size=(32, 48))):
        with pytest.raises(Stop):
            training.train(squares_folder, tmp_path, start=start)
    assert [c["learning_rate"] for c in configs] == [1e-3, 1e-4]
    assert [c["size"] for c in configs] == [(256, 256), (32, 48)]
    assert [c["model"] for c in configs] == ["lraspp", None]


def test_averaged_weights_are_those_validated_and_kept(
    arguments, tmp_path, threshold_net
):
    net = threshold_net()
    # Two steps turn the sign, and re-estimated statistics then show it.
    net.get_layer("score").set_weights([np.full((1, 1, 2, 1), -1e-3), np.array([0.0])])
    averaged = {"start": net, "ema_momentum": 0.5, "learning_rate": 0.05, "epochs": 1}
    summary = training.train(output=tmp_path, **{**arguments, **averaged})
    assert summary["kept"].startswith("epoch 1")
    kept = keras.saving.load_model(tmp_path / "best.keras", compile=False)
    last = keras.saving.load_model(tmp_path / "last.keras")
    raw = [v.numpy() for v in last.trainable_variables]
    # Keras' own way to end a run that averages.
    last.optimizer.finalize_variable_values(last.trainable_variables)
    for new, mean, old in zip(
        kept.trainable_variables, last.trainable_variables, raw, strict=True
    ):
        np.testing.assert_array_equal(new.numpy(), mean.numpy())
        assert not np.array_equal(new.numpy(), old)


@pytest.mark.parametrize(
    "weights", ["median_frequency", (1.0, 3.0), np.array([1.0, 3.0])]
)
def test_class_weights_are_counted_or_taken(arguments, tmp_path, monkeypatch, weights):
    class Stop(Exception):
        pass

    def record(net, *more):
        compile_net(net, *more)
        nets.append(net)
        raise Stop

    nets, compile_net = [], networks.compile_net
    monkeypatch.setattr(networks, "compile_net", record)
    with pytest.raises(Stop):
        training.train(output=tmp_path, **{**arguments, "class_weights": weights})
    expected = weights
    if isinstance(weights, str):
        photos = data.datasets.open_dataset(arguments["dataset"])
        expected = losses.class_weights(photos, weights)
    np.testing.assert_allclose(nets[0].loss.class_weights, expected)
