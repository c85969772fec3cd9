"""Trains a net on a data set into a run folder; `kseg train` calls this."""

import inspect
import json
import time

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
    smallest_crop=0.25,
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
        start: A Keras model, or the path of a `.keras` file, to start from instead of
            a new net; `model`, `backbone` and `model_arguments` do not apply.
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
        smallest_crop: Height of the smallest random crop in parts of the photo's; the
            rest of the augmentation is `kseg.data.augment.standard`'s.
        seed: Seed of weights, order and augmentation.
        verbose: As in `model.fit`.

    Returns:
        The summary, a dict that `summary.json` holds too.
    """
    config = {
        "model": model,
        "backbone": backbone,
        "model_arguments": model_arguments,
        "start": start.name if isinstance(start, keras.Model) else start and str(start),
        "size": size,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "warmup_epochs": warmup_epochs,
        "weight_decay": weight_decay,
        "dice_weight": dice_weight,
        "ema_momentum": ema_momentum,
        "smallest_crop": smallest_crop,
        "seed": seed,
    }
    builder = _builder(model)
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
    augment = kdata.augment.standard(scale=(smallest_crop, 1.0))
    batches = kdata.loader(
        dataset, batch_size, size, augment=augment, seed=seed, check=True
    )
    held_out = kdata.loader(validation, batch_size, size, shuffle=False, check=True)
    config["steps_per_epoch"] = len(batches)
    config["classes"] = list(dataset.class_names)

    averaged = ema_momentum is not None
    average = keras.callbacks.SwapEMAWeights() if averaged else None
    folder = RunFolder(output, "val_mean_iou", plot.curves, average)
    saved, done = folder.resume(config)
    if start is None:
        net = builder(
            (*batches.size, 3),
            dataset.num_classes,
            backbone=backbone,
            activation="sigmoid" if dataset.num_classes == 1 else "softmax",
            **(model_arguments or {}),
        )
    else:
        net = _started(start, dataset)
    steps = epochs * len(batches)
    warmup_steps = min(int(warmup_epochs * len(batches)), steps // 10)
    rate = SCHEDULES[schedule](learning_rate, steps, warmup_steps)
    _compile(net, dataset, rate, weight_decay, dice_weight, ema_momentum)
    if saved is not None:
        _copy_state(saved, net)
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


def _builder(name):
    """The function of `kseg.models` that has a name."""
    names = [n for n in models.__all__ if inspect.isfunction(getattr(models, n))]
    if name not in names:
        raise ValueError(f"`model` must be one of {names}. Received: model={name!r}")
    return getattr(models, name)


def _started(start, dataset):
    """The net to start from, if it has the classes of the data set."""
    net = start
    if not isinstance(start, keras.Model):
        net = keras.saving.load_model(start, compile=False)
    if net.output_shape[-1] != dataset.num_classes:
        raise ValueError(
            f"`start` must be a net with {dataset.num_classes} output channels, for the "
            f"classes {list(dataset.class_names)}. Received: start={start!s}, which has "
            f"{net.output_shape[-1]}"
        )
    return net


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
        ema_momentum=0.99 if ema_momentum is None else ema_momentum,
    )
    # Decaying a bias or a scale pulls outputs to zero and regularises nothing.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    metric = metrics.SegmentationMetrics(
        dataset.num_classes, ignore_class=dataset.ignore_class
    )
    net.compile(optimizer, loss, metrics=[metric])


def _copy_state(source, target):
    """Gives `target` the weights, random states and optimizer state of `source`.

    A net that is built as it was at the start sums its gradients in the same order,
    bit for bit; one that is loaded from a file need not.
    """
    target.optimizer.build(target.trainable_variables)
    state = [
        [v for layer in net.layers for v in layer.variables] + net.optimizer.variables
        for net in (source, target)
    ]
    for old, new in zip(*state, strict=True):
        new.assign(old)


def _draw_validation(net, dataset, path, count=12):
    """Writes a sheet of photos with the predicted mask beside the true one."""
    tiles, titles = [], []
    for index in np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int):
        sample = dataset[int(index)]
        tiles.append(plot.overlay(sample.image, sample.mask, dataset.colors))
        tiles.append(
            plot.overlay(sample.image, category_mask(net, sample.image), dataset.colors)
        )
        titles += [f"{sample.id}: truth", "prediction"]
    write(path, plot.sheet(tiles, titles=titles, columns=6).save)
