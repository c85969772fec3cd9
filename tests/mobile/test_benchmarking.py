"""Latency reports: plausible numbers, honest counts, clear refusals."""

import json

import pytest

from kseg.mobile import benchmark_latency


@pytest.mark.parametrize("precision", ["float32", "full_int8"])
def test_each_number_of_threads_is_timed(exported, precision):
    path = exported(precision).path
    report = benchmark_latency(path, threads=(1, 2), runs=20)
    assert [row.threads for row in report.latencies] == [1, 2]
    for row in report.latencies:
        assert 0 < row.best <= row.median <= row.p90
        assert row.runs == 20
    assert report.size_bytes == path.stat().st_size
    assert report.load > 0


def test_slow_nets_are_cut_off_after_five_runs(exported):
    report = benchmark_latency(exported().path, threads=[1], runs=10_000, seconds=0)
    assert report.latencies[0].runs == 5


def test_the_report_prints_and_goes_into_json(exported):
    report = benchmark_latency(exported().path, runs=5)
    assert "median ms" in str(report)
    again = json.loads(json.dumps(report.to_dict()))
    assert again["latencies"][0]["threads"] == 1


def test_what_cannot_be_timed_is_refused(exported, tmp_path):
    path = exported().path
    with pytest.raises(FileNotFoundError, match="existing .tflite"):
        benchmark_latency(tmp_path / "missing.tflite")
    (tmp_path / "text.tflite").write_text("no model")
    with pytest.raises(ValueError, match="must be a complete LiteRT model"):
        benchmark_latency(tmp_path / "text.tflite")
    with pytest.raises(ValueError, match="`runs` must be.*runs=0"):
        benchmark_latency(path, runs=0)
    with pytest.raises(ValueError, match="`threads` must be"):
        benchmark_latency(path, threads=[])
    with pytest.raises(ValueError, match="`num_threads` must be"):
        benchmark_latency(path, threads=[0])
