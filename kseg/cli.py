"""The `kseg` command: each command parses, then calls one function."""

import json
import os
import sys
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
Schedule = StrEnum("Schedule", ["cosine", "poly"])

Model = Annotated[
    str, typer.Argument(help="A .keras or .tflite file, or the name of a shipped net.")
]
Folder = Annotated[
    Path, typer.Argument(help="images/ and masks/, or a data set that kseg knows.")
]
Labels = Annotated[
    str | None, typer.Option(help="Label set of the data set, e.g. 'person' for CCP.")
]


@app.command()
def train(
    folder: Folder,
    output: Annotated[Path, typer.Option("-o", "--output", help="The run folder.")],
    labels: Labels = None,
    model: Annotated[str, typer.Option(help="A builder of kseg.models.")] = "lraspp",
    backbone: Annotated[
        str, typer.Option(help="Name of a backbone, or 'none'.")
    ] = "mobilenet_v3_small",
    model_arguments: Annotated[
        str, typer.Option(help="More arguments of the builder, as JSON.")
    ] = "{}",
    start: Annotated[
        str | None, typer.Option(help="A .keras file or shipped net to start from.")
    ] = None,
    size: Annotated[int, typer.Option(help="Height and width of the crops.")] = 256,
    epochs: int = 60,
    batch_size: int = 16,
    learning_rate: float = 1e-3,
    schedule: Schedule = Schedule.cosine,
    warmup_epochs: int = 2,
    weight_decay: float = 1e-4,
    dice_weight: Annotated[float, typer.Option(help="Weight of the Dice loss.")] = 0.0,
    ema_momentum: Annotated[
        float | None, typer.Option(help="Average the weights with this momentum.")
    ] = None,
    smallest_crop: Annotated[
        float, typer.Option(help="Smallest crop, in parts of the photo's height.")
    ] = 0.25,
    seed: int = 0,
):
    """Train a net on a folder of photos and masks; ends with a verified .tflite.

    Call it again with the same arguments to go on with a run that was stopped.
    """
    load_keras_quietly()
    from kseg import data, mobile, training

    photos = data.datasets.open_dataset(folder, split="train", labels=labels)
    validation = data.datasets.open_dataset(folder, split="validation", labels=labels)
    console.print(describe(photos, len(validation)))
    summary = training.train(
        photos,
        output,
        validation=validation,
        model=model,
        backbone=None if backbone == "none" else backbone,
        model_arguments=parse_json("--model-arguments", model_arguments),
        start=mobile.load(start).model if start else None,
        size=size,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=str(schedule),
        warmup_epochs=warmup_epochs,
        weight_decay=weight_decay,
        dice_weight=dice_weight,
        ema_momentum=ema_momentum,
        smallest_crop=smallest_crop,
        seed=seed,
    )
    print_results("validation", summary["validation"])
    mobile.export(
        mobile.load(output / "best.keras").model,
        output / "model.tflite",
        precision="float16",
        calibration=validation[:8],
        labels=photos.class_names,
    )
    console.print(f"Everything is in {output}: best.keras, model.tflite, curves.png, …")


@app.command()
def evaluate(
    model: Model,
    folder: Folder,
    split: Split = Split.validation,
    labels: Labels = None,
):
    """Compare a net's masks with the truth, at the photos' own size."""
    load_keras_quietly()
    import kseg
    from kseg import data, training

    dataset = data.datasets.open_dataset(folder, split=str(split), labels=labels)
    print_results(
        f"{model} on {len(dataset)} photos",
        training.evaluate(kseg.load(model), dataset),
    )


@app.command()
def predict(
    model: Model,
    images: Annotated[list[Path], typer.Argument(help="Photos, or folders of them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")],
):
    """Write a mask and an overlay for every photo."""
    from kseg.mobile import prediction

    if not model.endswith(".tflite"):
        load_keras_quietly()
    written = prediction.predict(model, images, output)
    console.print(f"{len(written)} photos: masks and overlays are in {output}")


@app.command()
def export(
    model: Model,
    output: Annotated[Path, typer.Option("-o", "--output", help="The .tflite file.")],
    precision: Precision = Precision.float16,
    size: Annotated[
        int | None, typer.Option(help="Input size, where the model leaves it open.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Folder of photos; full_int8 needs it.")
    ] = None,
    output_kind: Annotated[
        str, typer.Option("--output-kind", help="What the file puts out.")
    ] = "probabilities",
    labels: Annotated[
        str | None, typer.Option(help="Class names, separated by commas.")
    ] = None,
):
    """Export a .keras model to a .tflite that is verified on real photos."""
    load_keras_quietly()
    import kseg
    from kseg import mobile

    net = kseg.load(model).model
    if isinstance(net, str | Path):
        raise ValueError(
            f"`model` must be a .keras file or a shipped Keras net. Received: "
            f"model={model!r}, which is exported already"
        )
    mobile.export(
        net,
        output,
        size=size,
        precision=str(precision),
        calibration=calibration,
        output=output_kind,
        labels=labels.split(",") if labels else None,
    )


@app.command()
def portrait(
    photo: Annotated[Path, typer.Argument(help="A photo with a person.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The new photo.")],
    strength: Annotated[
        float, typer.Option(help="0 leaves the photo as it is, 1 is a fast lens.")
    ] = 0.5,
):
    """Blur the background of a photo as a lens would."""
    from kseg.mobile.scenarios.portrait import portrait_file

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        portrait_file(photo, output, strength=strength)
    for warning in said:
        console.print(f"[yellow]Note:[/yellow] {escape(str(warning.message))}")
    console.print(f"Wrote {output}")


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder to write to.")
    ] = Path("demo"),
    data: Annotated[
        Path | None, typer.Option(help="A data set to train a small net on first.")
    ] = None,
):
    """Show the way from a net to a phone on one photo; writes a contact sheet."""
    load_keras_quietly()
    from kseg.mobile.demo import demo as run_demo

    sheet = run_demo(output, data)
    console.print(f"The contact sheet is {sheet}")


@app.command()
def info(model: Model):
    """Say what a .keras or .tflite file takes and gives."""
    from kseg.mobile.prediction import describe_model

    if not model.endswith(".tflite"):
        load_keras_quietly()
    table = Table(show_header=False, box=None)
    for name, value in describe_model(model).items():
        table.add_row(f"[bold]{name}", escape(str(value)))
    console.print(table)


@app.command()
def doctor():
    """Check this installation and name the fix for whatever is wrong."""
    from kseg.doctor import examine

    findings = examine()
    marks = {"ok": "[green]ok", "missing": "[yellow]missing", "wrong": "[red]wrong"}
    table = Table("", "what", "found", "fix", box=None)
    for finding in findings:
        table.add_row(
            marks[finding.state],
            finding.what,
            escape(finding.found),
            escape(finding.fix),
        )
    console.print(table)
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)


def load_keras_quietly():
    """Imports Keras without the greetings of its backend's native libraries."""
    from kseg.mobile.runtime import native_log

    with native_log():
        import keras

        # The first look for a GPU has its own greeting.
        keras.distribution.list_devices()


def describe(dataset, validation_count):
    """One paragraph of what was inferred about a data set."""
    lines = [
        f"{len(dataset)} photos to train on, {validation_count} to validate.",
        f"Classes: {', '.join(dataset.class_names)}; {dataset.ignore_class} is ignored.",
    ]
    if dataset.num_classes == 1:
        lines.append("Two classes: the net puts out the probability of the second.")
    lines += [f"{k}: {v}" for k, v in getattr(dataset, "inferred", {}).items()]
    return "\n".join(lines)


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


def print_results(title, results):
    """Prints metrics as a table of percentages."""
    table = Table(title=title, show_header=False)
    for name, value in results.items():
        table.add_row(name, f"{value:.4f}")
    console.print(table)


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
