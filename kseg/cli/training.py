"""Commands around training: train, evaluate, predict."""

from pathlib import Path
from typing import Annotated

import typer

from kseg.cli.shell import (
    Folder,
    Labels,
    Model,
    Schedule,
    Size,
    Split,
    app,
    console,
    load_keras_quietly,
    parse_json,
    parse_size,
    print_results,
)


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
    size: Size = "256",
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
        size=parse_size(size),
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
