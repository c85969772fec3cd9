"""Parameters of the iOS benchmark app."""

import json

import pytest

from kseg.mobile import write_ios_benchmark
from kseg.mobile.images import PHOTOS

NET = PHOTOS.parent / "person_float16.tflite"


def test_net_and_parameters_are_put_beside_each_other(tmp_path):
    path = write_ios_benchmark(NET, tmp_path, threads=4, runs=20)
    assert path == tmp_path / "benchmark_params.json"
    # The keys of the app's own file, without its inputs: the net knows its shapes.
    assert json.loads(path.read_text()) == {
        "benchmark_name": "person_float16_benchmark",
        "num_threads": "4",
        "num_runs": "20",
        "warmup_runs": "1",
        "graph": "person_float16.tflite",
    }
    assert (tmp_path / NET.name).read_bytes() == NET.read_bytes()


def test_the_gpu_is_metal(tmp_path):
    values = json.loads(write_ios_benchmark(NET, tmp_path, gpu=True).read_text())
    assert (values["use_gpu"], values["gpu_wait_type"]) == ("1", "aggressive")


def test_every_value_is_a_string(tmp_path):
    # The app calls UTF8String on each, which a number does not have.
    values = json.loads(write_ios_benchmark(NET, tmp_path, gpu=True).read_text())
    assert {type(value) for value in values.values()} == {str}


def test_what_the_app_could_not_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="`folder` must be.*benchmark_data"):
        write_ios_benchmark(NET, tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="existing .tflite"):
        write_ios_benchmark(tmp_path / "net.tflite", tmp_path)
    (tmp_path / "text.tflite").write_text("no model")
    with pytest.raises(ValueError, match="must be a .tflite file"):
        write_ios_benchmark(tmp_path / "text.tflite", tmp_path)
    with pytest.raises(ValueError, match="`threads` must be.*threads=0"):
        write_ios_benchmark(NET, tmp_path, threads=0)
    assert not (tmp_path / "benchmark_params.json").exists()
