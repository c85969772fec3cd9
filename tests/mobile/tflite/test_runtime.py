"""Native output is kept off the terminal, and comes back when it matters."""

import logging
import os
import subprocess
import sys
import threading
import warnings

import pytest

from kseg.mobile.tflite.runtime import native_log


def test_native_and_python_output_is_captured_and_the_terminal_restored(capfd):
    with native_log() as log:
        os.write(2, b"from C++\n")
        print("from Python", file=sys.stderr)
        logging.getLogger("absl").warning("from absl")
        warnings.warn("from a library", stacklevel=1)
        assert log() == "from C++\nfrom Python\n"  # records and warnings are dropped
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
    assert logging.root.manager.disable == logging.NOTSET


def test_the_text_can_be_read_inside():
    with native_log() as log:
        os.write(2, b"reason\n")
        assert log() == "reason\n"
        with native_log() as inner:
            os.write(2, b"nested\n")
            assert inner() == "nested\n"
        os.write(2, b"more\n")
        assert log() == "reason\nmore\n"


def test_an_error_restores_the_terminal(capfd):
    with pytest.raises(KeyError), native_log():
        raise KeyError("inside")
    os.write(2, b"visible\n")
    assert capfd.readouterr().err == "visible\n"


def test_threads_take_turns(capfd):
    def work():
        with native_log():
            os.write(2, b"hidden\n")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"visible\n")
    assert capfd.readouterr().err == "visible\n"


def test_a_process_without_stderr_works():
    script = (
        "import os; os.close(2)\n"
        "from kseg.mobile.tflite.runtime import native_log\n"
        "with native_log() as log: print(repr(log()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, check=True
    )
    assert done.stdout.split() == [b"''"]
