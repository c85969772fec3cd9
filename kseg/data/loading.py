"""Batches of a data set for `model.fit`: the same seed and epoch, the same batches."""

import operator

import keras
import numpy as np

from kseg.data.augment import Compose
from kseg.data.prefetching import Prefetcher


def loader(
    dataset,
    batch_size: int,
    size: int | tuple[int, int],
    *,
    augment=None,
    shuffle: bool = True,
    seed: int = 0,
    check: bool = False,
    drop_last: bool | None = None,
    workers: int = 1,
    max_queue_size: int = 4,
) -> "Batches":
    """Makes batches for `model.fit`, `model.evaluate` and `model.predict`.

    The order of the samples depends on `seed` and the epoch alone, the augmentation
    of a sample on `seed`, the epoch and the sample's index: not on the number of
    workers, on the size of the batches, or on what else draws random numbers. A
    sample that cannot be read stops the run with an error that names it.

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
        `(batch, *size)`.
    """
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
    batch_size = _check_integer("batch_size", batch_size, 1)
    seed = _check_integer("seed", seed, 0)
    workers = _check_integer("workers", workers, 0)
    max_queue_size = _check_integer("max_queue_size", max_queue_size, 1)
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
        shuffle=bool(shuffle),
        seed=seed,
        drop_last=drop_last,
        workers=workers,
        max_queue_size=max_queue_size,
    )


class Batches(keras.utils.PyDataset):
    """Pairs of images and masks; `kseg.data.loader` makes it.

    `batches[i]` is batch `i` of the epoch that `epoch` names; a loop of your own goes
    over `batches` and calls `batches.on_epoch_end()` after each epoch. Two things that
    Keras 3.15 does to a `PyDataset` would make the order depend on more than seed and
    epoch, and are met here:

    - `fit` asks for the batches of an epoch in an order drawn from Python's global
      generator, unless it is told `shuffle=False`. So while Keras runs an epoch, the
      first index that it asks for gets batch 0, the next new one batch 1.
    - With `workers` above 1 it keeps what it fetched while it built the model, and
      serves that at the head of the first epoch (on JAX and PyTorch). So the threads
      are kept here; Keras is told of one worker, which it runs none for.

    Attributes:
        epoch: Number of the epoch that comes next, or that is under way. Set it
            before `fit` to go on where another run ended; every later call of `fit`
            or `evaluate` on the same object skips one number.
    """

    def __init__(
        self,
        dataset,
        batch_size,
        size,
        *,
        augment,
        shuffle,
        seed,
        drop_last,
        workers,
        max_queue_size,
    ):
        super().__init__(workers=1)
        self.dataset = dataset
        self.batch_size = batch_size
        self.size = size
        self.augment = augment
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0
        self._positions = None  # index that Keras asks for -> batch, in its epochs
        self._prefetcher = Prefetcher(self._make, workers, max_queue_size)

    @property
    def epoch(self) -> int:
        return self._epoch

    @epoch.setter
    def epoch(self, value: int):
        self._epoch = _check_integer("epoch", value, 0)
        # `fit` and `evaluate` end an epoch once before the first begins.
        self._end_counts = False

    def __len__(self):
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full if full and (self.drop_last or not rest) else full + bool(rest)

    def __getitem__(self, index):
        index = range(len(self))[index]
        if self._positions is None:
            return self._make(self._epoch, index)
        position = self._positions.setdefault(index, len(self._positions))
        return self._prefetcher.get(self._epoch, position, len(self))

    def __iter__(self):
        self._end_counts = True  # a loop of the user's own, without that extra end
        epoch = self._epoch
        for index in range(len(self)):
            yield self._prefetcher.get(epoch, index, len(self))

    def on_epoch_begin(self):
        self._positions = {}

    def on_epoch_end(self):
        self._positions = None
        self._prefetcher.clear()
        self._epoch += self._end_counts
        self._end_counts = True

    def _make(self, epoch, index):
        """Makes a batch: of the arguments and the attributes set at the start only."""
        start = index * self.batch_size
        chosen = self._order(epoch)[start : start + self.batch_size].tolist()
        images = np.empty((len(chosen), *self.size, 3), "float32")
        masks = np.empty((len(chosen), *self.size), "int32")
        for i, sample_index in enumerate(chosen):
            try:
                image, mask = self._make_sample(epoch, sample_index)
                if image.shape != images.shape[1:] or mask.shape != masks.shape[1:]:
                    raise ValueError(
                        f"`augment` must return an image and a mask of {self.size}. "
                        f"Received: shapes {image.shape}, {mask.shape}"
                    )
            except Exception as error:
                name = self._name(sample_index)
                kind = type(error).__name__
                raise ValueError(f"{name} is broken: {kind}: {error}") from error
            images[i], masks[i] = image, mask
        return images, masks

    def _order(self, epoch):
        if not self.shuffle:
            return np.arange(len(self.dataset))
        seeds = np.random.SeedSequence(self.seed, spawn_key=(epoch,))
        return np.random.default_rng(seeds).permutation(len(self.dataset))

    def _make_sample(self, epoch, index):
        sample = self.dataset[index]
        image, mask = np.asarray(sample.image), np.asarray(sample.mask)
        if mask.dtype != "uint8":
            if mask.dtype.kind not in "iu":
                raise ValueError(
                    f"A mask must hold integer class ids. Received: {mask.dtype}"
                )
            mask = mask.astype("int32", copy=False)
        seeds = np.random.SeedSequence(self.seed, spawn_key=(epoch, index))
        return self.augment(image, mask, np.random.default_rng(seeds), self.size)

    def _name(self, index):
        ids = getattr(self.dataset, "ids", None)
        name = f"Sample {index}" if ids is None else f"Sample {ids[index]!r}"
        if not hasattr(self.dataset, "paths"):
            return name
        return f"{name} ({', '.join(map(str, self.dataset.paths(index)))})"


def _check_integer(name, value, low):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"`{name}` must be an integer. Received: {name}={value!r}")
    if value < low:
        raise ValueError(f"`{name}` must be at least {low}. Received: {name}={value}")
    return int(value)
