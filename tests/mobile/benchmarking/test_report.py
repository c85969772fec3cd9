"""Tables, remarks and pictures of rows that are made up here."""

import dataclasses
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from kseg.mobile.benchmarking.report import BenchmarkReport, ModelBenchmark
from kseg.mobile.benchmarking.rows import BenchmarkRow, timed_row

CPU = BenchmarkRow("cpu", threads=2, load=40.4, median=8.125, p90=9.5, average=8.3)
SOFTWARE = BenchmarkRow(
    "gpu", median=2800.0, software=True, delegate="SwiftShader", fully_delegated=True
)
PHONE = BenchmarkRow(
    "phone gpu",
    average=4.25,
    delegate="TfLiteGpuDelegateV2",
    taken=294,
    total=306,
    fully_delegated=False,
    operations=(("CONV_2D", 0.75), ("ADD", 0.24), ("RESHAPE", 0.001)),
)


def report(*rows, name="nets/a.tflite", **more):
    return BenchmarkReport((ModelBenchmark(Path(name), 2_930_000, rows, **more),))


def cells(text):
    return [line.split() for line in text.splitlines()]


def test_the_table_has_a_line_per_net_and_row():
    lines = cells(str(report(CPU, PHONE, iou=0.907, iou_of="mean IoU")))
    assert lines[0] == ["load", "median", "p90"]
    assert lines[1] == ["MB", "IoU", "ms", "ms", "ms", "delegated"]
    assert lines[2] == ["a", "2.93", "0.907"]
    assert lines[3] == ["cpu,", "2", "threads", "40", "8.12", "9.50"]
    assert lines[4] == ["phone", "gpu", "average", "4.25", "294", "of", "306"]
    assert lines[5] == ["a:", "IoU", "is", "mean", "IoU"]


def test_columns_without_values_are_left_out():
    text = str(report(CPU))
    assert "p90" in text
    for heading in ("IoU", "memory", "delegated"):
        assert heading not in text


def test_the_table_fits_a_terminal():
    full = dataclasses.replace(SOFTWARE, load=4219.0, p90=3828.5, peak_memory=195.0)
    net = report(CPU, full, name="person_full_int8.tflite", iou=0.9)
    console = Console(width=80, file=io.StringIO())
    console.print(net.table())
    text = console.file.getvalue()
    assert "…" not in text
    assert len(text.splitlines()) == len(str(net).splitlines()) - len(net.remarks())


def test_what_has_no_column_is_a_remark():
    failed = BenchmarkRow("gpu", note="no Vulkan driver")
    remarks = report(SOFTWARE, PHONE, failed).remarks()
    assert remarks[0].startswith("a, gpu: SwiftShader is a GPU in software")
    assert remarks[1:] == [
        "a, phone gpu: TfLiteGpuDelegateV2 took 294 of 306 of the graph",
        "a, phone gpu: 75% CONV_2D, 24% ADD",
        "a, gpu: no Vulkan driver",
    ]
    assert "gpu (software)" in str(report(SOFTWARE))


def test_names_with_brackets_are_names():
    text = str(report(BenchmarkRow("[b]", median=1.0), name="net[red].tflite"))
    assert "net[red]" in text
    assert "[b]" in text


def test_files_of_the_same_name_are_told_apart():
    one = ModelBenchmark(Path("x/net.tflite"), 1, (CPU,))
    two = ModelBenchmark(Path("y/net.tflite"), 1, (CPU,))
    text = str(BenchmarkReport((one, two)))
    assert str(Path("x/net.tflite")) in text
    assert str(Path("y/net.tflite")) in text


def test_json_has_everything():
    (model,) = json.loads(json.dumps(report(CPU, PHONE).to_dict()))["models"]
    assert model["path"] == str(Path("nets/a.tflite"))
    assert model["size_bytes"] == 2_930_000
    assert model["rows"][0]["median"] == 8.125
    assert model["rows"][1]["operations"][0] == ["CONV_2D", 0.75]
    assert (model["rows"][1]["taken"], model["rows"][1]["total"]) == (294, 306)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (BenchmarkRow("cpu"), None),
        (BenchmarkRow("gpu", taken=3, total=5, fully_delegated=False), "3 of 5"),
        (BenchmarkRow("gpu", fully_delegated=True), "all"),
        (BenchmarkRow("gpu", fully_delegated=False), "a part"),
        (BenchmarkRow("gpu", taken=0, fully_delegated=False), "none"),
    ],
    ids=["unknown", "counted", "all", "part", "none"],
)
def test_delegation_in_words(row, words):
    assert row.delegation == words


def test_statistics_of_runs():
    row = timed_row("cpu", [4.0, 1.0, 2.0, 3.0, 10.0], threads=1)
    assert (row.median, row.average, row.best, row.runs) == (3.0, 4.0, 1.0, 5)
    # Linear between the fourth and the fifth of five: 4 + 0.6 x (10 - 4).
    assert row.p90 == pytest.approx(7.6)
    assert row.threads == 1


def test_each_place_is_a_panel_with_its_fastest_row(tmp_path, monkeypatch):
    from kseg import plot

    drawn = {}
    monkeypatch.setattr(
        plot,
        "tradeoff",
        lambda panels, _, iou_label: drawn.update(panels, of=iou_label),
    )
    slow = BenchmarkRow("cpu", threads=1, median=16.0)
    refused = BenchmarkRow("gpu", note="refused")
    rows = (slow, CPU, SOFTWARE, PHONE, refused)
    (one,) = report(*rows, iou=0.9, iou_of="mean IoU").models
    two = ModelBenchmark(Path("nets/b.tflite"), 1_500_000, (slow,))
    BenchmarkReport((one, two)).save_plot(tmp_path / "a.png")
    assert drawn == {
        "cpu": [("a", 8.125, 2.93, 0.9), ("b", 16.0, 1.5, None)],
        "phone gpu": [("a", 4.25, 2.93, 0.9)],
        "of": "mean IoU",
    }


def test_the_picture_is_written(tmp_path):
    report(CPU).save_plot(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > 400


def test_only_software_is_nothing_to_draw(tmp_path):
    with pytest.raises(ValueError, match="must hold nets"):
        report(SOFTWARE).save_plot(tmp_path / "a.png")
