"""Batches of a data set for `model.fit`, the same for the same seed and epoch."""

import operator

import keras
import numpy as np

from kseg.data.augment import Compose


class Batches(keras.utils.PyDataset):
    """What `loader` returns: a `keras.utils.PyDataset` of `(images, masks)`."""

    def __init__(self, dataset, batch_size, size, augment, shuffle, seed, drop_last, **kw):
        super().__init__(**kw)
        self.dataset = dataset
        self.batch_size = batch_size
        self.size = size
        self.augment = augment
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0

    def __len__(self):
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full if full and (self.drop_last or not rest) else full + bool(rest)

    def __getitem__(self, index):
        index = range(len(self))[index]
        epoch = self.epoch
        start = index * self.batch_size
        chosen = self.order(epoch)[start : start + self.batch_size].tolist()
        images = np.empty((len(chosen), *self.size, 3), "float32")
        masks = np.empty((len(chosen), *self.size), "int32")
        for i, sample_index in enumerate(chosen):
            images[i], masks[i] = self.sample(epoch, sample_index)
        return images, masks

    def order(self, epoch):
        """The indices of the samples in the order of an epoch."""
        count = len(self.dataset)
        if not self.shuffle:
            return np.arange(count)
        seeds = np.random.SeedSequence(self.seed, spawn_key=(epoch,))
        return np.random.default_rng(seeds).permutation(count)

    def sample(self, epoch, index):
        """Image and mask of a sample as they are in an epoch."""
        try:
            sample = self.dataset[index]
            image, mask = sample.image, sample.mask
            if image.dtype != "uint8" or image.shape[2:] != (3,) or mask.ndim != 2:
                raise ValueError(
                    "image must be uint8 (height, width, 3) and mask (height, width). "
                    f"Received: image {image.dtype} {image.shape}, mask {mask.shape}"
                )
            if mask.dtype != "uint8":
                mask = mask.astype("int32", copy=False)
            seeds = np.random.SeedSequence(self.seed, spawn_key=(epoch, index))
            rng = np.random.default_rng(seeds)
            return self.augment(image, mask, rng, self.size)
        except Exception as error:
            raise ValueError(f"{self._name(index)}: {error}") from error

    def on_epoch_end(self):
        self.epoch += 1

    def _name(self, index):
        paths = getattr(self.dataset, "paths", None)
        if paths is None:
            return f"sample {index}"
        return f"sample {index} ({', '.join(str(path) for path in paths(index))})"


def loader(
    dataset,
    batch_size,
    size,
    *,
    augment=None,
    shuffle=True,
    seed=0,
    check=False,
    drop_last=None,
    workers=1,
    max_queue_size=4,
):
    """Makes batches for `model.fit`, `evaluate` and `predict`."""
    size = (size, size) if isinstance(size, int) else tuple(map(operator.index, size))
    if check:
        from kseg import data

        data.check(dataset)
    return Batches(
        dataset,
        batch_size,
        size,
        augment or Compose([]),
        shuffle,
        seed,
        shuffle if drop_last is None else drop_last,
        workers=workers,
        max_queue_size=max_queue_size,
    )
