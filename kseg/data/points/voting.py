"""Predictions for whole rooms from those for their blocks."""

import itertools
from collections.abc import Iterator

import numpy as np

from kseg.data.batches import check_integer
from kseg.data.points.loading import draw


def predict_rooms(
    model,
    blocks,
    num_points: int,
    *,
    batch_size: int = 4,
    votes: int = 1,
    seed: int = 0,
) -> Iterator[np.ndarray]:
    """Predicts every point of every room, as the mean over the blocks that it lies in.

    The points of a block are shuffled and cut into clouds of `num_points`, of which the
    last is filled up with others, so that each point is predicted in each of its blocks
    at least `votes` times. A point's scores are averaged in each block, then over blocks,
    each of which counts once.

    Args:
        model: A `keras.Model` of one output, or any function of clouds `(batch,
            num_points, channels)` that returns scores `(batch, num_points, classes)`.
        blocks: The rooms as `kseg.data.points.Blocks`, of all points (`min_points=1`).
        num_points: Points in a cloud.
        batch_size: Clouds that are predicted at once.
        votes: How often each block is shuffled and predicted.
        seed: Seed of the shuffling.

    Yields:
        float32 scores of shape `(points, classes)` for each of `blocks.rooms`, in order.

    Raises:
        ValueError: If a point lies in no block, or the scores have another shape.
        TypeError: If a number is not an integer.
    """
    num_points = check_integer("num_points", num_points, 1)
    batch_size = check_integer("batch_size", batch_size, 1)
    votes = check_integer("votes", votes, 1)
    seed = check_integer("seed", seed, 0)
    predict = getattr(model, "predict_on_batch", model)
    of_room = [[] for _ in blocks.rooms]
    for index, (number, _) in enumerate(blocks.inside):
        of_room[number].append(index)
    for room, indices in zip(blocks.rooms, of_room, strict=True):
        total, counts = None, np.zeros(len(room.points))
        clouds = _clouds(blocks, indices, num_points, votes, seed)
        while batch := list(itertools.islice(clouds, batch_size)):
            scores = np.asarray(predict(np.stack([points for points, _, _ in batch])))
            if scores.ndim != 3 or scores.shape[:2] != (len(batch), num_points):
                raise ValueError(
                    "`model` must give scores `(batch, points, classes)`. Received: "
                    f"scores of shape {scores.shape} for {len(batch)} x {num_points}"
                )
            if total is None:
                total = np.zeros((len(counts), scores.shape[-1]))
            for (_, index, shares), values in zip(batch, scores, strict=True):
                # A point may stand in a cloud more than once.
                np.add.at(total, index, values * shares[:, None])
                np.add.at(counts, index, shares)
        if not counts.all():
            raise ValueError(
                "`blocks` must hold all points: make them with min_points=1. "
                f"Received: {int((counts == 0).sum())} points of {room.id!r} in no block"
            )
        yield (total / counts[:, None]).astype(np.float32)


def _clouds(blocks, indices, num_points, votes, seed):
    """Points to predict, their indices in the room, and what each counts in its block."""
    for index in indices:
        points, inside = blocks[index].points, blocks.inside[index][1]
        seeds = np.random.SeedSequence(seed, spawn_key=(index,))
        rng = np.random.default_rng(seeds)
        wanted = -(-len(points) // num_points) * num_points
        order = np.concatenate([draw(len(points), wanted, rng) for _ in range(votes)])
        shares = 1 / np.bincount(order)[order]
        for start in range(0, len(order), num_points):
            chosen = order[start : start + num_points]
            yield points[chosen], inside[chosen], shares[start : start + num_points]
