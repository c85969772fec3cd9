"""Does `kseg.data.loader` keep up with training?

Prints what a sample costs in milliseconds of one core, and the share of a training
step's time that is spent waiting for the next batch. Target: below 5 % on two cores.
`benchmarks/loader.py` sets the loader beside others.

    python benchmarks/waiting.py path/to/ccp
    taskset -c 0,1 python benchmarks/waiting.py path/to/ccp --net unet
"""

import argparse
import time

import keras
import numpy as np
from keras.src.trainers import data_adapters

from kseg import losses, models
from kseg.data import augment, datasets, loader


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ccp", help="folder of Clothing Co-Parsing")
    parser.add_argument("--net", choices=["lraspp", "unet"], default="lraspp")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    dataset = datasets.CCP(arguments.ccp, labels="person")
    print_cost_of_a_sample(dataset, arguments.size)
    batches = loader(
        dataset,
        arguments.batch_size,
        arguments.size,
        augment=augment.standard(),
        workers=arguments.workers,
    )
    print_share_of_waiting(build(arguments), batches, arguments.steps)


def print_cost_of_a_sample(dataset, size, count=100):
    """Prints the time that one core works on a sample, whatever else it does."""
    recipe = augment.standard()
    indices = np.linspace(0, len(dataset) - 1, count).astype(int).tolist()
    recipe(dataset[0].image, None, np.random.default_rng(0), (size, size))  # compiles
    reading, augmenting = [], []
    for index in indices:
        start = time.thread_time()
        sample = dataset[index]
        middle = time.thread_time()
        rng = np.random.default_rng(index)
        recipe(sample.image, sample.mask, rng, (size, size))
        reading.append(middle - start)
        augmenting.append(time.thread_time() - middle)
    reading, augmenting = (1e3 * np.mean(part) for part in (reading, augmenting))
    print(
        f"one sample at {size}: {reading + augmenting:.1f} ms of one core "
        f"(reading {reading:.1f}, augmenting {augmenting:.1f})"
    )


def print_share_of_waiting(model, batches, steps):
    # `fit` takes the next batch inside its compiled step, where it cannot be timed, so
    # this loop does the same with the same adapter.
    adapter = data_adapters.get_data_adapter(batches)
    get_iterator = {
        "tensorflow": adapter.get_tf_dataset,
        "jax": adapter.get_jax_iterator,
        "torch": adapter.get_torch_dataloader,
    }[keras.backend.backend()]
    source = get_iterator() if keras.backend.backend() == "tensorflow" else None
    adapter.on_epoch_begin()
    iterator = endless(lambda: iter(source or get_iterator()))
    images, masks = next(iterator)
    model.train_on_batch(images, masks)
    waiting = 0.0
    start = time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        images, masks = next(iterator)
        waiting += time.perf_counter() - asked
        model.train_on_batch(images, masks)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(steps):
        model.train_on_batch(images, masks)
    alone = time.perf_counter() - start
    adapter.on_epoch_end()
    print(
        f"training {model.name}: {1e3 * seconds / steps:.0f} ms per step of "
        f"{batches.batch_size}, {steps * batches.batch_size / seconds:.0f} images/s; "
        f"waiting for batches {100 * waiting / seconds:.1f} %; "
        f"{1e3 * alone / steps:.0f} ms with one batch over and over"
    )


def build(arguments):
    model = getattr(models, arguments.net)(
        (arguments.size, arguments.size, 3),
        1,
        backbone="mobilenet_v3_small",
        width_multiplier=0.5,
        activation="sigmoid",
    )
    model.compile("adamw", losses.SparseCrossEntropy())
    return model


def endless(make):
    while True:
        yield from make()


if __name__ == "__main__":
    main()
