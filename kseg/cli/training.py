"""Commands around training: train, evaluate, predict."""

from pathlib import Path
from typing import Annotated

import typer

from kseg.cli.shell import (
    Annotations,
    ClassWeights,
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
    warnings_as_notes,
)
from kseg.files import checked_path, write_whole


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
    size: Size = None,
    epochs: int = 60,
    batch_size: int = 16,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Highest learning rate. \\[default: 1e-3, with --start 1e-4]"
        ),
    ] = None,
    schedule: Schedule = Schedule.cosine,
    warmup_epochs: int = 2,
    weight_decay: float = 1e-4,
    dice_weight: Annotated[float, typer.Option(help="Weight of the Dice loss.")] = 0.0,
    class_weights: Annotated[
        ClassWeights | None,
        typer.Option(help="Give rare classes weight, by how often they are seen."),
    ] = None,
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
    from kseg import data, training

    photos = data.datasets.open_dataset(folder, split="train", labels=labels)
    validation = data.datasets.open_dataset(folder, split="validation", labels=labels)
    console.print(describe(photos, len(validation)), markup=False)
    summary = training.train(
        photos,
        output,
        validation=validation,
        model=model,
        backbone=None if backbone == "none" else backbone,
        model_arguments=parse_json("--model-arguments", model_arguments),
        start=load_start(start) if start else None,
        size=None if size is None else parse_size(size),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=str(schedule),
        warmup_epochs=warmup_epochs,
        weight_decay=weight_decay,
        dice_weight=dice_weight,
        class_weights=class_weights and str(class_weights),
        ema_momentum=ema_momentum,
        smallest_crop=smallest_crop,
        seed=seed,
    )
    print_results(f"validation, {summary['kept']}", summary["validation"])
    if summary["kept"] == "start":
        console.print(
            "Training did not improve on the start net, which best.keras holds: try "
            "more photos, more epochs or another --learning-rate."
        )
    elif "start" in summary["tried"]:
        print_results("before training", summary["tried"]["start"])
    size = tuple(summary["config"]["size"])
    precision = export_best(output, size, validation[:8], photos.class_names)
    console.print(
        f"Everything is in {output}: best.keras, model.tflite ({precision}), "
        "curves.png, …",
        markup=False,
    )


@app.command()
def evaluate(
    model: Model,
    folder: Folder,
    split: Split = Split.validation,
    labels: Labels = None,
    worst: Annotated[
        Path | None, typer.Option(help="A .png or .jpg to draw of the worst photos.")
    ] = None,
):
    """Compare a net's masks with the truth, at the photos' own size."""
    load_keras_quietly()
    import kseg
    from kseg import data, training

    if worst is not None:
        suffix = worst.suffix if worst.suffix == ".jpg" else ".png"
        worst = checked_path(worst, suffix, "worst")
    segmenter = kseg.load(model)
    dataset = data.datasets.open_dataset(folder, split=str(split), labels=labels)
    print_results(
        f"{model} on {len(dataset)} photos", training.evaluate(segmenter, dataset)
    )
    if worst is not None:
        write_whole(worst, training.draw_worst(segmenter, dataset).save)
        console.print(f"The worst photos are in {worst}", markup=False)


@app.command()
def predict(
    model: Model,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder, or .mp4, to write to.")
    ],
    images: Annotated[
        list[Path] | None, typer.Argument(help="Photos, or folders of them.")
    ] = None,
    video: Annotated[
        Path | None, typer.Option(help="A video, or a folder of its frames.")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="Of --video: every, skip:2, warp:2, fixed:2, pipeline:2, adaptive:0.25, "
            "low_latency:5. \\[default: every]"
        ),
    ] = None,
    annotations: Annotated[
        Annotations | None,
        typer.Option(help="Of photos also what this tool opens, to correct the masks."),
    ] = None,
):
    """Write a mask and an overlay for every photo, or the overlay of a video."""
    if bool(images) == bool(video):
        raise ValueError("Give either photos or `--video`.")
    if schedule is not None and video is None:
        raise ValueError(
            f"`--schedule` is for a `--video`. Received: --schedule {schedule}"
        )
    if annotations is not None and video is not None:
        raise ValueError(
            f"`--annotations` is for photos. Received: --annotations {annotations}"
        )
    if video is not None or annotations or not model.endswith(".tflite"):
        load_keras_quietly()
    if video is None:
        from kseg.mobile import prediction

        tool = annotations and str(annotations)
        written = prediction.predict(model, images, output, tool)
        done = f"{len(written)} photos: masks and overlays are in {output}"
        console.print(done, markup=False)
        return
    from kseg.mobile import videos

    with warnings_as_notes():
        done = videos.predict_video(model, video, output, schedule or "every")
    console.print(
        f"{done.frames} frames are in {output}: {done.mean_ms:.0f} ms per frame for the "
        f"network, {done.worst_ms:.0f} at worst, {done.share:.0%} of its multiplications",
        markup=False,
    )


def load_start(start):
    """The Keras model of a `.keras` file or a shipped net."""
    from kseg import mobile

    net = mobile.load(start).model
    if isinstance(net, str | Path):
        raise ValueError(
            "`--start` must be a .keras file or the name of a shipped Keras net, such "
            f"as person: a .tflite cannot be trained. Received: {start!r}"
        )
    return net


def export_best(run, size, photos, labels):
    """Writes `model.tflite` of `best.keras`, and returns its precision.

    Half precision, unless the net's numbers leave its range: then single.
    """
    from kseg import mobile

    net = mobile.load(run / "best.keras").model
    failures = []
    for precision in ("float16", "float32"):
        try:
            mobile.export(
                net,
                run / "model.tflite",
                size=size,
                precision=precision,
                calibration=photos,
                labels=labels,
            )
            return precision
        except mobile.ExportError as error:
            failures.append(f"{precision}: {error}")
            console.print(failures[-1], markup=False)
    raise RuntimeError(
        f"The net is trained, and {run} holds best.keras, summary.json and the rest, "
        f"but no model.tflite: {' '.join(failures)}"
    )


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
