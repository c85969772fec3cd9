"""What losses and metrics cost beside those of Keras and torchmetrics.

Prints milliseconds and ratios, all measured in one run, turn by turn; each figure is
the fastest of its turns. Below 1 kseg is the faster one.

    python benchmarks/losses_metrics.py
    KERAS_BACKEND=jax python benchmarks/losses_metrics.py --classes 2
"""

import argparse
import importlib
import time

import keras
import numpy as np
from keras import ops

from kseg import losses, metrics


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--classes", type=int, default=21)
    parser.add_argument("--turns", type=int, default=15)
    arguments = parser.parse_args()
    shape = (arguments.batch_size, arguments.size, arguments.size)
    rng = np.random.default_rng(0)
    masks = rng.integers(0, arguments.classes, shape).astype("int32")
    logits = rng.normal(size=(*shape, arguments.classes)).astype("float32")
    print(f"{keras.backend.backend()}, {'x'.join(map(str, logits.shape))}")
    print_losses(masks, logits, arguments.turns)
    print_metrics(masks, logits, arguments.turns)


def print_losses(masks, logits, turns):
    """Prints what loss and gradient with respect to probabilities take."""
    scores = ops.softmax(logits)
    truth = ops.convert_to_tensor(masks)
    peer = "Keras' SparseCategoricalCrossentropy"
    fast = {
        peer: keras.losses.SparseCategoricalCrossentropy(),
        "SparseCrossEntropy": losses.SparseCrossEntropy(),
        "Focal": losses.Focal(),
        "Dice": losses.Dice(),
        "GeneralizedDice": losses.GeneralizedDice(),
        "IoU": losses.IoU(),
        "Tversky": losses.Tversky(),
        "FocalTversky": losses.FocalTversky(),
    }
    slow = {
        peer: keras.losses.SparseCategoricalCrossentropy(),
        "SparseCrossEntropy, hardest fifth": losses.SparseCrossEntropy(
            hard_fraction=0.2
        ),
        "Hausdorff, distance": losses.Hausdorff(),
        "Hausdorff, erosion": losses.Hausdorff(method="erosion"),
        "Boundary, with maps": losses.Boundary(),
        "Boundary, without": losses.Boundary(),
        "Lovasz": losses.Lovasz(),
        "UNetBorder, without maps": losses.UNetBorder(),
    }
    maps = ops.zeros_like(scores)
    for group, group_turns in ((fast, turns), (slow, 2)):
        rows = {}
        for name, loss in group.items():
            weights = maps if name == "Boundary, with maps" else None
            rows[name] = differentiated(loss, truth, scores, weights)
        times = fastest(rows, group_turns)
        for name in rows:
            print_row(name, times, () if name == peer else (peer,))


def differentiated(loss, truth, scores, weights):
    """Returns a call of loss and gradient, compiled where Keras compiles its steps."""
    match keras.backend.backend():
        case "tensorflow":
            tf = importlib.import_module("tensorflow")

            @tf.function
            def step(truth, scores):
                with tf.GradientTape() as tape:
                    tape.watch(scores)
                    value = loss(truth, scores, weights)
                return value, tape.gradient(value, scores)

            return lambda: step(truth, scores)[1][0, 0, 0].numpy()
        case "jax":
            jax = importlib.import_module("jax")
            step = jax.jit(jax.value_and_grad(lambda y, x: loss(x, y, weights)))
            return lambda: jax.block_until_ready(step(scores, truth))

    def run():
        leaf = scores.detach().requires_grad_()
        loss(truth, leaf, weights).backward()

    return run


def print_metrics(masks, logits, turns):
    """Prints what one `update_state` takes, of scores and of class ids."""
    num_classes = logits.shape[-1]
    scores = ops.convert_to_numpy(ops.softmax(logits))
    for what, y_pred in (
        ("scores", scores),
        ("ids", scores.argmax(-1).astype("int32")),
    ):
        batch = ops.convert_to_tensor(masks), ops.convert_to_tensor(y_pred)
        is_ids = what == "ids"
        kseg_metric = metrics.MeanIoU(num_classes)
        keras_metric = keras.metrics.MeanIoU(
            num_classes, ignore_class=255, sparse_y_pred=is_ids
        )
        print(f"mean IoU of {what}")
        rows = {
            "kseg, eager": eager(kseg_metric, batch),
            "Keras, eager": eager(keras_metric, batch),
        }
        if keras.backend.backend() != "torch":
            rows["kseg, compiled"] = compiled(kseg_metric, batch)
            rows["Keras, compiled"] = compiled(keras_metric, batch)
        rows |= torchmetrics_rows(masks, y_pred, num_classes)
        times = fastest(rows, turns)
        print_row("kseg, eager", times, ("Keras, eager", "torchmetrics"))
        print_row("kseg, compiled", times, ("Keras, compiled", "torchmetrics"))
    batch = ops.convert_to_tensor(masks), ops.convert_to_tensor(scores)
    print("others, of scores")
    for metric in (
        metrics.AveragePrecision(num_classes),
        metrics.BoundaryF1(num_classes),
        metrics.TrimapIoU(num_classes),
    ):
        print_row(metric.name, fastest({metric.name: eager(metric, batch)}, 2))


def torchmetrics_rows(masks, y_pred, num_classes):
    """The peer on torch, where it is installed."""
    try:
        torch = importlib.import_module("torch")
        peer = importlib.import_module("torchmetrics.classification")
    except ImportError:
        return {}
    metric = peer.MulticlassJaccardIndex(num_classes, ignore_index=255)
    if y_pred.ndim > masks.ndim:
        y_pred = np.ascontiguousarray(np.moveaxis(y_pred, -1, 1))
    batch = torch.tensor(y_pred), torch.tensor(masks)
    return {"torchmetrics": lambda: metric.update(*batch)}


def eager(metric, batch):
    """Returns a call of `update_state` that waits for the state."""

    def run():
        metric.update_state(*batch)
        ops.convert_to_numpy(metric.variables[0].value)

    return run


def compiled(metric, batch):
    """Returns a call of `update_state` as a compiled train step does it."""
    if keras.backend.backend() == "tensorflow":
        step = importlib.import_module("tensorflow").function(metric.update_state)
        return lambda: step(*batch)
    jax = importlib.import_module("jax")
    step = jax.jit(metric.stateless_update_state)
    variables = [variable.value for variable in metric.variables]
    return lambda: jax.block_until_ready(step(variables, *batch))


def fastest(rows, turns):
    """Returns the milliseconds of the fastest of the turns of each function."""
    times = dict.fromkeys(rows, float("inf"))
    for turn in range(turns + 1):
        for name, run in rows.items():
            start = time.perf_counter()
            run()
            if turn:  # the first one compiles
                times[name] = min(times[name], 1e3 * (time.perf_counter() - start))
    return times


def print_row(name, times, peers=()):
    if name in times:
        ratios = "".join(
            f", {times[name] / times[peer]:.2f} of {peer} ({times[peer]:.1f} ms)"
            for peer in peers
            if peer in times
        )
        print(f"  {name}: {times[name]:.1f} ms{ratios}")


if __name__ == "__main__":
    main()
