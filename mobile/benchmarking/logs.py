"""Reads what the benchmark tools of phones print.

Three tools are understood: TensorFlow Lite's `benchmark_model` (also as Android's and
iOS' benchmark app), LiteRT's `benchmark_litert_model`, which its releases call
`benchmark_model` too, and the screen of the iOS app. Nothing is assumed about what
stands before a message: logcat, Xcode and `INFO:` each put something there.

References:
- [benchmark_model.cc](https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/tools/benchmark/benchmark_model.cc)
- [benchmark_litert_model.h](https://github.com/google-ai-edge/LiteRT/blob/main/litert/tools/benchmark_litert_model.h)
- [BenchmarkViewController.mm](https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/tools/benchmark/ios/TFLiteBenchmark/TFLiteBenchmark/BenchmarkViewController.mm)
"""

import re

from kseg.mobile.benchmarking.rows import BenchmarkRow

_NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_START = "Log parameter values verbosely"
_CPU_DELEGATE = "TfLiteXNNPackDelegate"
_KIND = re.compile(  # a line of the table of kinds: name, count, ms, share, …
    rf"(\S.*?)\s+\d+\s+{_NUMBER}\s+{_NUMBER}%\s+{_NUMBER}%\s+{_NUMBER}\s+\d+\s*$"
)


def read_log(text: str, target: str, name: str = "log") -> BenchmarkRow:
    """Reads the output of one run of a benchmark tool; of several, the last.

    Args:
        text: All that it printed.
        target: Where the net ran, for the row.
        name: What to call the text in errors, usually its path.

    Returns:
        A `BenchmarkRow`; what the tool does not print is `None`. No tool prints a
        p90, and older ones no median.

    Raises:
        ValueError: If the text has no results.
    """
    text = text[max(0, text.rfind(_START)) :]
    times = _litert(text) or _tflite(text) or _ios_screen(text)
    if not times:
        last = [line.strip() for line in text.splitlines() if line.strip()][-3:]
        raise ValueError(
            f"`{name}` must hold the results of benchmark_model, benchmark_litert_model "
            "or the iOS benchmark app, which they print at the end. Received: "
            f"{len(text.splitlines())} lines that end in {last}"
        )
    memory = _last(text, rf"\boverall={_NUMBER}") or _last(
        text, rf"Overall footprint:\s+{_NUMBER} MB"
    )
    threads = _last(text, r"#?[Nn]um threads: \[(\d+)\]")
    return BenchmarkRow(
        target=target,
        threads=None if threads is None else int(threads),
        peak_memory=memory and memory * 2**20 / 1e6,
        operations=_operations(text),
        **delegation(text),
        **times,
    )


def graph_name(text: str) -> str | None:
    """Returns the file name of the net in a log, or `None` if it does not say."""
    found = re.findall(r"(?:\bGraph: \[|Loading model from: )([^\]\r\n]+)", text)
    return found[-1].replace("\\", "/").rpartition("/")[2].strip() if found else None


def delegation(text: str) -> dict:
    """Reads how much of the graph a delegate took.

    Args:
        text: What LiteRT logged.

    Returns:
        Fields of a `BenchmarkRow`: of a GPU or another accelerator; if there is none,
        of the CPU's delegate.
    """
    replaced = re.findall(
        r"Replacing (\d+)(?: out of (\d+))? node\(s\) with delegate \(([^)]+)\)", text
    )
    other = [part for part in replaced if part[2] != _CPU_DELEGATE]
    parts = [part for part in replaced if part[2] == (other or replaced)[0][2]]
    said = re.findall(
        r"(Explicitly applied|Though) (\w+) delegate.* will (not be|be partially|be "
        r"completely)",
        text,
    )
    said = [(name, how) for _, name, how in said if name != "XNNPACK" or not other]
    result = {}
    if said:
        result["delegate"] = said[0][0]
        result["fully_delegated"] = said[0][1] == "be completely"
        if said[0][1] == "not be":
            result["taken"] = 0
    if parts:
        result["delegate"] = parts[0][2]
        result["taken"] = sum(int(taken) for taken, _, _ in parts)
        if all(total for _, total, _ in parts):
            result["total"] = sum(int(total) for _, total, _ in parts)
            result["fully_delegated"] = result["taken"] == result["total"]
    split = re.search(
        r"(\d+) operations will run on the GPU, and the remaining (\d+)", text
    )
    if split and "total" not in result:
        result["taken"] = int(split[1])
        result["total"] = int(split[1]) + int(split[2])
        result["fully_delegated"] = not int(split[2])
    return result


def _tflite(text):
    """The line of all timings is in microseconds, as are the statistics before it."""
    timings = [line for line in text.splitlines() if "timings in us" in line]
    if not timings:
        return None
    keys = r"(?:Inference \(avg\)|Inference|no stats)"
    return {
        "load": _milliseconds(timings[-1], rf"\bInit: {_NUMBER}"),
        "average": _milliseconds(timings[-1], rf"\b{keys}: {_NUMBER}"),
        **_statistics(text[: text.rfind(timings[-1])]),
    }


def _statistics(text):
    """The statistics of the timed runs, which follow those of the warm-up."""
    lines = re.findall(r"^.*\bcount=\d+ .*\bcurr=.*$", text, re.M)
    if not lines:
        return {}
    values = dict(re.findall(rf"(\w+)={_NUMBER}", lines[-1]))
    best = values.get("min", values["curr"])  # one run, or all equal: curr alone
    median = values.get("median")
    return {
        "runs": int(values["count"]),
        "best": float(best) / 1e3,
        "median": None if median is None else float(median) / 1e3,
    }


def _litert(text):
    """Milliseconds, after `BENCHMARK RESULTS`."""
    found = re.findall(rf"Inference \(avg\):\s+{_NUMBER} ms \((\d+) runs\)", text)
    if not found:
        return None
    average, runs = found[-1]
    statistics = _statistics(text[: text.rfind("BENCHMARK RESULTS")])
    median = _last(text, rf"Inference \(median\):\s+{_NUMBER} ms")  # in Python's
    return {
        "median": statistics.get("median", median),
        "load": _last(text, rf"Model initialization:\s+{_NUMBER} ms"),
        "average": float(average),
        "best": _last(text, rf"Inference \(min\):\s+{_NUMBER} ms"),
        "runs": int(runs),
    }


def _ios_screen(text):
    found = re.search(
        rf"Inference:\s+- Num runs: (\d+)\s+- Average: {_NUMBER} ms\s+- Min: {_NUMBER} ms",
        text,
    )
    if not found:
        return None
    return {
        "load": _last(text, rf"Startup latency: {_NUMBER} ms"),
        "average": float(found[2]),
        "best": float(found[3]),
        "runs": int(found[1]),
    }


def _operations(text):
    """Share of each kind of operation, in the last table: an earlier one is loading's."""
    _, found, table = text.rpartition("Summary by node type")
    if not found:
        return ()
    kinds = []
    for line in table.splitlines()[2:]:  # the rest of its own line, then the heads
        cells = (
            line.rsplit(": ", 1)[-1] if "\t" not in line else line[line.index("\t") :]
        )
        match = _KIND.match(cells.strip())
        if not match:
            break
        kinds.append((match[1], float(match[3]) / 100))
    return tuple(sorted(kinds, key=lambda kind: -kind[1]))


def _last(text, pattern):
    found = re.findall(pattern, text)
    return float(found[-1]) if found else None


def _milliseconds(text, pattern):
    value = _last(text, pattern)
    return None if value is None else value / 1e3
