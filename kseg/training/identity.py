"""What a run was made of, as its `config.json` tells it: data, nets, plain values."""

import hashlib
import json

import keras
import numpy as np


def as_json(config):
    """Returns what JSON keeps of a dict: tuples become lists, NumPy's numbers Python's.

    A Keras model becomes its name and the digest of its weights.
    """
    return json.loads(json.dumps(config, default=_plain))


def describe_data(dataset):
    """Returns one line that differs for other photos: their number and a digest.

    Digested are the ids and, for files, the size of every image and mask.
    """
    digest = hashlib.sha256()
    for index, sample_id in enumerate(getattr(dataset, "ids", range(len(dataset)))):
        sizes = []
        if hasattr(dataset, "paths"):
            sizes = [path.stat().st_size for path in dataset.paths(index)]
        digest.update(json.dumps([str(sample_id), sizes]).encode())
    return f"{len(dataset)} photos, {digest.hexdigest()[:12]}"


def describe_net(model):
    """Returns one line that differs for other weights: the name and a digest."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(f"{weight.dtype}{weight.shape}".encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return f"{model.name}, {digest.hexdigest()[:12]}"


def _plain(value):
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, keras.Model):
        return describe_net(value)
    raise TypeError(
        "Arguments of a run must be numbers, texts, lists or dicts of them, or Keras "
        f"models, since its folder records them. Received: {value!r} "
        f"(of type {type(value).__name__})"
    )
