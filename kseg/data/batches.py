"""The batches that `kseg.data.loader` makes."""

import keras
import numpy as np

from kseg.data.prefetching import Prefetcher


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
        mix,
        maps,
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
        self.mix = mix
        self.maps = maps
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0
        self._positions = None  # index that Keras asks for -> batch, in its epochs
        self._prefetcher = Prefetcher(
            self._make, workers, max_queue_size, self._name_batch
        )

    @property
    def epoch(self) -> int:
        return self._epoch

    @epoch.setter
    def epoch(self, value: int):
        self._epoch = check_integer("epoch", value, 0)
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
        chosen = self._choose(epoch, index)
        images = masks = None
        maps = []
        for i, sample_index in enumerate(chosen):
            try:
                image, mask = self._make_sample(epoch, sample_index)
                if images is None:
                    images = np.empty((len(chosen), *image.shape), "float32")
                    masks = np.empty((len(chosen), *mask.shape), "int32")
                self._check_shapes(image, mask, images, masks)
                if self.maps is not None:
                    maps.append(np.asarray(self.maps(mask), "float32"))
            # The exit of a thread would end it in silence.
            except (Exception, SystemExit) as error:
                name = self._name(sample_index)
                kind = type(error).__name__
                raise ValueError(f"{name} is broken: {kind}: {error}") from error
            images[i], masks[i] = image, mask
        return (images, masks, np.stack(maps)) if maps else (images, masks)

    def _check_shapes(self, image, mask, images, masks):
        size = tuple(self.size)
        if image.shape[-3:] != (*size, 3) or mask.shape[-2:] != size:
            raise ValueError(
                f"`augment` must return an image and a mask of {self.size}. "
                f"Received: shapes {image.shape}, {mask.shape}"
            )
        if image.shape != images.shape[1:] or mask.shape != masks.shape[1:]:
            raise ValueError(
                "The samples of a batch must have as many frames. Received: shapes "
                f"{image.shape}, {mask.shape} after {images.shape[1:]}, {masks.shape[1:]}"
            )

    def _choose(self, epoch, index):
        start = index * self.batch_size
        return self._order(epoch)[start : start + self.batch_size].tolist()

    def _order(self, epoch):
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return self._generator(epoch).permutation(len(self.dataset))

    def _make_sample(self, epoch, index):
        pair = self._augment(index, self._generator(epoch, index))
        if self.mix is None or len(self.dataset) < 2:
            return pair
        rng = self._generator(epoch, index, 1)
        chance, partner = rng.random(), int(rng.integers(len(self.dataset) - 1))
        if chance >= self.mix.probability:
            return pair
        partner += partner >= index  # any but the sample itself
        try:
            other = self._augment(partner, self._generator(epoch, index, 2))
        except (Exception, SystemExit) as error:
            kind = type(error).__name__
            raise ValueError(
                f"What is mixed into it, {self._name(partner)}: {kind}: {error}"
            ) from error
        return self.mix(pair, other, rng)

    def _augment(self, index, rng):
        sample = self.dataset[index]
        image, mask = np.asarray(sample.image), np.asarray(sample.mask)
        if mask.dtype != "uint8":
            if mask.dtype.kind not in "iu":
                raise ValueError(
                    f"A mask must hold integer class ids. Received: {mask.dtype}"
                )
            mask = mask.astype("int32", copy=False)
        return self.augment(image, mask, rng, self.size)

    def _generator(self, *key):
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def _name(self, index):
        ids = getattr(self.dataset, "ids", None)
        name = f"Sample {index}" if ids is None else f"Sample {ids[index]!r}"
        if not hasattr(self.dataset, "paths"):
            return name
        return f"{name} ({', '.join(map(str, self.dataset.paths(index)))})"

    def _name_batch(self, epoch, index):
        return ", ".join(map(self._name, self._choose(epoch, index)))


def check_integer(name, value, low):
    """Returns an argument as an int, or raises if it is none, or below `low`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"`{name}` must be an integer. Received: {name}={value!r}")
    if value < low:
        raise ValueError(f"`{name}` must be at least {low}. Received: {name}={value}")
    return int(value)
