"""Commands around data: convert, data check."""

import inspect
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from kseg.cli.shell import Labels, app, console, load_keras_quietly

data = typer.Typer(help="Look at data sets.", no_args_is_help=True)
app.add_typer(data, name="data")


@app.command()
def convert(
    tool: Annotated[
        str,
        typer.Argument(help="labelme, cvat, via, rectlabel, labelbox, coco or auto."),
    ],
    source: Annotated[Path, typer.Argument(help="The export: a file, or its folder.")],
    output: Annotated[
        Path, typer.Argument(help="The new folder; kseg train takes it.")
    ],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the photos, if not below SOURCE.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Class names of the ids 0, 1, …, by commas.")
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option(help="label=class, e.g. truck=car; repeatable.")
    ] = None,
    attribute: Annotated[
        str | None, typer.Option(help="via: the attribute that names the class.")
    ] = None,
    instances: Annotated[bool, typer.Option(help="Write instance ids, too.")] = False,
    line_width: Annotated[
        float, typer.Option(help="Thickness of lines and points in pixels.")
    ] = 10.0,
    skip_missing: Annotated[
        bool, typer.Option(help="Leave out pictures whose photo is missing.")
    ] = False,
):
    """Turn an export of an annotation tool into a folder that trains."""
    load_keras_quietly()
    from kseg.data import annotations

    wrong = [text for text in rename or [] if "=" not in text]
    if wrong:
        raise ValueError(f"`--rename` must be label=class. Received: {wrong[0]!r}")
    report = annotations.convert(
        tool,
        source,
        output,
        classes=classes.split(",") if classes else None,
        renames=dict(text.split("=", 1) for text in rename or []),
        images=images,
        attribute=attribute,
        instances=instances,
        line_width=line_width,
        skip_missing=skip_missing,
    )
    console.print(escape(str(report)))


@data.command()
def check(
    name: Annotated[
        str, typer.Argument(help="Name of a data set, such as cityscapes, or 'folder'.")
    ],
    path: Annotated[Path, typer.Argument(help="Its root.")],
    split: Annotated[str | None, typer.Option(help="Default: train.")] = None,
    labels: Labels = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet PNG there.")
    ] = None,
):
    """Verify the files of a data set; print what its classes share; exit code 1 if bad."""
    load_keras_quietly()
    from kseg.data import datasets, report

    chosen = {"split": split, "labels": labels}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    if name != "folder" and name not in datasets.READERS:
        raise ValueError(
            f"`NAME` must be one of {sorted(datasets.READERS)}, or 'folder'. "
            f"Received: {name!r}"
        )
    read = datasets.open_dataset if name == "folder" else datasets.READERS[name]
    if labels is not None and "labels" not in inspect.signature(read).parameters:
        raise ValueError(
            "`--labels` must be left out unless the data set has several sets of labels, "
            f"as ccp has. Received: --labels {labels}, data set {name!r}"
        )
    found = report(read(path, **chosen), sheet)
    print(found)
    if sheet is not None and len(found.problems) < found.count:
        console.print(f"The contact sheet is {escape(str(sheet))}")
    if found.problems:
        raise typer.Exit(1)
