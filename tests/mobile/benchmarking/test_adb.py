"""Phones behind a stand-in for adb: a shell script with a folder for the phone."""

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kseg import cli
from kseg.mobile.benchmarking import adb, benchmarking
from kseg.mobile.benchmarking.adb import Phone
from kseg.mobile.benchmarking.rows import BenchmarkRow

# What tools printed; test_logs.py says where.
RECORDED = Path(__file__).with_name("recorded")
ADB = """\
#!/bin/sh
echo "$*" >> {state}/calls
if [ "$1" = devices ]; then cat {state}/devices; exit; fi
[ "$1" = -s ] && shift 2
on_host() {{ echo "$1" | sed "s#/data/local/tmp#{state}/phone#g"; }}
case $1 in
push)
    if [ -e {state}/full ]; then echo "adb: error: No space left on device"; exit 1; fi
    case $3 in
    */benchmark_model) cp {state}/tool "$(on_host "$3")" ;;
    *) cp "$2" "$(on_host "$3")" ;;
    esac ;;
shell) sh -c "$(on_host "$2")" ;;
esac
"""
TOOL = """\
#!/bin/sh
echo "$*" >> {state}/runs
ls >> {state}/files
case "$*" in
*profil*) cat {state}/profile.txt ;;
*--use_gpu=true*) cat {state}/gpu.txt ;;
*) cat {state}/cpu.txt ;;
esac
"""


class StandIn:
    """The state of the phone: its files, what was called, what its tool prints."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "phone").mkdir()
        self.connect("R58M12ABCDE\tdevice")
        for name, recorded in (
            ("cpu", "chromebook_cpu"),
            ("gpu", "chromebook_gpu"),
            ("profile", "profile"),
        ):
            self.prints(name, (RECORDED / f"{recorded}.txt").read_text())
        for name, script in (("adb", ADB), ("tool", TOOL)):
            path = folder / name
            path.write_text(script.format(state=shlex.quote(str(folder))))
            path.chmod(0o755)
        self.binary = folder / "android benchmark_model"
        self.binary.write_bytes(b"\x7fELF and more")
        self.net = folder / "my net.tflite"
        self.net.write_bytes(b"what adb does not look into")

    def connect(self, *lines):
        text = "\n".join(["List of devices attached", *lines, "", ""])
        (self.folder / "devices").write_text(text)

    def prints(self, name, text):
        (self.folder / f"{name}.txt").write_text(text)

    def read(self, name):
        return (self.folder / name).read_text().splitlines()

    @property
    def left(self):
        return list((self.folder / "phone").iterdir())


@pytest.fixture
def phone(tmp_path, monkeypatch):
    stand_in = StandIn(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return stand_in


def rows_of(phone, threads=(1, 4), serial=None):
    with Phone(phone.binary, serial) as connected:
        return connected.benchmark(phone.net, threads, runs=50)


def test_cpu_and_gpu_are_timed(phone):
    one, four, gpu = rows_of(phone)
    assert [row.target for row in (one, four, gpu)] == ["phone cpu"] * 2 + ["phone gpu"]
    assert [row.threads for row in (one, four, gpu)] == [1, 4, None]
    assert (one.average, one.best, one.load) == pytest.approx((56.2658, 54.669, 3.337))
    assert (gpu.average, gpu.best, gpu.load) == pytest.approx(
        (35.1349, 30.394, 842.225)
    )
    assert (gpu.delegate, gpu.delegation) == ("TfLiteGpuDelegateV2", "58 of 58")
    assert one.operations == ()
    assert four.operations == (
        ("CONV_2D", pytest.approx(0.8927)),
        ("DEPTHWISE_CONV_2D", pytest.approx(0.1073)),
        ("SOFTMAX", 0),
    )


def test_what_litert_own_tool_prints_is_read_too(phone):
    for name in ("cpu", "gpu", "profile"):
        phone.prints(name, (RECORDED / "litert.txt").read_text())
    one, gpu = rows_of(phone, threads=[1])
    for row in (one, gpu):
        assert (row.average, row.best, row.load) == (7430.20, 7416.40, 23744.73)
    assert (one.target, one.threads) == ("phone cpu", 1)
    assert (gpu.target, gpu.threads) == ("phone gpu", None)


def test_the_command_puts_the_phone_beside_this_machine(phone, monkeypatch):
    row = BenchmarkRow("cpu", median=1.0)
    monkeypatch.setattr(benchmarking, "cpu_row", lambda *_: row)
    arguments = [str(phone.net), "--adb", str(phone.binary), "--threads", "2"]
    result = CliRunner().invoke(cli.app, ["benchmark", *arguments])
    assert result.exit_code == 0, result.output
    for text in ("phone cpu, 2 threads", "phone gpu", "58 of 58", "89% CONV_2D"):
        assert text in result.output


def test_the_tool_gets_its_flags_and_the_net(phone):
    rows_of(phone)
    start = "--graph=model.tflite"
    assert phone.read("runs") == [
        f"{start} --num_threads=1 --use_gpu=false --num_runs=50",
        f"{start} --num_threads=4 --use_gpu=false --num_runs=50",
        f"{start} --num_threads=4 --use_gpu=false --num_runs=10 "
        "--enable_op_profiling=true --use_profiler=true",
        f"{start} --use_gpu=true --num_runs=50",
    ]
    assert set(phone.read("files")) == {"benchmark_model", "model.tflite"}


def test_nothing_is_left_on_the_phone(phone):
    rows_of(phone)
    assert phone.left == []


def test_every_call_names_the_phone(phone):
    phone.connect("emulator-5554\tdevice", "R58M12ABCDE\tdevice")
    rows_of(phone, serial="R58M12ABCDE")
    first, *others = phone.read("calls")
    assert first == "devices"
    assert all(call.startswith("-s R58M12ABCDE ") for call in others)


def test_libraries_of_the_gpu_go_along(phone):
    (phone.folder / "libLiteRtOpenClAccelerator.so").write_bytes(b"")
    (phone.folder / "libother.so").write_bytes(b"")
    rows_of(phone)
    assert "libLiteRtOpenClAccelerator.so" in phone.read("files")
    assert "libother.so" not in phone.read("files")


def test_a_gpu_that_fails_is_a_note_beside_the_cpu(phone):
    phone.prints("gpu", "ERROR: Failed to apply GPU delegate.\n")
    one, gpu = rows_of(phone, threads=[1])
    assert one.average == pytest.approx(56.2658)
    assert gpu.latency is None
    assert "Failed to apply GPU delegate" in gpu.note


def test_a_tool_that_fails_on_the_cpu_is_an_error_and_leaves_nothing(phone):
    phone.prints("cpu", "ERROR: Failed to load model model.tflite\n")
    with pytest.raises(RuntimeError, match=r"my net.tflite.*Failed to load model"):
        rows_of(phone)
    assert phone.left == []


def test_a_full_phone_is_said_and_left_clean(phone):
    (phone.folder / "full").touch()
    with pytest.raises(ConnectionError, match="`adb push`.*No space left on device"):
        rows_of(phone)
    assert phone.left == []


def test_a_phone_that_is_unplugged_meanwhile(phone):
    # adb ends with what it had; the line with the status never comes.
    script = (phone.folder / "adb").read_text()
    (phone.folder / "adb").write_text(
        script.replace(
            'shell) sh -c "$(on_host "$2")" ;;',
            'shell) case $2 in *--graph*) echo "count=13"; exit 0 ;; *) '
            'sh -c "$(on_host "$2")" ;; esac ;;',
        )
    )
    with pytest.raises(ConnectionError, match="adb lost R58M12ABCDE.*my net.tflite"):
        rows_of(phone)
    assert phone.left == []


def test_a_phone_that_hangs_is_given_up(phone, monkeypatch):
    monkeypatch.setattr(adb, "_RUN_SECONDS", 0.3)
    (phone.folder / "tool").write_text("#!/bin/sh\nexec sleep 3\n")
    with pytest.raises(ConnectionError, match="must answer in 0.3 seconds"):
        rows_of(phone)
    assert phone.left == []


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        ([], ConnectionError, "USB debugging"),
        (
            ["R58M\tunauthorized"],
            ConnectionError,
            "'unauthorized': accept the question",
        ),
        (["R58M\toffline"], ConnectionError, "'offline'"),
        (["a\tdevice", "b\tdevice"], ValueError, r"`serial` must say.*\['a', 'b'\]"),
    ],
    ids=["none", "unauthorized", "offline", "two"],
)
def test_phones_that_cannot_be_used(phone, lines, error, message):
    phone.connect(*lines)
    with pytest.raises(error, match=message):
        rows_of(phone)
    assert phone.read("calls") == ["devices"]


def test_an_unknown_serial(phone):
    with pytest.raises(ValueError, match="'R58M12ABCDE'.*Received: serial='other'"):
        rows_of(phone, serial="other")


def test_adb_that_is_not_installed(phone, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FileNotFoundError, match="`adb` must be installed.*apt install"):
        rows_of(phone)


def test_a_tool_that_is_missing(phone):
    phone.binary.unlink()
    with pytest.raises(FileNotFoundError, match="TensorFlow publishes one at https:"):
        rows_of(phone)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"PK\x03\x04", "an app"), (b"#!/bin/sh\n", "no program"), (b"", "no program")],
    ids=["apk", "script", "empty"],
)
def test_a_tool_that_is_no_program(phone, content, kind):
    phone.binary.write_bytes(content)
    with pytest.raises(ValueError, match=f"command line program.*which is {kind}"):
        rows_of(phone)
