"""Re-estimates BatchNorm statistics from training batches."""

import itertools

import keras
import numpy as np


def recalibrate_batch_norm(model, batches, steps: int = 50):
    """Replaces the moving statistics of every BatchNorm by those of `batches`.

    A moving average remembers weights that are long gone; after training (and
    after averaging weights) the statistics of the final weights are better. The
    mean becomes the average of the batch means, the variance the average of the
    batch variances plus the variance of the batch means: the statistics of all the
    batches taken together.

    Reference:
    - [Averaging Weights Leads to Wider Optima](https://arxiv.org/abs/1803.05407),
      section 3.2

    Args:
        model: A Keras model. Frozen BatchNorm layers keep their statistics.
        batches: What `model.fit` takes as batches: a `keras.utils.PyDataset` or
            any iterable of `(images, …)` or of images.
        steps: Number of batches to use; fewer when `batches` has fewer.
            Defaults to `50`.

    Returns:
        The number of BatchNorm layers that got new statistics.
    """
    if steps < 1:
        raise ValueError(f"`steps` must be a positive integer. Received: steps={steps}")
    found = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    if not found:
        return 0
    momenta = [layer.momentum for layer in found]
    before = [
        [v.numpy() for v in (layer.moving_mean, layer.moving_variance)]
        for layer in found
    ]
    totals = [[0.0, 0.0, 0.0] for _ in found]  # of means, squared means, variances
    count = 0
    try:
        # Momentum 0 leaves exactly the statistics of the last batch in the layer.
        for layer in found:
            layer.momentum = 0.0
        for images in _take_images(batches, steps):
            model(images, training=True)
            count += 1
            for layer, total in zip(found, totals, strict=True):
                mean = layer.moving_mean.numpy().astype("float64")
                variance = layer.moving_variance.numpy()
                total[0] += mean
                total[1] += mean**2
                total[2] += variance.astype("float64")
        if not count:
            raise ValueError("`batches` must have at least one batch. Received: none")
        after = [
            [mean / count, variance / count + squares / count - (mean / count) ** 2]
            for mean, squares, variance in totals
        ]
    except BaseException:
        after = before
        raise
    finally:
        for layer, momentum, (mean, variance) in zip(
            found, momenta, after, strict=True
        ):
            layer.momentum = momentum
            layer.moving_mean.assign(mean.astype("float32"))
            layer.moving_variance.assign(np.maximum(variance, 0.0).astype("float32"))
    return len(found)


def _take_images(batches, steps):
    """Yields the images of the first `steps` batches, of a dataset or an iterable."""
    if isinstance(batches, keras.utils.PyDataset):
        # Keras' data sets have a length and an index, but their iterator has no end.
        chosen = map(batches.__getitem__, range(min(steps, len(batches))))
    else:
        chosen = itertools.islice(batches, steps)
    for batch in chosen:
        yield batch[0] if isinstance(batch, (tuple, list)) else batch
