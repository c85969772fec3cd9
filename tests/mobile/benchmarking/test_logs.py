"""Logs of phone tools: recorded lines of each format, with the prefixes of each place."""

import subprocess
import sys
from pathlib import Path

import pytest

from kseg.mobile.benchmarking.logs import graph_name, read_log
from kseg.mobile.images import PHOTOS

MEBIBYTE = 2**20 / 1e6
NET = PHOTOS.parent / "person_float16.tflite"
# By file: Texas Instruments' Processor SDK documentation, "TensorFlow Lite", on an AM62X
# (newer); tensorflow/issues/43541, an Android phone (older_gpu); tensorflow/issues/56301,
# `adb logcat` (logcat); ChromeOS' test mlbenchmark, its public notes (chromebook_*);
# mlcommons/mobile_app_open/issues/1134, LiteRT's tool (litert); the README of TensorFlow's
# tool, a table of kinds, and timings as they were before 2020 (profile).
RECORDED = {
    path.stem: path.read_text() for path in Path(__file__).parent.glob("recorded/*.txt")
}
NEWER, OLDER_GPU, LITERT, PROFILE = (
    RECORDED[name] for name in ("newer", "older_gpu", "litert", "profile")
)


def logcat(text):
    """The text as `adb logcat` shows it."""
    start = "05-31 10:31:13.006 21767 21767 I tflite  : "
    return "\n".join(start + line for line in text.splitlines())


def xcode(text):
    """The text as Xcode's console shows it, as in tensorflow/issues/44369."""
    start = "2020-10-28 14:41:14.151361+0800 TFLiteBenchmark[3921:935759] "
    return "\r\n".join(start + line for line in text.splitlines())


def test_newer_log_has_median_memory_and_what_xnnpack_took():
    row = read_log(NEWER, "phone cpu")
    assert (row.target, row.runs) == ("phone cpu", 50)
    assert (row.load, row.median) == (614.333, 899.281)
    assert (row.average, row.best) == (899.641, 898.007)
    assert row.latency == 899.281
    assert row.peak_memory == pytest.approx(150.141 * MEBIBYTE)
    assert (row.delegate, row.fully_delegated) == ("XNNPACK", False)
    assert row.delegation == "a part"
    assert row.p90 is None  # the tool has a p95


def test_older_log_has_an_average_and_no_median():
    row = read_log(OLDER_GPU, "phone gpu")
    assert (row.load, row.average, row.best) == (870.557, 119.375, 113.737)
    assert (row.runs, row.threads) == (50, 4)
    assert row.median is row.peak_memory is None
    assert row.latency == 119.375
    assert (row.delegate, row.delegation) == ("GPU", "all")


@pytest.mark.parametrize("prefix", [logcat, xcode])
@pytest.mark.parametrize("name", sorted({*RECORDED} - {"logcat"}))
def test_what_stands_before_the_lines_does_not_matter(prefix, name):
    text = RECORDED[name]
    assert read_log(prefix(text), "phone") == read_log(text, "phone")


def test_recorded_logcat():
    row = read_log(RECORDED["logcat"], "phone npu")
    assert (row.load, row.average, row.best, row.runs) == (126.059, 12.1676, 11.787, 75)
    assert (row.delegate, row.fully_delegated) == ("NNAPI", False)


def test_replaced_nodes_are_counted():
    row = read_log(RECORDED["chromebook_gpu"], "phone gpu")
    assert row.delegate == "TfLiteGpuDelegateV2"
    assert (row.taken, row.total, row.fully_delegated) == (58, 58, True)
    assert (row.delegation, row.runs, row.best) == ("58 of 58", 1694, 30.394)


def test_the_accelerator_counts_not_the_cpu_delegate_that_took_the_rest():
    # Two lines of one build on an MT6899, as quoted by a public compatibility report.
    lines = (
        "VERBOSE: Replacing 5 out of 64 node(s) with delegate (TfLiteNnapiDelegate) "
        "node, yielding 5 partitions for the whole graph.\n"
        "VERBOSE: Replacing 59 out of 62 node(s) with delegate (TfLiteXNNPackDelegate) "
        "node, yielding 5 partitions for the whole graph.\n"
    )
    row = read_log(lines + LITERT, "phone npu")
    assert (row.delegate, row.delegation) == ("TfLiteNnapiDelegate", "5 of 64")
    assert row.fully_delegated is False
    # The rows of a CPU have the CPU's delegate alone.
    row = read_log(lines.splitlines()[1] + "\n" + LITERT, "phone cpu")
    assert (row.delegate, row.delegation) == ("TfLiteXNNPackDelegate", "59 of 62")


def test_subgraphs_are_summed():
    # Android's log of an app with LiteRT: a README of a voice assistant for cars.
    lines = "".join(
        f"tflite    : Replacing {n} out of {n} node(s) with delegate (LITERT_CL) node, "
        f"yielding 1 partitions for subgraph {index} ({name}).\n"
        for index, (n, name) in enumerate([(2068, "decode"), (1107, "prefill_1024")])
    )
    assert read_log(lines + LITERT, "gpu").delegation == "3175 of 3175"


def test_iphones_say_how_many_operations_stay_on_the_cpu():
    # https://github.com/tensorflow/tensorflow/issues/44369, Metal.
    line = (
        "29 operations will run on the GPU, and the remaining 2 operations will run on "
        "the CPU.\n"
    )
    row = read_log(xcode(line) + "\n" + LITERT, "iphone")
    assert (row.taken, row.total, row.fully_delegated) == (29, 31, False)


def test_a_delegate_that_took_nothing_is_said():
    # https://github.com/tensorflow/tensorflow/issues/49012
    text = OLDER_GPU.replace(
        "Explicitly applied GPU delegate, and the model graph will be completely",
        "Though GPU delegate is explicitly applied, the model graph will not be",
    )
    row = read_log(text, "phone gpu")
    assert (row.delegate, row.taken, row.delegation) == ("GPU", 0, "none")


def test_litert_log_is_in_milliseconds():
    row = read_log(LITERT, "phone gpu")
    assert (row.load, row.average, row.best) == (23744.73, 7430.20, 7416.40)
    assert (row.runs, row.median) == (10, None)
    assert row.peak_memory == pytest.approx(6391.74 * MEBIBYTE)


def test_shares_of_operations_come_from_the_last_table():
    loading = PROFILE.partition("Timings")[0].replace("89.270%", "12.000%")
    row = read_log(loading + PROFILE, "phone cpu")
    kinds, shares = zip(*row.operations, strict=True)
    assert kinds == ("CONV_2D", "DEPTHWISE_CONV_2D", "SOFTMAX")
    assert shares == pytest.approx((0.8927, 0.1073, 0))
    assert (row.load, row.average) == pytest.approx((38.467, 79.7609))


def test_kinds_of_operation_may_have_spaces():
    name = "Convolution (NHWC, F32) IGEMM"  # as XNNPACK calls one
    row = read_log(PROFILE.replace("  SOFTMAX", f"  {name}"), "phone cpu")
    assert row.operations[2] == (name, 0.0)


def test_large_numbers_have_exponents():
    # C++ streams print a double of a million and more so.
    row = read_log(
        OLDER_GPU.replace("(avg): 119375", "(avg): 1.19375e+06"), "phone gpu"
    )
    assert row.average == 1193.75


def test_the_screen_of_the_ios_app():
    # Written by OutputMicrosecondsStatToStream of BenchmarkViewController.mm.
    screen = (
        "Startup latency: 195.673 ms\n\nInference:\n - Num runs: 50\n"
        " - Average: 187.5 ms\n - Min: 185.514 ms \n - Max: 200.505 ms \n"
        " - Std deviation: 6.6 ms\n\nWarmup:\n - Num runs: 3\n - Average: 191.261 ms\n"
    )
    row = read_log(screen, "iphone")
    assert (row.load, row.average, row.best) == (195.673, 187.5, 185.514)
    assert row.runs == 50


def test_the_last_of_several_runs_counts():
    row = read_log(NEWER + OLDER_GPU, "phone")
    assert row.average == 119.375
    assert row.peak_memory is None  # that of the run before


def test_the_net_is_named():
    assert graph_name(NEWER) == "ssd_mobilenet_v2_coco.tflite"
    assert graph_name(xcode(OLDER_GPU)) == "denoising_32bit.tflite"
    assert graph_name(LITERT) is None
    assert graph_name("INFO: Loading model from: /tmp/net.tflite\n") == "net.tflite"


@pytest.mark.parametrize(
    "text",
    ["", "error: device offline\n", OLDER_GPU.partition("count=")[0], LITERT[:300]],
    ids=["empty", "other", "stopped", "cut"],
)
def test_a_log_without_results_is_refused(text):
    with pytest.raises(ValueError, match="`phone.txt` must hold the results.*Received"):
        read_log(text, "phone", name="phone.txt")


def test_the_log_of_litert_itself():
    # The tool of LiteRT's own wheel prints what the phone's does, and a median.
    command = [sys.executable, "-m", "ai_edge_litert.tools.benchmark_litert_model"]
    done = subprocess.run(
        [*command, f"--model={NET}", "--num_runs=7", "--warmup_runs=1"],
        capture_output=True,
        text=True,
        check=True,
    )
    row = read_log(done.stdout + done.stderr, "cpu")
    assert row.runs == 7
    assert 0 < row.best <= row.median
    assert f"Inference (avg):       {row.average:.2f} ms (7 runs)" in done.stdout
    assert f"Inference (median):    {row.median:.2f} ms" in done.stdout
    assert f"Model initialization:  {row.load:.2f} ms" in done.stdout
