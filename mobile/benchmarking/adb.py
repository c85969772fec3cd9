"""Times nets on an Android phone that is connected by adb."""

import dataclasses
import secrets
import shlex
import shutil
import subprocess
from pathlib import Path

from kseg.files import as_path
from kseg.mobile.benchmarking.logs import read_log
from kseg.mobile.benchmarking.rows import BenchmarkRow

_TFLITE = (
    "https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/"
    "lite/tools/nightly/latest/android_aarch64_benchmark_model"
)
_LITERT = "https://storage.googleapis.com/litert/binaries/latest/android_arm64/benchmark_model"
_WHERE = f"TensorFlow publishes one at {_TFLITE}, LiteRT at {_LITERT}"
_DEVICE_FOLDER = "/data/local/tmp"
_DONE = "kseg-status="
_PROFILED_RUNS = 10
_ANSWER_SECONDS = 60
_PUSH_SECONDS = 300
_RUN_SECONDS = 600


class Phone:
    """A phone with a benchmark tool on it, until the `with` block ends.

    Everything is put into a folder of its own, which is removed in the end.

    Args:
        binary: `benchmark_model` or `benchmark_litert_model`, built for the phone.
            Libraries `libLiteRt*.so` beside it are taken along.
        serial: Which phone, as `adb devices` lists it. `None` takes the only one.

    Raises:
        ConnectionError: If there is no phone, or it does not let us in.
        FileNotFoundError: If there is no `binary`, or adb is not installed.
        ValueError: If `binary` is no program, there are several phones, or none is
            `serial`.
    """

    def __init__(self, binary, serial: str | None = None):
        self._binary = _checked_binary(binary)
        self._adb = shutil.which("adb")
        if self._adb is None:
            raise FileNotFoundError(
                "`adb` must be installed to reach a phone. It is in the package adb of "
                "Debian and Ubuntu (apt install adb), and in Android's platform-tools: "
                "https://developer.android.com/tools/releases/platform-tools"
            )
        self._serial = _chosen(self._devices(), serial)
        self._folder = f"{_DEVICE_FOLDER}/kseg-{secrets.token_hex(8)}"

    def __enter__(self):
        try:
            self._shell("mkdir", self._folder)
            self._push(self._binary, "benchmark_model")
            for library in sorted(self._binary.parent.glob("libLiteRt*.so")):
                self._push(library, library.name)
            self._shell("chmod", "755", f"{self._folder}/benchmark_model")
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            self._shell("rm", "-rf", self._folder)
        except ConnectionError:
            if kind is None:  # else the first error says more
                raise

    def benchmark(self, path: Path, threads, runs: int) -> list[BenchmarkRow]:
        """Times one net on the phone's CPU and GPU.

        Args:
            path: A `.tflite`.
            threads: Numbers of CPU threads.
            runs: Runs to time, for each of them and for the GPU.

        Returns:
            A `"phone cpu"` row per number of threads, the last with the share of each
            kind of operation, and a `"phone gpu"` row, which has a note in place of
            times if the GPU does not run the net.

        Raises:
            ConnectionError: If the phone is lost.
            RuntimeError: If the tool fails on the CPU.
        """
        self._push(path.resolve(), "model.tflite")
        rows = [
            self._row(
                "phone cpu", path, num_threads=count, use_gpu=False, num_runs=runs
            )
            for count in threads
        ]
        # Profiling takes time of its own. Either tool passes over the other's flag.
        profiled = self._row(
            "phone cpu",
            path,
            num_threads=threads[-1],
            use_gpu=False,
            num_runs=_PROFILED_RUNS,
            enable_op_profiling=True,
            use_profiler=True,
        )
        rows[-1] = dataclasses.replace(rows[-1], operations=profiled.operations)
        try:
            row = self._row("phone gpu", path, use_gpu=True, num_runs=runs)
        except RuntimeError as error:
            row = BenchmarkRow("phone gpu", note=str(error))
        return [*rows, row]

    def _row(self, target, path, **flags):
        words = {"graph": "model.tflite", **flags}
        words = [f"--{key}={_as_flag(value)}" for key, value in words.items()]
        command = (
            f"cd {shlex.quote(self._folder)} && "
            f"LD_LIBRARY_PATH=. ./benchmark_model {shlex.join(words)} 2>&1; "
            f"echo {_DONE}$?"
        )
        # The status comes as text: adb hands it on from Android 7 only.
        log, done, status = self._run(["shell", command], _RUN_SECONDS).rpartition(
            _DONE
        )
        if not done:
            raise ConnectionError(
                f"The phone must stay connected. adb lost {self._serial} while it timed "
                f"{path.name}, after: {_last_line(status)!r}"
            )
        try:
            row = read_log(log, target)
        except ValueError as error:
            raise RuntimeError(
                f"benchmark_model ended with status {status.strip()} on {path.name} and "
                f"gave no times: {_last_line(log)!r}"
            ) from error
        return dataclasses.replace(row, threads=flags.get("num_threads"))

    def _devices(self):
        """Serial to state of each phone that adb knows."""
        lines = self._run(["devices"], _ANSWER_SECONDS, serial=False).splitlines()
        start = next((i for i, x in enumerate(lines) if x.startswith("List of")), -1)
        pairs = [line.split(None, 1) for line in lines[start + 1 :]]
        return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}

    def _push(self, path, name):
        self._run(["push", str(path), f"{self._folder}/{name}"], _PUSH_SECONDS)

    def _shell(self, *words):
        # The phone's shell splits what it gets once more.
        return self._run(["shell", shlex.join(words)], _ANSWER_SECONDS)

    def _run(self, words, seconds, serial=True):
        choice = ["-s", self._serial] if serial else []
        try:
            done = subprocess.run(
                [self._adb, *choice, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ConnectionError(
                f"The phone must answer in {seconds} seconds. adb was stopped in: "
                f"{shlex.join(words)}"
            ) from error
        text = done.stdout.decode(errors="replace")
        if done.returncode and _DONE not in text:
            raise ConnectionError(
                f"`adb {words[0]}` must succeed. It ended with status {done.returncode}: "
                f"{_last_line(text)!r}"
            )
        return text


def _checked_binary(binary):
    binary = as_path(binary, "adb")
    if not binary.is_file():
        raise FileNotFoundError(
            "`adb` must be the path of benchmark_model or benchmark_litert_model, built "
            f"for the phone. {_WHERE}. Received: adb={str(binary)!r}"
        )
    with binary.open("rb") as file:
        start = file.read(4)
    if start != b"\x7fELF":
        kind = "an app (.apk)" if start[:2] == b"PK" else "no program for Android"
        raise ValueError(
            "`adb` must be the path of the command line program benchmark_model, built "
            f"for the phone. {_WHERE}. Received: adb={str(binary)!r}, which is {kind}"
        )
    return binary.resolve()


def _chosen(devices, serial):
    if not devices:
        raise ConnectionError(
            "A phone must be connected. adb lists none: switch on USB debugging in the "
            "phone's developer options, connect it, and accept its question"
        )
    if serial is None and len(devices) > 1:
        raise ValueError(
            f"`serial` must say which phone, one of {[*devices]}. Received: serial=None"
        )
    serial = next(iter(devices)) if serial is None else serial
    if serial not in devices:
        raise ValueError(
            f"`serial` must be one of {[*devices]}. Received: serial={serial!r}"
        )
    if devices[serial] != "device":
        raise ConnectionError(
            f"The phone must let adb in. {serial} is {devices[serial]!r}: accept the "
            "question about USB debugging on its screen, or connect it again"
        )
    return serial


def _as_flag(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def _last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
