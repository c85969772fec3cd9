"""How the tests run an example: as a reader does."""

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run_example(monkeypatch):
    """Returns a function: name and arguments -> what the script's globals are then."""

    def run(name, *arguments):
        script = str(EXAMPLES / name)
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        return runpy.run_path(script, run_name="__main__")

    return run
