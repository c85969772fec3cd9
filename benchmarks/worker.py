"""A process beside the benchmark, in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def peer(name, *modules):
    """Returns the Python of a peer's environment, or says that it cannot be measured."""
    python = ROOT / f".venv-{name}" / "bin" / "python"
    command = [python, "-c", f"import {', '.join(modules)}"]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if python.exists() and not subprocess.run(command, **silent).returncode:
        return python
    print(f"{', '.join(modules)}: ABSENT, not measured (make peers, for .venv-{name})")
    return None


class Worker:
    """A process that answers each line with one of JSON.

    Args:
        python: The interpreter.
        script: The benchmark, which is called with `--worker` and the arguments.
        arguments: Strings.
        environment: Variables beside those of this process.
    """

    def __init__(self, python, script, arguments, environment=None):
        self.process = subprocess.Popen(
            [str(python), str(script), "--worker", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
        )

    def ask(self, task=""):
        """Returns the answer; what else the libraries print is passed over."""
        self.process.stdin.write(task + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            try:
                return json.loads(line)
            except json.JSONDecodeError:
                continue
        raise RuntimeError(f"the worker ended: {self.process.args}")

    def end(self):
        self.process.stdin.close()
        self.process.wait()
