"""Commands that show: the way to a phone (demo), and what a file is (info)"""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from kseg.cli.shell import Model, app, console, load_keras_quietly


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder to write to.")
    ] = Path("demo"),
    data: Annotated[
        Path | None, typer.Option(help="A data set to train a small net on first.")
    ] = None,
    web: Annotated[
        bool, typer.Option("--web", help="In a browser instead, till Ctrl-C.")
    ] = False,
):
    """Show the way from a net to a phone on one photo; writes a contact sheet."""
    if web:
        from kseg.mobile.browser.web_demo import web_demo

        if data is not None:
            raise ValueError(
                "Give either `--web` or `--data`, which trains a net. "
                f"Received: --data {data}"
            )
        web_demo()
        return
    load_keras_quietly()
    from kseg.mobile.demo import demo as run_demo

    sheet = run_demo(output, data)
    console.print(f"The contact sheet is {sheet}", markup=False)


@app.command()
def info(model: Model):
    """Say what a .keras or .tflite file takes and gives."""
    from kseg.mobile.describing import describe_model

    if not model.endswith(".tflite"):
        load_keras_quietly()
    table = Table(show_header=False, box=None)
    for name, value in describe_model(model).items():
        table.add_row(f"[bold]{name}", escape(str(value)))
    console.print(table)
