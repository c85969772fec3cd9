"""Batches of a data set for `model.fit`: the same seed and epoch, the same batches."""

import operator
import os

import numpy as np

from kseg.data.augment import Compose, Mix
from kseg.data.batches import Batches, check_integer


def loader(
    dataset,
    batch_size: int,
    size: int | tuple[int, int],
    *,
    augment=None,
    mix=None,
    maps=None,
    shuffle: bool = True,
    seed: int = 0,
    check: bool = False,
    drop_last: bool | None = None,
    workers: int = 1,
    max_queue_size: int = 4,
) -> Batches:
    """Makes batches for `model.fit`, `model.evaluate` and `model.predict`.

    The order of the samples depends on `seed` and the epoch alone, the augmentation
    of a sample on `seed`, the epoch and the sample's index: not on the number of
    workers, on the size of the batches, or on what else draws random numbers. A
    sample that cannot be read stops the run with an error that names it, and so does
    a worker that ends. No more than `max_queue_size` batches are held ahead.

    Samples may be clips: `image` of `(frames, height, width, 3)`, with a mask for each
    frame or for the last one. All frames get the same augmentation. `mix` and
    `kseg.data.augment.RandomBackground` need a mask for each frame, and raise without.

    Example:

    ```python
    dataset = kseg.data.datasets.CCP("ccp", labels="person")
    batches = kseg.data.loader(
        dataset, 16, 224, augment=kseg.data.augment.standard(), check=True
    )
    model.fit(batches, epochs=10)
    ```

    Args:
        dataset: A `kseg.data.datasets.Dataset`, or any sequence of objects with
            `image` (uint8, `(height, width, 3)`) and `mask` (integer,
            `(height, width)`). It is read in other threads than the caller's.
        batch_size: Samples in a batch.
        size: Height and width of the images in a batch, an int or a pair.
        augment: A transform of `kseg.data.augment`, or a function of image, mask,
            `numpy.random.Generator` and size that returns image and mask of that
            size. `None` resizes the whole photo.
        mix: `kseg.data.augment.CutMix()`, `ClassMix()`, or another `Mix`, which pastes
            parts of another sample, augmented on its own, into a sample. Which one
            depends on `seed`, the epoch and the sample's index. `None` for none.
        maps: A function of the augmented mask that returns the weight of every pixel,
            or other maps of the truth that the loss reads from its `sample_weight`,
            such as `kseg.losses.border_weights`.
        shuffle: Whether each epoch has an order of its own.
        seed: Non-negative integer.
        check: Whether to read every sample first, with `kseg.data.check`.
        drop_last: Whether to leave out the last batch where it is short (never the
            only one). Defaults to `shuffle`: in training yes, in evaluation no.
        workers: Threads that make batches while the model computes; `0` makes them
            in the caller's.
        max_queue_size: Most batches that are made ahead of the model.

    Returns:
        `Batches`, a `keras.utils.PyDataset` of pairs: images, float32 of shape
        `(batch, *size, 3)` with values 0 to 255, and masks, int32 of shape
        `(batch, *size)`; with `maps`, of triples that end with those, float32. Clips
        have their frames after the batch.
    """
    if isinstance(dataset, str | os.PathLike):
        raise TypeError(
            "`dataset` must be a data set, such as "
            f"`kseg.data.datasets.open_dataset({str(dataset)!r})`. "
            f"Received: dataset={dataset!r}"
        )
    if not len(dataset):
        raise ValueError(
            f"`dataset` must have at least one sample. Received: dataset={dataset}"
        )
    if augment is None:
        augment = Compose()
    elif not callable(augment):
        raise TypeError(
            "`augment` must be a transform such as `kseg.data.augment.standard()`, or "
            f"None. Received: augment={augment!r}"
        )
    if mix is not None and not isinstance(mix, Mix):
        raise TypeError(
            "`mix` must be an object such as `kseg.data.augment.ClassMix()`, or None. "
            f"Received: mix={mix!r}"
        )
    if maps is not None and not callable(maps):
        raise TypeError(
            "`maps` must be a function of the mask, such as "
            f"`kseg.losses.border_weights`, or None. Received: maps={maps!r}"
        )
    batch_size = check_integer("batch_size", batch_size, 1)
    seed = check_integer("seed", seed, 0)
    workers = check_integer("workers", workers, 0)
    max_queue_size = check_integer("max_queue_size", max_queue_size, 1)
    try:
        size = (size, size) if np.ndim(size) == 0 else tuple(size)
        size = tuple(map(operator.index, size))
        fits = len(size) == 2 and min(size) > 0
    except TypeError:
        fits = False
    if not fits:
        raise ValueError(
            "`size` must be a positive integer or a pair `(height, width)` of them. "
            f"Received: size={size}"
        )
    if check:
        from kseg import data  # at the call, as `kseg.data` imports this file

        data.check(dataset)
    drop_last = bool(shuffle if drop_last is None else drop_last)
    return Batches(
        dataset,
        batch_size,
        size,
        augment=augment,
        mix=mix,
        maps=maps,
        shuffle=bool(shuffle),
        seed=seed,
        drop_last=drop_last,
        workers=workers,
        max_queue_size=max_queue_size,
    )
