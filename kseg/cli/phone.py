"""Commands from a trained net to a phone: export, lint, benchmark"""

import json
from pathlib import Path
from typing import Annotated

import typer

from kseg.cli.shell import (
    Labels,
    Model,
    Precision,
    Profile,
    app,
    console,
    load_keras_quietly,
    parse_size,
)


@app.command()
def export(
    model: Model,
    output: Annotated[Path, typer.Option("-o", "--output", help="The .tflite file.")],
    precision: Precision = Precision.float16,
    size: Annotated[
        str | None,
        typer.Option(help="256 or 240x320, or points, where the model takes any."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Folder of photos, or a video; full_int8 needs it."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="In its place photos and masks: compare with these too."),
    ] = None,
    label_set: Annotated[
        str | None, typer.Option(help="Label set of --data, e.g. 'person' for CCP.")
    ] = None,
    output_kind: Annotated[
        str,
        typer.Option(
            "--output-kind",
            help="probabilities, logits, category_mask or category_mask_low.",
        ),
    ] = "probabilities",
    camera_size: Annotated[
        str | None,
        typer.Option(help="Of the images that the file resizes itself: 720x1280."),
    ] = None,
    input_dtype: Annotated[
        str | None,
        typer.Option(help="Of full_int8, and of its scores: uint8 or float32."),
    ] = None,
    keep_float: Annotated[
        list[str] | None,
        typer.Option(help="Layers, or a pattern, to leave in float; may be repeated."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Class names, separated by commas.")
    ] = None,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Say which layers lose most.")
    ] = False,
):
    """Export a .keras model to a .tflite that is verified on real photos."""
    load_keras_quietly()
    from kseg import mobile
    from kseg.mobile.exporting.keras_model import load_keras
    from kseg.mobile.nets import find_net

    file = find_net(model)
    if file.suffix == ".tflite":
        raise ValueError(
            f"`model` must be a .keras file or a shipped Keras net. Received: "
            f"model={model!r}, which is exported already"
        )
    net = load_keras(file)  # of clouds and of videos too
    if data is not None:
        from kseg.data.datasets import open_dataset

        if calibration is not None:
            raise ValueError(
                "Give either `--calibration` or `--data`. Received: "
                f"--calibration {calibration} --data {data}"
            )
        calibration = open_dataset(data, split="validation", labels=label_set)
    report = mobile.export(
        net,
        output,
        size=None if size is None else parse_size(size),
        precision=str(precision),
        calibration=calibration,
        output=output_kind,
        camera_size=camera_size and parse_size(camera_size, "--camera-size"),
        input_dtype=input_dtype,
        keep_float=keep_float or (),
        labels=labels.split(",") if labels else None,
    )
    if sensitivity:
        print(report.sensitivity())


@app.command()
def lint(
    model: Annotated[Path, typer.Argument(help="A .tflite file, whoever made it.")],
    profile: Annotated[
        Profile | None, typer.Option(help="Judge by this GPU only; default both.")
    ] = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run it on a GPU alone too; compare with CPU.")
    ] = False,
    photo: Annotated[
        Path | None, typer.Option(help="Image for --run. \\[default: one that ships]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
):
    """Say what a phone's GPU takes of a .tflite, operation by operation.

    Exit code 0: all of it; 1: the rules refuse an operation; 3: with --run it did not
    run there, or gave other answers than the CPU; 4: with --run no driver was found.
    """
    from kseg.mobile.linting.linter import lint as lint_file

    report = lint_file(model, run=run, photo=photo)
    if as_json:
        print(json.dumps(report.to_dict(), indent=1))
    else:
        print(report)
    if not report.clean(None if profile is None else str(profile)):
        raise typer.Exit(1)
    if run and report.gpu.verdict != "resident":
        raise typer.Exit(4 if report.gpu.verdict == "no driver" else 3)


@app.command()
def benchmark(
    models: Annotated[list[Path], typer.Argument(help=".tflite files, side by side.")],
    threads: Annotated[
        list[int] | None,
        typer.Option(help="Number of CPU threads; may be repeated."),
    ] = None,
    runs: Annotated[int, typer.Option(help="Runs to time per row.")] = 50,
    gpu: Annotated[bool, typer.Option("--gpu", help="LiteRT's GPU too.")] = False,
    browser: Annotated[
        bool, typer.Option("--browser", help="LiteRT.js in Chromium too.")
    ] = False,
    adb: Annotated[
        Path | None,
        typer.Option(help="Android's benchmark_model: a connected phone too."),
    ] = None,
    serial: Annotated[
        str | None, typer.Option(help="Which phone, if there are several.")
    ] = None,
    log: Annotated[
        list[Path] | None,
        typer.Option(help="What such a tool, or the iOS app, printed elsewhere."),
    ] = None,
    ios: Annotated[
        Path | None,
        typer.Option(help="benchmark_data of the iOS app: put the net there, and end."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Photos and masks, to say how good each is.")
    ] = None,
    labels: Labels = None,
    plot: Annotated[Path | None, typer.Option(help="A PNG to draw.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
):
    """Time .tflite files on this machine, in a browser and on phones."""
    from kseg import mobile
    from kseg.files import checked_path

    if ios is not None:
        if len(models) > 1:
            raise ValueError(f"`--ios` takes one net. Received: {len(models)} files")
        options = {"threads": threads[0]} if threads else {}
        path = mobile.write_ios_benchmark(models[0], ios, runs=runs, gpu=gpu, **options)
        console.print(f"Wrote {path} and {models[0].name} beside it", markup=False)
        return
    if plot is not None:
        checked_path(plot, ".png", "--plot")
    photos = None
    if data is not None:
        load_keras_quietly()
        from kseg.data.datasets import open_dataset

        photos = open_dataset(data, split="validation", labels=labels)
    report = mobile.benchmark(
        models,
        threads=threads or None,
        runs=runs,
        gpu=gpu,
        browser=browser,
        adb=adb,
        serial=serial,
        logs=log or (),
        data=photos,
    )
    if plot is not None:
        report.save_plot(plot)
    if as_json:
        print(json.dumps(report.to_dict(), indent=1))
        return
    console.print(report.table())
    for remark in report.remarks():
        console.print(remark, markup=False, highlight=False)
