"""Commands from a trained net to a phone: export, lint, info, portrait, demo."""

import json
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from kseg.cli.shell import (
    Model,
    Precision,
    Profile,
    app,
    console,
    load_keras_quietly,
)


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
def lint(
    model: Annotated[Path, typer.Argument(help="A .tflite file, whoever made it.")],
    profile: Annotated[
        Profile | None, typer.Option(help="Judge by this GPU only; default both.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
):
    """Say what a phone's GPU takes of a .tflite; exit code 1 if not all of it."""
    from kseg.mobile.linter import lint as lint_file

    report = lint_file(model)
    if as_json:
        print(json.dumps(report.to_dict(), indent=1))
    else:
        print(report)
    if not report.clean(None if profile is None else str(profile)):
        raise typer.Exit(1)


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
