"""Trains PointNet or A-CNN on rooms, evaluates it on other rooms, and paints them.

    python examples/points_rooms.py kinect-scenes -o runs/points_pointnet --net pointnet
    python examples/points_rooms.py kinect-scenes -o runs/points_a_cnn --net a_cnn

The folder is that of `kseg.data.datasets.KinectScenes`. A run that was stopped goes on
where it was. `summary.json` has the figures of the test scenes.
"""

import argparse
import functools
import json
from pathlib import Path

import keras
import numpy as np

from kseg import data, losses, metrics, models, plot
from kseg.files import write_json, write_whole
from kseg.training import schedules
from kseg.training.run_folder import RunFolder

UP = 1  # the camera's y axis
CAMERA = (0.0, 0.0, 0.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--net", choices=["pointnet", "a_cnn"], default="pointnet")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--num-points", type=int, default=2048)
    parser.add_argument("--size", type=float, default=0.6, help="of a block, metres")
    parser.add_argument("--width", type=float, default=1.0, help="width_multiplier")
    parser.add_argument("--radius", type=float, default=0.05, help="of the first ring")
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    keras.utils.set_random_seed(arguments.seed)
    scenes = data.datasets.KinectScenes(arguments.folder, "train")
    blocks = cut(scenes, arguments, min_points=500)
    batches = data.points.loader(
        blocks,
        arguments.batch_size,
        arguments.num_points,
        augment=varied(arguments.net),
        seed=arguments.seed,
    )
    paths = ("folder", "output")
    config = {k: v for k, v in vars(arguments).items() if k not in paths}
    config["steps_per_epoch"] = len(batches)
    folder = RunFolder(arguments.output, config, "mean_iou", plot.curves)
    model, done = folder.resume()
    if model is None:
        model = build(arguments, scenes, blocks[0].points.shape[1], len(batches))
    batches.epoch = done
    model.fit(
        batches,
        initial_epoch=done,
        epochs=arguments.epochs,
        callbacks=[folder],
        verbose=2,
        shuffle=False,
    )
    figures = evaluate(model, arguments)
    write_json(arguments.output / "summary.json", figures)
    print(json.dumps(figures, indent=2))


def cut(scenes, arguments, min_points=1):
    """Blocks with the channels that the net takes: A-CNN has normals."""
    viewpoint = CAMERA if arguments.net == "a_cnn" else None
    return data.points.Blocks(
        scenes, arguments.size, up=UP, viewpoint=viewpoint, min_points=min_points
    )


def varied(net):
    """Makes the augmentation: half the clouds as in a mirror, all in another light."""
    colors = slice(6, 9) if net == "a_cnn" else slice(3, 6)

    def augment(points, labels, rng):
        points = points.copy()
        if rng.random() < 0.5:
            points[:, 0] *= -1
            if net == "a_cnn":
                points[:, 3] *= -1  # the normal's x
            else:
                points[:, 6] = 1 - points[:, 6]  # the share of the room's width
        points[:, colors] *= rng.uniform(0.7, 1.3, 3)
        return points, labels

    return augment


def build(arguments, scenes, channels, steps):
    shape = (arguments.num_points, channels)
    if arguments.net == "a_cnn":
        radii = [arguments.radius * 2**level for level in range(4)]
        model = models.points.a_cnn_semantic_segmentation(
            shape,
            scenes.num_classes,
            samples=tuple(arguments.num_points // 4**level for level in range(1, 5)),
            rings=tuple(((0.0, r), (r, 2 * r)) for r in radii),
            width_multiplier=arguments.width,
        )
    else:
        model = models.points.pointnet_semantic_segmentation(
            shape, scenes.num_classes, width_multiplier=arguments.width
        )
    total = steps * arguments.epochs
    warmup = min(steps, total // 10)  # an epoch
    rate = schedules.CosineDecay(arguments.learning_rate, total, warmup)
    weights = losses.class_weights(scenes, "enet")
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-3),
        losses.SparseCrossEntropy(class_weights=weights),
        metrics=[metrics.MeanIoU(scenes.num_classes)],
    )
    # Else Keras traces the first step twice, which takes longer than an epoch.
    model.optimizer.build(model.trainable_variables)
    return model


def evaluate(model, arguments):
    """Figures of the test scenes, every point of them, and a picture of three."""
    scenes = data.datasets.KinectScenes(arguments.folder, "test")
    blocks = cut(scenes, arguments)
    metric = metrics.SegmentationMetrics(
        scenes.num_classes,
        ("pixel_accuracy", "iou", "mean_iou"),
        class_names=scenes.class_names,
    )
    predicted = []
    rooms = data.points.predict_rooms(model, blocks, arguments.num_points)
    for room, scores in zip(blocks.rooms, rooms, strict=True):
        metric.update_state(room.labels[None], scores[None])
        predicted.append(scores.argmax(-1))
    paint(blocks.rooms, predicted, scenes, arguments.output / "scenes.jpg")
    # The scenes have no point of the class "rest": its IoU is 0/0, and no number.
    result = {k: round(float(v), 4) for k, v in metric.result().items() if v == v}
    return {**result, "scenes": len(scenes), "points": sum(map(len, predicted))}


def paint(rooms, predicted, scenes, path):
    """Paints every fifth scene as the camera saw it: colours, truth, prediction."""
    from matplotlib.figure import Figure

    colors = np.array(scenes.colors) / 255
    shown = list(zip(rooms, predicted, strict=True))[2::5]
    figure = Figure(figsize=(9, 2.5 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), 3, squeeze=False)
    for row, (room, classes) in zip(axes, shown, strict=True):
        x, y, z = room.points[:, :3].T
        order = np.argsort(-z)  # what is near covers what is far
        paintings = (room.points[:, 3:6] / 255, colors[room.labels], colors[classes])
        titles = (room.id, "truth", f"predicted, {(classes == room.labels).mean():.1%}")
        for axis, painting, title in zip(row, paintings, titles, strict=True):
            axis.scatter((x / z)[order], (-y / z)[order], 1.2, painting[order], lw=0)
            axis.set_title(title, fontsize=9)
            axis.set_aspect("equal")
            axis.axis("off")
    for name, color in zip(scenes.class_names, colors, strict=True):
        axes[0, 1].scatter([], [], 20, [color], label=name)
    figure.legend(loc="outside lower center", ncols=len(colors), frameon=False)
    save = functools.partial(figure.savefig, dpi=90, pil_kwargs={"quality": 75})
    write_whole(path, save)


if __name__ == "__main__":
    main()
