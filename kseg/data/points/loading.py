"""Batches of clouds for `model.fit`: the same seed and epoch, the same batches."""

import os

import numpy as np

from kseg.data.batches import Batches, check_integer
from kseg.data.points.checking import check_cloud


def loader(
    dataset,
    batch_size: int,
    num_points: int,
    *,
    augment=None,
    num_categories: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    drop_last: bool | None = None,
    workers: int = 1,
    max_queue_size: int = 4,
) -> "PointBatches":
    """Makes batches of clouds for `model.fit`, `model.evaluate` and `model.predict`.

    From each cloud `num_points` points are drawn, without repetition where it has as
    many; where it has fewer, all of them and repetitions. Order, points and augmentation
    depend on `seed`, the epoch and the index of the sample alone, as with
    `kseg.data.loader`.

    Example:

    ```python
    shapes = kseg.data.datasets.ShapeNetPart("shapenetpart")
    batches = kseg.data.points.loader(shapes, 16, 2048, num_categories=16)
    model.fit(batches, epochs=10)
    ```

    Args:
        dataset: A `kseg.data.datasets.PointDataset` such as `kseg.data.points.Blocks`, or
            any sequence of objects with `points` (`(points, channels)`) and `labels`
            (one per point, or a single one).
        batch_size: Samples in a batch.
        num_points: Points in a cloud of a batch.
        augment: A function of points, labels and `numpy.random.Generator` that returns
            points and labels, as many. `None` leaves them.
        num_categories: For models of parts, which take a one-hot category as second
            input: the number of categories. Samples then need a `category`.
        shuffle: Whether each epoch has an order of its own.
        seed: Non-negative integer.
        drop_last: Whether to leave out the last batch where it is short (never the only
            one). Defaults to `shuffle`: in training yes, in evaluation no.
        workers: Threads that make batches while the model computes; `0` makes them in
            the caller's.
        max_queue_size: Most batches that are made ahead of the model.

    Returns:
        A `keras.utils.PyDataset` of pairs: clouds, float32 of shape `(batch, num_points,
        channels)`, with `num_categories` in a tuple with one-hot categories, float32; and
        labels, int32 of shape `(batch, num_points)`, or `(batch,)` where clouds have one.

    Raises:
        ValueError: If there is no sample, a number is out of its range, or, while batches
            are made, a sample cannot be used or is not finite, before or after `augment`;
            the error names it, and the row. A compiled step could not.
        TypeError: If an argument is of another type.
    """
    if isinstance(dataset, str | os.PathLike):
        raise TypeError(
            "`dataset` must be a data set, such as "
            f"`kseg.data.points.CloudFolder({str(dataset)!r}, class_names)`. "
            f"Received: dataset={dataset!r}"
        )
    if not len(dataset):
        raise ValueError(
            f"`dataset` must have at least one sample. Received: dataset={dataset}"
        )
    if augment is not None and not callable(augment):
        raise TypeError(
            "`augment` must be a function of points, labels and a generator, or None. "
            f"Received: augment={augment!r}"
        )
    if num_categories is not None:
        num_categories = check_integer("num_categories", num_categories, 1)
    return PointBatches(
        dataset,
        check_integer("batch_size", batch_size, 1),
        check_integer("num_points", num_points, 1),
        augment=augment,
        mix=None,
        maps=num_categories,
        shuffle=bool(shuffle),
        seed=check_integer("seed", seed, 0),
        drop_last=bool(shuffle if drop_last is None else drop_last),
        workers=check_integer("workers", workers, 0),
        max_queue_size=check_integer("max_queue_size", max_queue_size, 1),
    )


class PointBatches(Batches):
    """Pairs of clouds and labels; `kseg.data.points.loader` makes it.

    `epoch`, and how it is iterated over, are as for `kseg.data.loader`.
    """

    def _make(self, epoch, index):
        clouds, labels, categories = [], [], []
        for chosen in self._choose(epoch, index):
            try:
                points, truth, category = self._make_sample(epoch, chosen)
                if clouds and (points.shape, truth.shape) != (
                    clouds[0].shape,
                    labels[0].shape,
                ):
                    raise ValueError(
                        "The samples of a batch must have as many channels, and labels "
                        f"alike. Received: {points.shape}, {truth.shape} after "
                        f"{clouds[0].shape}, {labels[0].shape}"
                    )
            except (Exception, SystemExit) as error:
                name, kind = self._name(chosen), type(error).__name__
                raise ValueError(f"{name} is broken: {kind}: {error}") from error
            clouds.append(points)
            labels.append(truth)
            categories.append(category)
        clouds, labels = np.stack(clouds), np.stack(labels)
        if self.maps is None:
            return clouds, labels
        return (clouds, np.eye(self.maps, dtype=np.float32)[categories]), labels

    def _make_sample(self, epoch, index):
        sample = self.dataset[index]
        points = check_cloud("points", sample.points).astype(np.float32, copy=False)
        labels = np.asarray(sample.labels)
        if labels.dtype.kind not in "iu" or labels.shape not in ((), points.shape[:1]):
            raise ValueError(
                "Labels must be integers, one per point, or one for the cloud. "
                f"Received: {labels.dtype} of shape {labels.shape} for {points.shape}"
            )
        labels = labels.astype(np.int32)
        rng = self._generator(epoch, index)
        drawn = draw(len(points), self.size, rng)
        points, labels = points[drawn], labels[drawn] if labels.ndim else labels
        if self.augment is not None:
            expected = points.shape, labels.shape
            points, labels = self.augment(points, labels, rng)
            points, labels = np.asarray(points), np.asarray(labels)
            if (points.shape, labels.shape) != expected:
                raise ValueError(
                    f"`augment` must return points and labels of {expected}. "
                    f"Received: {(points.shape, labels.shape)}"
                )
            check_cloud("augmented points", points)
        category = getattr(sample, "category", None)
        if self.maps is not None and (
            category is None or not 0 <= category < self.maps
        ):
            raise ValueError(
                f"`num_categories={self.maps}` needs samples with a category below it. "
                f"Received: category={category}"
            )
        return points.astype(np.float32, copy=False), labels.astype(np.int32), category


def draw(count, wanted, rng):
    """Draws indices: different ones, or all and repetitions where there are too few."""
    order = rng.permutation(count)
    if count >= wanted:
        return order[:wanted]
    return np.concatenate([order, rng.integers(0, count, wanted - count)])
