"""Which net a run keeps, and the pictures of it."""

import numpy as np

from kseg import plot
from kseg.files import write_whole
from kseg.training.batch_norm import recalibrate_batch_norm
from kseg.training.evaluation import category_mask, evaluate


def keep_best(net, candidates, batches, dataset, start=None):
    """Leaves `net` with the best of several weights, by mean IoU at the photos' size.

    Each is tried as it is and with re-estimated BatchNorm statistics: those of a short
    run lag so far behind that validation during training cannot tell its epochs apart.
    Of equals the later one is kept, and the start before all.

    Args:
        net: The net to try the weights in.
        candidates: Dict of lists of weights, by what they are; the last epoch last.
        batches: Training batches, for the statistics.
        dataset: Data set to validate on.
        start: The weights that training started from, if they were trained before.

    Returns:
        Name of what is kept, and the figures of everything tried, by name.
    """
    results, kept = {}, None

    def try_net(name):
        nonlocal kept
        results[name] = evaluate(net, dataset)
        if kept is None or _score(results[name]) >= _score(results[kept[0]]):
            kept = name, net.get_weights()

    for name, weights in candidates.items():
        net.set_weights(weights)
        try_net(name)
        if recalibrate_batch_norm(net, batches):
            try_net(f"{name}, BatchNorm re-estimated")
    if start is not None:
        net.set_weights(start)
        try_net("start")
    name, weights = kept
    net.set_weights(weights)
    return name, results


def draw_validation(net, dataset, path, count=12):
    """Writes a sheet of photos with the predicted mask beside the true one."""
    tiles, titles = [], []
    for index in np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int):
        sample = dataset[int(index)]
        tiles.append(plot.overlay(sample.image, sample.mask, dataset.colors))
        tiles.append(
            plot.overlay(sample.image, category_mask(net, sample.image), dataset.colors)
        )
        titles += [f"{sample.id}: truth", "prediction"]
    write_whole(path, plot.sheet(tiles, titles=titles, columns=6).save)


def _score(result):
    return np.nan_to_num(result["mean_iou"], nan=-1.0)
