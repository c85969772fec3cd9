"""What the commands share: the application, its options, and how values are read."""

import contextlib
import json
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

app = typer.Typer(
    name="kseg",
    help="Semantic segmentation for Keras 3, from the paper to the phone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
console = Console()

# Choices are listed here, not imported: the rooms that know them take seconds to load,
# and a test keeps both lists equal.
Precision = StrEnum(
    "Precision", ["float32", "float16", "weight_int8", "dynamic_int8", "full_int8"]
)
Split = StrEnum("Split", ["train", "validation", "test", "all"])
Profile = StrEnum("Profile", ["delegate", "litert"])
ClassWeights = StrEnum(
    "ClassWeights", ["median_frequency", "inverse", "enet", "effective_number"]
)
Schedule = StrEnum("Schedule", ["cosine", "poly"])
Annotations = StrEnum("Annotations", ["labelme", "coco"])

Model = Annotated[
    str, typer.Argument(help="A .keras or .tflite file, or the name of a shipped net.")
]
Folder = Annotated[
    Path, typer.Argument(help="images/ and masks/, or a data set that kseg knows.")
]
Labels = Annotated[
    str | None, typer.Option(help="Label set of the data set, e.g. 'person' for CCP.")
]
Size = Annotated[
    str | None,
    typer.Option(
        help="Height and width of the crops: 256, or 240x320. \\[default: the start "
        "net's, else 256]"
    ),
]


def load_keras_quietly():
    """Imports Keras without the greetings of its backend's native libraries."""
    from kseg.mobile.tflite.runtime import native_log

    with native_log():
        import keras

        # The first look for a GPU has its own greeting.
        keras.distribution.list_devices()


@contextlib.contextmanager
def warnings_as_notes():
    """Prints what the code within has to say, when it is done, without its lines."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in said:
        console.print(f"[yellow]Note:[/yellow] {escape(str(warning.message))}")


def parse_json(option, text):
    """The dict that the JSON `text` of a command line option holds."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"`{option}` must be a JSON object. Received: {text!r} ({error})"
        ) from error
    if not isinstance(value, dict):
        raise ValueError(f"`{option}` must be a JSON object. Received: {text!r}")
    return value


def parse_size(text, option="--size"):
    """The size that the `text` "256" or "240x320" (height x width) means."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise ValueError(
            f"`{option}` must be a positive number of pixels or height x width, such as "
            f"256 or 240x320. Received: {text!r}"
        )
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def print_results(title, results):
    """Prints metrics as a table of percentages."""
    table = Table(title=title, show_header=False)
    for name, value in results.items():
        table.add_row(name, f"{value:.4f}")
    console.print(table)
