"""Trains a net on a data set into a run folder; `kseg train` calls this."""

import inspect
import json
import time
from pathlib import Path

import keras
import numpy as np

from kseg import data as kdata
from kseg import losses, metrics, models, plot
from kseg.training import schedules
from kseg.training.batch_norm import recalibrate_batch_norm
from kseg.training.evaluation import category_mask, evaluate
from kseg.training.run_folder import RunFolder, write

SCHEDULES = {
    "cosine": schedules.CosineDecay,
    "poly": schedules.PolynomialDecay,
}


def train(
    dataset,
    output,
    *,
    validation=None,
    model="lraspp",
    backbone="mobilenet_v3_small",
    model_arguments=None,
    start=None,
    size=256,
    epochs=60,
    batch_size=16,
    learning_rate=1e-3,
    schedule="cosine",
    warmup_epochs=2,
    weight_decay=1e-4,
    dice_weight=0.0,
    ema_momentum=None,
    augment="standard",
    seed=0,
    verbose="auto",
):
    """Trains a segmentation net, and leaves a folder that tells the whole story.

    The optimizer is AdamW, the loss cross-entropy over the valid pixels plus
    `dice_weight` times Dice. A run that was stopped goes on from its last finished
    epoch when it is called again with the same arguments. At the end the BatchNorm
    statistics of the best weights are re-estimated and the better of the two nets,
    by mean IoU at the photos' own size, is kept as `best.keras`.

    Args:
        dataset: A `kseg.data.datasets.Dataset`, or the path of a folder that
            `kseg.data.datasets.open_dataset` recognises.
        output: The run folder: `best.keras`, `last.keras`, `metrics.csv`,
            `curves.png`, `validation.png`, `summary.json`, `config.json`.
        validation: Data set to validate on. Defaults to the validation split of the
            folder; needed when `dataset` is not a path.
        model: Name of a builder of `kseg.models`.
        backbone: Name of a backbone, or `None` for the builder's own encoder.
        model_arguments: Dict of further arguments of the builder.
        start: Path of a `.keras` file, or name of a shipped net, to start from
            instead of a new net.
        size: Height and width of the crops, an int or a pair.
        epochs: Number of passes over the training photos.
        batch_size: Photos in a step.
        learning_rate: Highest learning rate.
        schedule: `"cosine"` or `"poly"`.
        warmup_epochs: Epochs of linear rise of the learning rate, at most a tenth
            of all epochs.
        weight_decay: AdamW's decoupled weight decay.
        dice_weight: Weight of the Dice loss beside cross-entropy's 1.
        ema_momentum: Momentum of an average of the weights over the steps (Keras'
            `use_ema`), which is then what is validated and kept. Defaults to `None`,
            no average.
        augment: `"standard"`, `None`, or a transform of `kseg.data.augment`.
        seed: Seed of weights, order and augmentation.
        verbose: As in `model.fit`.

    Returns:
        The summary, a dict that `summary.json` holds too.
    """
    config = {
        name: value if isinstance(value, (str, int, float, dict, list, type(None))) else str(value)
        for name, value in locals().items()
        if name in inspect.signature(train).parameters
        and name not in ("output", "verbose", "dataset", "validation")
    }
    if not isinstance(dataset, kdata.datasets.Dataset):
        if validation is None:
            validation = kdata.datasets.open_dataset(dataset, split="validation")
        dataset = kdata.datasets.open_dataset(dataset, split="train")
    if validation is None:
        raise ValueError(
            "`validation` must be a data set when `dataset` is one. "
            "Received: validation=None"
        )
    if schedule not in SCHEDULES:
        raise ValueError(
            f"`schedule` must be one of {sorted(SCHEDULES)}. Received: "
            f"schedule={schedule!r}"
        )
    keras.utils.set_random_seed(seed)
    if augment == "standard":
        augment = kdata.augment.standard()
    batches = kdata.loader(
        dataset, batch_size, size, augment=augment, seed=seed, check=True
    )
    held_out = kdata.loader(validation, batch_size, size, shuffle=False, check=True)
    config["steps_per_epoch"] = len(batches)
    config["classes"] = list(dataset.class_names)

    average = keras.callbacks.SwapEMAWeights() if ema_momentum else None
    folder = RunFolder(output, "val_mean_iou", plot.curves, average)
    net, done = folder.resume(config)
    if net is None:
        net = _net(dataset, model, backbone, model_arguments, start, batches.size)
        steps = epochs * len(batches)
        rate = SCHEDULES[schedule](
            learning_rate,
            steps,
            min(int(warmup_epochs * len(batches)), steps // 10),
        )
        _compile(net, dataset, rate, weight_decay, dice_weight, ema_momentum)
    batches.epoch = done
    started = time.perf_counter()
    net.fit(
        batches,
        validation_data=held_out,
        initial_epoch=done,
        epochs=epochs,
        callbacks=[metrics.CheckLabels(), folder, *([average] if average else [])],
        verbose=verbose,
    )
    seconds = time.perf_counter() - started

    best = keras.saving.load_model(folder.folder / "best.keras", compile=False)
    result = evaluate(best, validation)
    recalibrated = keras.models.clone_model(best)
    recalibrated.set_weights(best.get_weights())
    recalibrate_batch_norm(recalibrated, batches)
    recalibrated_result = evaluate(recalibrated, validation)
    if recalibrated_result["mean_iou"] > result["mean_iou"]:
        best, result = recalibrated, recalibrated_result
    # Without the optimizer's state, which doubles or triples the size.
    write(folder.folder / "best.keras", best.save)
    _draw_validation(best, validation, folder.folder / "validation.png")
    summary = {
        "validation": result,
        "photos": {"train": len(dataset), "validation": len(validation)},
        "parameters": best.count_params(),
        "seconds_of_this_call": round(seconds, 1),
        "epochs": epochs,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "config": config,
    }
    write(
        folder.folder / "summary.json",
        lambda path: path.write_text(json.dumps(summary, indent=1), "utf-8"),
    )
    return summary


def _net(dataset, model, backbone, model_arguments, start, size):
    """Builds the net, or loads the one to start from."""
    if start is not None:
        net = keras.saving.load_model(start, compile=False)
        if net.output_shape[-1] != dataset.num_classes:
            raise ValueError(
                f"`start` must be a net with {dataset.num_classes} output channels, "
                f"for the classes {list(dataset.class_names)}. Received: start="
                f"{str(start)!r}, which has {net.output_shape[-1]}"
            )
        return net
    builder = getattr(models, model, None)
    if model.startswith("_") or not inspect.isfunction(builder):
        names = sorted(n for n in models.__all__ if inspect.isfunction(getattr(models, n)))
        raise ValueError(f"`model` must be one of {names}. Received: model={model!r}")
    return builder(
        (*size, 3),
        dataset.num_classes,
        backbone=backbone,
        activation="sigmoid" if dataset.num_classes == 1 else "softmax",
        **(model_arguments or {}),
    )


def _compile(net, dataset, rate, weight_decay, dice_weight, ema_momentum):
    """Compiles `net` with the optimizer, loss and metrics of `train`."""
    loss = losses.SparseCrossEntropy(ignore_class=dataset.ignore_class)
    if dice_weight:
        dice = losses.Dice(ignore_class=dataset.ignore_class)
        loss = losses.Sum([loss, dice], weights=[1.0, dice_weight])
    optimizer = keras.optimizers.AdamW(
        rate,
        weight_decay=weight_decay,
        use_ema=ema_momentum is not None,
        ema_momentum=ema_momentum or 0.99,
    )
    # Decaying a bias or a scale pulls outputs to zero and regularises nothing.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    metric = metrics.SegmentationMetrics(
        dataset.num_classes, ignore_class=dataset.ignore_class
    )
    net.compile(optimizer, loss, metrics=[metric])


def _draw_validation(net, dataset, path, count=12):
    """Writes a sheet of photos with the predicted mask beside the true one."""
    tiles, titles = [], []
    for index in np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int):
        sample = dataset[int(index)]
        tiles.append(plot.overlay(sample.image, sample.mask, dataset.colors))
        tiles.append(
            plot.overlay(
                sample.image, category_mask(net, sample.image), dataset.colors
            )
        )
        titles += [f"{sample.id}: truth", "prediction"]
    write(path, plot.sheet(tiles, titles=titles, columns=6).save)
