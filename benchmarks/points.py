"""Sampling, neighbours and a training step of kseg beside their peers.

Farthest point sampling of 8,192 points to 1,024 (fpsample, and Open3D, which needs
Debian's libusb-1.0-0), the 32 neighbours of these in rings (scipy's cKDTree, and Open3D
where a ring has no inner radius), and a step of PointNet for rooms beside the same layers
in plain PyTorch. Each library runs in a process of its own, in turn, round by round, so
that a load of the machine meets all alike. Printed are the least time of the clock and of
the processor, and the ratio to kseg's, which is below 1 where the peer is faster; then
what the answers have in common.

    make peers
    taskset -c 0 python benchmarks/points.py
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from worker import Worker, peer

POINTS, SAMPLES, K = 8192, 1024, 32
RINGS = {"ring 0-0.2": (0.0, 0.2), "ring 0.2-0.3": (0.2, 0.3)}
BATCH, CLOUD, CHANNELS, CLASSES = 8, 2048, 9, 13
# The time of kseg that ratios are to, per task.
OWN = {
    "sampling": "kseg.data.points",
    **dict.fromkeys(RINGS, "kseg layer"),
    "step": "kseg on tensorflow",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["search", "step"])
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(*arguments.worker)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(arguments, Path(folder))


def compare(arguments, folder):
    rng = np.random.default_rng(0)
    cloud = rng.uniform(-1, 1, (POINTS, 3))
    cloud /= np.abs(cloud).max(1, keepdims=True)  # the surface of a cube
    np.save(folder / "cloud.npy", cloud.astype("float32"))
    python, workers = sys.executable, {}
    if arguments.only != "step":
        workers |= {"search": python, "fpsample": peer("points", "fpsample")}
        workers |= {"open3d": peer("points", "open3d")}
    if arguments.only != "search":
        workers |= {"tensorflow": python, "torch": python, "plain": python}
    workers = {name: path for name, path in workers.items() if path}
    for name, path in workers.items():
        backend = {"KERAS_BACKEND": "torch" if name == "torch" else "tensorflow"}
        workers[name] = Worker(path, __file__, (name, folder), backend)
    times = {}
    for _ in range(arguments.rounds):
        for worker in workers.values():
            for key, pair in worker.ask().items():
                times.setdefault(tuple(key.split("|")), []).append(pair)
    print(f"\n{len(os.sched_getaffinity(0))} core(s), milliseconds: clock, processor")
    least = {key: np.min(pairs, axis=0) for key, pairs in times.items()}
    for task, own in OWN.items():
        for (one, who), pair in least.items():
            if one == task and (task, own) in least:
                ratio = pair / least[task, own]
                print(
                    f"{task:13} {who:22} {pair[0]:9.1f} {pair[1]:9.1f}"
                    f"   ratio {ratio[0]:.2f} {ratio[1]:.2f}"
                )
    for worker in workers.values():
        worker.end()
    if arguments.only != "step":
        show_agreement(folder)


def show_agreement(folder):
    """Prints which share of a peer's points and neighbours kseg's layers choose too."""
    answers = {path.stem: np.load(path) for path in folder.glob("*|*.npy")}
    for name, found in sorted(answers.items()):
        expected = answers[f"{name.partition('|')[0]}|kseg layer"]
        if expected is not found:
            rows = zip(np.atleast_2d(expected), np.atleast_2d(found), strict=True)
            pairs = [(set(a.tolist()), set(b.tolist()) - {-1}) for a, b in rows]
            same = [len(a & b) / len(b) for a, b in pairs if b]
            print(f"in common with the layer: {name:25} {np.mean(same):.4f}")


def work(name, folder):
    cloud, make = np.load(Path(folder) / "cloud.npy"), globals()[f"tasks_of_{name}"]
    tasks = make(cloud)
    for key, task in tasks.items():  # compiles, and shows what it answers
        answer = task()
        if answer is not None:
            np.save(Path(folder) / f"{key}.npy", np.asarray(answer))
    for _ in sys.stdin:
        times = {}
        for key, task in tasks.items():
            begin = time.perf_counter(), time.process_time()
            task()
            end = time.perf_counter(), time.process_time()
            times[key] = [1e3 * (b - a) for a, b in zip(begin, end, strict=True)]
        print(json.dumps(times), flush=True)


def tasks_of_search(cloud):
    import tensorflow as tf
    from scipy.spatial import cKDTree

    from kseg.data.points import farthest_points
    from kseg.layers import FarthestPointSampling, RingNeighbors

    points = tf.constant(cloud[None])
    sample = tf.function(FarthestPointSampling(SAMPLES).indices)
    chosen = farthest_points(cloud, SAMPLES)
    centers = tf.constant(cloud[None, chosen])
    tasks = {
        "sampling|kseg.data.points": lambda: farthest_points(cloud, SAMPLES),
        "sampling|kseg layer": lambda: sample(points).numpy()[0],
    }
    for ring, (inner, outer) in RINGS.items():
        query = tf.function(RingNeighbors(K, inner, outer).indices)
        tasks[f"{ring}|kseg layer"] = lambda q=query: q(centers, points).numpy()[0]

        def by_tree(inner=inner, outer=outer):
            tree, centers = cKDTree(cloud), cloud[chosen]
            found = np.full((SAMPLES, K), -1)
            inside = tree.query_ball_point(centers, outer)
            for row, (center, near) in enumerate(zip(centers, inside, strict=True)):
                near = np.array(near)
                distances = np.linalg.norm(cloud[near] - center, axis=1)
                ring = (distances >= inner) & (distances < outer)
                nearest = near[ring][np.argsort(distances[ring])[:K]]
                found[row, : len(nearest)] = nearest
            return found

        tasks[f"{ring}|scipy cKDTree"] = by_tree
    return tasks


def tasks_of_fpsample(cloud):
    import fpsample

    return {
        "sampling|fpsample": lambda: fpsample.fps_sampling(cloud, SAMPLES, start_idx=0),
        "sampling|fpsample buckets": lambda: fpsample.bucket_fps_kdline_sampling(
            cloud, SAMPLES, h=5, start_idx=0
        ),
    }


def tasks_of_open3d(cloud):
    import open3d

    points = open3d.t.geometry.PointCloud(open3d.core.Tensor(cloud))
    tensor = open3d.core.Tensor(cloud)

    # It gives points, and not which: as many others, as far apart, do for the ring.
    centers = points.farthest_point_down_sample(SAMPLES).point.positions

    def ring():
        search = open3d.core.nns.NearestNeighborSearch(tensor)
        search.hybrid_index(0.2)
        search.hybrid_search(centers, 0.2, K)

    def sampling():
        points.farthest_point_down_sample(SAMPLES)

    return {"sampling|Open3D": sampling, "ring 0-0.2|Open3D": ring}


def batch():
    rng = np.random.default_rng(0)
    clouds = rng.uniform(-1, 1, (BATCH, CLOUD, CHANNELS)).astype("float32")
    return clouds, rng.integers(0, CLASSES, (BATCH, CLOUD))


def tasks_of_keras(cloud):
    import keras

    from kseg.models.points import pointnet_semantic_segmentation

    clouds, labels = batch()
    model = pointnet_semantic_segmentation((CLOUD, CHANNELS), CLASSES, activation=None)
    assert_count(sum(int(np.prod(w.shape)) for w in model.trainable_weights))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    # None: there is no answer to compare.
    key = f"step|kseg on {keras.backend.backend()}"
    return {key: lambda: model.train_on_batch(clouds, labels) and None}


tasks_of_tensorflow = tasks_of_torch = tasks_of_keras


def tasks_of_plain(cloud):
    import torch
    from torch import nn

    def mlp(*widths):
        layers = []
        for before, after in zip(widths, widths[1:], strict=False):
            layers += [nn.Conv1d(before, after, 1), nn.BatchNorm1d(after), nn.ReLU()]
        return nn.Sequential(*layers)

    class PointNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.local = mlp(CHANNELS, 64, 64, 64, 128, 1024)
            self.cloud = mlp(1024, 256, 128)
            self.head = mlp(1152, 512, 256)
            self.scores = nn.Sequential(nn.Dropout(0.3), nn.Conv1d(256, CLASSES, 1))

        def forward(self, points):
            local = self.local(points)
            cloud = self.cloud(local.amax(2, keepdim=True))
            cloud = cloud.expand(-1, -1, points.shape[2])
            return self.scores(self.head(torch.cat([local, cloud], 1)))

    model = PointNet().train()
    assert_count(sum(weight.numel() for weight in model.parameters()))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    clouds, labels = batch()
    clouds = torch.from_numpy(clouds.transpose(0, 2, 1).copy())
    labels = torch.from_numpy(labels)

    def step():
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(clouds), labels).backward()
        optimizer.step()

    return {"step|plain PyTorch": step}


def assert_count(found):
    if found != 1_174_669:
        raise RuntimeError(f"the nets must have equal counts, not {found}")


if __name__ == "__main__":
    main()
