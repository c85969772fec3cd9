"""Training runs that are killed, resumed and prolonged."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from kseg import data, training
from kseg.training.run_folder import write

TRAIN = """
import sys
import tensorflow as tf
import kseg
tf.config.experimental.enable_op_determinism()
tf.config.threading.set_inter_op_parallelism_threads(1)
kseg.training.train(
    sys.argv[1], sys.argv[2], size=32, epochs=4, batch_size=4, verbose=0, seed=7,
    model_arguments={"width_multiplier": 0.35},
)
"""


def start(squares_folder, output):
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    with output.with_suffix(".log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(squares_folder), str(output)],
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
    whole = start(squares_folder, tmp_path / "whole")
    killed = start(squares_folder, tmp_path / "killed")
    while not (tmp_path / "killed" / "last.keras").exists():
        assert killed.poll() is None, (tmp_path / "killed.log").read_text()
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = len(rows(tmp_path / "killed"))
    assert before < 4, "the run ended before it was killed"
    again = start(squares_folder, tmp_path / "killed")
    assert again.wait() == 0, (tmp_path / "killed.log").read_text()
    assert whole.wait() == 0, (tmp_path / "whole.log").read_text()

    expected = keras.saving.load_model(tmp_path / "whole" / "last.keras").get_weights()
    actual = keras.saving.load_model(tmp_path / "killed" / "last.keras").get_weights()
    for left, right in zip(actual, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6, rtol=0)
    assert [r["epoch"] for r in rows(tmp_path / "killed")] == list("1234")
    np.testing.assert_allclose(
        [float(r["loss"]) for r in rows(tmp_path / "killed")],
        [float(r["loss"]) for r in rows(tmp_path / "whole")],
        atol=1e-6,
    )


def test_other_arguments_in_the_same_folder_are_refused_by_name(
    squares_folder, tmp_path
):
    (tmp_path / "config.json").write_text(json.dumps({"epochs": 2, "seed": 1}))
    with pytest.raises(ValueError, match=r"seed \(1 then, 0 now\)"):
        training.train(squares_folder, tmp_path, size=32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedule": "step"}, "`schedule` must be one of"),
        ({"model": "segnet"}, "`model` must be one of"),
        ({"model": "copy_weights_of_a_friend"}, "`model` must be one of"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_written(
    squares_folder, tmp_path, arguments, message
):
    with pytest.raises(ValueError, match=message):
        training.train(squares_folder, tmp_path / "run", size=32, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_without_validation_is_an_error(squares_folder, tmp_path):
    dataset = data.datasets.ImageFolder(squares_folder)
    with pytest.raises(ValueError, match="`validation` must be a data set"):
        training.train(dataset, tmp_path, size=32)


def test_a_net_of_other_classes_cannot_be_the_start(squares_folder, tmp_path):
    inputs = keras.Input((32, 32, 3))
    net = keras.Model(inputs, keras.layers.Conv2D(5, 1)(inputs))
    with pytest.raises(ValueError, match="`start` must be a net with 1 output"):
        training.train(squares_folder, tmp_path, size=32, start=net)


def test_averaged_weights_are_those_validated_and_kept(squares_folder, tmp_path):
    """Momentum 0 averages nothing: the average is the weights, whatever is swapped."""
    common = {"size": 32, "epochs": 2, "batch_size": 4, "verbose": 0}
    narrow = {"model_arguments": {"width_multiplier": 0.35}}
    plain = training.train(squares_folder, tmp_path / "plain", **common, **narrow)
    same = training.train(
        squares_folder, tmp_path / "same", ema_momentum=0.0, **common, **narrow
    )
    assert same["validation"] == pytest.approx(plain["validation"], abs=1e-3)
    # With momentum 1 the average is the first step's weights for ever.
    training.train(
        squares_folder, tmp_path / "first", ema_momentum=0.999, **common, **narrow
    )
    kept = keras.saving.load_model(tmp_path / "first" / "best.keras", compile=False)
    last = keras.saving.load_model(tmp_path / "first" / "last.keras", compile=False)
    assert not np.allclose(
        kept.trainable_weights[0].numpy(), last.trainable_weights[0].numpy()
    )


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "net.keras"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write(path, fail)
    assert [p.name for p in tmp_path.iterdir()] == ["net.keras"]
    assert path.read_text() == "old"
