"""Trains a net on a data set into a run folder; `kseg train` calls this."""

import time
from pathlib import Path

import keras

from kseg import data as kdata
from kseg import losses, metrics, plot
from kseg.data.batches import check_integer
from kseg.files import write_json, write_whole
from kseg.training import networks, schedules
from kseg.training.identity import describe_data, describe_net
from kseg.training.run_folder import RunFolder
from kseg.training.selection import draw_validation, keep_best

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
    size=None,
    epochs=60,
    batch_size=16,
    learning_rate=None,
    schedule="cosine",
    warmup_epochs=2,
    weight_decay=1e-4,
    dice_weight=0.0,
    class_weights=None,
    ema_momentum=None,
    smallest_crop=0.25,
    seed=0,
    verbose="auto",
):
    """Trains a segmentation net, and leaves a folder that tells the whole story.

    The optimizer is AdamW, the loss cross-entropy over the valid pixels plus
    `dice_weight` times Dice. A run that was stopped goes on from its last finished
    epoch when it is called again with the same arguments on the same photos. At the
    end the nets of the best and of the last epoch, each also with re-estimated
    BatchNorm statistics, and the net of `start` are compared by mean IoU at the photos'
    own size; the best is kept as `best.keras`.

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
            a new net; `model`, `backbone` and `model_arguments` do not apply. It may
            end in probabilities or logits. A model is copied, not changed.
        size: Height and width of the crops, an int or a pair. Defaults to those of
            `start`, or 256 for a new net and one that takes any size.
        epochs: Number of passes over the training photos.
        batch_size: Photos in a step.
        learning_rate: Highest learning rate. Defaults to 1e-4 with `start`, else 1e-3.
        schedule: `"cosine"` or `"poly"`.
        warmup_epochs: Epochs of linear rise of the learning rate, at most a tenth
            of all epochs.
        weight_decay: AdamW's decoupled weight decay.
        dice_weight: Weight of the Dice loss beside cross-entropy's 1.
        class_weights: Method of `kseg.losses.class_weights`, such as
            `"median_frequency"`, or one factor per class, for cross-entropy. Defaults
            to `None`, 1 each.
        ema_momentum: Momentum of an average of the weights over the steps (Keras'
            `use_ema`), which is then what is validated and kept. Defaults to `None`,
            no average.
        smallest_crop: Height of the smallest random crop in parts of the photo's; the
            rest of the augmentation is `kseg.data.augment.standard`'s.
        seed: Seed of weights, order and augmentation.
        verbose: As in `model.fit`.

    Returns:
        The summary, a dict that `summary.json` holds too: `validation` has the figures
        of the net in `best.keras`, `kept` says which net that is, and `tried` has the
        figures of all that were compared. A run that had come to its end returns its
        summary again.

    Raises:
        OSError: If `output` is no folder, or cannot be written to.
        TypeError: If an argument is of another type.
        ValueError: If an argument has no such value, a photo or mask cannot be used,
            the net does not fit photos and classes, or `output` holds another run or a
            damaged one. Nothing is written then.
    """
    epochs = check_integer("epochs", epochs, 1)
    if schedule not in SCHEDULES:
        raise ValueError(
            f"`schedule` must be one of {sorted(SCHEDULES)}. Received: "
            f"schedule={schedule!r}"
        )
    if ema_momentum is not None and not 0 <= ema_momentum <= 1:
        raise ValueError(
            "`ema_momentum` must be from 0 to 1, or None. "
            f"Received: ema_momentum={ema_momentum}"
        )
    # Before the net to start from is copied, since its dropout layers draw their seeds.
    keras.utils.set_random_seed(check_integer("seed", seed, 0))
    net = builder = None
    if start is None:
        builder = networks.builder(model, model_arguments)
    else:
        net = networks.load_start(start)
        model = backbone = model_arguments = None
    if learning_rate is None:
        learning_rate = 1e-3 if start is None else 1e-4
    size = networks.input_size(net, size)
    if isinstance(dataset, str | Path):
        if validation is None:
            validation = kdata.datasets.open_dataset(dataset, split="validation")
        dataset = kdata.datasets.open_dataset(dataset, split="train")
    if validation is None:
        raise ValueError(
            "`validation` must be a data set when `dataset` is one. "
            "Received: validation=None"
        )
    augment = kdata.augment.standard(scale=(smallest_crop, 1.0))
    batches = kdata.loader(
        dataset, batch_size, size, augment=augment, seed=seed, check=True
    )
    held_out = kdata.loader(validation, batch_size, size, shuffle=False, check=True)
    config = {
        "model": model,
        "backbone": backbone,
        "model_arguments": model_arguments,
        "start": net and describe_net(net),
        "size": batches.size,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "warmup_epochs": warmup_epochs,
        "weight_decay": weight_decay,
        "dice_weight": dice_weight,
        "class_weights": class_weights,
        "ema_momentum": ema_momentum,
        "smallest_crop": smallest_crop,
        "seed": seed,
        "train_data": describe_data(dataset),
        "validation_data": describe_data(validation),
        "classes": dataset.class_names,
        "steps_per_epoch": len(batches),
    }
    average = keras.callbacks.SwapEMAWeights() if ema_momentum is not None else None
    folder = RunFolder(output, config, "val_mean_iou", plot.curves, average)
    saved, done = folder.resume()
    if done == epochs and (summary := folder.finished()):
        return summary

    if builder is not None:
        arguments = {
            "activation": "sigmoid" if dataset.num_classes == 1 else "softmax",
            "backbone": backbone,
            **(model_arguments or {}),
        }
        net = builder((*batches.size, 3), dataset.num_classes, **arguments)
    networks.check_output(net, batches.size, dataset)
    start_weights = net.get_weights() if start is not None else None
    steps = epochs * len(batches)
    warmup_steps = min(int(warmup_epochs * len(batches)), steps // 10)
    rate = SCHEDULES[schedule](learning_rate, steps, warmup_steps)
    if isinstance(class_weights, str):
        class_weights = losses.class_weights(dataset, class_weights)
    networks.compile_net(
        net, dataset, rate, weight_decay, dice_weight, class_weights, ema_momentum
    )
    if saved is not None:
        networks.copy_state(saved, net)
    batches.epoch = done
    dropout = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: networks.reseed(net, seed, epoch)
    )
    callbacks = [
        dropout,
        metrics.CheckLabels(),
        folder,
        *([average] if average else []),
    ]
    started = time.perf_counter()
    net.fit(
        batches,
        validation_data=held_out,
        initial_epoch=done,
        epochs=epochs,
        callbacks=callbacks,
        verbose=verbose,
    )
    seconds = time.perf_counter() - started

    best = folder.load_best()  # not compiled: the optimizer's state would triple it
    networks.reseed(best, seed, epochs)
    candidates = {f"epoch {folder.best_epoch}": best.get_weights()}
    if average:
        net.optimizer.finalize_variable_values(net.trainable_variables)
    candidates.setdefault(f"epoch {epochs}", net.get_weights())
    kept, results = keep_best(best, candidates, batches, validation, start_weights)
    write_whole(folder.folder / "best.keras", best.save)
    draw_validation(best, validation, folder.folder / "validation.png")
    summary = {
        "validation": results[kept],
        "kept": kept,
        "tried": results,
        "photos": {"train": len(dataset), "validation": len(validation)},
        "parameters": best.count_params(),
        "seconds_of_this_call": round(seconds, 1),
        "epochs": epochs,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "config": folder.config,
    }
    write_json(folder.folder / "summary.json", summary)
    return summary
