"""kseg's DeepLabv3+ and U-Net beside keras-hub and segmentation_models_pytorch.

Each library builds the same architecture with the same backbone, number of classes,
batch and image size, from random weights, in an environment of its own. Inference and a
training step (forward, backward, Adam) are timed in turn, round by round, so that a
load of the machine meets all of them alike; the figures are medians, and ratios to
kseg's. Memory is the peak of the whole process, after inference and after training.

    make peers
    taskset -c 0,1 python benchmarks/image_models.py
    python benchmarks/image_models.py --case unet --size 256 --batch-size 4 --rounds 7

keras-hub has no U-Net, and its ResNet no dilation: its DeepLabv3+, built as its one
preset is, stands beside kseg's at output stride 32. Its decoder is a 1x1
convolution where the paper has two of 3x3, yet it has 39 million parameters where
kseg's has 27.
"""

import argparse
import json
import math
import resource
import statistics
import sys
import time

from worker import Worker, peer

# Library: its environment and its module.
PEERS = {
    "keras_hub": ("keras-hub", "keras_hub"),
    "smp": ("smp", "segmentation_models_pytorch"),
}
# Case: the net, its output stride, and the libraries that have it.
CASES = {
    "deeplab_v3_plus_os16": ("deeplab_v3_plus", 16, ("kseg", "smp")),
    "deeplab_v3_plus_os32": ("deeplab_v3_plus", 32, ("kseg", "keras_hub")),
    "unet": ("unet", 32, ("kseg", "smp")),
}
CLASSES = 21
DECODER = (256, 128, 64, 32, 16)  # smp's default, coarsest first


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--worker", choices=["kseg", *PEERS], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments)
        return
    for case in arguments.case or CASES:
        compare(case, arguments)


def compare(case, arguments):
    """Runs the workers of one case in turn and prints the table."""
    workers = {}
    for library in CASES[case][2]:
        python = peer(*PEERS[library]) if library in PEERS else sys.executable
        if python is None:
            continue
        settings = ("--size", arguments.size, "--batch-size", arguments.batch_size)
        workers[library] = Worker(
            python, __file__, (library, "--case", case, *settings)
        )
    built = {library: worker.ask("build") for library, worker in workers.items()}
    seconds = {library: {"inference": [], "training": []} for library in workers}
    memory = {library: {} for library in workers}
    for task in ("inference", "training"):
        for _ in range(arguments.rounds):
            for library, worker in workers.items():
                answer = worker.ask(task)
                seconds[library][task].append(answer["seconds"])
                memory[library][task] = answer["peak_mb"]
    for worker in workers.values():
        worker.end()

    size = f"{arguments.batch_size}x{arguments.size}x{arguments.size}"
    print(f"\n{case}, ResNet-50, {CLASSES} classes, {size}: median of a step")
    for library in workers:
        row = f"{library:10} {built[library]['parameters']:>11,} parameters"
        for task in ("inference", "training"):
            own = statistics.median(seconds[library][task])
            ratio = own / statistics.median(seconds["kseg"][task])
            row += f"  {task} {1e3 * own:6.0f} ms ({ratio:.2f})"
            row += f" {memory[library][task]:5.0f} MB"
        print(row)


def work(arguments):
    """Answers each line of standard input with one line of JSON."""
    net, stride, _ = CASES[arguments.case[0]]
    build = WORKERS[arguments.worker]
    tasks = build(net, stride, arguments.size, arguments.batch_size)
    for line in sys.stdin:
        task = line.strip()
        answer = {"parameters": tasks["parameters"]}
        if task != "build":
            if task not in tasks["warm"]:  # tracing and memory plans
                tasks["warm"].add(task)
                tasks[task]()
                tasks[task]()
            begin = time.perf_counter()
            tasks[task]()
            answer["seconds"] = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**answer, "peak_mb": peak}), flush=True)


def kseg_worker(net, stride, size, batch_size):
    import kseg

    arguments = {"backbone": "resnet50"}
    if net == "unet":
        arguments.update(filters=DECODER[::-1], batch_norm=True, dropout_rate=0.0)
    else:
        arguments.update(output_stride=stride)
    model = getattr(kseg.models, net)((size, size, 3), CLASSES, **arguments)
    return keras_tasks(model, size, batch_size, kseg.losses.SparseCrossEntropy())


def keras_hub_worker(net, stride, size, batch_size):
    import keras
    import keras_hub

    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
        image_shape=(size, size, 3),
    )
    backbone = keras_hub.models.DeepLabV3Backbone(
        image_encoder=encoder,
        spatial_pyramid_pooling_key="P5",
        low_level_feature_key="P2",
        dilation_rates=[6, 12, 18],
        upsampling_size=8,
        projection_filters=48,
        image_shape=(size, size, 3),
    )
    model = keras_hub.models.DeepLabV3ImageSegmenter(
        backbone=backbone, num_classes=CLASSES, activation="softmax"
    )
    loss = keras.losses.SparseCategoricalCrossentropy()
    return keras_tasks(model, size, batch_size, loss)


def keras_tasks(model, size, batch_size, loss):
    """Tasks of a Keras model, without XLA, which no CPU build of TensorFlow gains by."""
    images, masks = batch(size, batch_size)
    model.compile("adam", loss, metrics=[], jit_compile=False)
    return {
        "parameters": sum(math.prod(v.shape) for v in model.trainable_variables),
        "inference": lambda: model.predict_on_batch(images),
        "training": lambda: model.train_on_batch(images, masks),
        "warm": set(),
    }


def smp_worker(net, stride, size, batch_size):
    import segmentation_models_pytorch as smp
    import torch

    builder = {"deeplab_v3_plus": smp.DeepLabV3Plus, "unet": smp.Unet}[net]
    model = builder("resnet50", encoder_weights=None, classes=CLASSES)
    optimizer = torch.optim.Adam(model.parameters())
    loss = torch.nn.CrossEntropyLoss()
    images, masks = batch(size, batch_size)
    images = torch.from_numpy(images).permute(0, 3, 1, 2)
    images = images.contiguous(memory_format=torch.channels_last)
    model = model.to(memory_format=torch.channels_last)
    masks = torch.from_numpy(masks).long()

    def infer():
        model.eval()
        with torch.inference_mode():
            return model(images).softmax(1)

    def train():
        model.train()
        optimizer.zero_grad()
        loss(model(images), masks).backward()
        optimizer.step()

    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "inference": infer,
        "training": train,
        "warm": set(),
    }


def batch(size, batch_size):
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (batch_size, size, size, 3)).astype("float32")
    masks = rng.integers(0, CLASSES, (batch_size, size, size), "int32")
    return images, masks


WORKERS = {"kseg": kseg_worker, "keras_hub": keras_hub_worker, "smp": smp_worker}

if __name__ == "__main__":
    main()
