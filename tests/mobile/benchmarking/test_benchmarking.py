"""Benchmarks: plausible numbers, honest counts, what is said where there is none."""

import json
import os
import re
import shutil
import signal

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from kseg import cli
from kseg.mobile import benchmark
from kseg.mobile.benchmarking import benchmarking, machine
from kseg.mobile.benchmarking.rows import BenchmarkRow
from kseg.mobile.exporting.conversion import concrete_function, convert
from kseg.mobile.images import PHOTOS
from kseg.mobile.tflite import workers
from kseg.mobile.tflite.runtime import open_interpreter
from kseg.mobile.tflite.workers import SOFTWARE_DRIVER

NET = PHOTOS.parent / "person_float16.tflite"

# The end of a log of benchmark_model: tensorflow/issues/43541.
LOG = """\
Graph: [/data/local/tmp/{name}]
count=50 first=119212 curr=118055 min=113737 max=124776 avg=119375 std=1948
Inference timings in us: Init: 870557, First inference: 130565, Warmup (avg): 122373, \
Inference (avg): 119375
"""


@pytest.fixture
def no_worker(monkeypatch):
    """Rows of the CPU without a run, for what is not about them."""
    row = BenchmarkRow("cpu", threads=1, median=2.0)
    monkeypatch.setattr(benchmarking, "cpu_row", lambda *_: row)


@pytest.mark.parametrize("precision", ["float32", "full_int8"])
def test_each_number_of_threads_is_timed(exported, precision):
    path = exported(precision).path
    (model,) = benchmark(path, threads=(1, 2), runs=20).models
    assert [row.threads for row in model.rows] == [1, 2]
    for row in model.rows:
        assert row.target == "cpu"
        assert 0 < row.best <= row.median <= row.p90
        assert row.best <= row.average
        assert row.runs == 20
        assert row.load > 0
        assert not row.software
    assert model.size_bytes == path.stat().st_size
    assert model.iou is None


def test_the_cpu_runs_by_xnnpack():
    # What a delegate has taken is an operation of its own.
    interpreter = open_interpreter(NET.read_bytes(), num_threads=1)
    kinds = [details["op_name"] for details in interpreter._get_ops_details()]
    assert "DELEGATE" in kinds


def test_memory_is_that_of_the_net_alone():
    # Its weights are read once, and once more unpacked to float32; Python with NumPy
    # and LiteRT would be 35 MB more.
    row = benchmark(NET, threads=1, runs=5).models[0].rows[0]
    assert NET.stat().st_size / 1e6 < row.peak_memory < 80


def test_slow_nets_are_cut_off_after_five_runs():
    report = benchmark(NET, threads=1, runs=10_000, seconds=0)
    assert report.models[0].rows[0].runs == 5


def test_the_default_threads_are_those_of_the_machine(no_worker, monkeypatch):
    asked = []
    row = BenchmarkRow("cpu", median=1.0)
    monkeypatch.setattr(benchmarking, "cpu_row", lambda *a: asked.append(a[1]) or row)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    benchmark(NET)
    assert asked == [1, 2]


@pytest.fixture
def software_gpu(monkeypatch):
    """Software or not: what a machine without a GPU has."""
    if not SOFTWARE_DRIVER.exists():
        pytest.skip("needs the software driver of Debian's chromium")
    monkeypatch.setenv("VK_ICD_FILENAMES", str(SOFTWARE_DRIVER))


def test_a_software_gpu_is_marked(quick, software_gpu):
    inputs = keras.Input((64, 96, 3))
    outputs = keras.layers.Conv2D(3, 3, padding="same", activation="softmax")(inputs)
    path = quick(keras.Model(inputs, outputs)).path
    row = benchmark(path, threads=1, runs=5, gpu=True).models[0].rows[-1]
    assert (row.target, row.runs, row.fully_delegated) == ("gpu", 5, True)
    assert row.software
    assert "SwiftShader" in row.delegate
    # What is only enqueued is back in microseconds.
    assert row.median > 1


def test_a_graph_that_the_gpu_refuses_has_a_reason_in_place_of_times(
    net, software_gpu, tmp_path
):
    # LiteRT 2.3 takes TRANSPOSE_CONV up to version 3; a fused activation, which export
    # separates, makes it 4.
    path = tmp_path / "net.tflite"
    path.write_bytes(convert(concrete_function(net, (64, 96), "probabilities")))
    row = machine.gpu_row(path, 5, 0.1)
    assert row.latency is None
    assert row.fully_delegated is False
    assert 0 < row.taken < row.total
    assert "TRANSPOSE_CONV: Max version supported: 3" in row.note


def test_a_machine_without_a_vulkan_driver_is_told_which_package(monkeypatch, tmp_path):
    monkeypatch.setattr(workers, "SOFTWARE_DRIVER", tmp_path / "none.json")
    monkeypatch.setenv("VK_ICD_FILENAMES", str(tmp_path / "none.json"))
    row = machine.gpu_row(NET, 5, 0.1)
    assert row.latency is None
    assert "mesa-vulkan-drivers" in row.note


def test_a_crash_of_the_runtime_does_not_take_us_along(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'last words' >&2\nkill -SEGV $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(workers.sys, "executable", str(python))
    status = -signal.SIGSEGV
    with pytest.raises(RuntimeError, match=f"status {status}.*person_.*last words"):
        benchmark(NET, threads=1)
    assert "last words" in machine.gpu_row(NET, 5, 0.1).note


def test_browsers_give_rows_of_their_own(no_worker, monkeypatch):
    asked = []

    def stand_in(path, **options):
        asked.append((path, options))
        return [BenchmarkRow("wasm", median=3.0), BenchmarkRow("webgpu", median=4.0)]

    monkeypatch.setattr(benchmarking, "benchmark_browser", stand_in)
    (model,) = benchmark(NET, threads=1, runs=7, seconds=2, browser=True).models
    assert [row.target for row in model.rows] == ["cpu", "wasm", "webgpu"]
    assert asked == [(NET, {"runs": 7, "seconds": 2})]


def test_logs_from_elsewhere_are_rows_of_their_net(no_worker, tmp_path):
    nets = [shutil.copy(NET, tmp_path / f"{name}.tflite") for name in "ab"]
    for name, of in (("pixel", "b.tflite"), ("iphone", "a.tflite")):
        (tmp_path / f"{name}.txt").write_text(LOG.format(name=of))
    logs = [tmp_path / "pixel.txt", tmp_path / "iphone.txt"]
    a, b = benchmark(nets, threads=1, logs=logs).models
    assert [row.target for row in a.rows] == ["cpu", "iphone"]
    assert [row.target for row in b.rows] == ["cpu", "pixel"]
    assert b.rows[1].latency == 119.375
    with pytest.raises(
        ValueError, match=r"`logs` must be of one of \['a.tflite'\].*of b"
    ):
        benchmark(nets[0], logs=logs)


def test_masks_are_measured_on_given_data(no_worker, tmp_path):
    """The net's own masks as the truth: its mean IoU is 1."""
    import kseg

    segmenter = kseg.load(NET)
    items = []
    from PIL import Image

    for photo in sorted(PHOTOS.glob("*.jpg"))[:2]:
        mask = tmp_path / f"{photo.stem}.png"
        Image.fromarray(segmenter.segment(photo).category_mask).save(mask)
        items.append((photo.stem, photo, mask))
    data = kseg.data.datasets.Dataset(items, ("background", "person"))
    (model,) = benchmark(NET, data=data).models
    assert model.iou == 1
    assert model.iou_of == "mean IoU, 2 samples of Dataset"


def test_without_data_the_card_says_how_good_a_net_is(no_worker, tmp_path):
    (model,) = benchmark(NET).models
    card = NET.with_name("person.md").read_text()
    ((of, figure),) = re.findall(
        rf"\| file \| ([^|]+) \|.*?\| `{NET.name}` \| ([\d.]+) \|", card, re.DOTALL
    )
    assert (model.iou, model.iou_of) == (float(figure), f"{of} (person.md)")
    net = shutil.copy(NET, tmp_path / "other.tflite")
    (tmp_path / "README.md").write_text(
        "| file | MB |\n|---|---|\n| `other.tflite` | 1 |"
    )
    assert benchmark(net).models[0].iou is None


def test_what_cannot_be_timed_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="`paths` must be existing .tflite"):
        benchmark(tmp_path / "missing.tflite")
    with pytest.raises(ValueError, match="`paths` must be at least one"):
        benchmark([])
    with pytest.raises(TypeError, match="`paths` must be a path"):
        benchmark([None])
    keras = tmp_path / "net.keras"
    keras.touch()
    with pytest.raises(ValueError, match="kseg.mobile.export makes them"):
        benchmark([NET, keras])


@pytest.mark.parametrize("part", [b"", b"no model", 0.5, 0.999], ids=str)
def test_files_that_are_no_whole_net_are_refused(tmp_path, part):
    content = NET.read_bytes()
    path = tmp_path / "net.tflite"
    path.write_bytes(
        content[: int(part * len(content))] if part in (0.5, 0.999) else part
    )
    with pytest.raises(ValueError, match="must be a complete LiteRT model.*Received"):
        benchmark(path, threads=1, runs=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runs": 0}, "`runs` must be a positive integer.*runs=0"),
        ({"runs": 1.5}, "`runs` must be a positive integer.*runs=1.5"),
        ({"seconds": -1}, "`seconds` must be 0 or more.*seconds=-1"),
        ({"seconds": float("nan")}, "`seconds` must be 0 or more.*seconds=nan"),
        ({"threads": []}, "`threads` must be at least one"),
        ({"threads": [1, 0]}, "`threads` must be a positive integer.*threads=0"),
        ({"threads": True}, "`threads` must be a positive integer.*threads=True"),
    ],
    ids=["runs", "half", "back", "nan", "none", "zero", "bool"],
)
def test_numbers_out_of_range_are_refused(no_worker, options, message):
    with pytest.raises(ValueError, match=message):
        benchmark(NET, **options)


def test_logs_that_are_missing_are_refused(no_worker, tmp_path):
    with pytest.raises(FileNotFoundError, match="`logs` must be existing"):
        benchmark(NET, logs=tmp_path / "phone.txt")


def test_a_phone_that_is_missing_is_said_before_the_work(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmarking, "cpu_row", None)  # a call would be an error
    with pytest.raises(FileNotFoundError, match="`adb` must be the path"):
        benchmark(NET, adb=tmp_path / "benchmark_model")


def test_times_are_those_of_the_runs():
    times = np.arange(1.0, 101.0)
    row = machine.timed_row("cpu", times)
    # NumPy's own median and percentile of 1…100.
    assert (row.median, row.average, row.best, row.runs) == (50.5, 50.5, 1.0, 100)
    assert row.p90 == pytest.approx(90.1)


def test_the_command_prints_a_table_or_json_and_draws(no_worker, tmp_path):
    plot = tmp_path / "nets.png"
    result = CliRunner().invoke(cli.app, ["benchmark", str(NET), "--plot", str(plot)])
    assert result.exit_code == 0, result.output
    assert "person_float16" in result.output
    assert plot.read_bytes()[1:4] == b"PNG"
    result = CliRunner().invoke(cli.app, ["benchmark", str(NET), "--json"])
    (model,) = json.loads(result.output)["models"]
    assert (model["path"], model["rows"][0]["median"]) == (str(NET), 2.0)


def test_the_command_asks_for_every_place_that_is_named(
    no_worker, monkeypatch, tmp_path
):
    gpu, browser = BenchmarkRow("gpu", median=2.0), BenchmarkRow("wasm", median=3.0)
    monkeypatch.setattr(benchmarking, "gpu_row", lambda *_: gpu)
    monkeypatch.setattr(benchmarking, "benchmark_browser", lambda *_, **__: [browser])
    log = tmp_path / "pixel.txt"
    log.write_text(LOG.format(name=NET.name))
    options = ["--threads", "1", "--gpu", "--browser", "--log", str(log), "--json"]
    result = CliRunner().invoke(cli.app, ["benchmark", str(NET), *options])
    (model,) = json.loads(result.output)["models"]
    assert [row["target"] for row in model["rows"]] == ["cpu", "gpu", "wasm", "pixel"]


def test_the_command_prepares_the_ios_app(no_worker, tmp_path):
    arguments = ["benchmark", str(NET), "--ios", str(tmp_path), "--threads", "4"]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    values = json.loads((tmp_path / "benchmark_params.json").read_text())
    assert (values["graph"], values["num_threads"]) == (NET.name, "4")


def test_the_ios_app_takes_one_net(no_worker, tmp_path):
    arguments = ["benchmark", str(NET), str(NET), "--ios", str(tmp_path)]
    result = CliRunner().invoke(cli.app, arguments)
    assert "`--ios` takes one net" in str(result.exception)
