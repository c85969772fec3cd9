"""The `kseg` command: each command parses, then calls one function."""

import os
import sys

from rich.console import Console

# Each file adds its commands to the application, in the order in which help lists them.
from kseg.cli import training, phone, showing, scenarios, data, installation  # isort: skip
from kseg.cli.shell import app

__all__ = [
    "app",
    "data",
    "installation",
    "main",
    "phone",
    "scenarios",
    "showing",
    "training",
]


def main():
    """Runs the command line; errors of the user's input are one line, not a stack."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        app()
    except (
        ArithmeticError,
        ImportError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        if os.environ.get("KSEG_TRACEBACK"):
            raise
        Console(stderr=True).print("[red]Error:[/red]", end=" ")
        print(error, file=sys.stderr)
        sys.exit(1)
